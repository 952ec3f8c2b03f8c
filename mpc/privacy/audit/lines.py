"""The lines of the report: one for each attack on each exposure."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.inversion_report import InversionReport
from mpc.privacy.audit.membership_report import MembershipReport
from mpc.privacy.audit.report import AttributeReport
from mpc.privacy.audit.roc import Scores
from mpc.privacy.audit.wire_report import WireReport
from mpc.report.views import Table

if TYPE_CHECKING:
    from mpc.privacy.audit.overview import AuditReport, Exposure


class Line(NamedTuple):
    """``leak``: an advantage, 0 is chance; ``null``: the same attack where there is nothing to find; ``bound``: the most that
    a guarantee allows; ``scores``: for a ROC curve."""

    exposure: str
    attack: str
    leak: Estimate
    null: Estimate | None = None
    bound: float | None = None
    guarantee: str = ""
    note: str = ""
    scores: Scores | None = None


def lines_of(name: str, found: Any) -> list[Line]:
    if isinstance(found, MembershipReport):
        told = "" if found.epsilon is None else f"ε {found.epsilon:.3g}, δ {found.delta:.2g}"
        return [
            Line(name, f"membership, {attack}", found.advantage(attack), found.nulls[attack],
                 found.bound, told, scores=scores)
            for attack, scores in found.attacks.items()
        ]  # fmt: skip
    if isinstance(found, AttributeReport):
        floor = "" if found.floor is None else f"; the task's label alone gives {found.floor.value:.3f}"
        return [Line(name, "private attribute", found.leak, found.null, note=f"raw features {found.raw_leak.value:.3f}{floor}")]
    if isinstance(found, InversionReport):
        note = f"{found.recovered.value:.0%} of {sum(map(len, found.found))} records recovered"
        return [Line(name, "update inversion", found.leak, found.control, note=note, scores=found.scores)]
    if isinstance(found, WireReport):
        note = f"p = {found.views[found.worst].p:.2g}"
        if found.twin:
            note += f"; plaintext twin {max(v.advantage.value for v in found.twin.values()):.3f}"
        return [Line(name, f"wire, {found.worst}", found.leak, note=note)]
    raise TypeError(f"got {type(found).__name__}; want an attack's report")


def table(report: AuditReport) -> Table:
    """The table of the report: quality and cost stand in an exposure's first line."""
    head = ("exposure", "attack", "leak (95 %)", "bound", "quality (95 %)", "cost",
            "true at 1 % false", "AUC", "chance", "about")  # fmt: skip
    rows = []
    for exposure in report.exposures:
        found = [line for one in exposure.found for line in lines_of(exposure.name, one)]
        rows += [cells(line, exposure, first=k == 0) for k, line in enumerate(found)]
    used = [k for k in range(len(head)) if k < 3 or any(row[k] for row in rows)]
    return Table("", tuple(head[k] for k in used), [tuple(row[k] for k in used) for row in rows], None, 2)


def cells(line: Line, exposure: Exposure, first: bool) -> tuple[str, ...]:
    quality = exposure.measured_quality if first else None
    scores = line.scores
    return (
        line.exposure, line.attack, interval(line.leak),
        f"{line.bound:.3f} ({line.guarantee})" if line.bound is not None else "",
        interval(quality) if quality is not None else "", exposure.told_cost if first else "",
        interval(scores.rate_at_few) if scores is not None and line.attack.startswith("membership") else "",
        f"{scores.auc.value:.3f}" if scores is not None else "",
        f"{line.null.value:.3f}" if line.null is not None else "", line.note,
    )  # fmt: skip


def interval(value: Estimate) -> str:
    """ "0.258 [0.192, 0.330]"; without limits where none are known."""
    return f"{value.value:.3f}" if value.low == value.high == value.value else str(value)
