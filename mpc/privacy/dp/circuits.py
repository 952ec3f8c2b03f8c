"""What samplers are built of: biased coins by comparing uniform bits with public thresholds, and the count of coins."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.fixed_point import Words
from mpc.privacy.dp.coins import Coins


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
    for 40 bits about 55 ANDs and 85 opened bits a coin.
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
    """Planes of 1{u < T} for one u, whose digits are the rows of ``uniform`` (lowest first, complemented), and several T below
    2^rows."""
    _check([t + 1 for t in thresholds], len(uniform))
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
    out = coins.zeros(len(spans))
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
    products = coins.both(np.stack(operands), *zip(*pairs, strict=True)) if pairs else coins.zeros(0)
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
