"""Threads of one process as parties: queues instead of sockets. For tests, debugging and the plaintext twin."""
from __future__ import annotations

import queue
import threading
import time
from collections.abc import Container

from mpc.errors import DealerLost, PartyLost
from mpc.fixed_point import Words
from mpc.transport.base import Frame, Transport


class Hub:
    """The meeting point of one group of threads; sessions opened one after the other get fresh queues."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size
        self._lock = threading.Lock()
        self._queues: dict[tuple[int, int, int], queue.Queue[Frame]] = {}
        self._opened = [0] * (world_size + 1)

    def join(self, rank: int) -> MemoryTransport:
        """The links of ``rank`` in its next session."""
        with self._lock:
            session = self._opened[rank]
            self._opened[rank] += 1
        return MemoryTransport(self, rank, session)

    def link(self, session: int, source: int, target: int) -> queue.Queue[Frame]:
        with self._lock:
            return self._queues.setdefault((session, source, target), queue.Queue())


class MemoryTransport(Transport):
    """One rank's end of a `Hub`."""

    def __init__(self, hub: Hub, rank: int, session: int) -> None:
        super().__init__(rank, hub.world_size)
        peers = [p for p in range(hub.world_size + 1) if p != rank]
        self._out = {p: hub.link(session, rank, p) for p in peers}
        self._in = {p: hub.link(session, p, rank) for p in peers}

    def send(self, peer: int, frame: bytes | Words) -> None:
        data = frame if isinstance(frame, bytes) else memoryview(frame.tobytes())
        self.meter.sent(peer, len(data))
        self._out[peer].put(data)

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        while True:
            try:
                data = self._news(peer, timeout)
            except queue.Empty:
                lost = DealerLost if peer == self.world_size else PartyLost
                raise lost(f"{self.name(peer)} sent nothing for {round(timeout, 3):g} s") from None
            if data is not None:
                return data

    def _news(self, peer: int, timeout: float) -> Frame | None:
        """The next frame, or None where it was a sign of life. Raises queue.Empty."""
        data: Frame = self._in[peer].get(timeout > 0, timeout)
        if not self.is_news(peer, data):
            return None
        self.meter.received(peer, len(data))
        return data

    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        deadline = time.monotonic() + timeout
        while True:
            for peer, inbox in self._in.items():
                if not inbox.empty() and (among is None or peer in among):
                    data = self._news(peer, 0)
                    if data is not None:
                        return peer, data
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.0001)

    def close(self, linger: float = 1.0) -> None:
        self._in.clear()
        self._out.clear()
