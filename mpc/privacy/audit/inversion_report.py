"""What came back of training records, and what chance gives."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpc.privacy.audit.intervals import Estimate, Floats, estimate, resamples
from mpc.privacy.audit.measured import Finding, Measured
from mpc.privacy.audit.rates import difference, plain, share
from mpc.privacy.audit.roc import LEAST_RECORDS, Scores


@dataclass(frozen=True)
class InversionReport:
    """``found``, ``chance``: per message what share of each record, and of as many controls, a candidate explains.

    Intervals (95 %) draw messages, since the records of one message are recovered or lost together.
    """

    found: tuple[Floats, ...]
    chance: tuple[Floats, ...]
    least: float = 0.9

    @property
    def recovered(self) -> Estimate:
        """Share of the records that came back."""
        return self._share(self.found)

    @property
    def control(self) -> Estimate:
        """Share of records that were never there and "came back": chance."""
        return self._share(self.chance)

    @property
    def leak(self) -> Estimate:
        """`recovered` minus `control`: 0 is chance, 1 every record. Both drawn together; where all or none came back on one
        side draws do not differ there, and the exact limits of that share count too."""
        weights = resamples(len(self.found))
        hits = [np.array([float((e >= self.least).sum()) for e in side]) for side in (self.found, self.chance)]
        totals = np.array([float(len(e)) for e in self.found])
        found = estimate((weights @ (hits[0] - hits[1])) / (weights @ totals), len(totals))
        if all(0 < h.sum() < totals.sum() for h in hits):
            return found
        exact = difference(self.recovered, self.control)
        return Estimate(found.value, max(-1.0, min(found.low, exact.low)), min(1.0, max(found.high, exact.high)))

    @property
    def explained(self) -> Estimate:
        """How much of a record the nearest candidate explains, on average: 0 is the mean of the population, 1 the record."""
        return self._mean(self.found)

    @property
    def scores(self) -> Scores:
        """Records against controls by what is explained of them: for a ROC curve ("was this record behind the update?")."""
        groups = np.repeat(np.arange(len(self.found)), [len(e) for e in self.found])
        return Scores.of(np.concatenate(self.found), np.concatenate(self.chance), groups, groups)

    def measured(self) -> Measured:
        """A row of the report."""
        records = sum(map(len, self.found))
        note = f"{self.recovered.value:.0%} of {records} records recovered"
        scores = self.scores if records >= LEAST_RECORDS else None
        return Measured("inversion", (Finding("update inversion", self.leak, self.control, note=note, scores=scores),))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        names = ("leak", "recovered", "control", "explained")
        return {
            **{name: plain(getattr(self, name)) for name in names},
            "messages": len(self.found), "records": sum(len(e) for e in self.found), "least": self.least,
        }  # fmt: skip

    def __str__(self) -> str:
        rows = {"recovered": self.recovered, "controls": self.control, "leak": self.leak, "explained": self.explained}
        lines = [f"{name:<14}{value}" for name, value in rows.items()]
        records = sum(len(e) for e in self.found)
        lines.append(f"{records} records behind {len(self.found)} messages; recovered: at least {self.least:.0%} explained")
        return "\n".join(lines)

    def _share(self, side: tuple[Floats, ...]) -> Estimate:
        hits = np.array([float((e >= self.least).sum()) for e in side])
        return share(hits, np.array([float(len(e)) for e in side]))

    def _mean(self, side: tuple[Floats, ...]) -> Estimate:
        weights = resamples(len(side))
        sums, sizes = np.array([e.sum() for e in side]), np.array([float(len(e)) for e in side])
        return estimate((weights @ sums) / (weights @ sizes), len(sizes))
