"""What any measurement of this package hands to the report: leaks, what is left of the quality, and warnings.

A result becomes a row of the report by one method, ``measured() -> Measured``. Results of masking and synthesis have it as well
as the attacks of this folder, which knows none of them.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from mpc.errors import ConfigError
from mpc.privacy.audit.intervals import Estimate, known
from mpc.privacy.audit.rates import plain
from mpc.privacy.audit.roc import Scores


class Finding(NamedTuple):
    """One attack. ``leak``: an advantage, 0 is chance and 1 certainty; a number without limits is one of all records, not of a
    sample. ``null``: the same attack where there is nothing to find; ``bound``: the most that the ``guarantee`` allows;
    ``note``: further words; ``scores``: for a ROC curve; ``rare``: whether true positives at few false ones are of interest."""

    attack: str
    leak: Estimate
    null: Estimate | None = None
    bound: float | None = None
    guarantee: str = ""
    note: str = ""
    scores: Scores | None = None
    rare: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        few = self.scores.rate_at_few if self.scores is not None and self.rare else None
        return {
            "attack": self.attack, "leak": plain(self.leak), "null": plain(self.null), "bound": self.bound,
            "guarantee": self.guarantee, "note": self.note,
            **({} if self.scores is None else {"auc": plain(self.scores.auc)}),
            **({} if few is None else {"rate_at_1_percent": plain(few)}),
        }  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """``kind``: what was measured; ``findings``: one for each attack; ``quality``: what is still good, 1 at best (accuracy on
    untouched records, say); ``warnings``: what makes a claim wrong or this measurement worth less; ``details``: for JSON."""

    kind: str
    findings: tuple[Finding, ...] = ()
    quality: Estimate | float | None = None
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.findings and self.quality is None:
            raise ConfigError(f"Measured {self.kind!r}: got no findings and no quality; want one of them")

    @property
    def estimate(self) -> Estimate | None:
        """The quality with its limits; without any where they are not known."""
        return None if self.quality is None else known(self.quality)

    def measured(self) -> Measured:
        return self

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        found = [one.to_dict() for one in self.findings]
        return {"findings": found, "quality": plain(self.estimate), "warnings": list(self.warnings), **self.details}


@runtime_checkable
class Measuring(Protocol):
    """A result that can be a row: it says itself what its leaks and its quality are."""

    def measured(self) -> Measured: ...


def scored(
    attack: str, positives: Any, negatives: Any, positive_groups: Any = None, negative_groups: Any = None, *,
    note: str = "", seed: int = 0,
) -> Measured:  # fmt: skip
    """Any attack that gives every record a score, higher for "positive" (a member, say), as rows of the report.

    Advantage (threshold from one half, tested on the other), AUC, true positives at 1 % false ones and the ROC curve, with
    intervals over groups: see `roc.Scores`. Raises ShapeError, ConfigError.
    """
    scores = Scores.of(positives, negatives, positive_groups, negative_groups, seed)
    return Measured("scores", (Finding(attack, scores.advantage, scores.null, note=note, scores=scores, rare=True),))
