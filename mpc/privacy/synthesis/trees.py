"""From noisy counts of pairs of columns to a distribution, and samples of it: pure post-processing.

P(x | class) = product over columns j of P(x_j | x_parent(j), class), where parents form the tree that keeps most of what
columns say about each other: a tree-augmented naive Bayes model (Friedman, Geiger, Goldszmidt 1997; the tree is Chow and Liu's,
1968), chosen by a statistic from which the expectation of the noise is subtracted.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ROUNDS = 30  # of fitting a table to its margins


class Counts(NamedTuple):
    """How many records of a class have one value, ``single[i]`` (classes, size i), or two, ``pairs[i, j]`` (classes, size i,
    size j) for i < j; each with independent noise of standard deviation ``noise``."""

    single: list[Floats]
    pairs: Mapping[tuple[int, int], Floats]
    noise: float


class Tree(NamedTuple):
    """``order``: columns, parents first. ``parents[j]``: None for a root. ``chances[j]``: cumulative, (classes, values of the
    parent (1 for a root), values)."""

    records: Floats  # of each class
    order: list[int]
    parents: list[int | None]
    chances: list[Floats]

    def draw(self, classes: Codes, rng: np.random.Generator) -> Codes:
        """(rows, columns): one record of each class that is asked for."""
        out = np.zeros((len(classes), len(self.order)), np.int64)
        for j in self.order:
            parent = self.parents[j]
            above = np.zeros(len(classes), np.int64) if parent is None else out[:, parent]
            chances = self.chances[j][classes, above]
            out[:, j] = (rng.random(len(classes))[:, None] >= chances[:, :-1]).sum(1)
        return out


def grow(counts: Counts) -> Tree:
    """The tree of these counts, made consistent: not negative, and alike in what they say of one column."""
    sizes = [v.shape[1] for v in counts.single]
    weights = 1 / np.array(sizes)  # a sum of few noisy counts is less noisy
    totals = np.stack([v.sum(1) for v in counts.single], 1) @ (weights / weights.sum())
    records = np.maximum(totals, 1.0)
    single = [np.stack([simplex(v, n) for v, n in zip(table, records, strict=True)]) for table in counts.single]
    ties = np.full((len(sizes), len(sizes)), -np.inf)
    for (i, j), table in counts.pairs.items():
        ties[i, j] = ties[j, i] = tie(table, _independent(single, i, j, records), counts.noise)
    parents, order = _spanning(ties)
    chances: list[Any] = [None] * len(sizes)
    for j in order:
        parent = parents[j]
        if parent is None:
            table = single[j][:, None]
        else:
            first, second = min(parent, j), max(parent, j)
            table = fitted(counts.pairs[first, second], single[first], single[second], records)
            table = table if parent < j else np.swapaxes(table, 1, 2)
        given = table.sum(2, keepdims=True)
        likely = np.where(given > 0, table / np.where(given > 0, given, 1), single[j][:, None] / records[:, None, None])
        chances[j] = np.cumsum(likely, 2)
    return Tree(records, order, parents, chances)


def tie(table: Floats, independent: Floats, noise: float) -> float:
    """How much more a table (classes, a, b) differs from independence than chance and noise make it: Pearson's statistic, each
    cell less its expectation, weighed by the deviation that the cell has. What is expected of independence comes from noisy
    counts of its own: to a cell (a, b) they bring as much noise as the shares of a and b say."""
    total = independent.sum((1, 2), keepdims=True)
    shares = [independent.sum(axis, keepdims=True) / total for axis in (1, 2)]
    excess = (table - independent) ** 2 - independent - noise**2 * (1 + shares[0] ** 2 + shares[1] ** 2)
    return float((excess / (independent + 3 * noise + 1)).sum())


def simplex(values: Floats, total: float) -> Floats:
    """The nearest array (least squares) without negative numbers whose sum is ``total`` > 0."""
    falling = np.sort(values, axis=None)[::-1]
    level = (np.cumsum(falling) - total) / np.arange(1, falling.size + 1)
    last = np.flatnonzero(falling > level)[-1]
    return np.asarray(np.maximum(values - level[last], 0.0))


def fitted(table: Floats, first: Floats, second: Floats, records: Floats) -> Floats:
    """A table (classes, a, b) with these margins (classes, a), (classes, b): the nearest with their sums, then without
    negative numbers, then scaled by rows and columns in turns."""
    _, a, b = table.shape
    table = table + ((first - table.sum(2)) / b)[:, :, None]
    table = table + ((second - table.sum(1)) / a)[:, None, :]
    table = np.stack([simplex(t, n) for t, n in zip(table, records, strict=True)])
    for _ in range(ROUNDS):
        table = table * _ratio(first, table.sum(2))[:, :, None]
        table = table * _ratio(second, table.sum(1))[:, None, :]
    return np.asarray(table)


def _ratio(wanted: Floats, found: Floats) -> Floats:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


def _independent(single: list[Floats], i: int, j: int, records: Floats) -> Floats:
    return np.asarray(single[i][:, :, None] * single[j][:, None, :] / records[:, None, None])


def _spanning(ties: Floats) -> tuple[list[int | None], list[int]]:
    """(parents, order) of a largest spanning forest, by Prim's algorithm; what is tied to nothing is a root."""
    count = len(ties)
    parents: list[int | None] = [None] * count
    order: list[int] = []
    best, source = np.full(count, -np.inf), np.zeros(count, np.int64)
    left = np.ones(count, bool)
    while left.any():
        j = int(np.where(left, best, -np.inf).argmax()) if order else int(ties.max(1, initial=-np.inf).argmax())
        if not left[j]:  # all that are left have no tie to anything
            j = int(left.argmax())
        parents[j] = int(source[j]) if best[j] > 0 else None
        order.append(j)
        left[j] = False
        closer = ties[j] > best
        best, source = np.where(closer, ties[j], best), np.where(closer, j, source)
    return parents, order
