"""Links between two processes of this machine over TCP's loopback: plain ZeroMQ, CURVE, and the sealed channel.

Two processes share two cores with ZeroMQ's two I/O threads, so a rate is what sending and receiving together take from
both cores, system calls included. One way: frames of 16 MiB, two on their way at a time. Round trip: one frame of 128
bytes (a header) there and back.
"""
from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Final

import numpy as np
import zmq
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.rows import Line
from mpc.transport import frames, sealed
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.links import COPY_BELOW
from mpc.transport.sealed import Opener, Sealer

BIG: Final = 1 << 24
AHEAD: Final = 2  # frames on their way
GIB: Final = 1 << 30
SECONDS: Final = 60  # that one answer may take
LINKS: Final = {"link-plain": "plain", "link-curve": "curve", "link-sealed": "sealed"}


def measure(name: str, repeat: int, quick: bool) -> list[Line]:
    """The rows of one name of the catalog's group "links"."""
    repeat = 1 if quick else repeat
    return list(_gcm(repeat, quick) if name == "aes-gcm" else _link(name, repeat, quick))


def _line(name: str, variant: str, unit: str, runs: list[float], rate: bool) -> Line:
    entry = BY_NAME[name]
    return Line(entry.group, name, variant, entry.title, unit, runs, rate)


def _gcm(repeat: int, quick: bool) -> Iterator[Line]:
    """The cipher alone, on one core, out of and into the same buffers."""
    cipher, prefix, nonce = AESGCM(os.urandom(32)), bytes(sealed.PREFIX_BYTES), bytes(sealed.NONCE_BYTES)
    for title, size in (("128 B", 128), ("256 KiB", 1 << 18), ("1 MiB", 1 << 20), ("4 MiB", 1 << 22)):
        text = np.zeros(size, np.uint8).data
        record = np.empty(size + sealed.TAG_BYTES, np.uint8).data
        times = max(1, (1 << 22 if quick else GIB) // max(size, 4096))
        for what, call in (
            ("encrypt", lambda: cipher.encrypt_into(nonce, text, prefix, record)),  # noqa: B023
            ("decrypt", lambda: cipher.decrypt_into(nonce, record, prefix, text)),  # noqa: B023
        ):
            call()
            runs = [size * times / s / 1e9 for s in _timed(call, times, repeat)]
            yield _line("aes-gcm", f"{what} {title}", "GB/s", runs, True)


def _timed(call: Callable[[], object], times: int, repeat: int) -> Iterator[float]:
    for _ in range(repeat):
        started = perf_counter()
        for _ in range(times):
            call()
        yield perf_counter() - started


class _End:
    """One end of a link: whole frames, sealed or not."""

    def __init__(self, socket: zmq.Socket[bytes], secret: bytes | None, rank: int) -> None:
        self._socket = socket
        self._peer = b"peer" if socket.type == zmq.ROUTER else None
        sending, receiving = sealed.keys(secret or bytes(32), rank, 1 - rank)
        self._sealer = Sealer(sending) if secret else None
        self._opener = Opener(receiving, 1 << 36, "the other process")

    def send(self, frame: np.ndarray[Any, Any]) -> None:
        for message in (frame,) if self._sealer is None else self._sealer.records(frame):
            if self._peer is not None:
                self._socket.send(self._peer, zmq.SNDMORE)
            self._socket.send(message, 0, message.nbytes < COPY_BELOW)  # type: ignore[arg-type]

    def receive(self) -> int:
        """Bytes of the next frame."""
        while True:
            if self._peer is not None:
                self._socket.recv()
            message = self._socket.recv(copy=False).buffer
            frame = message if self._sealer is None else self._opener.take(message)
            if frame is not None:
                return len(frame)


def _socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, curve: tuple[bytes, bytes] | None, server: bytes | None) -> Any:
    socket = context.socket(kind)
    for option in (zmq.SNDHWM, zmq.RCVHWM, zmq.LINGER):
        socket.setsockopt(option, 0)
    socket.setsockopt(zmq.RCVTIMEO, SECONDS * 1000)
    if curve is not None:
        socket.setsockopt(zmq.CURVE_PUBLICKEY, curve[0])
        socket.setsockopt(zmq.CURVE_SECRETKEY, curve[1])
        if server is None:
            socket.setsockopt(zmq.CURVE_SERVER, 1)
        else:
            socket.setsockopt(zmq.CURVE_SERVERKEY, server)
    return socket


def _frame(nbytes: int) -> np.ndarray[Any, Any]:
    frame = frames.new(nbytes // 8)
    frames.seal(frame, frames.pack(Kind.OPEN, 1, nbytes, bytes(16), (nbytes // 8,)))
    return frame


def _answer(port: int, server: bytes | None, secret: bytes | None) -> None:
    """The other process: a small frame for every frame, until the connection has been silent too long."""
    context: zmq.Context[Any] = zmq.Context()
    socket = _socket(context, zmq.DEALER, zmq.curve_keypair() if server else None, server)
    socket.setsockopt(zmq.ROUTING_ID, b"peer")
    socket.connect(f"tcp://127.0.0.1:{port}")
    end, small = _End(socket, secret, 1), _frame(0)
    end.send(small)
    try:
        while end.receive() != HEADER_BYTES + 8:
            end.send(small)
    finally:
        context.destroy(0)


def _link(name: str, repeat: int, quick: bool) -> Iterator[Line]:
    curve = zmq.curve_keypair() if LINKS[name] == "curve" else None
    secret = os.urandom(32) if LINKS[name] == "sealed" else None
    context: zmq.Context[Any] = zmq.Context()
    socket = _socket(context, zmq.ROUTER, curve, None)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    other = multiprocessing.get_context("spawn").Process(target=_answer, args=(port, curve and curve[0], secret), daemon=True)
    other.start()
    try:
        end = _End(socket, secret, 0)
        end.receive()
        small, big = _frame(0), _frame(BIG)
        trips, count = (20, 2) if quick else (5000, 8 if curve else 64)

        def there_and_back() -> None:
            end.send(small)
            end.receive()

        def one_way() -> None:
            for k in range(count + AHEAD):
                if k >= AHEAD:
                    end.receive()
                if k < count:
                    end.send(big)

        for _ in range(2):  # memory and windows grow
            there_and_back()
            one_way()
        yield _line(name, "round trip 128 B", "us", [s / trips * 1e6 for s in _timed(there_and_back, trips, repeat)], False)
        yield _line(name, "one way 16 MiB", "GB/s", [count * big.nbytes / s / 1e9 for s in _timed(one_way, 1, repeat)], True)
        end.send(_frame(8))
        other.join(SECONDS)
    finally:
        other.kill()
        context.destroy(0)
