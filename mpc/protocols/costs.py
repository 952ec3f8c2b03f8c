"""What each kernel of the additive protocol costs online: rounds, and payload bytes to each other party.

``fresh`` counts the words that are not open yet (0 for a tensor that was opened before); n counts elements. Bit planes
travel as whole 64-bit words. ``form``: of the comparisons (`mpc.protocols.choice`). Tests compare these with the
transport's count. What the dealer sends follows from `Correlation.parts`.
"""
from __future__ import annotations

from mpc.preprocessing.base import LEVELS
from mpc.protocols.base import FREE, Cost
from mpc.protocols.choice import NIBBLES, Variant
from mpc.ring import planes_words


def opening(fresh: int) -> Cost:
    """E = x - A: one round, 64 bits per word."""
    return Cost(1, 8 * fresh) if fresh else FREE


def planes(n: int, count: int) -> Cost:
    """One round with ``count`` bits per element."""
    return Cost(1, 8 * planes_words(n) * count)


def product(fresh: int) -> Cost:
    """mul, square, matmul: the openings alone."""
    return opening(fresh)


def merges(n: int, count: int, kind: str) -> Cost:
    """``count`` runs of a tree side by side: the bits of its one or two levels."""
    first, _, second, _ = LEVELS[kind]
    return planes(n, count * first) + (planes(n, count * second) if second else FREE)


def truncate(n: int, parties: int, fresh: int, exact: bool = False, form: Variant = NIBBLES) -> Cost:
    """Two parties: one bit each. Otherwise the opening; exact adds one comparison of low bits."""
    if parties == 2 and fresh and not exact:
        return planes(n, 1)
    return opening(fresh) + (comparison(n, 0, form) if exact else FREE)


def comparison(n: int, fresh: int, form: Variant = NIBBLES) -> Cost:
    """x < 0 as an arithmetic bit: opening, the tree (27 and 6 bits, or 14), one bit to arithmetic."""
    return opening(fresh) + merges(n, 1, form.tree) + planes(n, 1)


def equality(n: int, fresh: int, form: Variant = NIBBLES) -> Cost:
    """x == 0 as an arithmetic bit: opening, the tree (16 and 4 bits, or 8), one bit to arithmetic."""
    return opening(fresh) + merges(n, 1, form.equal) + planes(n, 1)


def relu(n: int, fresh: int, form: Variant = NIBBLES) -> Cost:
    """Truncation and ReLU behind one opening: what the comparison costs."""
    return comparison(n, fresh, form)


def at_least(n: int, thresholds: int, fresh: int, form: Variant = NIBBLES) -> Cost:
    """x >= t for several thresholds: one opening, then their comparisons side by side."""
    return opening(fresh) + merges(n, thresholds, form.tree) + planes(n, thresholds)


def series(fresh: int) -> Cost:
    """The opening alone."""
    return opening(fresh)


def saturated(n: int, fresh: int, form: Variant = NIBBLES) -> Cost:
    """The opening of x, then two comparisons with the series' opening beside them, and two bits."""
    return opening(fresh) + at_least(n, 2, 0, form).beside(Cost(1, 8 * n))


def exp(n: int, fresh: int, bounded: bool = False, form: Variant = NIBBLES) -> Cost:
    """The opening of x, three comparisons (two if bounded) side by side, the opening of the product."""
    return opening(fresh) + at_least(n, 2 if bounded else 3, 0, form) + opening(n)


def largest(columns: int, rows: int, fresh: int, form: Variant = NIBBLES) -> Cost:
    """The opening, all pairs' comparisons, the AND of a column's bits (two rounds beyond 5 columns), one bit per element."""
    pairs, n = columns * (columns - 1) // 2 * rows, columns * rows
    conjunction = merges(n, 1, "equal") if columns > 5 else planes(n, 4)
    return opening(fresh) + merges(pairs, 1, form.tree) + conjunction + planes(n, 1)


def reveal(n: int) -> Cost:
    """The header-only check, then shares plus zero shares."""
    return Cost(2, 8 * n)
