"""What a membership audit found, and the guarantee beside it."""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mpc.privacy.audit.intervals import LEVEL, Estimate
from mpc.privacy.audit.measured import Finding, Measured
from mpc.privacy.audit.rates import plain
from mpc.privacy.audit.roc import FEW, Scores


def bound(epsilon: float, delta: float = 0.0) -> float:
    """(e^epsilon - 1 + 2 delta) / (e^epsilon + 1): no attack on one record has a larger advantage under (epsilon, delta)-DP.

    From the two inequalities of the definition added up; 0 at epsilon = delta = 0. Source: Humphries et al., Investigating
    membership inference attacks under data dependencies, 2023. Raises ValueError.
    """
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise ValueError(f"bound: got epsilon={epsilon}, delta={delta}; want epsilon of at least 0, delta of 0 to 1")
    return min(1.0, math.tanh(epsilon / 2) + 2 * delta / (math.exp(min(epsilon, 700.0)) + 1))


@dataclass(frozen=True)
class MembershipReport:
    """How well members are told from others, by attack. ``attacks``: name -> scores of both.

    ``accuracy``: the model's own, on members and on others (None for losses). ``epsilon``, ``delta``: as trained, if it was.
    """

    attacks: Mapping[str, Scores]
    epsilon: float | None = None
    delta: float = 0.0
    accuracy: tuple[Estimate, Estimate] | None = None
    shadows: int = 0

    @property
    def strongest(self) -> str:
        """The attack with the largest advantage."""
        return max(self.attacks, key=lambda name: self.attacks[name].advantage.value)

    @property
    def leak(self) -> Estimate:
        """The advantage of the `strongest` attack, which was picked by that number: with several attacks a little above
        what one alone would show by chance."""
        return self.advantage(self.strongest)

    def advantage(self, attack: str = "threshold") -> Estimate:
        """True minus false positive rate, threshold from one half, tested on the other."""
        return self.attacks[attack].advantage

    def auc(self, attack: str = "threshold") -> Estimate:
        return self.attacks[attack].auc

    def rate_at(self, false_positives: float = FEW, attack: str = "threshold") -> Estimate:
        """True positive rate at so many false ones."""
        return self.attacks[attack].rate_at(false_positives)

    @property
    def null(self) -> Estimate:
        """What the strongest attack finds when members and others are mixed, again and again: what so many records give by
        chance, with the middle 95 %."""
        return self.nulls[self.strongest]

    @cached_property
    def nulls(self) -> dict[str, Estimate]:
        """The same of every attack."""
        return {name: scores.null for name, scores in self.attacks.items()}

    @property
    def bound(self) -> float | None:
        """The largest advantage that the guarantee allows on one record; None without one."""
        return None if self.epsilon is None else bound(self.epsilon, self.delta)

    @cached_property
    def certain(self) -> float:
        """A lower limit that holds (97.5 %) for the leak although the strongest of several attacks was picked: each attack's
        error is a share of the 2.5 % (Bonferroni)."""
        level = 1 - (1 - LEVEL) / len(self.attacks)
        return max(scores.advantage_at(level).low for scores in self.attacks.values())

    @property
    def least_epsilon(self) -> float:
        """No smaller epsilon (with this delta) is compatible with what is `certain`: ln((1 + A - 2 delta) / (1 - A)).

        The attack's evidence against a guarantee; far below the true epsilon as a rule, since attacks are weak.
        """
        low = min(self.certain, 1 - 1e-12)
        return max(0.0, math.log(max(1 + low - 2 * self.delta, 1e-300) / (1 - low)))

    @property
    def contradicts(self) -> bool:
        """Whether even what is `certain` of the leak is above the bound: then the guarantee does not hold for this model."""
        return self.bound is not None and self.certain > self.bound

    def measured(self) -> Measured:
        """Rows of the report: one for each attack."""
        told = "" if self.epsilon is None else f"ε {self.epsilon:.3g}, δ {self.delta:.2g}"
        wrong = (f"what is certain of the measured leak, {self.certain:.3f}, is above the bound {self.bound or 0:.3f} of the "
                 "guarantee it was said to have: the guarantee does not hold.")  # fmt: skip
        findings = [
            Finding(f"membership, {name}", scores.advantage, scores.null, self.bound, told, scores=scores, rare=True)
            for name, scores in self.attacks.items()
        ]
        quality = None if self.accuracy is None else self.accuracy[1]
        return Measured("membership", tuple(findings), quality, (wrong,) if self.contradicts else ())

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        return {
            "attacks": {
                name: {"auc": plain(s.auc), "advantage": plain(s.advantage), "rate_at_1_percent": plain(s.rate_at_few)}
                for name, s in self.attacks.items()
            },
            "strongest": self.strongest, "leak": plain(self.leak), "null": plain(self.null),
            "certain": round(self.certain, 5),
            "epsilon": self.epsilon, "delta": self.delta, "bound": self.bound, "least_epsilon": round(self.least_epsilon, 5),
            "contradicts": self.contradicts, "shadows": self.shadows, **self.sizes(),
            "accuracy": self.accuracy and dict(zip(("members", "others"), map(plain, self.accuracy), strict=True)),
        }  # fmt: skip

    def sizes(self) -> dict[str, int]:
        scores = next(iter(self.attacks.values()))
        return {"members": len(scores.positives), "others": len(scores.negatives)}

    def __str__(self) -> str:
        lines = [f"{'attack':<20}{'advantage':<26}{'AUC':<26}true positives at 1 %"]
        lines += [f"{n:<20}{s.advantage!s:<26}{s.auc!s:<26}{s.rate_at_few}" for n, s in self.attacks.items()]
        lines.append(f"{'mixed by chance':<20}{self.null}")
        if self.accuracy is not None:
            lines.append(f"accuracy on members {self.accuracy[0]}, on others {self.accuracy[1]}")
        if self.bound is not None:
            told = "; CONTRADICTED by the measured leak" if self.contradicts else ""
            lines.append(f"guarantee (epsilon {self.epsilon:g}, delta {self.delta:g}): at most {self.bound:.3f} a record{told}")
        sizes = self.sizes()
        lines.append(f"{sizes['members']} members, {sizes['others']} others; 95 % intervals; a measured leak is no guarantee")
        return "\n".join(lines)
