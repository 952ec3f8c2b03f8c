"""The inverse of a secret positive matrix, in more bits than tensors have."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.party import Party

# With eigenvalues up to 1 and an inverse up to 2^RESOLVED, words of 64 bits leave room for
RESOLVED: Final = 18
MATRIX_BITS: Final = 34  # of the matrix
INVERSE_BITS: Final = 20  # of the inverse
FACTOR_BITS: Final = 22  # of what it is multiplied by: 2^(RESOLVED + 1 + 20 + 22) < 2^62
FAST, PLAIN = 6, 7  # iterations; an eigenvalue of 0 becomes one of about 2^-19


def product(party: Party, a: Share, b: Share, scale: int) -> Share:
    """a @ b truncated to ``scale`` where it has more bits."""
    out = party.protocol.matmul(a, b)
    return shortened(party, out, scale)


def shortened(party: Party, x: Share, scale: int) -> Share:
    """x truncated to ``scale`` where it has more bits."""
    return party.protocol.truncate(x, x.scale - scale) if x.scale > scale else x


def inverse(party: Party, a: Share) -> Share:
    """The inverse of a symmetric positive (d, d) with diagonal below 1, at scale `INVERSE_BITS` + ceil(log2 d).

    Newton-Schulz, V <- V (2 - A V), of A / 2^p with eigenvalues below 1 (its trace is), from V = 15/8. While small
    eigenvalues x of A V grow, the step is 15/8 of that: x -> 15/8 x (2 - x) gains 3.75, not 2, and stays below 2, where
    the iteration would diverge. Eigenvalues of A / 2^p above 2^-17 are inverted to 2 %, those below 2^-19 as if they
    were about 2^-19: a preconditioner, whose errors steps on the data take away (`System.gradient`). 4 rounds an iteration.
    """
    size = a.shape[0]
    p = math.ceil(math.log2(size)) if size > 1 else 0
    a = shortened(party, a.rescaled(a.scale + p), MATRIX_BITS)
    party.protocol.open(a)
    v = Share(party.protocol.public(_eye(size, 15, INVERSE_BITS - 3)), INVERSE_BITS)
    for k in range(FAST + PLAIN):
        av = party.protocol.matmul(a, v)  # a and v commute, up to rounding
        rest = party.protocol.add_public(-av, _eye(size, 2, av.scale))
        if k < FAST:
            rest = Share(rest.words * np.uint64(15), rest.scale + 3)
        v = product(party, v, shortened(party, rest, FACTOR_BITS), INVERSE_BITS)
    return v.rescaled(INVERSE_BITS + p)


def _eye(size: int, value: int, scale: int) -> np.ndarray:
    """The words of value times the unit matrix."""
    return np.eye(size, dtype=np.uint64) * np.uint64(value << scale)
