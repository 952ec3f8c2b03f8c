"""What leaves a process: the same kinds, numbers and sizes each time, under masks that never repeat."""
from __future__ import annotations

import contextvars
import threading
from collections import Counter
from typing import Any

import numpy as np

import mpc
from mpc.config import Launch, SessionConfig
from mpc.preprocessing.dealer import serve
from mpc.session import LAUNCH
from mpc.transport import frames
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.memory import Hub
from mpc.transport.trace import Sent, Tracing


class TracedHub(Hub):
    """Notes what each rank sends, session by session."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.sent: dict[tuple[int, int], list[Sent]] = {}
        self.links: dict[tuple[int, int], Tracing] = {}

    def join(self, rank: int) -> Any:
        key = rank, self._opened[rank]
        self.links[key] = Tracing(super().join(rank), self.sent.setdefault(key, []))
        return self.links[key]


def trace(sessions: int, size: int = 3) -> tuple[TracedHub, list[float]]:
    hub, config, stop = TracedHub(size), SessionConfig(world_size=size, deadline=20), threading.Event()
    results: list[float] = []

    def party(rank: int) -> None:
        LAUNCH.set((Launch(rank, config), hub))
        for _ in range(sessions):
            with mpc.session() as s:
                x = mpc.share(np.arange(100.0) / 10 if s.rank == 0 else None, owner=0)
                y = mpc.share(np.ones(100) if s.rank == 1 else None, owner=1)
                results.append(float(mpc.nn.functional.relu(x * y - 3).sum().reveal(reason="sum")))

    threads = [threading.Thread(target=contextvars.Context().run, args=(party, r), daemon=True) for r in range(size)]
    dealer = threading.Thread(target=serve, args=(Launch(size, config), hub, stop), daemon=True)
    for thread in (dealer, *threads):
        thread.start()
    for thread in threads:
        thread.join(60)
    stop.set()
    dealer.join(10)
    assert len(results) == sessions * size
    return hub, results


def test_what_leaves_is_the_same_each_time_and_no_payload_leaves_twice() -> None:
    hub, results = trace(sessions=3)
    assert max(results) - min(results) < 0.01
    handshake = {Kind.HELLO, Kind.READY}
    for rank in range(4):
        runs = [[(s.peer, s.kind, s.op, s.nbytes) for s in hub.sent[rank, n] if s.kind not in handshake] for n in range(3)]
        assert runs[0] and runs[0] == runs[1] == runs[2]
    seen = Counter(
        (rank, session, s.digest) if s.kind in (Kind.OPEN, Kind.BITS, Kind.REVEAL) else s.digest
        for (rank, session), sent in hub.sent.items()
        for s in (*(s for s in sent if s.kind != Kind.HELLO), *{s for s in sent if s.kind == Kind.HELLO})  # repeated
        if s.nbytes and s.kind not in (Kind.REQUEST, Kind.READY, Kind.ABORT)
    )
    # an opening goes to both other parties, once each; everything else goes to one, once
    assert all(count <= (2 if isinstance(what, tuple) else 1) for what, count in seen.items())
    digests = {}
    for (rank, session), sent in hub.sent.items():
        for s in sent:
            if s.kind in (Kind.OPEN, Kind.BITS, Kind.REVEAL, Kind.CORRECTION) and s.nbytes:
                assert digests.setdefault(s.digest, (rank, session, s.op)) == (rank, session, s.op)


def test_the_dealer_hears_requests_and_greetings_only_and_the_meter_agrees() -> None:
    hub, _ = trace(sessions=1)
    for rank in range(3):
        sent, meter = hub.sent[rank, 0], hub.links[rank, 0].meter
        kinds = {s.kind for s in sent if s.peer == 3}
        assert kinds <= {Kind.HELLO, Kind.READY, Kind.REQUEST, Kind.CLOSE}
        assert (Kind.REQUEST in kinds) == (rank == 2)
        for peer in {s.peer for s in sent}:
            assert meter.bytes_sent[peer] == sum(HEADER_BYTES + s.nbytes for s in sent if s.peer == peer)
    answer = next(s for s in hub.sent[3, 0] if s.kind == Kind.CORRECTION)
    assert str(answer).startswith(f"{frames.kind_name(Kind.CORRECTION)} number {answer.op} to 2: {answer.nbytes} bytes, ")
