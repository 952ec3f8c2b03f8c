"""Secret powers of two: scales that nobody knows, found by comparisons; quotients by them."""
from __future__ import annotations

import numpy as np

from mpc.ops.value import Value
from mpc.tensor import SecretTensor


def power_of_two(t: SecretTensor, step: int, low: int, high: int) -> tuple[SecretTensor, SecretTensor]:
    """(c, 1/c) with c = 2^-(k+1) where 2^(step k) <= t < 2^(step (k+1)), low <= k <= high; k = low - 1 below.

    Both secret, c exact; c^step * t < 1. One opening, of t as it is before any truncation, and 3 rounds of comparisons with
    all bounds at once.
    """
    party = t.party
    f = party.frac_bits
    share = t._value.absorbed()
    exponents = np.arange(low, min(high, f - 1, 30 - f, (61 - share.scale) // step) + 1)
    party.note("powers", t._value.number, step, low, high)
    above = party.protocol.at_least(share, [1 << max(step * int(e) + share.scale, 0) for e in exponents])
    bits = SecretTensor(Value(party, above.transpose((*range(1, t.ndim + 1), 0))))
    return 2.0**-low - bits @ np.ldexp(1.0, -exponents - 1), 2.0**low + bits @ np.ldexp(1.0, exponents)


def quotient(x: SecretTensor, y: SecretTensor) -> SecretTensor:
    """x / y for 2^-12 < y < 2^14: y is normalised to [1/2, 1), inverted by three Newton steps. Error about 2^-12."""
    f = y.party.frac_bits
    c, _ = power_of_two(y, 1, -min(12, 30 - f), min(13, 29 - f))
    v = y * c
    r = 2.9142 - 2 * v
    for _ in range(3):
        r = r * (2 - v * r)
    return x * c * r
