"""One report of all that is handed out: leak, quality and cost side by side."""
from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mpc.errors import ConfigError
from mpc.privacy.audit import page
from mpc.privacy.audit.intervals import Estimate, known
from mpc.privacy.audit.lines import Line, table
from mpc.privacy.audit.measured import Measured, Measuring
from mpc.privacy.audit.rates import plain
from mpc.report import Report
from mpc.report.text import columns
from mpc.report.views import amount, duration


@dataclass(frozen=True)
class Exposure:
    """One thing that somebody gets to see, and what was found out from it.

    ``name``: for example "model, DP-SGD". ``found``: what was measured on it: reports of this package's attacks,
    `AttributeReport.raw`, `masking.report`, `synthesis.quality.utility` and `nearness`, or anything with `Measuring`'s one
    method, ``measured() -> Measured``. ``quality``: what it is still good for (accuracy on untouched records, say), an
    `Estimate` or a number; without one, the first that was measured. ``cost``: a session's `mpc.Report`, seconds, or words.
    """

    name: str
    found: tuple[Measuring, ...]
    quality: Estimate | float | None = None
    cost: Report | float | str | None = None

    def __init__(
        self, name: str, *found: Measuring, quality: Estimate | float | None = None, cost: Report | float | str | None = None
    ) -> None:
        for one in found:
            if not isinstance(one, Measuring) or isinstance(one, type):
                raise ConfigError(f"Exposure {name!r}: got {type(one).__name__}; want results of mpc.privacy, or any object "
                                  "with measured() -> audit.Measured")  # fmt: skip
        for key, value in (("name", name), ("found", found), ("quality", quality), ("cost", cost)):
            object.__setattr__(self, key, value)

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """What each result says, asked once."""
        return tuple(one.measured() for one in self.found)

    @property
    def lines(self) -> list[Line]:
        """One line for each attack."""
        return [Line(self.name, finding) for one in self.measured for finding in one.findings]

    @property
    def measured_quality(self) -> Estimate | None:
        """``quality``, or the first that a result measured on records that were not trained on."""
        given = self.quality
        if given is None:
            given = next((one.quality for one in self.measured if one.quality is not None), None)
        return None if given is None else known(given)

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
        return [line for e in self.exposures for line in e.lines]

    @property
    def warnings(self) -> list[str]:
        """What makes this audit worth less, or a claim wrong."""
        return [f"{e.name}: {warning}" for e in self.exposures for one in e.measured for warning in one.warnings]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        return {
            "title": self.title, "warnings": self.warnings,
            "exposures": [
                {
                    "name": e.name, "quality": plain(e.measured_quality), "cost": e.told_cost,
                    "found": [_plainly(one, said) for one, said in zip(e.found, e.measured, strict=True)],
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
        text = page.page(self).encode("utf-8", "replace")  # first: an error leaves an older page as it was
        with open(path, "wb") as file:
            file.write(text)


def audit(*exposures: Exposure, title: str = "Privacy audit") -> AuditReport:
    """Gather what was found on each `Exposure`. Raises ConfigError for none, for two of one name, and for one without an
    attack: quality alone is no audit."""
    names = [e.name for e in exposures]
    if not names or len(set(names)) < len(names) or not all(e.lines for e in exposures):
        raise ConfigError(f"audit: got exposures {names}; want at least one, of different names, each with an attack's report")
    return AuditReport(title, exposures)


def _plainly(result: Measuring, said: Measured) -> dict[str, Any]:
    """All that a result tells of itself, or its rows."""
    to_dict = getattr(result, "to_dict", said.to_dict)
    return {"attack": said.kind, **to_dict()}
