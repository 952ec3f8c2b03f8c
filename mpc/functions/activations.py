"""Sigmoid, tanh, the error function and the normal distribution on shares: saturated series (protocols.md, section 7).

x of any scale up to 2 frac_bits and any value; the result has scale frac_bits. Rounds and bytes: the protocol's `saturated`
kernel (opening and 3 rounds). Errors are absolute, beside the rounding of the result.
"""
from __future__ import annotations

import numpy as np

from mpc.functions import fits
from mpc.protocols.base import Protocol
from mpc.sharing import Share


def sigmoid(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """1 / (1 + e^-x), error 6e-5."""
    return protocol.saturated(x, fits.SIGMOID, frac_bits)


def tanh(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """2 sigmoid(2 x) - 1, error 1.2e-4. Doubling is reading the words at another scale."""
    protocol.open(x)  # before its words are read at another scale, so that x itself is open
    doubled = protocol.saturated(x.rescaled(x.scale - 1), fits.SIGMOID, frac_bits + 1).rescaled(frac_bits)
    return protocol.add_public(doubled, np.asarray(-(1 << frac_bits) % 2**64, np.uint64))


def erf(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """The error function, error 2.3e-5."""
    return protocol.saturated(x, fits.ERF, frac_bits)


def erf_slope(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """Its derivative 2 e^(-x^2) / sqrt(pi), error 1.4e-4 (at |x| = 3, where it ends)."""
    return protocol.saturated(x, fits.ERF_SLOPE, frac_bits)


def normal_cdf(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """Phi(x) = (1 + erf(x / sqrt 2)) / 2, error 1.1e-5."""
    return protocol.saturated(x, fits.NORMAL_CDF, frac_bits)


def normal_pdf(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """Its derivative e^(-x^2 / 2) / sqrt(2 pi), error 5e-5."""
    return protocol.saturated(x, fits.NORMAL_PDF, frac_bits)
