"""One report of all that is handed out: leak, quality and cost side by side."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from mpc.errors import ConfigError
from mpc.privacy.audit import page
from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.inversion_report import InversionReport
from mpc.privacy.audit.lines import Line, lines_of, table
from mpc.privacy.audit.membership_report import MembershipReport
from mpc.privacy.audit.rates import plain
from mpc.privacy.audit.report import AttributeReport
from mpc.privacy.audit.wire_report import WireReport
from mpc.report import Report
from mpc.report.text import columns
from mpc.report.views import amount, duration

Found = Union[MembershipReport, AttributeReport, InversionReport, WireReport]


@dataclass(frozen=True)
class Exposure:
    """One thing that somebody gets to see, and what was found out from it.

    ``name``: for example "model, DP-SGD". ``found``: reports of attacks on it. ``quality``: what it is still good for (accuracy
    on untouched records, say), an `Estimate` or a number; without one, what a report measured. ``cost``: a session's
    `mpc.Report`, seconds, or words.
    """

    name: str
    found: tuple[Found, ...]
    quality: Estimate | float | None = None
    cost: Report | float | str | None = None

    def __init__(
        self, name: str, *found: Found, quality: Estimate | float | None = None, cost: Report | float | str | None = None
    ) -> None:
        for one in found:
            if not isinstance(one, (MembershipReport, AttributeReport, InversionReport, WireReport)):
                raise ConfigError(f"Exposure {name!r}: got {type(one).__name__}; want reports of this package's attacks")
        for key, value in (("name", name), ("found", found), ("quality", quality), ("cost", cost)):
            object.__setattr__(self, key, value)

    @property
    def measured_quality(self) -> Estimate | None:
        """``quality``, or the accuracy that an attack's report measured on records that were not trained on."""
        if self.quality is not None:
            return self.quality if isinstance(self.quality, Estimate) else Estimate(self.quality, self.quality, self.quality)
        for one in self.found:
            if isinstance(one, MembershipReport) and one.accuracy is not None:
                return one.accuracy[1]
            if isinstance(one, AttributeReport) and one.task_accuracy is not None:
                return one.task_accuracy[1]
        return None

    @property
    def told_cost(self) -> str:
        """``cost`` for people."""
        if isinstance(self.cost, Report):
            parts = [duration(self.cost.seconds), f"{self.cost.rounds:,} rounds", f"{amount(self.cost.bytes_sent)} sent"]
            if self.cost.offline_bytes:
                parts.append(f"{amount(self.cost.offline_bytes)} offline")
            return ", ".join(parts)
        return duration(self.cost) if isinstance(self.cost, (int, float)) else self.cost or ""


@dataclass(frozen=True)
class AuditReport:
    """All exposures side by side. A measured leak and a guarantee are different numbers, and both are shown."""

    title: str
    exposures: tuple[Exposure, ...]

    @property
    def lines(self) -> list[Line]:
        """One line for each attack on each exposure."""
        return [line for e in self.exposures for one in e.found for line in lines_of(e.name, one)]

    @property
    def warnings(self) -> list[str]:
        """What makes this audit worth less, or a claim wrong."""
        out = []
        for exposure in self.exposures:
            for one in exposure.found:
                if isinstance(one, MembershipReport) and one.contradicts:
                    out.append(f"{exposure.name}: the measured leak {one.leak} is above the bound {one.bound:.3f} of the "
                               "guarantee it was said to have: the guarantee does not hold.")  # fmt: skip
                if isinstance(one, WireReport) and one.reads is False:
                    out.append(f"{exposure.name}: the attackers did not read the plaintext twin's wire either, so that they "
                               "found nothing says nothing.")  # fmt: skip
                if isinstance(one, WireReport) and not one.chance:
                    out.append(f"{exposure.name}: the wire tells {one.worst} something (p = {one.views[one.worst].p:.1g}).")
        return out

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        return {
            "title": self.title, "warnings": self.warnings,
            "exposures": [
                {
                    "name": e.name, "quality": plain(e.measured_quality), "cost": e.told_cost,
                    "found": [{"attack": kind(one), **one.to_dict()} for one in e.found],
                }
                for e in self.exposures
            ],
        }  # fmt: skip

    def to_table(self) -> str:
        """One table in plain columns."""
        grid = table(self)
        text = columns(grid.head, grid.lines, grid.left)
        return "\n".join([text, *(f"! {warning}" for warning in self.warnings), page.SHORT])

    def __str__(self) -> str:
        return f"{self.title}\n{self.to_table()}"

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page that needs nothing else: no script, no font, no image from anywhere."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(page.page(self))


def audit(*exposures: Exposure, title: str = "Privacy audit") -> AuditReport:
    """Gather what the attacks found on each `Exposure`. Raises ConfigError for none, and for two of one name."""
    names = [e.name for e in exposures]
    if not names or len(set(names)) < len(names) or not all(e.found for e in exposures):
        raise ConfigError(f"audit: got exposures {names}; want at least one, of different names, each with an attack's report")
    return AuditReport(title, exposures)


def kind(found: Found) -> str:
    names: Sequence[tuple[type[Any], str]] = (
        (MembershipReport, "membership"), (AttributeReport, "attribute"), (InversionReport, "inversion"), (WireReport, "wire"),
    )  # fmt: skip
    return next(name for cls, name in names if isinstance(found, cls))
