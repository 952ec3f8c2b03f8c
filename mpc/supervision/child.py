"""One party, or the dealer, as its launcher sees it."""
from __future__ import annotations

import signal
from dataclasses import dataclass, field

from mpc.pipes import Message


@dataclass(eq=False)
class Child:
    """A process of the run: what it said, and how it ended."""

    rank: int
    name: str
    control: int
    stderr: bytearray = field(default_factory=bytearray)
    message: Message | None = None
    reported: float | None = None  # when its message came
    code: int | None = None  # its exit code, once it has ended
    stopped: bool = False  # ended by this process
    paused: bool = False  # by SIGSTOP or the like
    failed: float | None = None  # when its failure was noticed

    @property
    def is_party(self) -> bool:
        return self.name != "the dealer"

    def signal_name(self) -> str | None:
        """The signal that ended it, if one did and it was not ours."""
        if self.code is None or self.code >= 0 or self.stopped:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    def stderr_text(self) -> str:
        return self.stderr.decode(errors="replace").strip()
