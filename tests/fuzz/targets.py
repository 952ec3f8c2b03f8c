"""What strangers, peers and files can say to this process, as functions of bytes: nothing but MPCError may come out.

Each target refuses with an MPCError or takes what it was given; everything else (another exception, an allocation beyond
its allowance, a hang) is a finding.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from mpc import prg
from mpc.config import SessionConfig
from mpc.errors import CorruptFrame, MPCError, PartyLost
from mpc.exchange import echo_of
from mpc.greeting import read_hello
from mpc.meeting import Meeting
from mpc.preprocessing.dealing import KeyedDealing
from mpc.saving import files
from mpc.transport import frames, sealed
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, Kind

KEY = bytes(range(32))
LIMIT = 1 << 16  # bytes of a frame on the fuzzed link
PIECE = 256
DEALER_LIMIT = 1 << 20  # bytes that one request may make the dealer use
DEALT = [prg.derive(KEY, "dealt", bytes((rank,))) for rank in range(3)]
Target = Callable[[bytes], None]


def frame(data: bytes) -> None:
    """A frame as it comes: header and payload."""
    header = frames.unpack(data)
    assert header.nbytes == len(data) - HEADER_BYTES and len(header.shape) <= frames.MAX_DIMS
    frames.kind_name(header.kind)
    if header.nbytes:
        assert frames.payload(data).nbytes == header.nbytes


def pieces(data: bytes) -> Iterator[bytes]:
    """``data`` as messages, each behind its length in two bytes."""
    while len(data) >= 2:
        size = int.from_bytes(data[:2], "little")
        yield data[2 : 2 + size]
        data = data[2 + size :]


def link(data: bytes) -> None:
    """Messages on a sealed link, raw or made by somebody with the key: the first byte of each says how.

    What comes out must be what an honest sender put in, whole and in order.
    """
    whole, sealed.PIECE_BYTES = sealed.PIECE_BYTES, PIECE  # type: ignore[misc]  # so that small frames have many records
    sealer, opener = sealed.Sealer(KEY), sealed.Opener(KEY, LIMIT, "party 1")
    sent: list[bytes] = []
    flight: list[bytes] = []
    out: list[bytes] = []
    try:
        for message in pieces(data):
            how, body = message[:1], message[1:]
            if how == b"s":
                sent.append(frames.pack(Kind.OPEN, 0, len(body), bytes(16)) + body)
                flight += [bytes(r) for r in sealer.records(sent[-1])]
            elif how == b"k" and len(body) >= sealed.PREFIX_BYTES:  # sealed by a peer that says what it likes
                prefix, text = body[: sealed.PREFIX_BYTES], body[sealed.PREFIX_BYTES :]
                nonce = prefix[8:16] + bytes(4)
                flight.append(prefix + sealed.AESGCM(KEY).encrypt(nonce, text, prefix))
                sent.append(b"")
            elif how == b"x" and flight and len(body) > 1:  # altered on its way
                at = int.from_bytes(body[:2], "little") % len(flight[0])
                flight[0] = flight[0][:at] + body[2:] + flight[0][at + 1 :]
            elif how == b"d" and flight:
                flight.append(flight.pop(0))
            elif how == b"r":
                flight.append(body)
            if flight:
                got = opener.take(flight.pop(0))
                if got is not None:
                    out.append(bytes(got))
    except CorruptFrame:
        for message in flight or [b""]:
            try:
                opener.take(message)
            except CorruptFrame:
                continue
            raise AssertionError("a link went on after an error") from None
        raise
    finally:
        sealed.PIECE_BYTES = whole  # type: ignore[misc]
        if b"" not in sent:
            assert out == sent[: len(out)]


class _Peers(Transport):
    """Party 0 of three: what arrives is written down beforehand."""

    def __init__(self, arrived: list[tuple[int, bytes]]) -> None:
        super().__init__(0, 3)
        self.arrived = arrived

    def send(self, peer: int, frame: object) -> None:
        pass

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        raise PartyLost("nothing more")

    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        if not self.arrived:
            raise PartyLost("nothing more")
        return self.arrived.pop(0)

    def close(self, linger: float = 1.0) -> None:
        pass


def greeting(data: bytes) -> None:
    """The body of a greeting."""
    read_hello(frames.pack(Kind.HELLO, 0, len(data), bytes(16)) + data, "party 1")


def meeting(data: bytes) -> None:
    """A handshake: a peer, a kind and a body per message."""
    arrived = [
        (1 + message[0] % 3, frames.pack(message[1], 0, len(message) - 2, bytes(16)) + message[2:])  # type: ignore[arg-type]
        for message in pieces(data)
        if len(message) >= 2
    ]
    Meeting(_Peers(arrived), SessionConfig(world_size=3)).hold(10.0)


def request(data: bytes) -> None:
    """A request to the dealer of three parties, answered to the end."""
    for answer in KeyedDealing(DEALT, DEALER_LIMIT).answer(data):
        assert answer.nbytes <= DEALER_LIMIT + HEADER_BYTES


def abort(data: bytes) -> None:
    """The body of an abort frame."""
    error = echo_of(frames.pack(Kind.ABORT, 0, len(data), bytes(16)) + data, _Peers([]))
    assert isinstance(error, MPCError) and len(str(error)) < 4000


def shares(data: bytes) -> None:
    """A file of shares; with its checksum put right where it begins as one, so that what follows is looked at."""
    if data[: len(files.MAGIC)] == files.MAGIC:
        data += hashlib.blake2b(data, digest_size=32).digest()
    files.decode(data, Path("model.shares"))


TARGETS: dict[str, Target] = {f.__name__: f for f in (frame, link, greeting, meeting, request, abort, shares)}
PACKED = ("greeting", "request", "abort")  # their inputs are MessagePack
CORPUS = Path(__file__).parent / "corpus"


def run(name: str, data: bytes) -> bool:
    """Whether the target took ``data``; False if it refused it as it should. Any other exception is a finding."""
    try:
        TARGETS[name](data)
    except MPCError:
        return False
    return True
