"""The first exchange: who is there, do all agree, and the secrets of each pair.

Every process sends every other one a greeting with its configuration hash, fresh randomness for the session identifier
and a secret for their pair alone. A pair's secret combines both contributions, so it is uniform if either of the two
is honest; the dealer takes part with each party, and learns nothing of the secrets between parties.
"""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from mpc import prg
from mpc.config import WIRE_VERSION, SessionConfig
from mpc.errors import CorruptFrame, PartyLost, ProgramMismatch
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, Kind

PATIENCE_SECONDS = 0.5
SELDOM = 128  # waits between greetings once it takes long


class Hello(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One greeting; ``secret`` is for the receiver only."""

    wire_version: int
    rank: int
    digest: bytes
    nonce: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Hello(rank={self.rank})"


@dataclass(frozen=True)
class Agreement:
    """What the handshake leaves: the session's identifier and one secret per peer. Never printed."""

    session: bytes
    secrets: dict[int, bytes]

    def __repr__(self) -> str:
        return f"Agreement(session={self.session.hex()[:8]}..., peers={sorted(self.secrets)})"


def agree(
    transport: Transport, config: SessionConfig, timeout: float, patient: Callable[[], bool] | None = None
) -> Agreement:
    """Greet every rank and return the agreement. The higher rank of a pair speaks first.

    ``patient``: asked again and again whether to go on waiting for the first answer, however long it takes (the dealer
    waits for a session that the program may open late). Raises ProgramMismatch when versions or configurations differ,
    PartyLost when somebody does not come in time.
    """
    me = transport.rank
    last = config.world_size if config.needs_dealer else config.world_size - 1
    nonce = prg.fresh_secret()
    mine = {peer: prg.fresh_secret() for peer in range(last + 1) if peer != me}
    hellos: dict[int, Hello] = {}

    def greet(peer: int) -> None:
        body = msgspec.msgpack.encode(Hello(WIRE_VERSION, me, config.digest(), nonce, mine[peer]))
        transport.send(peer, frames.pack(Kind.HELLO, 0, len(body), bytes(16)) + body)

    for peer in range(me):
        greet(peer)
    for peer in range(me + 1, last + 1):
        hellos[peer] = _read(transport.recv(peer, timeout), peer, transport)
        greet(peer)
    for peer in range(me):
        wait = patient if patient and not hellos else _until(timeout)
        hellos[peer] = _read(_await(transport, peer, wait, greet), peer, transport)
    for peer, hello in hellos.items():
        if hello.wire_version != WIRE_VERSION or hello.digest != config.digest():
            raise ProgramMismatch(
                f"{transport.name(peer)} has another configuration or version (wire version {hello.wire_version}, "
                f"configuration {hello.digest.hex()[:12]}) than party {me} (wire version {WIRE_VERSION}, "
                f"configuration {config.digest().hex()[:12]}): start all with the same settings and release"
            )
    nonces = {peer: hello.nonce for peer, hello in hellos.items()} | {me: nonce}
    session = prg.combine(*(nonces[rank] for rank in sorted(nonces)))
    secrets = {
        peer: prg.combine(session, *((mine[peer], hello.secret) if me < peer else (hello.secret, mine[peer])))
        for peer, hello in hellos.items()
    }
    return Agreement(session, secrets)


def _until(timeout: float) -> Callable[[], bool]:
    end = time.monotonic() + timeout
    return lambda: time.monotonic() < end


def _await(transport: Transport, peer: int, wait: Callable[[], bool], greet: Callable[[int], None]) -> Frame:
    """The peer's greeting; ours is said again now and then: the first may have met the end of the session before."""
    for waits in itertools.count(1):
        try:
            return transport.recv(peer, PATIENCE_SECONDS)
        except PartyLost:
            if not wait():
                raise
            if waits & (waits - 1) == 0 or waits % SELDOM == 0:
                greet(peer)
    raise AssertionError("itertools.count ended")


def _read(data: Frame, peer: int, transport: Transport) -> Hello:
    header = frames.unpack(data)
    try:
        hello = msgspec.msgpack.decode(data[HEADER_BYTES:], type=Hello)
    except msgspec.MsgspecError as error:
        raise CorruptFrame(f"{transport.name(peer)} sent no greeting: {error}") from None
    if header.kind != Kind.HELLO or hello.rank != peer or len(hello.nonce) != 32 or len(hello.secret) != 32:
        raise CorruptFrame(f"{transport.name(peer)} greeted as rank {hello.rank}, kind {header.kind}")
    return hello
