"""The handshake at one process, as a state: who was heard, who is ready, and what is still to be said."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mpc import prg
from mpc.config import SessionConfig
from mpc.errors import AuthenticationError, CorruptFrame, DealerLost, MPCError, PartyLost, ProgramMismatch
from mpc.exchange import abort_frame, echo_of, here
from mpc.greeting import CHECK, NONCE_BYTES, RUN, Hello, difference, hello_frame, read_hello
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, Kind

TICK_SECONDS: Final = 0.2
FIRST_REPEAT, LAST_REPEAT = 0.5, 10.0  # seconds between greetings that nobody answers
TELL_SECONDS: Final = 2.0  # for who comes a little later, after a mismatch
HURRY_SECONDS: Final = 2.0  # of a check, once somebody goes on


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
    refusals: dict[int, MPCError] = field(default_factory=dict)  # in a check: who does not let this process in

    def __post_init__(self) -> None:
        self.me = self.transport.rank
        last = self.config.world_size if self.config.needs_dealer else self.config.world_size - 1
        self.peers = [p for p in range(last + 1) if p != self.me]
        self._asked = self.purpose
        self._nonce = prg.fresh_secret()
        self._mine = {peer: prg.fresh_secret() for peer in self.peers}
        self._repeats = {peer: _Repeat() for peer in self.peers if peer < self.me}
        self._said: bytes | None = None  # the session that this process said it is ready for
        self._stopped: bytes = b""  # the abort that came

    def hold(self, timeout: float, patient: Callable[[], bool] | None = None) -> None:
        """Until all are ready for one session; in a check, until all were heard or ``timeout`` is over."""
        end = time.monotonic() + timeout
        looked = time.monotonic()
        while not self._done():
            now = time.monotonic()
            hurried = self.purpose == CHECK and bool(self.ready)
            if patient is not None and not hurried and (not self.hellos or self.purpose == CHECK):
                if not patient():
                    raise PartyLost("nobody came before this process was told to stop")
                end = now + timeout
            elif hurried:
                end = min(end, now + HURRY_SECONDS)
            for peer, repeat in self._repeats.items():
                if now >= repeat.due and (peer not in self.hellos or not self._said or self.ready.get(peer) != self._said):
                    self._greet(peer)
                    repeat.next(now)
            awaited = {p for p in self.peers if self._said is None or self.ready.get(p) != self._said}
            got = self.transport.recv_any(min(TICK_SECONDS, max(0.0, end - now)), among=awaited)
            if got is not None:
                self._heard(*got)
            if now > end and (got is None or now > end + timeout):  # who was paused reads first what came meanwhile
                if self.purpose == CHECK:
                    break
                raise self._absent(timeout)
            if got is None or now > looked + 1:
                self._look()
                looked = now
        if self.purpose == CHECK:
            self._say(b"")

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
        """Let everybody know why this process stops. Who differs is told also where it comes a little later."""
        public = isinstance(error, (ProgramMismatch, AuthenticationError)) and error.echo is None
        frame = self._stopped or abort_frame(error, self.me, 0, str(error) if public else "")
        left = {peer for peer in self.peers if not self._told(peer, frame)}
        until = time.monotonic() + (TELL_SECONDS if public and not self.transport.begun else 0)
        while left and time.monotonic() < until:
            try:
                got = self.transport.recv_any(TICK_SECONDS, among=left)
            except MPCError:
                return
            if got is not None and got[0] in left:
                self._greet(got[0])
                self._told(got[0], frame)
                left.discard(got[0])

    def _told(self, peer: int, frame: bytes) -> bool:
        try:
            self.transport.send(peer, frame)
        except PartyLost:
            return False  # gone already, or not here yet
        return peer < self.me or peer in self.hellos or self.transport.begun

    def _done(self) -> bool:
        if self.purpose == CHECK:
            return len(self.hellos.keys() | self.refusals.keys()) == len(self.peers)
        if len(self.hellos) < len(self.peers):
            return False
        session = self.session()
        if self._said != session:
            self.transport.expect(self.secrets())
            self._said = session
            self._say(session)
        return all(self.ready.get(peer) == session for peer in self.peers)

    def _say(self, session: bytes, peers: list[int] | None = None) -> None:
        """READY: this process has heard all that it waits for."""
        for peer in self.peers if peers is None else peers:
            if peer in self.hellos:
                self._send(peer, frames.pack(Kind.READY, 0, len(session), bytes(16)) + session)

    def _send(self, peer: int, frame: bytes) -> None:
        try:
            self.transport.send(peer, frame)
        except PartyLost:
            self._gone(peer)

    def _greet(self, peer: int) -> None:
        self._send(peer, hello_frame(self.me, self.purpose or RUN, self.config, self._nonce, self._mine[peer]))
        if self._said is not None and peer in self.hellos:  # it may have forgotten that too
            self._say(self._said, [peer])

    def _look(self) -> None:
        """Is everybody who was heard still there, and is this process let in?"""
        for peer in self.peers:
            try:
                self.transport.probe(peer)
            except PartyLost:
                self._gone(peer)
            except AuthenticationError as error:
                if self.purpose != CHECK:
                    error.peer = peer
                    raise
                self.refusals[peer] = error

    def _gone(self, peer: int) -> None:
        """It may come back, as a process of new randomness."""
        self.transport.forget(peer)
        self.hellos.pop(peer, None)
        self.ready.pop(peer, None)
        self._said = None  # whoever comes in its place has not heard it
        if not self.hellos:
            self.purpose = self._asked
        if peer in self._repeats:
            self._repeats[peer] = _Repeat()

    def _heard(self, peer: int, data: Frame) -> None:
        who = self.transport.name(peer)
        try:
            header = frames.unpack(data)
        except CorruptFrame as error:
            raise CorruptFrame(f"{who} sent what is no message: {error}") from None
        if header.kind == Kind.HELLO:
            hello = read_hello(data, who)
            if peer not in self.hellos or self.hellos[peer].nonce != hello.nonce:
                self.hellos[peer] = hello
                self.ready.pop(peer, None)
                self._said = None
                if self.purpose is None:
                    self.purpose = hello.purpose
                if self.purpose == CHECK:
                    self.transport.expect(self.secrets())
                if peer > self.me:
                    self._greet(peer)  # before it is judged, so that the peer can say what differs too
            self._compare(hello, peer)
        elif header.kind == Kind.READY:
            self.ready[peer] = bytes(data[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES])
        elif header.kind == Kind.ABORT:
            self._stopped = bytes(data)
            raise echo_of(data, self.transport)
        elif header.kind != Kind.PING:
            raise CorruptFrame(f"{who} sent {frames.kind_name(header.kind)} before the session began")

    def _compare(self, hello: Hello, peer: int) -> None:
        who = self.transport.name(peer)
        problem: MPCError | None = None
        if hello.purpose != self.purpose and peer != self.config.world_size:
            problem = ProgramMismatch(f"{who} came to {hello.purpose}, this process to {self.purpose}: all do one at a time")
        elif self.purpose != CHECK and hello.digest != self.config.digest():
            what = difference(self.config, hello, f"at {self.transport.name(self.me)}", f"at {who}")
            problem = ProgramMismatch(f"{who} has other settings or another release: {what}")
        elif hello.digest == self.config.digest() and hello.rank != peer:
            problem = AuthenticationError(f"{who} claims rank {hello.rank}, whose key it does not have")
        if problem is not None:
            problem.peer = peer
            raise problem

    def _absent(self, timeout: float) -> MPCError:
        """The error for who did not come: a refused key explains more than silence."""
        late = [p for p in self.peers if p not in self.hellos]
        if not late:
            late = [p for p in self.peers if self.ready.get(p) != self._said]
            names = ", ".join(self.transport.name(p) for p in late)
            return self._lost(self._missed(late), late[0], f"{names} did not agree on the session within {timeout:g} s")
        troubles = {p: self.transport.trouble(p) for p in late}
        texts = [f"{self.transport.name(p)} did not come{f': {t}' if (t := troubles[p]) else ''}" for p in late]
        refused = any(isinstance(t, AuthenticationError) for t in troubles.values())
        kind = AuthenticationError if refused else self._missed(late)
        return self._lost(kind, late[0], f"after {timeout:g} s: {'; '.join(texts)} ({self.transport.name(self.me)} waited)")

    def _missed(self, late: list[int]) -> type[MPCError]:
        return DealerLost if late == [self.config.world_size] else PartyLost

    def _lost(self, kind: type[MPCError], peer: int, text: str) -> MPCError:
        error = kind(f"{text}{here()}")
        error.peer = peer
        return error
