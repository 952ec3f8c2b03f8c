"""The first exchange: who is there, do all agree, and the secrets of each pair.

Every process sends every other one a greeting with its configuration, fresh randomness for the session identifier and a
secret for their pair alone. A pair's secret combines both contributions, so it is uniform if either of the two is honest;
the dealer takes part with each party, and learns nothing of the secrets between parties. Once a process has heard
everybody it says the session's identifier to all (READY); the session begins when all have said the same one. Until then
a peer may go and come back: it greets anew, and what it said before is forgotten.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mpc import prg
from mpc.config import VERSION, WIRE_VERSION, SessionConfig
from mpc.errors import AuthenticationError, CorruptFrame, MPCError, PartyLost, ProgramMismatch
from mpc.exchange import abort_frame, echo_of
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, Kind

TICK_SECONDS: Final = 0.2
FIRST_REPEAT, LAST_REPEAT = 0.5, 10.0  # seconds between greetings that nobody answers
NONCE_BYTES: Final = 32
RUN, CHECK = "run", "check"  # what a process comes for


class Hello(msgspec.Struct, array_like=True):
    """One greeting; ``secret`` is for the receiver only. The first two fields stay what they are in every version."""

    wire_version: int
    release: str
    rank: int
    purpose: str
    digest: bytes
    settings: bytes  # JSON of the sender's SessionConfig, for messages
    nonce: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Hello(rank={self.rank})"


@dataclass(frozen=True)
class Agreement:
    """What the handshake leaves: the session's identifier and one secret per peer. Never printed."""

    session: bytes
    secrets: dict[int, bytes]
    purpose: str = RUN
    failed: dict[int, PartyLost] = field(default_factory=dict)  # in a check: whose second port was not reached

    def __repr__(self) -> str:
        return f"Agreement(session={self.session.hex()[:8]}..., peers={sorted(self.secrets)})"


def agree(
    transport: Transport,
    config: SessionConfig,
    timeout: float,
    patient: Callable[[], bool] | None = None,
    purpose: str | None = RUN,
) -> Agreement:
    """Meet every rank and return the agreement; frames to come are protected where they leave the machine.

    ``patient``: asked again and again whether to go on waiting for the first greeting, however long it takes (the dealer
    waits for a session that the program may open late). ``purpose`` None: whatever the first peer comes for. A process
    that checks (`mpc check`) goes on without who does not come.

    Raises ProgramMismatch when versions, configurations or purposes differ, AuthenticationError when a key is refused,
    PartyLost when somebody does not come in time: at every process that could be told.
    """
    meeting = Meeting(transport, config, purpose)
    try:
        meeting.hold(timeout, patient)
        failed = transport.protect(meeting.secrets(), timeout)
        if failed and meeting.purpose != CHECK:
            raise next(iter(failed.values()))
    except MPCError as error:
        meeting.tell(error)
        raise
    return Agreement(meeting.session(), meeting.secrets(), meeting.purpose or RUN, failed)


@dataclass
class _Repeat:
    """When to greet a lower rank again: it may not have been there, or still in the session before."""

    due: float = 0.0
    wait: float = FIRST_REPEAT

    def next(self, now: float) -> None:
        self.due, self.wait = now + self.wait, min(2 * self.wait, LAST_REPEAT)


@dataclass
class Meeting:
    """Greetings under way at one process."""

    transport: Transport
    config: SessionConfig
    purpose: str | None = RUN
    hellos: dict[int, Hello] = field(default_factory=dict)
    ready: dict[int, bytes] = field(default_factory=dict)  # peer -> the session that it is ready for

    def __post_init__(self) -> None:
        self.me = self.transport.rank
        last = self.config.world_size if self.config.needs_dealer else self.config.world_size - 1
        self.peers = [p for p in range(last + 1) if p != self.me]
        self._nonce = prg.fresh_secret()
        self._mine = {peer: prg.fresh_secret() for peer in self.peers}
        self._repeats = {peer: _Repeat() for peer in self.peers if peer < self.me}
        self._said: bytes | None = None  # the session that this process said it is ready for
        self._settings = msgspec.json.encode(self.config)

    def hold(self, timeout: float, patient: Callable[[], bool] | None = None) -> None:
        """Until all are ready for one session; in a check, until all were heard or ``timeout`` is over."""
        end = time.monotonic() + timeout
        while not self._done():
            now = time.monotonic()
            if patient is not None and not self.hellos:
                if not patient():
                    raise PartyLost("nobody came before this process was told to stop")
                end = now + timeout
            elif now > end:
                if self.purpose == CHECK:
                    return
                raise self._absent(timeout)
            for peer, repeat in self._repeats.items():
                if peer not in self.hellos and now >= repeat.due:
                    self._greet(peer)
                    repeat.next(now)
            awaited = {p for p in self.peers if self._said is None or self.ready.get(p) != self._said}
            got = self.transport.recv_any(min(TICK_SECONDS, max(0.0, end - now)), among=awaited)
            if got is None:
                self._look()
            else:
                self._heard(*got)

    def session(self) -> bytes:
        """The identifier, of everybody's fresh randomness."""
        nonces = {peer: hello.nonce for peer, hello in self.hellos.items()} | {self.me: self._nonce}
        return prg.combine(*(nonces[rank] for rank in sorted(nonces)))

    def secrets(self) -> dict[int, bytes]:
        """One per peer that was heard. In a check, who is heard may differ: then they are of each pair alone."""
        session = b"" if self.purpose == CHECK else self.session()
        return {
            peer: prg.combine(
                session, *((self._mine[peer], hello.secret) if self.me < peer else (hello.secret, self._mine[peer]))
            )
            for peer, hello in self.hellos.items()
        }

    def tell(self, error: MPCError) -> None:
        """Let everybody who was heard know why this process stops."""
        frame = abort_frame(error, self.me, 0)
        for peer in self.hellos:
            try:
                self.transport.send(peer, frame)
            except PartyLost:
                continue  # gone already

    def _done(self) -> bool:
        if len(self.hellos) < len(self.peers):
            return False
        if self.purpose == CHECK:
            return True
        session = self.session()
        if self._said != session:
            self._said = session
            header = frames.pack(Kind.READY, 0, len(session), bytes(16))
            for peer in self.peers:
                self._send(peer, header + session)
        return all(self.ready.get(peer) == session for peer in self.peers)

    def _send(self, peer: int, frame: bytes) -> None:
        try:
            self.transport.send(peer, frame)
        except PartyLost:
            self._gone(peer)

    def _greet(self, peer: int) -> None:
        hello = Hello(
            WIRE_VERSION, VERSION, self.me, self.purpose or RUN, self.config.digest(), self._settings, self._nonce, self._mine[peer]
        )
        body = msgspec.msgpack.encode(hello)
        self._send(peer, frames.pack(Kind.HELLO, 0, len(body), bytes(16)) + body)

    def _look(self) -> None:
        """Nothing came: is everybody heard still there?"""
        for peer in self.peers:
            try:
                self.transport.probe(peer)
            except PartyLost:
                self._gone(peer)

    def _gone(self, peer: int) -> None:
        """It may come back, as a process of new randomness."""
        self.transport.forget(peer)
        self.hellos.pop(peer, None)
        self.ready.pop(peer, None)
        if peer in self._repeats:
            self._repeats[peer] = _Repeat()

    def _heard(self, peer: int, data: Frame) -> None:
        header = frames.unpack(data)
        if header.kind == Kind.HELLO:
            hello = read_hello(data, peer, self.transport.name(peer))
            self._compare(hello, peer)
            new = peer not in self.hellos or self.hellos[peer].nonce != hello.nonce
            if new:
                self.hellos[peer] = hello
                self.ready.pop(peer, None)
            if new and peer > self.me:
                self._greet(peer)
        elif header.kind == Kind.READY:
            self.ready[peer] = bytes(data[HEADER_BYTES:])
        elif header.kind == Kind.ABORT:
            raise echo_of(data, self.transport)
        else:
            raise CorruptFrame(f"{self.transport.name(peer)} sent {frames.kind_name(header.kind)} before the session began")

    def _compare(self, hello: Hello, peer: int) -> None:
        who = self.transport.name(peer)
        if self.purpose is None:
            self.purpose = hello.purpose
        if hello.purpose != self.purpose and peer != self.config.world_size:
            raise ProgramMismatch(f"{who} came to {hello.purpose}, this process to {self.purpose}: all do the same at one time")
        if self.purpose == CHECK:
            return  # it reports differences
        if hello.digest != self.config.digest():
            raise ProgramMismatch(f"{who} has another configuration or version: {self.difference(hello)}")

    def difference(self, hello: Hello) -> str:
        """In what a peer's greeting differs from this process's settings; empty where it does not."""
        if hello.digest == self.config.digest():
            return ""
        if (hello.release, hello.wire_version) != (VERSION, WIRE_VERSION):
            return f"mpc {VERSION} (wire {WIRE_VERSION}) here, {hello.release} (wire {hello.wire_version}) there; install the same"
        try:
            there = msgspec.json.decode(hello.settings, type=SessionConfig)
        except (msgspec.MsgspecError, MPCError):
            return "its settings cannot be read; start all with the same settings and release"
        return f"{self.config.differences(there)}; start all with the same settings"

    def _absent(self, timeout: float) -> MPCError:
        """The error for who did not come: a refused key explains more than silence."""
        late = [p for p in self.peers if p not in self.hellos]
        if not late:
            late = [p for p in self.peers if self.ready.get(p) != self._said]
            names = ", ".join(self.transport.name(p) for p in late)
            return PartyLost(f"{names} did not agree on the session within {timeout:g} s")
        reasons = {p: self.transport.trouble(p) for p in late}
        texts = [f"{self.transport.name(p)} {reasons[p] or 'did not come'}" for p in late]
        kind = AuthenticationError if any("refused" in r or "CURVE" in r for r in reasons.values()) else PartyLost
        return kind(f"after {timeout:g} s: {'; '.join(texts)}")


def read_hello(data: Frame, peer: int, name: str) -> Hello:
    """The greeting in a frame of ``peer``. Raises CorruptFrame; ProgramMismatch for one of another wire version."""
    try:
        hello = msgspec.msgpack.decode(data[HEADER_BYTES:], type=Hello)
    except (msgspec.MsgspecError, RecursionError) as error:
        try:
            version, release, *_ = msgspec.msgpack.decode(data[HEADER_BYTES:], type=list[msgspec.Raw])
            text = f"release {msgspec.msgpack.decode(release)!r}, wire version {msgspec.msgpack.decode(version)!r}"
        except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
            raise CorruptFrame(f"{name} sent no greeting: {error}") from None
        raise ProgramMismatch(f"{name} greets as {text}; here it is {VERSION}, {WIRE_VERSION}: install the same") from None
    if hello.rank != peer or len(hello.nonce) != NONCE_BYTES or len(hello.secret) != NONCE_BYTES:
        raise CorruptFrame(f"{name} greeted as rank {hello.rank} with {len(hello.nonce)} and {len(hello.secret)} random bytes")
    return hello
