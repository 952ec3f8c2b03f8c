"""Residual re-identification: what a released table still tells somebody who knows the quasi-identifiers.

Prosecutor, journalist and marketer risk after El Emam (Guide to the De-Identification of Personal Health Information, 2013);
the linkage attack after Sweeney (2002). All of it is about this one release and the quasi-identifiers named: background
knowledge beyond them, or a second release, can only raise the risk.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from mpc.errors import ShapeError
from mpc.privacy.audit.intervals import known
from mpc.privacy.audit.measured import Finding, Measured
from mpc.privacy.masking.checks import sizes
from mpc.privacy.masking.columns import Floats, Ints, as_table, joint, wanted
from mpc.privacy.masking.generalise import Generalised

CHUNK: Final = 1 << 23  # people x classes in memory at once


@dataclass(frozen=True)
class Risk:
    """``unique``: share of released rows alone in their class. ``prosecutor``: the attacker knows that the person is in
    the table: 1 / size of the class, at worst and on average. ``journalist``: the person is one of a population, of whom as
    many fit the class as counted: at worst; None without a population. ``marketer``: the expected share of rows that are
    re-identified when all are tried, against the population, or the table itself. ``at_risk``: share of rows whose prosecutor
    risk is above ``threshold``.
    """

    rows: int
    suppressed: int
    unique: float
    prosecutor: float
    prosecutor_mean: float
    journalist: float | None
    marketer: float
    at_risk: float
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def measured(self) -> Measured:
        """Rows of an audit's report."""
        worst = self.prosecutor if self.journalist is None else self.journalist
        said = f"{self.at_risk:.0%} of the rows above {self.threshold:.0%}; {self.unique:.0%} alone in their class"
        return Measured("risk", (
            Finding("re-identification, worst row", known(worst), note=said),
            Finding("re-identification, all rows", known(self.marketer), note="expected share"),
        ))  # fmt: skip


def risk(released: Generalised, population: Any = None, threshold: float = 0.2) -> Risk:
    """The risks of a release. ``population``: a table with the quasi-identifiers of everybody who could be meant."""
    size = sizes(released.groups)
    rows = int(size.sum())
    if not rows:
        return Risk(0, released.suppressed, 0.0, 0.0, 0.0, None, 0.0, 0.0, threshold)
    journalist, marketer = None, len(size) / rows
    if population is not None:
        x = _coordinates(released, population)
        low, high, _ = released.classes()
        _, first, alike = _people(x)
        fitting, at = np.zeros(len(size)), 0
        for match in _matches(low, high, x[first]):
            fitting += alike[at : at + len(match)] @ match
            at += len(match)
        fitting = np.maximum(fitting, size)  # the released people are themselves part of the population
        journalist, marketer = float((1 / fitting).max()), float((size / fitting).sum() / rows)
    at_risk = float(size[1 / size > threshold].sum() / rows)
    return Risk(rows, released.suppressed, float(np.count_nonzero(size == 1) / rows), float(1 / size.min()), len(size) / rows,
                journalist, marketer, at_risk, threshold)  # fmt: skip


@dataclass(frozen=True)
class Linkage:
    """A linkage attack on everybody in the original table.

    ``candidates``: released rows that fit a person, at the median. ``singled_out``: share of people whom exactly one row fits,
    and it is theirs. ``reidentified``: expected share of right guesses, one row at random among those that fit. ``disclosed``:
    share of people whose fitting rows all have their own sensitive value, which is then known without any re-identification
    (homogeneity). ``guessed``, ``baseline``: right guesses of the sensitive value by the most frequent among the rows that fit,
    and among all released rows.
    """

    people: int
    candidates: float
    singled_out: float
    reidentified: float
    disclosed: float | None
    guessed: float | None
    baseline: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def measured(self) -> Measured:
        """Rows of an audit's report: right guesses of the row, and of the sensitive value beyond what needs no linking."""
        said = f"{self.singled_out:.0%} singled out; {self.candidates:g} rows fit a person, at the median"
        found = [Finding("linkage, a person's row", known(self.reidentified), known(1 / max(1, self.people)), note=said)]
        if self.guessed is not None and self.baseline is not None:
            more = (self.guessed - self.baseline) / (1 - self.baseline) if self.baseline < 1 else 0.0
            said = f"{self.guessed:.0%} right, {self.baseline:.0%} without linking; certain for {self.disclosed:.0%}"
            found.append(Finding("linkage, sensitive value", known(more), note=said))
        return Measured("linkage", tuple(found))


def linkage(released: Generalised, original: Any, sensitive: str | None = None) -> Linkage:
    """Match everybody's original quasi-identifiers with the released cells.

    ``original``: the table that was generalised, its rows in the same order. ``sensitive``: a released column to be guessed.
    """
    x = _coordinates(released, original)
    size, groups, count = sizes(released.groups), released.groups, len(x)
    if count != len(groups):
        raise ShapeError(f"an original of {count} rows for a release of {len(groups)}; want the table that was generalised")
    low, high, _ = released.classes()
    inside = groups >= 0
    own = np.maximum(groups, 0)
    mine = inside & ((low[own] <= x) & (x <= high[own])).all(1) if len(size) else inside
    weights = size[:, None] * 1.0
    truth: Ints | None = None
    if sensitive is not None:
        wanted(released.kept, [sensitive], "the sensitive column")
        values, codes = np.unique(released.kept[sensitive], return_inverse=True)
        truth = codes.reshape(-1).astype(np.int64)
        cells = groups[inside] * len(values) + truth[inside]
        weights = np.bincount(cells, minlength=len(size) * len(values)).reshape(len(size), -1) * 1.0
    of, first, _ = _people(x)
    if (low == high).all() and released.suppressed == 0:  # nothing was generalised: who looks alike is one class
        same = np.empty(len(first), np.int64)
        same[of] = groups
        seen = weights[same]
    else:
        seen = np.concatenate([np.empty((0, weights.shape[1])), *(match @ weights for match in _matches(low, high, x[first]))])
    fitting = seen.sum(1)[of]
    right = np.divide(mine, fitting, out=np.zeros(count), where=fitting > 0)
    singled = float(np.mean(mine & (fitting == 1)))
    if truth is None:
        return Linkage(count, float(np.median(fitting)), singled, float(right.mean()), None, None, None)
    usual = weights.sum(0).argmax()
    best = np.where(fitting > 0, seen.argmax(1)[of], usual)
    alone = np.count_nonzero(seen, axis=1)[of] == 1
    disclosed, guessed, baseline = (float(np.mean(hits)) for hits in (alone & (best == truth), best == truth, truth == usual))
    return Linkage(count, float(np.median(fitting)), singled, float(right.mean()), disclosed, guessed, baseline)


def _people(x: Floats) -> tuple[Ints, Ints, Ints]:
    """(combination of each row, a row of each combination, rows of each): people who look alike are matched once."""
    of = joint([np.unique(column, return_inverse=True)[1].reshape(-1).astype(np.int64) for column in x.T])
    return of, np.unique(of, return_index=True)[1], np.bincount(of)


def _matches(low: Floats, high: Floats, x: Floats) -> Iterator[Floats]:
    """Which classes' cells cover which coordinates, people x classes, a bounded number of people at a time."""
    step = max(1, CHUNK // max(1, len(low)))
    for at in range(0, len(x), step):
        part = x[at : at + step, None]
        match = np.ones((len(part), len(low)), bool)
        for i in range(x.shape[1]):
            match &= (low[:, i] <= part[..., i]) & (part[..., i] <= high[:, i])
        yield match.astype(np.float64)


def _coordinates(released: Generalised, data: Any) -> Floats:
    table = as_table(data)
    wanted(table, released.names, "the quasi-identifier")
    return np.stack([axis.encode(table[axis.name]) for axis in released.axes], axis=1)
