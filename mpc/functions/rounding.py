"""Rounding on shares: exact."""
from __future__ import annotations

import numpy as np

from mpc.protocols.base import Protocol
from mpc.sharing import Share, sub


def floor(protocol: Protocol, x: Share) -> Share:
    """The largest integer that is not above x, of scale 0. Range |x| < 2^62 in units of its scale. Rounds: an exact
    truncation's (opening and 3)."""
    return protocol.truncate(x, x.scale, exact=True) if x.scale else x


def modulo(protocol: Protocol, x: Share, log2: int) -> Share:
    """x - 2^log2 floor(x / 2^log2) at x's scale, in [0, 2^log2); rounds as `floor`."""
    bits = x.scale + log2
    if bits <= 0:
        return Share(np.zeros(x.shape, np.uint64), x.scale)
    quotient = protocol.truncate(x, bits, exact=True)
    return sub(x, quotient.times(1 << bits).rescaled(x.scale))
