"""Columns of a table as one of finitely many values each: a range of numbers, or a category; and back."""
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError
from mpc.fixed_point import bound
from mpc.privacy.synthesis.columns import MOST_CATEGORIES, Categorical, Floats, Labels, declared, numbers, whole
from mpc.privacy.synthesis.labels import numbered

Codes = npt.NDArray[np.int64]

MOST: Final = 2.0**53


@dataclass(frozen=True)
class Ranges:
    """Numbers: range i is edges[i] <= v < edges[i + 1]; below and above count as the first and the last. ``whole``: integers
    alone, of which a range holds edges[i] .. edges[i + 1] - 1."""

    name: str
    edges: Floats
    whole: bool

    @property
    def size(self) -> int:
        return len(self.edges) - 1

    @property
    def limits(self) -> list[float]:
        """Where the ranges after the first begin."""
        return [float(v) for v in self.edges[1:-1]]

    @property
    def declaration(self) -> tuple[Any, ...]:
        """What parties must declare alike."""
        return self.name, self.edges.tolist(), self.whole

    def codes(self, values: Labels) -> Codes:
        return np.searchsorted(self.edges[1:-1], numbers(values, self.name), side="right").astype(np.int64)

    def drawn(self, codes: Codes, rng: np.random.Generator) -> Labels:
        """A number of each range, evenly."""
        low, high = self.edges[codes], self.edges[codes + 1]
        if self.whole:
            return rng.integers(low.astype(np.int64), high.astype(np.int64))
        alone = np.nextafter(low, np.inf) >= high  # a range of one number
        return np.where(alone, low, rng.uniform(low, high))


@dataclass(frozen=True)
class Choices:
    """Categories. On shares their positions 0, 1, .. stand for them."""

    name: str
    categories: Labels

    @property
    def size(self) -> int:
        return len(self.categories)

    @property
    def limits(self) -> list[float]:
        """Of positions."""
        return [k - 0.5 for k in range(1, self.size)]

    @property
    def declaration(self) -> tuple[Any, ...]:
        return self.name, self.categories.tolist()

    def codes(self, values: Labels) -> Codes:
        try:
            return numbered(np.asarray(values), self.categories)
        except ConfigError as error:
            raise ConfigError(f"column {self.name!r}: {error}") from None

    def drawn(self, codes: Codes, rng: np.random.Generator) -> Labels:
        return np.asarray(self.categories[codes])


Column = Ranges | Choices


def public(name: str, what: Any, bins: int) -> Column:
    """A column from what is public: (low, high) numbers in a tuple, more than two rising numbers in one (edges of ranges, the
    last of which holds its end), or a list of categories. Raises ConfigError."""
    if isinstance(what, tuple):
        what = tuple(v.item() if isinstance(v, np.generic) else v for v in what)
    if isinstance(what, tuple) and any(isinstance(v, bool) for v in what):
        raise ConfigError(f"column {name!r}: got {what!r}; want numbers, or a list of categories: [False, True]")
    if isinstance(what, tuple) and any(isinstance(v, (int, float)) and abs(v) > MOST for v in what):
        raise ConfigError(f"column {name!r}: got {what!r}; want numbers up to 2^53, which doubles tell from each other")
    if not isinstance(what, tuple) or len(what) == 2:
        column = declared(name, what)
        if isinstance(column, Categorical):
            return Choices(name, column.categories)
        low, high = column.knots
        if not column.whole:
            return Ranges(name, _even(low, high, bins), False)
        held = int(high) - int(low) + 1
        number = min(bins, held)
        return Ranges(name, np.array([int(low) + held * i // number for i in range(number + 1)], np.float64), True)
    fine = len(what) > 2 and all(isinstance(v, (int, float)) and np.isfinite(v) for v in what)
    if not fine or any(a >= b for a, b in zip(what, what[1:], strict=False)):
        raise ConfigError(f"column {name!r}: got {what!r}; want (low, high), rising edges of ranges, or a list of categories")
    integers = all(isinstance(v, int) for v in what)
    return Ranges(name, np.array([*what[:-1], what[-1] + 1 if integers else what[-1]], np.float64), integers)


def _even(low: float, high: float, number: int) -> Floats:
    """Edges of ranges of equal width; 0.3 rather than 0.30000000000000004, which 0.3 itself would fall short of."""
    edges = np.linspace(low, high, number + 1)
    rounded = np.array([low, *np.round(edges[1:-1], 12 - math.floor(math.log10(max(abs(low), abs(high))))), high])
    return rounded if (np.diff(rounded) > 0).all() else edges


def check_reachable(columns: Iterable[Column], frac_bits: int) -> None:
    """Secret values are multiples of 2^-frac_bits within the engine's range. Raises ConfigError for a range that begins where
    none can be, and for ranges finer than that."""
    most = bound(frac_bits)
    for column in columns:
        if beyond := [v for v in column.limits if not abs(v) < most]:
            raise ConfigError(f"column {column.name!r}: a range or position that begins at {beyond[0]:g}; want less than "
                              f"{most:g}, as secret numbers are: scale the column before it is shared, and its declaration")
        if isinstance(column, Ranges) and (np.diff(column.edges) < 2.0**-frac_bits).any():
            raise ConfigError(f"column {column.name!r}: ranges {np.diff(column.edges).min():.3g} wide; want at least "
                              f"2^-{frac_bits}, the step of secret numbers: scale the column before it is shared, or bins=")


def learned(name: str, values: Labels, bins: int) -> Column:
    """A column from its values, in ranges that hold about as many rows each; values that are frequent, and whatever has few
    distinct values, stay by themselves. It says extremes, quantiles and frequent values of them."""
    if np.asarray(values).dtype.kind == "f":
        numbers(values, name)
    found, counts = np.unique(np.asarray(values), return_counts=True)
    number = found.dtype.kind in "iuf"
    if not number or len(found) <= min(bins, MOST_CATEGORIES):
        if not number and len(found) > MOST_CATEGORIES:
            raise ConfigError(f"column {name!r}: got {len(found)} distinct values; want at most {MOST_CATEGORIES} categories, "
                              "or numbers (a column that names a person tells who is in the table: leave it out)")
        return Choices(name, found)
    v = numbers(values, name)
    integers = whole(v)
    frequent = found[counts * bins >= len(v)].astype(np.float64)
    behind = frequent + 1 if integers else np.nextafter(frequent, np.inf)
    end = v.max() + 1 if integers else np.nextafter(v.max(), np.inf)
    edges = np.unique(np.concatenate([np.quantile(v, np.linspace(0, 1, bins + 1)), frequent, behind, [end]]))
    return Ranges(name, np.unique(np.floor(edges)) if integers else edges, integers)
