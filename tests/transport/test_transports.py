"""The transport contract, the same for memory queues, ipc and tcp."""
from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zmq

from mpc import identity
from mpc.config import Endpoint, Launch, SessionConfig, Sites
from mpc.errors import ConfigError, CorruptFrame, DealerLost, PartyLost
from mpc.handshake import Agreement, agree
from mpc.transport import frames
from mpc.transport.base import Transport
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.memory import Hub
from mpc.transport.zmq import ZmqTransport
from tests.ports import free_ports

KINDS = ("memory", "ipc", "tcp", "curve")


def free_port() -> int:
    return free_ports(1)[0]


@contextmanager
def group(kind: str, size: int, tmp_path) -> Iterator[list[Transport]]:
    """``size`` parties and the dealer."""
    if kind == "memory":
        hub = Hub(size)
        made: list[Transport] = [hub.join(r) for r in range(size + 1)]
    elif kind == "curve":
        launches = secured(size)
        made = [ZmqTransport.of(launch) for launch in launches]
        meet(made, launches)
    else:
        prefix = (lambda r: f"ipc://{tmp_path}/r{r}") if kind == "ipc" else (lambda r: f"tcp://127.0.0.1:{free_port()}")
        addresses = tuple(prefix(r) for r in range(size + 1))
        made = [ZmqTransport(r, size, addresses) for r in range(size + 1)]
        greet(made)
    try:
        yield made
    finally:
        for t in made:
            t.close(0)


def secured(size: int, deadline: float = 10.0) -> list[Launch]:
    """Where ``size`` parties and a dealer stand between machines: keys of their own, two ports each on this one."""
    own = [identity.create(f"p{rank}") for rank in range(size + 1)]
    config = SessionConfig(size, deadline=deadline, public_keys=tuple(o.public_key for o in own))
    ports = [(f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}") for _ in range(size)]
    endpoints = tuple(Endpoint(p, p) for p in ports)
    return [Launch(rank, config, sites=Sites(endpoints, o.secret_key)) for rank, o in enumerate(own)]


def meet(links: list[ZmqTransport], launches: list[Launch]) -> list[Agreement]:
    """The handshake of all, each in a thread of its own."""
    with ThreadPoolExecutor(len(links)) as pool:
        jobs = [pool.submit(agree, link, at.config, 10) for link, at in zip(links, launches, strict=True)]
        return [job.result() for job in jobs]


def greet(links: list[Transport]) -> None:
    """The higher rank of a pair speaks first, as in the handshake."""
    hello = frames.pack(Kind.HELLO, 0, 0, bytes(16))
    for high in range(len(links)):
        for low in range(high):
            links[high].send(low, hello)
    for low in range(len(links)):
        for high in range(low + 1, len(links)):
            links[low].recv(high, 5)
            links[low].send(high, hello)
            links[high].recv(low, 5)


def frame(op: int, words: int) -> np.ndarray:
    made = frames.new(words)
    made[frames.HEADER_WORDS :] = op
    frames.seal(made, frames.pack(Kind.OPEN, op, 8 * words, bytes(16), (words,)))
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", [0, 1, 9_000, 300_000])
def test_frames_arrive_whole_in_order_and_counted(kind: str, words: int, tmp_path) -> None:
    with group(kind, 3, tmp_path) as links:
        sent_before, payload_before = links[0].meter.bytes_sent.get(1, 0), links[0].meter.payload_sent(1)
        for sender in range(4):
            for peer in range(4):
                if peer != sender:
                    for op in range(3):
                        links[sender].send(peer, frame(op, words))
        for receiver in range(4):
            for peer in range(4):
                if peer != receiver:
                    for op in range(3):
                        data = links[receiver].recv(peer, 5, 8 * words)
                        header = frames.unpack(data)
                        assert (header.kind, header.op, header.shape) == (Kind.OPEN, op, (words,))
                        assert np.all(frames.payload(data) == op)
        assert links[0].meter.bytes_sent[1] - sent_before == 3 * (HEADER_BYTES + 8 * words)
        assert links[0].meter.payload_sent(1) - payload_before == 3 * 8 * words


@pytest.mark.parametrize("kind", KINDS)
def test_silence_ends_at_the_deadline_and_names_the_rank(kind: str, tmp_path) -> None:
    with group(kind, 2, tmp_path) as links:
        started = time.monotonic()
        with pytest.raises(PartyLost, match="party 1"):
            links[0].recv(1, 0.5)
        with pytest.raises(DealerLost, match="the dealer"):
            links[0].recv(2, 0.5)
        assert 0.9 < time.monotonic() - started < 15


@pytest.mark.parametrize("kind", ["ipc", "tcp", "curve"])
@pytest.mark.parametrize(("waits", "dies"), [(0, 1), (1, 0)])
def test_a_vanished_peer_is_noticed_long_before_the_deadline(kind: str, waits: int, dies: int, tmp_path) -> None:
    with group(kind, 2, tmp_path) as links:
        timer = threading.Timer(0.3, lambda: links[dies].close(0))
        timer.start()
        started = time.monotonic()
        with pytest.raises(PartyLost, match=f"party {dies} closed its connection"):
            links[waits].recv(dies, 30)
        timer.join()
        assert time.monotonic() - started < 15


def test_what_was_sent_before_a_peer_closed_is_still_read(tmp_path) -> None:
    with group("ipc", 2, tmp_path) as links:
        links[1].send(0, frame(1, 4))
        links[1].close(1)
        assert frames.unpack(links[0].recv(1, 5)).op == 1
        with pytest.raises(PartyLost):
            links[0].recv(1, 5)


def test_recv_any_serves_whoever_speaks(tmp_path) -> None:
    for kind in KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        with group(kind, 2, folder) as links:
            assert links[2].recv_any(0.01) is None
            links[1].send(2, frame(7, 2))
            got = links[2].recv_any(5)
            assert got is not None and got[0] == 1 and frames.unpack(got[1]).op == 7


def test_an_unusable_address_is_a_config_error(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot listen at"):
        ZmqTransport(0, 2, (f"ipc://{tmp_path}/absent/r0", "ipc:///x", "ipc:///y"))
    with pytest.raises(ConfigError, match="cannot connect to tcp://no such host:80"):
        ZmqTransport(1, 2, ("tcp://no such host:80", f"ipc://{tmp_path}/r1", "ipc:///y"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MPC1",
        bytes(HEADER_BYTES),
        frames.pack(Kind.OPEN, 1, 8, bytes(16)),
        frames.pack(Kind.OPEN, 1, 0, bytes(16)) + b"12345678",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFrame):
        frames.unpack(data)


def test_headers_keep_eight_dimensions() -> None:
    header = frames.unpack(frames.pack(Kind.OPEN, 5, 0, bytes(range(16)), tuple(range(1, 10)), flags=3))
    assert header == (Kind.OPEN, 5, 0, bytes(range(16)), (1, 2, 3, 4, 5, 6, 7, 8), 3)


def test_a_frame_that_takes_longer_than_the_deadline_is_not_lost_while_its_parts_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock of its own: each part comes within the deadline, all of them do not."""
    launches = secured(2)
    links = [ZmqTransport.of(at) for at in launches]
    try:
        meet(links, launches)
        data, bulk, reading = frame(1, 400_000), links[0]._bulk, links[1]._bulk
        assert bulk is not None and reading is not None
        records, receive, now = links[0]._sealers[1].records(data), reading.receive, [0.0]

        def a_part(*args: Any) -> Any:
            record = next(records)
            bulk.send(1, record, len(record))
            now[0] += 0.7
            while True:
                with suppress(zmq.Again):
                    return receive(*args)

        with monkeypatch.context() as patch:
            patch.setattr("mpc.transport.zmq.time", SimpleNamespace(monotonic=lambda: now[0]))
            patch.setattr(reading, "receive", a_part)
            got = links[1].recv(0, 1.0, data.nbytes)
        assert bytes(got) == data.tobytes() and now[0] > 2
        with pytest.raises(PartyLost, match=r"party 0 .*sent nothing for 0\.2 s"):
            links[1].recv(0, 0.2)
    finally:
        for link in links:
            link.close(0)
