"""When a peer between machines is gone: its last words may be under way on one connection when the other has closed."""
from __future__ import annotations

import contextlib
import multiprocessing
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from mpc.config import Endpoint, Sites
from mpc.errors import PartyLost
from mpc.handshake import agree
from mpc.transport import frames, zmq
from mpc.transport.base import Frame, Transport
from mpc.transport.zmq import ALONE_SECONDS, ZmqTransport
from tests.ports import free_ports
from tests.transport.test_transports import frame, group, meet, secured


class Relay:
    """Between two TCP ports: what comes back and forth, ``hold`` seconds later from when that is set; or ends."""

    def __init__(self, to: int) -> None:
        self.hold = 0.0
        self._to = ("127.0.0.1", to)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            ends = [end for pair in self._pairs for end in pair]
            for ready in select.select([self._listening, *ends], [], [], 0.02)[0]:
                if ready is self._listening:
                    self._accept()
                else:
                    self._pass(ready)

    def _accept(self) -> None:
        near, _ = self._listening.accept()
        try:
            self._pairs.append((near, socket.create_connection(self._to)))
        except OSError:  # who listened has closed, and the other side tries again
            near.close()

    def _pass(self, source: socket.socket) -> None:
        pair = next((p for p in self._pairs if source in p), None)
        if pair is None:
            return
        try:
            data = source.recv(1 << 16)
        except ConnectionResetError:  # it closed before it had read all
            data = b""
        time.sleep(self.hold)
        target = pair[0] if pair[1] is source else pair[1]
        with contextlib.suppress(OSError):
            target.sendall(data)
        if not data:
            self._pairs.remove(pair)
            self._end(pair)

    @staticmethod
    def _end(pair: tuple[socket.socket, socket.socket]) -> None:
        for end in pair:
            end.close()

    def close(self) -> None:
        """Both connections end; the processes at them live."""
        self._closed = True
        self._thread.join()
        self._listening.close()
        for pair in self._pairs:
            self._end(pair)
        self._pairs.clear()


@contextlib.contextmanager
def met() -> Iterator[tuple[list[ZmqTransport], Relay, int]]:
    """Two parties and a dealer, a relay before party 0's second port, and that port."""
    first, second = free_ports(2)
    with contextlib.closing(Relay(second)) as relay, contextlib.ExitStack() as stack:
        bound = tuple(f"tcp://127.0.0.1:{port}" for port in (first, second))
        endpoint = Endpoint((bound[0], f"tcp://127.0.0.1:{relay.port}"), (bound[0], bound[1]))
        launches = []
        for at in secured(2):
            assert at.sites is not None
            sites = Sites((endpoint, at.sites.endpoints[1]), at.sites.secret_key)
            launches.append(msgspec.structs.replace(at, sites=sites))
        links = [ZmqTransport.of(at) for at in launches]
        for link in links:
            stack.callback(link.close, 0)
        meet(links, launches)
        yield links, relay, second


def lost_at_once(link: Transport, peer: int) -> float:
    """The seconds until it is noticed that the peer is gone, long before the deadline."""
    started = time.monotonic()
    with pytest.raises(PartyLost, match=f"{link.name(peer)} closed its connection"):
        link.recv(peer, 30)
    seconds = time.monotonic() - started
    assert seconds < 10
    return seconds


@pytest.mark.parametrize(("reads", "ends"), [(0, 1), (1, 0)])
def test_the_last_words_count_though_the_first_connection_closed_before(
    reads: int, ends: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zmq, "ALONE_SECONDS", 30.0)  # the relay may take longer than it should
    with met() as (links, relay, _):
        relay.hold = 0.8
        links[ends].send(reads, frame(7, 4))
        links[ends].close(1)
        time.sleep(0.3)
        assert frames.unpack(links[reads].recv(ends, 15)).op == 7
        lost_at_once(links[reads], ends)


@pytest.mark.parametrize(("reads", "silent"), [(0, 1), (1, 0)])
def test_the_end_of_the_second_connection_is_the_end(reads: int, silent: int) -> None:
    """Both processes live, and the first connection stands: nothing can come any more all the same."""
    with met() as (links, relay, _):
        relay.close()
        for _ in range(2):  # not once only
            lost_at_once(links[reads], silent)


def test_the_first_connection_alone_is_not_the_end_for_long() -> None:
    """So it is where a host vanished with frames under way to it: TCP goes on sending them for a quarter of an hour."""
    with met() as (links, _, _port):
        links[0]._control.close(0)
        assert lost_at_once(links[1], 0) >= ALONE_SECONDS


def strangers() -> None:
    with met() as (links, _, port):
        for _ in range(1500):
            socket.create_connection(("127.0.0.1", port)).close()
        links[1].send(0, frame(1, 4))
        links[0].send(1, frame(2, 4))
        assert frames.unpack(links[0].recv(1, 5)).op == 1
        assert frames.unpack(links[1].recv(0, 5)).op == 2


def test_strangers_that_come_and_go_stop_nothing() -> None:
    """More of them than a queue of events holds, while nobody reads. (In a process of its own: what fails here hangs.)"""
    process = multiprocessing.get_context("spawn").Process(target=strangers, daemon=True)
    process.start()
    process.join(60)
    try:
        assert process.exitcode == 0
    finally:
        process.kill()


@pytest.mark.parametrize(("reads", "ends"), [(0, 1), (1, 0)])
def test_an_end_behind_frames_that_wait_is_seen_when_they_are_read(reads: int, ends: int, tmp_path: Path) -> None:
    """The end is told once: it must not be forgotten while there is something to read."""
    with group("curve", 2, tmp_path) as links:
        for op in range(3):
            links[ends].send(reads, frame(op, 4))
        links[ends].close(1)
        time.sleep(0.5)
        links[reads].probe(ends)
        for op in range(3):
            assert frames.unpack(links[reads].recv(ends, 5)).op == op
        lost_at_once(links[reads], ends)


@pytest.mark.parametrize(("late", "ends"), [(1, 0), (2, 0), (2, 1), (0, 1), (1, 2)])
def test_a_peer_that_ends_while_others_are_still_waited_for(late: int, ends: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said first is read after it is gone."""
    launches = secured(2)
    with contextlib.ExitStack() as stack:
        links = [ZmqTransport.of(at) for at in launches]
        for link in links:
            stack.callback(link.close, 0)
        hear = links[late].recv

        def slowly(peer: int, timeout: float, size_hint: int = 0) -> Frame:
            monkeypatch.setattr(links[late], "recv", hear)
            time.sleep(1)
            return hear(peer, timeout, size_hint)

        monkeypatch.setattr(links[late], "recv", slowly)

        def attend(rank: int) -> None:
            with contextlib.suppress(PartyLost):
                agree(links[rank], launches[rank].config, 10)
            if rank == ends:
                links[rank].close(0.2)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(attend, range(3)))
        lost_at_once(links[late], ends)
