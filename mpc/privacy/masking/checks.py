"""What a partition of records into equivalence classes fulfils: k-anonymity, l-diversity, t-closeness.

None of these is differential privacy. They look at one table alone: against somebody with background knowledge, or with another
table of the same people, they promise nothing (Ganta, Kasiviswanathan, Smith 2008; a test shows it).
Sources: Sweeney 2002; Machanavajjhala et al. 2007; Li, Li, Venkatasubramanian 2007.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError
from mpc.privacy.masking.columns import Column, Floats, Ints

CHUNK: Final = 1 << 22  # counts in memory at once
SLACK: Final = 1e-9  # of comparisons between floats


class Sensitive:
    """A sensitive column as codes. Numbers are ordered (distance |i - j| / (m - 1) between ranks among the m values of the
    whole column, suppressed rows included); text is not (distance 1)."""

    def __init__(self, name: str, column: Column, ordered: bool | None = None) -> None:
        self.name = name
        self.values, codes = np.unique(column, return_inverse=True)
        self.codes: Ints = codes.reshape(-1).astype(np.int64)
        self.ordered = column.dtype.kind in "iuf" if ordered is None else ordered

    @property
    def count(self) -> int:
        return len(self.values)

    def counts(self, groups: Ints) -> Iterator[tuple[slice, Floats]]:
        """(classes, counts by class and value), a bounded part at a time. Records of class -1 do not count."""
        kept = np.flatnonzero(groups >= 0)
        kept = kept[np.argsort(groups[kept], kind="stable")]
        of, codes = groups[kept], self.codes[kept]
        total = int(of[-1]) + 1 if len(of) else 0
        step = max(1, CHUNK // max(1, self.count))
        for first in range(0, total, step):
            last = min(total, first + step)
            a, b = np.searchsorted(of, [first, last])
            cells = (of[a:b] - first) * self.count + codes[a:b]
            counts = np.bincount(cells, minlength=(last - first) * self.count).reshape(-1, self.count)
            yield slice(first, last), counts.astype(np.float64)

    def overall(self, groups: Ints | None = None) -> Floats:
        """Counts of all records, or of those in a class."""
        codes = self.codes if groups is None else self.codes[groups >= 0]
        return np.bincount(codes, minlength=self.count).astype(np.float64)


def sizes(groups: Ints) -> Ints:
    """Records in each class."""
    return np.bincount(groups[groups >= 0]).astype(np.int64)


def k_anonymity(groups: Ints) -> int:
    """The size of the smallest class: nobody's quasi-identifiers fit fewer records. 0 for no records.

    Protects identity in this table against somebody who knows the quasi-identifiers; not the sensitive value, which the whole
    class may share.
    """
    return int(sizes(groups).min(initial=len(groups))) if (groups >= 0).any() else 0


def distinct(counts: Floats) -> Floats:
    """Different sensitive values per class."""
    return np.count_nonzero(counts, axis=1).astype(np.float64)


def entropy(counts: Floats) -> Floats:
    """exp(entropy of the sensitive values) per class: as many values, were they equally frequent."""
    p = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(-np.where(p > 0, p * np.log(p), 0.0).sum(1))


def closeness(counts: Floats, overall: Floats, ordered: bool) -> Floats:
    """The earth mover's distance between each class's distribution of the sensitive value and the whole table's.

    Ordered: mean absolute difference of the cumulated distributions over the m - 1 gaps; otherwise total variation.
    """
    difference = counts / np.maximum(counts.sum(1, keepdims=True), 1) - overall / max(overall.sum(), 1)
    if ordered:
        gaps = max(1, len(overall) - 1)
        return np.asarray(np.abs(np.cumsum(difference, 1)[:, :gaps]).sum(1) / gaps)
    return np.asarray(np.abs(difference).sum(1) / 2)


def _worst(groups: Ints, sensitive: Sensitive, of: Any, worst: Any) -> float:
    found = [worst(of(counts)) for _, counts in sensitive.counts(groups)]
    if not found:
        raise ConfigError("no records are left; there is nothing to check")
    return float(worst(np.array(found)))


def distinct_diversity(groups: Ints, sensitive: Sensitive) -> int:
    """The fewest different sensitive values in a class (distinct l). Says nothing of how likely each is."""
    return int(_worst(groups, sensitive, distinct, np.min))


def entropy_diversity(groups: Ints, sensitive: Sensitive) -> float:
    """The least exp(entropy) of a class (entropy l), at most the number of values."""
    return _worst(groups, sensitive, entropy, np.min)


def t_closeness(groups: Ints, sensitive: Sensitive) -> float:
    """The largest distance of a class from the whole: what belonging to a class can tell, at most. Not similarity of values."""
    overall = sensitive.overall(groups)
    return _worst(groups, sensitive, lambda c: closeness(c, overall, sensitive.ordered), np.max)


@dataclass(frozen=True)
class Requirement:
    """What every class must fulfil. ``l``: different sensitive values; ``entropy_l``: exp(entropy); ``t``: distance to the
    whole."""

    k: int = 5
    l: int | None = None
    entropy_l: float | None = None
    t: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.k, (int, np.integer)) or isinstance(self.k, bool) or self.k < 1:
            raise ConfigError(f"k = {self.k!r}; want an integer of at least 1 (2 or more to hide anybody)")
        for name, value in (("l", self.l), ("entropy_l", self.entropy_l)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} = {value}; want at least 1")
        if self.t is not None and not 0 <= self.t <= 1:
            raise ConfigError(f"t = {self.t}; want 0 to 1")

    @property
    def of_values(self) -> bool:
        """Is a sensitive column needed?"""
        return not self.l is self.entropy_l is self.t is None

    def fulfilled(self, counts: Floats, overall: Floats, ordered: bool) -> npt.NDArray[np.bool_]:
        """Per class, from its counts by sensitive value."""
        fine = counts.sum(1) >= self.k
        if self.l is not None:
            fine &= distinct(counts) >= self.l
        if self.entropy_l is not None:
            fine &= entropy(counts) >= self.entropy_l - SLACK
        if self.t is not None:
            fine &= closeness(counts, overall, ordered) <= self.t + SLACK
        return fine

    def violators(self, groups: Ints, sensitive: Sensitive | None) -> npt.NDArray[np.bool_]:
        """Which classes do not fulfil it."""
        if sensitive is None:
            return np.asarray(sizes(groups) < self.k)
        overall = sensitive.overall(groups)
        found = [~self.fulfilled(counts, overall, sensitive.ordered) for _, counts in sensitive.counts(groups)]
        return np.concatenate([np.empty(0, bool), *found])
