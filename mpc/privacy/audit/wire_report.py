"""What an audit of the wire found."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.measured import Finding, Measured
from mpc.privacy.audit.rates import plain

ALPHA: Final = 0.01


@dataclass(frozen=True)
class WireView:
    """What one coalition made of its frames. ``p``: probability of so good an attack by chance."""

    advantage: Estimate
    p: float
    words: int


@dataclass(frozen=True)
class WireReport:
    """``views``: by coalition, on secret shares; ``twin``: the same program in plaintext, where the attackers must win."""

    views: Mapping[str, WireView]
    twin: Mapping[str, WireView] = field(default_factory=dict)
    samples: int = 0

    @property
    def worst(self) -> str:
        """The coalition with the least probable result."""
        return min(self.views, key=lambda name: (self.views[name].p, -self.views[name].advantage.value))

    @property
    def leak(self) -> Estimate:
        """The advantage of the `worst` coalition, picked by its p: one of several, so a little above 0 by chance alone."""
        return self.views[self.worst].advantage

    @property
    def chance(self) -> bool:
        """Whether no view is further from guessing than one in a hundred honest audits would be."""
        return min(view.p for view in self.views.values()) * len(self.views) > ALPHA

    @property
    def reads(self) -> bool | None:
        """Whether the attackers read the plaintext twin's wire; False means that this audit could not have failed."""
        if not self.twin:
            return None
        return max(view.advantage.low for view in self.twin.values()) > 0.5

    def measured(self) -> Measured:
        """A row of the report: the `worst` coalition."""
        note = f"p = {self.views[self.worst].p:.2g}, the least of {len(self.views)}"
        warnings = []
        if self.twin:
            note += f"; plaintext twin {max(v.advantage.value for v in self.twin.values()):.3f}"
        if self.reads is False:
            warnings.append("the attackers did not read the plaintext twin's wire either, so that they found nothing says "
                            "nothing.")  # fmt: skip
        if not self.chance:
            warnings.append(f"the wire tells {self.worst} something (p = {self.views[self.worst].p:.1g}).")
        return Measured("wire", (Finding(f"wire, {self.worst}", self.leak, note=note),), warnings=tuple(warnings))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        sides = {
            side: {name: {"advantage": plain(v.advantage), "p": v.p, "words": v.words} for name, v in views.items()}
            for side, views in (("views", self.views), ("twin", self.twin))
        }
        return {**sides, "leak": plain(self.leak), "chance": self.chance, "reads_the_twin": self.reads, "samples": self.samples}

    def __str__(self) -> str:
        lines = [f"{'seen by':<32}{'advantage':<26}{'p':<12}words a sample"]
        for side, views in (("", self.views), ("plaintext twin: ", self.twin)):
            lines += [f"{side + n:<32}{v.advantage!s:<26}{v.p:<12.2g}{v.words}" for n, v in views.items()]
        lines.append(f"{self.samples} samples, half of them the attacker's; attackers that find nothing are no proof")
        return "\n".join(lines)
