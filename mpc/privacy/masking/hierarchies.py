"""How a value becomes coarser: intervals of numbers, trees of categories, or nothing at all but "*".

Every value gets a coordinate: a number is its own, a category its place among the leaves of the tree from left to right. So
every cell, at any level, is a range of coordinates: what matching, partitioning and loss are computed from.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.masking.columns import Column, Floats, Ints, numbers

ALL: Final = "*"


@dataclass(frozen=True)
class Cells:
    """Generalised values: text, the coordinates they cover (both ends included), and loss.

    ``loss``: the normalised certainty penalty (Xu et al. 2006): width by the column's width, or the share of the leaves; 0 for
    an exact value, 1 for "*".
    """

    labels: Column
    low: Floats
    high: Floats
    loss: Floats

    def take(self, which: Ints) -> Cells:
        return Cells(self.labels[which], self.low[which], self.high[which], self.loss[which])


class Axis(ABC):
    """A hierarchy on a given column."""

    name: str
    hierarchy: Hierarchy
    levels: int  # 0 is exact, levels - 1 is "*"
    numeric: bool
    range: tuple[float, float]  # of all coordinates
    unit: float  # the smallest gap between them; 1 for categories

    @property
    def width(self) -> float:
        return self.range[1] - self.range[0]

    @abstractmethod
    def encode(self, values: Column) -> Floats:
        """Coordinates; -1 for a category that the column does not have."""

    @abstractmethod
    def at(self, level: int, x: Floats) -> tuple[Ints, Cells]:
        """(cell of each coordinate, the cells) at a level."""

    @abstractmethod
    def regions(self, low: Floats, high: Floats) -> Cells:
        """The smallest cells that cover these ranges, one each."""


class Hierarchy(ABC):
    """What `generalise` takes for a quasi-identifier."""

    @abstractmethod
    def fit(self, name: str, column: Column) -> Axis:
        """The axis of a column. Raises ConfigError where a value does not fit."""


class Intervals(Hierarchy):
    """Numbers: exact, then intervals of each width from ``origin`` on, then "*".

    Each width is a multiple of the one before, so that intervals nest. Mondrian chooses its own ends and uses no widths.
    """

    def __init__(self, *widths: float, origin: float = 0.0) -> None:
        for a, b in zip((0, *widths), widths, strict=False):
            if not (np.isfinite(b) and b > a) or (a and abs(b / a - round(b / a)) > 1e-9 * b / a):
                raise ConfigError(f"interval widths {widths}; want growing numbers, each a multiple of the one before")
        self.widths, self.origin = widths, origin

    def fit(self, name: str, column: Column) -> Axis:
        return _Numbers(self, name, numbers(name, column))


class _Numbers(Axis):
    def __init__(self, hierarchy: Intervals, name: str, x: Floats) -> None:
        self.hierarchy, self.name, self.widths, self.origin = hierarchy, name, hierarchy.widths, hierarchy.origin
        self.numeric, self.range = True, (float(x.min()), float(x.max())) if len(x) else (0.0, 0.0)
        self.unit = float(np.diff(np.unique(x)).min(initial=np.inf)) if self.width else 1.0
        self.levels = len(self.widths) + 2

    def encode(self, values: Column) -> Floats:
        return numbers(self.name, values)

    def at(self, level: int, x: Floats) -> tuple[Ints, Cells]:
        if level == self.levels - 1:
            return np.zeros(len(x), np.int64), everything(1)
        if level == 0:
            low, index = np.unique(x, return_inverse=True)
            return index.reshape(-1).astype(np.int64), self._cells(low, low)
        width = self.widths[level - 1]
        place = np.floor((x - self.origin) / width)
        place += (x >= self.origin + (place + 1) * width) * 1.0 - (x < self.origin + place * width)  # the quotient is rounded
        place, index = np.unique(place, return_inverse=True)
        low, end = self.origin + place * width, self.origin + (place + 1) * width
        cells = self._cells(low, np.nextafter(end, -np.inf))
        labels = np.array([f"[{_text(a)}, {_text(b)})" for a, b in zip(low, end, strict=True)])
        return index.reshape(-1).astype(np.int64), Cells(labels, cells.low, cells.high, cells.loss)

    def regions(self, low: Floats, high: Floats) -> Cells:
        return self._cells(low, high)

    def _cells(self, low: Floats, high: Floats) -> Cells:
        labels = np.array([_text(a) if a == b else f"[{_text(a)}, {_text(b)}]" for a, b in zip(low, high, strict=True)])
        return Cells(labels, low, high, np.minimum(1.0, (high - low) / (self.width or 1.0)))


class Tree(Hierarchy):
    """Categories: nested mappings of names, with lists of values at the bottom.

    ``Tree({"married": ["Married-civ-spouse", "Married-AF-spouse"], "alone": {"never": ["Never-married"], "was":
    ["Divorced"]}})``: level 0 is the value, each further level one step up, the last "*". On a shorter branch a value stays
    exact until the longer ones have come up to it. A value that is not in the tree is refused.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.paths: dict[str, tuple[str, ...]] = {}
        self._walk(tree, ())
        if not self.paths or not isinstance(tree, Mapping):
            raise ConfigError("the tree has no values; want nested mappings of names, with lists of values at the bottom")
        self.depth = max(map(len, self.paths.values()))

    def _walk(self, node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, Mapping):
            for name, below in node.items():
                self._walk(below, (*path, str(name)))
            return
        if isinstance(node, str):
            raise ConfigError(f"the tree has {node!r} where a list of values is wanted")
        for value in map(str, node):
            if value in self.paths:
                raise ConfigError(f"{value!r} stands in the tree twice")
            self.paths[value] = path

    def fit(self, name: str, column: Column) -> Axis:
        if unknown := sorted(set(np.unique(column.astype(str)).tolist()) - self.paths.keys()):
            raise ConfigError(f"column {name!r}: {unknown[0]!r} is not in its tree ({len(unknown)} such values)")
        return _Leaves(self, name, self.paths, self.depth)


class Suppress(Hierarchy):
    """Categories that are shown as they are or not at all. Mondrian may show a part of them, as in "{a, b}".

    ``order``: the values in an order that puts the like beside the like, for Mondrian; default: sorted as text."""

    def __init__(self, order: Sequence[str] | None = None) -> None:
        self.order = None if order is None else [str(value) for value in order]

    def fit(self, name: str, column: Column) -> Axis:
        found = [str(value) for value in np.unique(column.astype(str))]
        order = found if self.order is None else self.order
        if unknown := sorted(set(found) - set(order)):
            raise ConfigError(f"column {name!r}: {unknown[0]!r} is not in the order given ({len(unknown)} such values)")
        return _Leaves(self, name, dict.fromkeys(order, ()), 0)


class _Leaves(Axis):
    def __init__(self, hierarchy: Hierarchy, name: str, paths: Mapping[str, tuple[str, ...]], depth: int) -> None:
        self.hierarchy, self.name = hierarchy, name
        self.leaves = list(paths)
        self.place = {value: i for i, value in enumerate(self.leaves)}
        self.flat = depth == 0
        self.levels = depth + 2
        self.numeric, self.range, self.unit = False, (0.0, float(len(self.leaves) - 1)), 1.0
        self._levels: list[tuple[Ints, Cells]] = []
        for level in range(self.levels - 1):
            tops = [(*path, leaf)[: max(1, depth + 1 - level)] for leaf, path in paths.items()]
            seen = {top: i for i, top in enumerate(dict.fromkeys(tops))}
            of = np.array([seen[top] for top in tops], np.int64)
            low, high = (np.array([f(np.flatnonzero(of == i)) for i in range(len(seen))], np.float64) for f in (np.min, np.max))
            self._levels.append((of, Cells(np.array([top[-1] for top in seen]), low, high, self._loss(low, high))))
        covered: dict[str, tuple[float, float]] = {ALL: (-np.inf, np.inf)}
        for _, cells in self._levels:
            for label, *ends in zip(cells.labels, cells.low, cells.high, strict=True):
                if covered.setdefault(str(label), (ends[0], ends[1])) != (ends[0], ends[1]):
                    raise ConfigError(f"column {name!r}: {label!r} means two things in its hierarchy; want a name for each")

    def _loss(self, low: Floats, high: Floats) -> Floats:
        return np.where(high > low, (high - low + 1) / max(1, len(self.leaves)), 0.0)

    def encode(self, values: Column) -> Floats:
        found, index = np.unique(values.astype(str), return_inverse=True)
        return np.array([self.place.get(str(v), -1) for v in found], np.float64)[index.reshape(-1)]

    def at(self, level: int, x: Floats) -> tuple[Ints, Cells]:
        if level == self.levels - 1:
            return np.zeros(len(x), np.int64), everything(1)
        of, cells = self._levels[level]
        return of[x.astype(np.int64)], cells

    def regions(self, low: Floats, high: Floats) -> Cells:
        """Of a tree, the lowest node above the whole range; without one, the set of the values."""
        if self.flat:
            sets = [self.leaves[int(a) : int(b) + 1] for a, b in zip(low, high, strict=True)]
            said = [s[0] if len(s) == 1 else ALL if len(s) == len(self.leaves) else "{" + ", ".join(s) + "}" for s in sets]
            return Cells(np.array(said), low, high, self._loss(low, high))
        out = everything(len(low))
        labels = out.labels.astype(object)
        for of, cells in reversed(self._levels):
            a, b = of[low.astype(np.int64)], of[high.astype(np.int64)]
            one = a == b
            labels[one] = cells.labels[a[one]]
            for mine, theirs in ((out.low, cells.low), (out.high, cells.high), (out.loss, cells.loss)):
                mine[one] = theirs[a[one]]
        return Cells(labels.astype(str), out.low, out.high, out.loss)


def _text(number: float) -> str:
    """As short as it can be without meaning another number."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(float(number))


def everything(count: int) -> Cells:
    """"*", so many times."""
    return Cells(np.full(count, ALL), np.full(count, -np.inf), np.full(count, np.inf), np.ones(count))
