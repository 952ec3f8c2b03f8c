"""e^x on shares over the whole range that fixed point can hold."""
from __future__ import annotations

import math
from dataclasses import replace

from mpc.protocols.base import Protocol
from mpc.protocols.series import QUARTER
from mpc.sharing import Share

QUARTER_BITS, HALF_BITS = 22, 20  # scales of e^(x/4) and e^(x/2)


def exp(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """e^x = (e^(x/4))^4, at scale 40 (pending); x of any scale up to 2 frac_bits.

    Domain [-16, 10] at 16 fraction bits; 0 below, e^10 above (fewer where frac_bits leave less room). Error: relative 1e-5,
    and absolute 2^-16 at least. Rounds: opening and 4 of the kernel, then two truncations and one square beside them.
    """
    if x.scale + 5 > 52:  # more than the kernel's window holds
        x = protocol.truncate(x, x.scale - frac_bits)
    protocol.open(x)
    window = replace(QUARTER, high=min(QUARTER.high, (31 - frac_bits) * math.log(2) / 4 - 2**-20))
    quarter = protocol.exp(x.rescaled(x.scale + 2), window, QUARTER_BITS)
    half = protocol.truncate(protocol.square(quarter), 2 * QUARTER_BITS - HALF_BITS)
    return protocol.square(half)
