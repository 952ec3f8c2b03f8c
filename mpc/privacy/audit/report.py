"""What an attribute audit found: leaks, reductions and their intervals, over one or several seeds."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.audit.intervals import Counts, Estimate, Floats, estimate, resamples
from mpc.privacy.audit.measured import Finding, Measured
from mpc.privacy.audit.rates import plain

MOST_TASK_LOSS: Final = 0.03  # accuracy that protection may cost
MOST_NULL: Final = 0.1  # of the raw leak: an audit whose shuffled labels find more has too few records


@dataclass(frozen=True)
class AttributeReport:
    """A leak of a private attribute. Values are `Estimate`: mean over seeds, with 95 % limits from the bootstrap over groups
    and seeds. A leak is that of the best of several attackers on the records it is counted on, so a little above what any of
    them alone has by chance; `null` is picked likewise, and is what to compare a small leak with.

    ``counts``: per seed, right guesses by attacker, group and class. ``owned``, ``records``: the attacker's and the others'.
    """

    counts: tuple[Mapping[str, Counts], ...]
    attackers: tuple[str, ...]
    owned: int
    records: int
    _known: dict[tuple[int, str], Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def seeds(self) -> int:
        return len(self.counts)

    @property
    def groups(self) -> int:
        return int(self.counts[0]["leak"].totals.shape[0])

    @property
    def raw_leak(self) -> Estimate:
        """A0: the advantage with the features themselves."""
        return self._mean("raw")

    @property
    def leak(self) -> Estimate:
        """A: the advantage with what the encoder hands out, one answer a record."""
        return self._mean("leak")

    @property
    def floor(self) -> Estimate | None:
        """A_f: the advantage with the task's label alone. No encoder that keeps the task can leak less. None without a task."""
        return self._mean("floor") if "floor" in self.counts[0] else None

    @property
    def null(self) -> Estimate:
        """A_n: the advantage of attackers trained on shuffled labels, which is chance."""
        return self._mean("null")

    @property
    def person(self) -> Estimate | None:
        """The advantage of one guess per group, averaged over its records. None without groups that have one value each."""
        return self._mean("person") if "person" in self.counts[0] else None

    @property
    def queries(self) -> dict[int, Estimate]:
        """The advantage when every record is asked for that many times and the answers are averaged."""
        return {int(n[8:]): self._mean(n) for n in self.counts[0] if n.startswith("queries-")}

    @property
    def reduction(self) -> Estimate:
        """R = 1 - A / A0, at most 1 (a leak below zero counts as none), averaged over seeds. 0 where the features leak nothing:
        then nothing was reduced."""
        return self._over_seeds([_share_hidden(a, a0) for a, a0 in self._pairs("leak", "raw")])

    @property
    def excess_reduction(self) -> Estimate | None:
        """1 - (A - A_f)+ / (A0 - A_f): what could be hidden and was; 0 where nothing could. None without a task."""
        if self.floor is None:
            return None
        floors = [np.maximum(f, 0) for f, _ in self._pairs("floor", "raw")]
        pairs = self._pairs("leak", "raw")
        return self._over_seeds([_share_hidden(a - f, a0 - f) for (a, a0), f in zip(pairs, floors, strict=True)])

    @property
    def task_accuracy(self) -> tuple[Estimate, Estimate] | None:
        """Of the best of the same four models on the features and on what is handed out. None without a task."""
        if "task" not in self.counts[0]:
            return None
        found = [self._over_seeds([2 * row - 1 for row in self._values(name)]) for name in ("task_raw", "task")]
        before, after = (Estimate(*((v + 1) / 2 for v in (e.value, e.low, e.high))) for e in found)  # from 0, not from -1
        return before, after

    @property
    def task_loss(self) -> Estimate | None:
        """Accuracy on the features minus accuracy on what is handed out."""
        if "task" not in self.counts[0]:
            return None
        pairs = zip(self._values("task_raw"), self._values("task"), strict=True)
        return self._over_seeds([before - after for before, after in pairs])

    def at_least(self, share: float = 0.9) -> bool:
        """Whether "reduced by at least ``share``" may be said: the lower limit of R is no less, at most 3 points of task
        accuracy were lost, and the null stays under a tenth of the raw leak."""
        loss = self.task_loss
        kept = loss is not None and loss.value <= MOST_TASK_LOSS
        return bool(self.reduction.low >= share and kept and self.null.value < MOST_NULL * self.raw_leak.value)

    def by_attacker(self) -> dict[str, dict[str, float]]:
        """Each attacker's advantage by view (raw, leak, null ...), averaged over seeds."""
        one = np.ones((1, self.groups))
        views = [name for name in self.counts[0] if not name.startswith(("task", "person"))]
        out: dict[str, dict[str, float]] = {}
        for i, attacker in enumerate(self.attackers):
            single = {n: [Counts(c[n].hits[i : i + 1], c[n].totals).advantages(one)[0] for c in self.counts] for n in views}
            out[attacker] = {name: float(np.mean(values)) for name, values in single.items()}
        return out

    def measured(self) -> Measured:
        """Rows of the report: what is handed out, then a person's records averaged, and further answers asked for."""
        note = f"raw features {self.raw_leak.value:.3f}, reduced by {self.reduction}"
        if self.floor is not None:
            note += f"; the task's label alone gives {self.floor.value:.3f}"
        found = [Finding("private attribute", self.leak, self.null, note=note)]
        if self.person is not None:
            found.append(Finding("private attribute, person", self.person, note="one guess from all of a person's records"))
        more = self.queries.items()
        found += [Finding(f"private attribute, {n} answers", e, note="of each record, averaged") for n, e in more]
        quality = None if self.task_accuracy is None else self.task_accuracy[1]
        return Measured("attribute", tuple(found), quality)

    @property
    def raw(self) -> Measured:
        """The features themselves as rows of the report: what goes out, or would, without an encoder."""
        quality = None if self.task_accuracy is None else self.task_accuracy[0]
        return Measured("attribute, raw features", (Finding("private attribute", self.raw_leak),), quality)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        names = ("raw_leak", "leak", "floor", "null", "reduction", "excess_reduction", "person", "task_loss")
        values = {name: plain(getattr(self, name)) for name in names}
        task = self.task_accuracy
        return {
            **values,
            "queries": {str(n): plain(e) for n, e in self.queries.items()},
            "task_accuracy": None if task is None else [plain(e) for e in task],
            "at_least_90": self.at_least(0.9),
            "by_attacker": self.by_attacker(),
            "seeds": self.seeds, "groups": self.groups, "owned": self.owned, "records": self.records,
        }  # fmt: skip

    def __str__(self) -> str:
        rows = {"raw leak A0": self.raw_leak, "leak A": self.leak, "floor": self.floor, "null": self.null,
                "reduction R": self.reduction, "excess reduction": self.excess_reduction, "per person": self.person,
                **{f"{n} queries": e for n, e in self.queries.items()}, "task accuracy lost": self.task_loss}  # fmt: skip
        lines = [f"{name:<20}{value}" for name, value in rows.items() if value is not None]
        lines.append(f"{self.records} records of {self.groups} groups, {self.seeds} seeds, 95 % intervals over groups")
        return "\n".join(lines)

    def _mean(self, name: str) -> Estimate:
        return self._over_seeds([self._advantages(i, name) for i in range(self.seeds)], len(self.counts[0][name].totals))

    def _pairs(self, first: str, second: str) -> list[tuple[Floats, Floats]]:
        return [(self._advantages(i, first), self._advantages(i, second)) for i in range(self.seeds)]

    def _advantages(self, seed: int, name: str) -> Floats:
        if (seed, name) not in self._known:
            counts = self.counts[seed][name]
            self._known[seed, name] = counts.advantages(resamples(len(counts.totals)))
        return self._known[seed, name]

    def _values(self, name: str) -> list[Floats]:
        weights = resamples(self.groups)
        return [c[name].accuracies(weights) for c in self.counts]

    def _over_seeds(self, rows: Sequence[Floats], groups: int | None = None) -> Estimate:
        """Mean over seeds; each draw is one of groups, the same for all seeds, and one of seeds."""
        drawn, values = resamples(len(rows), seed=1), np.stack(rows, axis=1)
        return estimate(np.where(drawn > 0, drawn * values, 0).sum(1) / len(rows), groups or self.groups)


def combine(reports: Sequence[AttributeReport]) -> AttributeReport:
    """One report of several seeds on the same other records: each draw of groups is the same for all seeds.

    Raises ConfigError for none, and for reports on other records, attackers or views.
    """
    if not reports:
        raise ConfigError("combine: got no reports; want at least one")
    first = reports[0]
    totals, views = first.counts[0]["leak"].totals, set(first.counts[0])
    for other in reports[1:]:
        new = other.counts[0]
        if new["leak"].totals.shape != totals.shape or (new["leak"].totals != totals).any() or set(new) != views:
            raise ConfigError("combine: got reports on different records or views; want one split (attacker=...) for all seeds")
        if other.attackers != first.attackers:
            raise ConfigError(f"combine: got attackers {first.attackers} and {other.attackers}; want the same")
    return AttributeReport(tuple(c for r in reports for c in r.counts), first.attackers, first.owned, first.records)


def pool(folds: Sequence[AttributeReport]) -> AttributeReport:
    """One report of one seed's folds, whose other records (and groups) do not overlap: cross-validation.

    An attacker's guesses are counted over all folds before the best attacker is taken. ``owned``: the mean. Raises
    ConfigError for none, for folds of several seeds, and for other attackers, classes or views.
    """
    if not folds:
        raise ConfigError("pool: got no reports; want one per fold")
    first = folds[0]
    for other in folds:
        same = set(other.counts[0]) == set(first.counts[0]) and other.attackers == first.attackers
        if other.seeds != 1 or not same or any(
            other.counts[0][n].totals.shape[1] != c.totals.shape[1] for n, c in first.counts[0].items()
        ):  # fmt: skip
            raise ConfigError("pool: got reports of several seeds, or with other attackers, classes or views; want one split's")
    counts = {
        name: Counts(
            np.concatenate([f.counts[0][name].hits for f in folds], axis=1),
            np.concatenate([f.counts[0][name].totals for f in folds]),
        )
        for name in first.counts[0]
    }
    owned = round(sum(f.owned for f in folds) / len(folds))
    return AttributeReport((counts,), first.attackers, owned, sum(f.records for f in folds))


def _share_hidden(leak: Floats, before: Floats) -> Floats:
    """1 - leak / before; none where there was nothing before."""
    something = before > 1e-12
    return np.where(something, 1 - np.maximum(leak, 0) / np.where(something, before, 1), 0.0)
