"""Columns of a table as numbers a network can produce, and back.

A numeric column becomes its place in (-1, 1) - by rank, or on a straight line when its range was declared - and, where some
values are frequent by themselves (modes: 0 for "no gain"), one-hot digits that say which mode it is. A category becomes
one-hot digits.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError
from mpc.privacy.synthesis.labels import listed

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]

KNOTS: Final = 129
FREQUENT: Final = 0.05  # share of the rows that makes a value a mode of its own
MOST_CATEGORIES: Final = 200
EDGE: Final = 0.98  # of (-1, 1) that is used: tanh does not reach its ends


@dataclass(frozen=True)
class Numeric:
    """``knots``: values at evenly spaced places; ``modes``: frequent values; ``whole``: integers alone."""

    name: str
    knots: Floats
    modes: Floats
    whole: bool

    @property
    def places(self) -> int:
        return 1

    @property
    def choices(self) -> int:
        return len(self.modes) + 1 if len(self.modes) else 0

    def encode(self, values: Labels) -> Floats:
        v = numbers(values, self.name)
        place = np.interp(v, self.knots, np.linspace(-EDGE, EDGE, len(self.knots)))[:, None]
        if not self.choices:
            return place
        hot = v[:, None] == self.modes
        rest = ~hot.any(1, keepdims=True)
        return np.hstack([np.where(rest, place, 0.0), rest, hot])

    def decode(self, encoded: Floats) -> Labels:
        v = np.interp(encoded[:, 0], np.linspace(-EDGE, EDGE, len(self.knots)), self.knots)
        if self.whole:
            v = np.rint(v)
        if self.choices:
            mode = encoded[:, 1:].argmax(1)
            v = np.where(mode > 0, self.modes[mode - 1], v)
        return v.astype(np.int64) if self.whole else v


@dataclass(frozen=True)
class Categorical:
    """A finite set of values, in no order."""

    name: str
    categories: Labels

    @property
    def places(self) -> int:
        return 0

    @property
    def choices(self) -> int:
        return len(self.categories)

    def encode(self, values: Labels) -> Floats:
        hot = np.asarray(values)[:, None] == self.categories
        if not hot.any(1).all():
            unknown = np.asarray(values)[~hot.any(1)][0].tolist()
            raise ConfigError(f"column {self.name!r}: got the category {unknown!r}; want one of {self.categories.tolist()}")
        return np.asarray(hot, np.float64)

    def decode(self, encoded: Floats) -> Labels:
        return np.asarray(self.categories[encoded.argmax(1)])


Column = Numeric | Categorical


def learned(name: str, values: Labels) -> Column:
    """A column from its values: what is no number is a category. It says extremes, quantiles and frequent values of them."""
    if np.asarray(values).dtype.kind not in "iuf":
        found = np.unique(np.asarray(values).astype(str)) if np.asarray(values).dtype.kind == "O" else np.unique(values)
        if len(found) > MOST_CATEGORIES:
            raise ConfigError(f"column {name!r}: got {len(found)} distinct values; want at most {MOST_CATEGORIES} categories, "
                              "or numbers (a column that names a person is not for a GAN: replace it)")
        return Categorical(name, found)
    v = numbers(values, name)
    found, counts = np.unique(v, return_counts=True)
    modes = found[counts >= FREQUENT * len(v)]
    rest = v[~np.isin(v, modes)]
    knots = np.quantile(rest if len(rest) else v, np.linspace(0, 1, KNOTS))
    knots = knots + np.arange(KNOTS) * 1e-9 * max(1.0, float(np.abs(knots).max()))  # increasing, for the inverse
    return Numeric(name, knots, modes if len(found) > 1 else modes[:0], whole(v))


def whole(v: Floats) -> bool:
    """Integers alone, such as doubles tell from each other."""
    return bool((v == np.rint(v)).all() and np.abs(v).max(initial=0.0) <= 2.0**53)


def declared(name: str, what: Any) -> Column:
    """A column from what is public: (low, high) numbers in a tuple, or a list of categories."""
    if isinstance(what, tuple):
        fine = len(what) == 2 and all(isinstance(v, (int, float)) and np.isfinite(v) for v in what)
        if not fine or not what[0] < what[1]:
            raise ConfigError(f"column {name!r}: got {what!r}; want (low, high), or a list of categories")
        return Numeric(name, np.linspace(what[0], what[1], 2), np.empty(0), all(isinstance(v, int) for v in what))
    categories = listed(what, f"column {name!r}")
    if categories.ndim != 1 or not len(categories) or len(np.unique(categories)) != len(categories):
        raise ConfigError(f"column {name!r}: got {what!r}; want (low, high), or a list of distinct categories")
    return Categorical(name, categories)


def check_declared(table: Mapping[str, Any], public: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError for a declaration of no column and, ``where`` nothing may be learned from the data, for a column
    without one."""
    if not isinstance(public, Mapping):
        raise ConfigError(f"columns={public!r}; want a dict, {{name: (low, high) or [categories]}}")
    if strange := [name for name in public if name not in table]:
        raise ConfigError(f"columns={strange}: the table has no such column beside its label, whose values are classes=; it "
                          f"has {list(table)}")
    missing = [name for name in table if name not in public]
    if where and missing:
        raise ConfigError(f"{where} every column must be declared, columns={{name: (low, high) or [categories]}}; "
                          f"{missing} are not: what is learned from the data is a release of them")


class Encoder:
    """All columns side by side."""

    def __init__(self, table: Mapping[str, Labels], public: Mapping[str, Any] | None, only_declared: bool) -> None:
        public = public or {}
        check_declared(table, public, "with epsilon" if only_declared else "")
        self.columns = [declared(n, public[n]) if n in public else learned(n, table[n]) for n in table]

    @classmethod
    def of(cls, columns: list[Column]) -> Encoder:
        """Of columns that are known."""
        out = cls({}, None, only_declared=False)
        out.columns = columns
        return out

    @property
    def widths(self) -> list[int]:
        return [c.places + c.choices for c in self.columns]

    @property
    def width(self) -> int:
        return sum(self.widths)

    def encode(self, table: Mapping[str, Labels]) -> npt.NDArray[np.float32]:
        return np.hstack([c.encode(np.asarray(table[c.name])) for c in self.columns]).astype(np.float32)

    def decode(self, encoded: npt.NDArray[Any]) -> dict[str, Labels]:
        parts = np.split(encoded, np.cumsum(self.widths)[:-1], 1)
        return {c.name: c.decode(part) for c, part in zip(self.columns, parts, strict=True)}

    def blocks(self) -> list[tuple[int, int, bool]]:
        """(first, last, one-hot?) of what a generator must produce: places by tanh, choices by a softmax."""
        out, at = [], 0
        for c in self.columns:
            if c.places:
                out.append((at, at + 1, False))
            if c.choices:
                out.append((at + c.places, at + c.places + c.choices, True))
            at += c.places + c.choices
        return out


def numbers(values: Labels, name: str) -> Floats:
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ConfigError(f"column {name!r}: got values of type {values.dtype}; want numbers, or a list of its categories")
    v = values.astype(np.float64)
    if not np.isfinite(v).all():
        raise ValueError(f"column {name!r}: got values that are not finite (NaN or infinite); fill or drop them before")
    return v


def columns_of(table: Any) -> dict[str, Labels]:
    """A dict of arrays (or anything that iterates over column names, as a DataFrame does) as such a dict, all of one length."""
    out = {name: np.asarray(table[name]) for name in table}
    lengths = {v.shape for v in out.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise ConfigError(f"got columns of shapes {sorted(lengths)}; want a table: arrays of one axis and one length")
    return {name: v.astype(str) if v.dtype.kind == "O" else v for name, v in out.items()}
