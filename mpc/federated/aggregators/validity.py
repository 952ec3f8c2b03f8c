"""Is a shared update what an honest client could have sent? Checked on shares; why it holds: `mpc.federated.quantisation`.

One bit per client comes out, a share as well: 1 if all checks pass. Nothing else is opened but masked values.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mpc import prg, ring
from mpc.federated.quantisation import PROJECTIONS, WIDTH, Limits
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.sharing import Share, add, concatenate

_ROWS: Final = 4096  # of coins that are in memory at once
_KEY: Final = 4 * PROJECTIONS // 128  # words of coins per row: two bits for each projection


def coins(key: bytes, start: int, count: int) -> Words:
    """Rows ``start`` to ``start + count`` of the public matrix over {-1, 0, 1}, (count, PROJECTIONS) ring words: the
    difference of two fair bits of a keyed stream."""
    bits = np.unpackbits(prg.words(key, 0, 0, count * _KEY, offset=start * _KEY).view(np.uint8)).reshape(count, 2, PROJECTIONS)
    return (bits[:, 0].view(np.int8) - bits[:, 1].view(np.int8)).astype(np.int64).view(np.uint64)


def projected(chunks: Sequence[Words], key: bytes) -> Words:
    """X = w R modulo 2^64 for this party's words, (clients, PROJECTIONS). Local: 128 additions per word."""
    out = np.zeros((chunks[0].shape[0], PROJECTIONS), np.uint64)
    start = 0
    for words in chunks:
        for at in range(0, words.shape[1], _ROWS):
            part = words[:, at : at + _ROWS]
            ring.matmul(np.ascontiguousarray(part), coins(key, start + at, part.shape[1]), out=out, accumulate=True)
        start += words.shape[1]
    return out


def checked(party: Party, chunks: Sequence[Share], weights: Share, length: int, limits: Limits, key: bytes) -> Share:
    """Bits (clients,): 1 where norm, bound and weight are within ``limits``.

    ``chunks``: the updates (clients, columns) in blocks of columns; they are opened under masks here, which the weighted sum
    uses again. ``key``: of coins that were drawn after the updates were fixed. Rounds: opening 1, comparison 4, zero test 4.
    Bytes each way and client: 8 for each value and about 4 KiB; with a bound 9 more for each value.
    """
    protocol = party.protocol
    protocol.open(*chunks)
    within: list[tuple[Share, int, int]] = [(_column(weights), 1, limits.max_weight)]
    if limits.max_norm is not None:
        norm = limits.norm(length)
        projections = Share(projected([c.words for c in chunks], key), 0)
        within += [(projections, -WIDTH * norm, WIDTH * norm), (_squares(party, chunks), 0, norm**2)]
    faults = protocol.total(protocol.negative(_distances(party, within)), (1,), False)
    if limits.bound is not None:
        for chunk in chunks:
            faults = add(faults, _outside(party, chunk, limits.end))
    return protocol.is_zero(faults)


def _column(x: Share) -> Share:
    return x.reshape((x.shape[0], 1))


def _squares(party: Party, chunks: Sequence[Share]) -> Share:
    """Sums of squares, (clients, 1): each a product of a row with itself, behind the opening that is there."""
    sums: Share | None = None
    for chunk in chunks:
        clients, columns = chunk.shape
        part = party.protocol.matmul(chunk.reshape((clients, 1, columns)), chunk.reshape((clients, columns, 1)))
        sums = part if sums is None else add(sums, part)
    assert sums is not None
    return sums.reshape((sums.shape[0], 1))


def _distances(party: Party, within: Sequence[tuple[Share, int, int]]) -> Share:
    """For low <= x <= high: x - low and high - x side by side, of which one is negative unless it holds.

    Exact for every x modulo 2^64 while high - low < 2^63: of x - low in [0, 2^63), high - x is negative beyond high."""
    protocol, sides = party.protocol, []
    for x, low, high in within:
        sides += [protocol.add_public(x, _public(x, -low)), protocol.add_public(-x, _public(x, high))]
    return concatenate(sides, 1)


def _public(x: Share, value: int) -> Words:
    return np.broadcast_to(np.uint64(value % 2**64), x.shape)


def _outside(party: Party, chunk: Share, end: int) -> Share:
    """How many values of each row are beyond ``end``, a value below -2^63 + end counted twice: with a = 1{x >= -end} and
    b = 1{x > end} by the sign of the difference modulo 2^64, a value is fine if and only if a - b = 1, else 0 or -1."""
    bits = party.protocol.at_least(chunk, (-end, end + 1))
    words = (bits.words[1] - bits.words[0]).sum(axis=1, dtype=np.uint64)
    short = Share(words, 0)
    return party.protocol.add_public(short, _public(short, chunk.shape[1]))
