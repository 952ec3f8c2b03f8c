"""Two ways to partition: multidimensional (Mondrian) and one level per column (full domain).

Sources: LeFevre, DeWitt, Ramakrishnan: Mondrian multidimensional k-anonymity (2006), and Incognito (2005) for pruning by
projections.
"""
from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.masking.checks import Requirement, Sensitive
from mpc.privacy.masking.columns import Floats, Ints, joint
from mpc.privacy.masking.hierarchies import Axis

MOST_NODES: Final = 1 << 20


def mondrian(x: Floats, axes: Sequence[Axis], requirement: Requirement, sensitive: Sensitive | None) -> Ints:
    """A region for each record: halves at the median of the widest column, as long as both halves fulfil the requirement.

    Strict: equal values stay together. Widths are relative to the whole column's. Time O(n log n) for n records. Raises
    ConfigError where the whole table does not fulfil it.
    """
    scale = np.array([axis.width or 1.0 for axis in axes])
    overall = None if sensitive is None else sensitive.overall()

    def enough(rows: Ints) -> bool:
        if len(rows) < requirement.k:
            return False
        if sensitive is None or overall is None:
            return True
        counts = np.bincount(sensitive.codes[rows], minlength=sensitive.count)[None].astype(np.float64)
        return bool(requirement.fulfilled(counts, overall, sensitive.ordered)[0])

    everyone = np.arange(len(x))
    if not enough(everyone):
        raise ConfigError(f"the whole table of {len(x)} records does not fulfil {requirement}: no partition does")
    groups = np.empty(len(x), np.int64)
    done, open_ = 0, [everyone]
    while open_:
        rows = open_.pop()
        halves = _cut(x, rows, scale, requirement.k, enough) if len(rows) >= 2 * requirement.k else None
        if halves is None:
            groups[rows] = done
            done += 1
        else:
            open_ += halves
    return groups


def _cut(x: Floats, rows: Ints, scale: Floats, k: int, enough: Any) -> list[Ints] | None:
    part = x[rows]
    spread = (part.max(0) - part.min(0)) / scale
    for column in np.argsort(-spread, kind="stable"):
        if spread[column] <= 0:
            return None
        values = part[:, column]
        middle = np.partition(values, (len(values) - 1) // 2)[(len(values) - 1) // 2]
        for left in (values <= middle, values < middle):  # where many share the median, one of them may still do
            count = int(np.count_nonzero(left))
            if k <= count <= len(rows) - k:
                halves = [rows[left], rows[~left]]
                if all(map(enough, halves)):
                    return halves
    return None


class FullDomain:
    """Every column at one level for all records: the levels with the least loss that fulfil the requirement.

    Levels are tried in the order of their loss, exhaustively, so what is found is the best. Levels whose k-anonymity already
    fails in a pair of columns are passed over: it fails in all columns then. Records of classes that violate the requirement
    may be suppressed, ``budget`` of them.
    """

    def __init__(
        self, x: Floats, axes: Sequence[Axis], requirement: Requirement, sensitive: Sensitive | None, budget: int
    ) -> None:
        self.requirement, self.sensitive, self.budget = requirement, sensitive, budget
        self.cells = [[axis.at(level, x[:, i]) for level in range(axis.levels)] for i, axis in enumerate(axes)]
        exact = [column[0][0] for column in self.cells]
        self.of = joint(exact)
        first = np.unique(self.of, return_index=True)[1]
        self.weight = np.bincount(self.of) * 1.0
        self.codes = [[index[first] for index, _ in column] for column in self.cells]
        self.loss = [np.array([cells.loss[index].mean() for index, cells in column]) for column in self.cells]
        self.pairs: dict[tuple[int, int, int, int], bool] = {}
        self.tried = 0

    def search(self) -> tuple[tuple[int, ...], Ints]:
        """(level of each column, class of each record or -1). Raises ConfigError where even "*" everywhere does not do."""
        shape = [len(column) for column in self.cells]
        if np.prod([float(n) for n in shape]) > MOST_NODES:
            raise ConfigError(f"{shape} levels: more than {MOST_NODES} combinations; use fewer levels, or method='mondrian'")
        total = sum(np.meshgrid(*self.loss, indexing="ij")[1:], np.meshgrid(*self.loss, indexing="ij")[0])
        for flat in np.argsort(total, axis=None, kind="stable"):
            levels = tuple(int(n) for n in np.unravel_index(flat, shape))
            if any(self._pair_fails(i, j, levels[i], levels[j]) for i, j in combinations(range(len(shape)), 2)):
                continue
            groups = self._fulfilled(levels)
            if groups is not None:
                return levels, groups
        raise ConfigError(f"no levels fulfil {self.requirement} with at most {self.budget} records suppressed")

    def _outliers(self, codes: Sequence[Ints]) -> float:
        """Records in classes smaller than k."""
        count = np.bincount(_mixed(codes), self.weight)
        return float(count[count < self.requirement.k].sum())

    def _pair_fails(self, i: int, j: int, a: int, b: int) -> bool:
        key = (i, j, a, b)
        if key not in self.pairs:
            self.pairs[key] = self._outliers([self.codes[i][a], self.codes[j][b]]) > self.budget
        return self.pairs[key]

    def _fulfilled(self, levels: tuple[int, ...]) -> Ints | None:
        self.tried += 1
        codes = [column[level] for column, level in zip(self.codes, levels, strict=True)]
        if self._outliers(codes) > self.budget:
            return None
        groups = joint(codes)[self.of]
        bad = self.requirement.violators(groups, self.sensitive)
        while bad.any():  # suppression moves the whole table's distribution: until nothing more falls
            groups = np.where((groups >= 0) & ~bad[groups], groups, -1)
            if np.count_nonzero(groups < 0) > self.budget or not (groups >= 0).any():
                return None
            groups[groups >= 0] = joint([groups[groups >= 0]])
            bad = self.requirement.violators(groups, self.sensitive)
        return groups


def _mixed(codes: Sequence[Ints]) -> Ints:
    """A small number per combination, without sorting where the combinations are few."""
    key, size = codes[0], int(codes[0].max(initial=0)) + 1
    for column in codes[1:]:
        radix = int(column.max(initial=0)) + 1
        if size * radix > 1 << 22:
            return joint(codes)
        key, size = key * radix + column, size * radix
    return key
