"""What a handshake said again must not be met by the program: greetings are repeated, and a repetition may come late."""
from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mpc.config import Endpoint, Launch, SessionConfig, Sites
from mpc.fixed_point import Words
from mpc.handshake import Agreement, agree
from mpc.transport import frames
from mpc.transport.around import Around
from mpc.transport.base import Transport
from mpc.transport.frames import KIND_AT, Kind
from mpc.transport.memory import Hub
from mpc.transport.zmq import ZmqTransport
from tests.transport.test_transports import free_port, secured


class Repeating(Around):
    """Says READY twice."""

    def send(self, peer: int, frame: bytes | Words) -> None:
        super().send(peer, frame)
        if isinstance(frame, bytes) and frame[KIND_AT] == Kind.READY:
            super().send(peer, frame)


class Late(Around):
    """Says READY when the others' repetitions have long arrived."""

    def send(self, peer: int, frame: bytes | Words) -> None:
        if isinstance(frame, bytes) and frame[KIND_AT] == Kind.READY:
            time.sleep(0.4)
        super().send(peer, frame)


def launches(kind: str) -> list[Launch]:
    if kind == "curve":
        return secured(3)
    config = SessionConfig(3, deadline=10.0, names=("a", "b", "c", "d"))
    endpoints = tuple(Endpoint((at, ""), (at, "")) for at in (f"tcp://127.0.0.1:{free_port()}" for _ in range(3)))
    return [Launch(rank, config, sites=Sites(endpoints, None)) for rank in range(4)]


@pytest.mark.parametrize("kind", ["memory", "tcp", "curve"])
@pytest.mark.parametrize(("repeating", "late"), [(1, 2), (2, 1), (0, 2), (3, 0)])
def test_a_repeated_ready_is_not_the_programs_first_frame(kind: str, repeating: int, late: int) -> None:
    hub = Hub(3)
    places = launches("tcp" if kind == "memory" else kind)
    bare: list[Transport] = [hub.join(p.rank) if kind == "memory" else ZmqTransport.of(p) for p in places]
    links = [Repeating(t) if t.rank == repeating else Late(t) if t.rank == late else t for t in bare]

    def meet(rank: int) -> Agreement:
        return agree(links[rank], replace(places[rank].config), 10)

    try:
        with ThreadPoolExecutor(4) as pool:
            assert len({job.session for job in pool.map(meet, range(4))}) == 1
        for source in range(4):
            for target in (t for t in range(4) if t != source):
                links[source].send(target, frames.pack(Kind.BARRIER, 7, 0, bytes(16)))
        for target in range(4):
            for source in (s for s in range(4) if s != target):
                got = frames.unpack(links[target].recv(source, 5))
                assert (got.kind, got.op) == (Kind.BARRIER, 7), (source, target)
    finally:
        for link in links:
            link.close(0.2)
