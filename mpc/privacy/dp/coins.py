"""Coins: random bits nobody knows, and the few operations that samplers are made of.

A sampler is written once against `Coins` and runs in clear (`ClearCoins`) or on shares (`SharedCoins`), so what is accounted
for is what runs. Bits are planes: rows of words, bit l of a row belongs to sample l. XOR of planes is ``^``.

On shares a fair coin is the XOR of one bit of every party's *private* stream (`mpc.prg`): it is uniform and unknown to
any coalition that lacks one party, the dealer included, which has no part in it. ANDs open both operands under dealt masks,
2 bits to each other party and 1 bit from the dealer; a bit becomes an integer by one opened bit and 8 dealt bytes.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np

from mpc import prg, ring
from mpc.errors import NotSupported
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.preprocessing.base import COINS, MASKS_1, BitValues, Conjunctions, share_words
from mpc.protocols.additive import Additive
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

_ALL: Final = np.uint64(2**64 - 1)


class Coins(ABC):
    """Fair coins for ``n`` samples side by side."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.width = ring.planes_words(n)

    @abstractmethod
    def fair(self, count: int) -> Words:
        """``count`` new planes of fair coins, (count, width)."""

    @abstractmethod
    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        """planes[left] AND planes[right], row by row, (len(left), width). One round."""

    @abstractmethod
    def flip(self, planes: Words) -> Words:
        """NOT."""

    @abstractmethod
    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        """Sum over rows of weight * bit as integers modulo 2^64, (n,). One round."""

    @abstractmethod
    def constant(self, value: int) -> Words:
        """A public integer, to be added to totals."""


class ClearCoins(Coins):
    """In clear, from a key of the operating system that lives as long as this object. There is no seed to give."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self._key = prg.derive(prg.fresh_secret(), "coins in clear")
        self._op = 0

    def fair(self, count: int) -> Words:
        self._op += 1
        return prg.words(self._key, self._op, COINS, count * self.width).reshape(count, self.width)

    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        return _rows(planes, left) & _rows(planes, right)

    def flip(self, planes: Words) -> Words:
        return ~planes

    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        out, lane = np.zeros(self.n, np.uint64), np.empty(self.n, np.uint64)
        for plane, weight in zip(planes, weights, strict=True):
            ring.unpack_bits(np.ascontiguousarray(plane), lane)
            out += lane * np.uint64(weight % 2**64)
        return out

    def constant(self, value: int) -> Words:
        return np.asarray(value % 2**64, np.uint64)


class SharedCoins(Coins):
    """On XOR shares among the parties of a session; see this module for who knows what (nobody, anything)."""

    def __init__(self, party: Party, n: int) -> None:
        super().__init__(n)
        if not isinstance(party.protocol, Additive):
            raise NotSupported(f"coins on shares under protocol {party.protocol.name!r}; want 'additive'")
        self.party = party
        self.protocol = party.protocol

    def fair(self, count: int) -> Words:
        """No traffic: each party's part of a coin is a bit of its own stream."""
        op = self.party.next_op()
        self.party.note("coins", op, count, self.n)
        return prg.words(self.party.private, op, COINS, count * self.width).reshape(count, self.width)

    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        """With e = x ^ a, f = y ^ b open: x y = e f ^ e b ^ f a ^ ab, the last one dealt. 1 bit per plane and sample each
        way."""
        party, count = self.party, planes.shape[0]
        op = party.next_op()
        party.note("both", op, planes.shape, len(left))
        item = Conjunctions(op, count, self.width, tuple(left), tuple(right))
        ((_, dealt),) = self.protocol.ask([item])
        masks = prg.words(party.dealt, op, MASKS_1, planes.size).reshape(planes.shape)
        frame = frames.new(planes.size)
        np.bitwise_xor(planes, masks, out=frame[HEADER_WORDS:].reshape(planes.shape))
        pending = party.post(Kind.BITS, op, frame, planes.shape)
        out = share_words(party, item, dealt).reshape(len(left), self.width)
        opened = pending.xor().reshape(planes.shape)
        e, f = _rows(opened, left), _rows(opened, right)
        term = e & _rows(masks, right)
        out ^= term
        np.bitwise_and(f, _rows(masks, left) ^ e if party.first else _rows(masks, left), out=term)
        out ^= term
        return out

    def flip(self, planes: Words) -> Words:
        return planes ^ _ALL if self.party.first else planes.copy()

    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        """[b] = e + (1 - 2e)[s] for the opened e = b ^ s (protocols.md, section 6): one bit each way, one word dealt, per
        bit."""
        party = self.party
        ops = [party.next_op() for _ in weights]
        party.note("total", ops[0], self.n, tuple(weights))
        asked = self.protocol.ask([BitValues(op, self.n) for op in ops])
        bits = self.protocol.open_bits(list(planes), asked)
        out = np.zeros(self.n, np.uint64)
        for bit, weight in zip(bits, weights, strict=True):
            out += self.protocol.bit_words(bit) * np.uint64(weight % 2**64)
        return out

    def constant(self, value: int) -> Words:
        return np.asarray(value % 2**64 if self.party.first else 0, np.uint64)


def _rows(planes: Words, index: Sequence[int]) -> Words:
    """planes[index], without a copy where the index is a run."""
    if isinstance(index, range) and index.step == 1:
        return planes[index.start : index.stop]
    return planes[list(index)]


# --- biased coins
class _Span:
    """Digits low to high of a threshold T, read against those of a uniform number u: below ``less``, equal ``same``.

    ``less`` None stands for 0; ``full``: same = NOT less."""

    __slots__ = ("full", "less", "same")

    def __init__(self, less: Words | None, same: Words | None, full: bool = False) -> None:
        self.less, self.same, self.full = less, same, full


def biased(coins: Coins, thresholds: Sequence[int], bits: int) -> Words:
    """Planes of independent coins that are 1 with probability exactly T / 2^bits, one for each threshold T in [0, 2^bits].

    1{u < T} for a fresh uniform u of ``bits`` fair coins each. Trailing zeros of T need no coin. Rounds: ceil(log2(bits));
    for 40 bits about 56 ANDs and 95 opened bits a coin.
    """
    _check(thresholds, bits)
    lengths = [bits - _zeros(t) if 0 < t < 1 << bits else 0 for t in thresholds]
    drawn = list(coins.fair(sum(lengths)))
    ends = np.cumsum(lengths).tolist()
    numbers = [(t >> (bits - n) if n else 0, drawn[end - n : end]) for t, n, end in zip(thresholds, lengths, ends, strict=True)]
    out = _less(coins, numbers)
    for k, t in enumerate(thresholds):
        if t == 1 << bits:
            out[k] = coins.flip(out[k])
    return out


def below(coins: Coins, uniform: Words, thresholds: Sequence[int]) -> Words:
    """Planes of 1{u < T} for one u, whose digits are the rows of ``uniform`` (lowest first, complemented), and several T."""
    _check(thresholds, len(uniform))
    rows = list(uniform)
    return _less(coins, [(t, rows) for t in thresholds])


def _check(thresholds: Sequence[int], bits: int) -> None:
    if any(not 0 <= t <= 1 << bits for t in thresholds):
        raise ValueError(f"thresholds {list(thresholds)[:4]}...; want 0 to 2^{bits}")


def _zeros(threshold: int) -> int:
    return (threshold & -threshold).bit_length() - 1


def _less(coins: Coins, numbers: Sequence[tuple[int, list[Words]]]) -> Words:
    """1{u < T} for pairs of a T and the complemented digits of a u, lowest first.

    Spans of digits are merged in a binary tree: less = less_high ^ (same_high AND less_low), same = same_high AND same_low;
    less_high and same_high exclude each other, so XOR serves as OR. What several T have in common is merged once.
    """
    leaves: dict[tuple[int, int, bool], _Span] = {}

    def leaf(v: Words, one: int, bottom: bool) -> _Span:
        """At a 1 of T a 0 of u (v = 1) says below, at a 0 of T it says equal; the lowest digit's "equal" is of no use."""
        key = (id(v), one, bottom)
        if key not in leaves:
            same = None if bottom else coins.flip(v) if one else v
            leaves[key] = _Span(v, same, True) if one else _Span(None, same)
        return leaves[key]

    spans = [[leaf(v, t >> i & 1, i == 0) for i, v in enumerate(rows)] for t, rows in numbers]
    while any(len(row) > 1 for row in spans):
        spans = _merged(coins, spans)
    out = np.zeros((len(spans), coins.width), np.uint64)
    for plane, row in zip(out, spans, strict=True):
        if row and row[0].less is not None:
            plane[:] = row[0].less
    return out


def _merged(coins: Coins, spans: list[list[_Span]]) -> list[list[_Span]]:
    """Neighbouring spans joined, in one round for all numbers."""
    operands: list[Words] = []
    place: dict[int, int] = {}
    pairs: dict[tuple[int, int], int] = {}

    def number(plane: Words) -> int:
        if id(plane) not in place:
            place[id(plane)] = len(operands)
            operands.append(plane)
        return place[id(plane)]

    def conjunction(x: Words, y: Words) -> int:
        return pairs.setdefault((number(x), number(y)), len(pairs))

    plan: dict[tuple[int, int], tuple[_Span, _Span, int, int]] = {}
    for row in spans:
        for low, high in zip(row[::2], row[1::2], strict=False):
            if (id(low), id(high)) in plan:
                continue
            assert high.same is not None
            less = -1 if low.less is None else conjunction(high.same, low.less)
            same = -1 if low.same is None or low.full else conjunction(high.same, low.same)
            plan[id(low), id(high)] = low, high, less, same
    products = coins.both(np.stack(operands), *zip(*pairs, strict=True)) if pairs else np.empty((0, coins.width), np.uint64)
    joined = {key: _joined(*step, products) for key, step in plan.items()}
    return [
        [joined[id(low), id(high)] for low, high in zip(row[::2], row[1::2], strict=False)] + row[len(row) // 2 * 2 :]
        for row in spans
    ]


def _joined(low: _Span, high: _Span, less_at: int, same_at: int, products: Words) -> _Span:
    assert high.same is not None
    less = products[less_at] if less_at >= 0 else None
    same = None
    if low.same is not None:  # the lowest span needs none
        same = products[same_at] if same_at >= 0 else high.same ^ products[less_at]  # low.full: its same is NOT less
    if less is None:
        less = high.less
    elif high.less is not None:
        less = high.less ^ less
    return _Span(less, same, low.full and high.full)


# --- counting coins
def compressed(coins: Coins, columns: list[Words]) -> tuple[Words, list[int]]:
    """Planes and weights whose weighted sum is that of ``columns`` (column i: planes of weight 2^i), at most two planes per
    column: full adders, three planes of a weight to one there and one of the next, carry = ((x ^ z) AND (y ^ z)) ^ z.
    About one AND per plane that goes; rounds about log_1.5 of the highest column.
    """
    while any(len(c) > 2 for c in columns):
        thirds = [len(c) // 3 for c in columns]
        x, y, z = (
            np.concatenate([c[part * t : (part + 1) * t] for c, t in zip(columns, thirds, strict=True)]) for part in range(3)
        )
        sums = x ^ y ^ z
        count = len(z)
        carries = coins.both(np.concatenate([x ^ z, y ^ z]), range(count), range(count, 2 * count))
        carries ^= z
        rest = [c[3 * t :] for c, t in zip(columns, thirds, strict=True)]
        ends = np.cumsum([0, *thirds])
        empty = sums[:0]
        columns = [
            np.concatenate(
                [
                    rest[i] if i < len(rest) else empty,
                    sums[ends[i] : ends[i + 1]] if i < len(rest) else empty,
                    carries[ends[i - 1] : ends[i]] if i else empty,
                ]
            )
            for i in range(len(rest) + (1 if thirds[-1] else 0))
        ]
    planes = np.concatenate(columns)
    return planes, [1 << i for i, c in enumerate(columns) for _ in range(len(c))]
