"""Sessions in threads whose time is not the machine's: it passes where a test says so, and where frames are under way."""
from __future__ import annotations

import threading
from typing import Any

import pytest

from mpc.report import Network
from mpc.transport.memory import MemoryTransport


class VirtualTime:
    """A clock for each thread, which the books read. Who waits for a frame goes on when it arrives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._clocks = threading.local()
        self._patch = monkeypatch
        for module in ("mpc.report.books", "mpc.party", "mpc.preprocessing.client"):
            monkeypatch.setattr(f"{module}.perf_counter", self.now)

    def now(self) -> float:
        return getattr(self._clocks, "now", 0.0)

    def passes(self, seconds: float) -> None:
        """This thread is busy for so long."""
        self._clocks.now = self.now() + seconds

    def between(self, network: Network) -> None:
        """From now on every frame arrives half a round trip and its transfer later."""
        clock = self
        free: dict[int, float] = {}  # when each process's link has sent what it has to

        def send(self: Any, peer: int, frame: Any) -> None:
            data = frame if isinstance(frame, bytes) else memoryview(frame.tobytes())
            self.meter.sent(peer, len(data))
            free[id(self)] = max(clock.now(), free.get(id(self), 0.0)) + len(data) * 8 / network.bandwidth
            self._out[peer].put((free[id(self)] + network.round_trip / 2, data))

        def news(self: Any, peer: int, timeout: float) -> Any:
            arrives, data = self._in[peer].get(timeout > 0, timeout)
            clock.passes(max(0.0, arrives - clock.now()))
            if not self.is_news(peer, data):
                return None
            self.meter.received(peer, len(data))
            return data

        self._patch.setattr(MemoryTransport, "send", send)
        self._patch.setattr(MemoryTransport, "_news", news)
