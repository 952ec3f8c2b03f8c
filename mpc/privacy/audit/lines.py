"""The lines of the report: one for each attack on each exposure."""
from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mpc.privacy.audit.intervals import Estimate, three
from mpc.privacy.audit.measured import Finding
from mpc.privacy.audit.roc import Scores
from mpc.report.views import Table

if TYPE_CHECKING:
    from mpc.privacy.audit.overview import AuditReport, Exposure


class Line(NamedTuple):
    """One `Finding` and whose it is."""

    exposure: str
    found: Finding

    @property
    def attack(self) -> str:
        return self.found.attack

    @property
    def leak(self) -> Estimate:
        return self.found.leak

    @property
    def scores(self) -> Scores | None:
        return self.found.scores


def table(report: AuditReport) -> Table:
    """The table of the report: quality and cost stand in an exposure's first line."""
    head = ("exposure", "attack", "leak (95 %)", "bound", "quality (95 %)", "cost",
            "true at 1 % false", "AUC", "chance", "about")  # fmt: skip
    rows = []
    for exposure in report.exposures:
        rows += [cells(line, exposure, first=k == 0) for k, line in enumerate(exposure.lines)]
    used = [k for k in range(len(head)) if k < 3 or any(row[k] for row in rows)]
    return Table("", tuple(head[k] for k in used), [tuple(row[k] for k in used) for row in rows], None, 2)


def cells(line: Line, exposure: Exposure, first: bool) -> tuple[str, ...]:
    quality = exposure.measured_quality if first else None
    found = line.found
    return (
        line.exposure, found.attack, interval(found.leak),
        f"{found.bound:.3f} ({found.guarantee})" if found.bound is not None else "",
        interval(quality) if quality is not None else "", exposure.told_cost if first else "",
        interval(found.scores.rate_at_few) if found.scores is not None and found.rare else "",
        three(found.scores.auc.value) if found.scores is not None else "",
        three(found.null.value) if found.null is not None else "", found.note,
    )  # fmt: skip


def interval(value: Estimate) -> str:
    """ "0.258 [0.192, 0.330]"; without limits where none are known."""
    return str(value) if value.low < value.high else three(value.value)
