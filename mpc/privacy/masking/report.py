"""One report of a release: what it fulfils, what an attacker gets, what it is still good for."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpc.privacy.audit.measured import Measured
from mpc.privacy.masking.generalise import Generalised, as_released
from mpc.privacy.masking.risk import Linkage, Risk, linkage, risk
from mpc.privacy.masking.utility import Accuracy, Queries, classification, query_errors

CAVEAT = ("For this release alone and the quasi-identifiers named: no differential privacy, no promise against background "
          "knowledge or a second release of the same people.")  # fmt: skip


@dataclass(frozen=True)
class MaskingReport:
    """``checks``: as measured by `Generalised.check`. ``before``, ``after``: risk and linkage of the original and the
    release."""

    settings: dict[str, Any]
    checks: dict[str, float]
    before: tuple[Risk, Linkage]
    after: tuple[Risk, Linkage]
    queries: Queries
    accuracy: Accuracy | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "settings": self.settings, "checks": self.checks,
            **{when: {"risk": pair[0].to_dict(), "linkage": pair[1].to_dict()} for when, pair in self._both().items()},
            "queries": self.queries.to_dict(), "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "caveat": CAVEAT,
        }  # fmt: skip

    def measured(self) -> Measured:
        """The release as rows of an audit's report."""
        return self._measured(self.after, None if self.accuracy is None else self.accuracy.after)

    @property
    def raw(self) -> Measured:
        """The original likewise, to stand beside."""
        return self._measured(self.before, None if self.accuracy is None else self.accuracy.before)

    def _measured(self, pair: tuple[Risk, Linkage], quality: float | None) -> Measured:
        found = pair[1].measured().findings + pair[0].measured().findings
        return Measured("masking", found, quality, details={"risk": pair[0].to_dict(), "linkage": pair[1].to_dict()})

    def _both(self) -> dict[str, tuple[Risk, Linkage]]:
        return {"before": self.before, "after": self.after}

    def rows(self) -> list[tuple[str, float | None, float | None]]:
        """(what, before, after)."""
        out: list[tuple[str, float | None, float | None]] = [(name, None, value) for name, value in self.checks.items()]
        for name in ("unique", "prosecutor", "prosecutor_mean", "journalist", "marketer", "at_risk"):
            out.append((f"risk: {name}", getattr(self.before[0], name), getattr(self.after[0], name)))
        for name in ("candidates", "singled_out", "reidentified", "disclosed", "guessed", "baseline"):
            out.append((f"linkage: {name}", getattr(self.before[1], name), getattr(self.after[1], name)))
        if self.accuracy is not None:
            out.append((f"accuracy (most frequent: {self.accuracy.most:.3f})", self.accuracy.before, self.accuracy.after))
        return [*out, ("query error, median", 0.0, self.queries.median), ("query error, 95 %", 0.0, self.queries.p95)]

    def table(self) -> str:
        """Markdown."""
        said = ["| | original | released |", "|---|---:|---:|"]
        for what, *values in self.rows():
            if any(value is not None for value in values):
                said.append(f"| {what} | " + " | ".join("" if v is None else f"{v:.4g}" for v in values) + " |")
        return "\n".join([*said, "", CAVEAT])

    __str__ = table


def report(
    released: Generalised, original: Any, *, sensitive: str | None = None, population: Any = None,
    label: str | None = None, test: Any = None,
) -> MaskingReport:  # fmt: skip
    """Measure a release against its original. ``sensitive``: the released column that the linkage attack guesses. ``label``,
    ``test``: a released column and untouched rows, for a classifier's accuracy (needs scikit-learn)."""
    raw = as_released(original, {axis.name: axis.hierarchy for axis in released.axes})
    before, after = ((risk(r, population), linkage(r, original, sensitive)) for r in (raw, released))
    accuracy = None if label is None or test is None else classification(released, original, label, test)
    plain = (str, int, float, dict)
    settings = {name: value if isinstance(value, plain) else repr(value) for name, value in released.settings.items()}
    return MaskingReport(settings, released.check(), before, after, query_errors(released, original), accuracy)
