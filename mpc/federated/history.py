"""What happened, round by round: numbers that everybody may know. No update is in it."""
from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mpc.report import amount
from mpc.report.text import columns

PHASES = ("train", "protect", "combine", "evaluate")


@dataclass
class Round:
    """One round. ``accepted``: names of the clients whose updates are in the mean; ``refused``: the others' with the reason;
    ``weight``: the sum of the accepted weights; ``seconds`` by phase, of all clients together where clients work;
    ``combining``: parts of the phase "combine", where the aggregator tells them apart;
    ``bytes_up``, ``bytes_down``: of all messages of the clients, and of the models sent to them in float32. ``void``: why the
    model did not change. ``secret``: the mean was never opened."""

    number: int
    accepted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    weight: float = 0.0
    loss: float | None = None
    accuracy: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    combining: dict[str, float] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0
    void: str = ""
    secret: bool = False

    @property
    def total_seconds(self) -> float:
        """All phases together."""
        return sum(self.seconds.values())

    def line(self, of: int) -> str:
        """One line for a person who watches."""
        said = [] if self.loss is None else [f"loss {self.loss:.4f}"]
        said += [] if self.accuracy is None else [f"accuracy {self.accuracy:.2%}"]
        said += [f"void: {self.void}"] if self.void else [f"{len(self.accepted)} clients"]
        said += [f"{len(self.refused)} refused"] if self.refused else []
        said += ["mean kept secret"] if self.secret else []
        return f"round {self.number}/{of}: {', '.join(said)}, {amount(self.bytes_up)} up, {self.total_seconds:.1f} s"


class History(list[Round]):
    """The rounds of a training, in order."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"rounds": [asdict(entry) for entry in self]}

    @property
    def refused(self) -> dict[int, dict[str, str]]:
        """Reasons by client, by round; only rounds that refused somebody."""
        return {entry.number: entry.refused for entry in self if entry.refused}

    def __str__(self) -> str:
        head = ("round", "clients", "refused", "loss", "accuracy", "up", "seconds")
        rows = [
            (
                f"{entry.number}{' (void)' if entry.void else ''}",
                f"{len(entry.accepted)}",
                f"{len(entry.refused)}",
                "" if entry.loss is None else f"{entry.loss:.4f}",
                "" if entry.accuracy is None else f"{entry.accuracy:.2%}",
                amount(entry.bytes_up),
                f"{entry.total_seconds:.2f}",
            )
            for entry in self
        ]
        return columns(head, rows)
