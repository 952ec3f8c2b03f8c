"""One line of the result, on the terminal and in the JSON file."""
from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass
class Line:
    """``value`` is the median of ``runs`` in ``unit``; ``more_is_better`` for rates.

    Workloads of several parties also have, in seconds, ``online_runs`` (every correction on hand before the clock
    starts), ``offline_runs`` (the dealer alone: the same corrections computed and delivered while nothing else runs) and
    ``dealer_wait_runs`` (inside the whole run: what the receiving party spent on receiving corrections); rounds; and
    bytes of payload. ``max_error``: the largest error of the last run's result, ``relative`` to the value or absolute.
    """

    group: str
    name: str
    variant: str
    title: str
    unit: str
    runs: list[float]
    more_is_better: bool = False
    goal: float | None = None
    note: str = ""
    online_runs: list[float] = field(default_factory=list)
    offline_runs: list[float] = field(default_factory=list)
    dealer_wait_runs: list[float] = field(default_factory=list)
    rounds: int | None = None
    bytes_sent: int | None = None
    offline_bytes: int | None = None
    goal_bytes: float | None = None
    peers: dict[str, float | None] = field(default_factory=dict)
    max_error: float | None = None
    goal_error: float | None = None
    relative: bool = False
    peer_errors: dict[str, float | None] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def value(self) -> float | None:
        return median(self.runs) if self.runs else None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.variant

    def misses(self) -> bool:
        """Does it have a figure to reach, and fall short of it?"""
        if self.goal is None or self.value is None:
            return False
        return self.value < self.goal if self.more_is_better else self.value > self.goal

    def misses_error(self) -> bool:
        """The same for the error."""
        return self.goal_error is not None and self.max_error is not None and self.max_error > self.goal_error

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the fields, their medians and the better end of the runs."""
        best = (max if self.more_is_better else min)(self.runs, default=None)
        return {
            **asdict(self),
            "value": self.value,
            "best": best,
            "online": _middle(self.online_runs),
            "offline": _middle(self.offline_runs),
            "dealer_wait": _middle(self.dealer_wait_runs),
        }


def _middle(runs: list[float]) -> float | None:
    return median(runs) if runs else None
