"""Softmax and its logarithm on shares: maximum, exponential, sum, reciprocal (or logarithm), product."""
from __future__ import annotations

from mpc.functions.order import maximum
from mpc.functions.roots import log_of_sum, reciprocal_of_sum
from mpc.protocols.base import Protocol
from mpc.protocols.series import NONPOSITIVE
from mpc.sharing import Share, sub

LOG_SCALE = 22  # of a logarithm, at least


def _exponentials(protocol: Protocol, x: Share, scale: int) -> tuple[Share, Share, Share]:
    """x (rows, columns): (x - max, e^(x - max), the row sums of it)."""
    top, _ = maximum(protocol, x.transpose((1, 0)), one_hot=False)
    below = sub(x, top.reshape((x.shape[0], 1)))
    powers = protocol.exp(below, NONPOSITIVE, scale, bounded=True)
    return below, powers, protocol.total(powers, (1,), False)


def softmax(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """e^x / sum e^x along the last of two axes, at scale 2 frac_bits + 2 (30 at least), pending; x up to 2 frac_bits.

    Error 2e-4 up to 1000 columns (entries below e^-16 of the largest become 0). Rounds for up to 16 columns: opening and 5 of
    the maximum, opening and 4 of the exponential, 3 for the reciprocal of the sum and the product.
    """
    _, powers, sums = _exponentials(protocol, x, max(frac_bits, 12) + 2)  # finer: a thousand roundings are summed
    inverse = reciprocal_of_sum(protocol, sums, x.shape[1])
    inverse = protocol.truncate(inverse, inverse.scale - max(frac_bits, 16))
    return protocol.mul(powers, inverse.reshape((x.shape[0], 1)))


def log_softmax(protocol: Protocol, x: Share) -> Share:
    """x - max - log sum e^(x - max) along the last of two axes, at the larger of x's scale and 22; error 1e-4."""
    below, _, sums = _exponentials(protocol, x, LOG_SCALE)
    logs = log_of_sum(protocol, sums, x.shape[1])
    scale = max(x.scale, LOG_SCALE)
    if logs.scale > scale:
        logs = protocol.truncate(logs, logs.scale - scale)
    return sub(below, logs.reshape((x.shape[0], 1)))
