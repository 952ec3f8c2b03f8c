"""ZeroMQ links: ``ipc://`` on one machine, two TCP ports per party between machines.

Of two ranks the lower one binds and the higher one connects; the dealer, whose rank is the number of parties, connects
to all. A peer is the connection that its first greeting came over; whatever else claims its rank is dropped or, with
keys, refused. While a receive waits, a liveness probe finds a peer whose process is gone before the deadline: the
binder's mandatory routing refuses a vanished peer, the connector's monitor reports the lost connection.

Between machines the first port speaks CURVE and admits the keys of run.toml only. It carries the greetings. `protect` then
opens the second port: every further frame goes there, sealed with keys that were agreed inside CURVE
(`mpc.transport.sealed`). From then on a peer is gone when that connection ended: what it said last may still be on its way
when the first one closes. (A host that vanished with frames under way to it is told by the first one alone, where TCP asks
whether it lives: that counts a little later.) Nothing is sent to find that out: a kernel that is asked for a process that
has ended forgets what it was still sending again.
"""
from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Container, Mapping
from typing import Final

import zmq

from mpc.config import Launch
from mpc.errors import AuthenticationError, ConfigError, CorruptFrame, DealerLost, MPCError, PartyLost, ProgramMismatch
from mpc.fixed_point import Words
from mpc.transport import sealed
from mpc.transport.admission import Admission
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, KIND_AT, Kind, pack
from mpc.transport.links import COPY_BELOW, Admit, Curve, Limits, Links, Timing, password_of

MAX_FRAME_BYTES: Final = 1 << 36
MAX_QUEUED_BYTES: Final = 1 << 33  # of one peer, ahead of what the program has read
GREETING_BYTES: Final = 1 << 16
RECORDS_WAITING: Final = 64
NAME_BYTES: Final = 8
NETWORK_RECONNECT_MS: Final = 100
TIDY_EVERY: Final = 256  # receives between looks at what the monitors tell
ALONE_SECONDS: Final = 2.0  # between the end of the first connection and that of its peer: for what is still on its way
PING: Final = pack(Kind.PING, 0, 0, bytes(16))
HERE: Final = pack(Kind.HELLO, 0, 0, bytes(16))  # the first frame of the second port


class ZmqTransport(Transport):
    """The links of one rank; ``addresses[r]`` is where rank r is bound.

    ``session``: how many sessions the processes opened before, for addresses of one's own each.
    """

    _names: tuple[str, ...] = ()

    def __init__(
        self, rank: int, world_size: int, addresses: tuple[str, ...], dealer: bool = True, session: int = 0
    ) -> None:
        addresses = tuple(f"{a}.{session}" if a.startswith("ipc://") else a for a in addresses)
        endpoints = tuple(((a, ""), (a, "")) for a in addresses)
        self._open(rank, world_size, dealer, endpoints, None, Limits(MAX_FRAME_BYTES), Timing())

    @classmethod
    def of(cls, launch: Launch, session: int = 0) -> ZmqTransport:
        """The links of a process where its launch description says."""
        config, sites = launch.config, launch.sites
        if sites is None:
            return cls(launch.rank, config.world_size, launch.addresses, config.needs_dealer, session)
        self = cls.__new__(cls)
        endpoints = tuple((e.connect, e.bind) for e in sites.endpoints)
        curve = None
        if config.public_keys and sites.secret_key is None:
            raise ConfigError("this process has no secret key: it stays in the process that was started as the party")
        if sites.secret_key is not None:
            keys = tuple(key.encode() for key in config.public_keys)
            curve = Curve(keys[launch.rank], sites.secret_key.encode(), keys)
        self._names = config.names
        limits = Limits(GREETING_BYTES, RECORDS_WAITING) if curve else Limits(MAX_FRAME_BYTES)
        timing = Timing(NETWORK_RECONNECT_MS, config.deadline) if config.names else Timing()
        self._open(launch.rank, config.world_size, config.needs_dealer, endpoints, curve, limits, timing)
        return self

    def _open(
        self,
        rank: int,
        world_size: int,
        dealer: bool,
        endpoints: tuple[tuple[tuple[str, str], tuple[str, str]], ...],
        curve: Curve | None,
        limits: Limits,
        timing: Timing,
    ) -> None:
        super().__init__(rank, world_size)
        last = world_size if dealer else world_size - 1
        self._lower = range(min(rank, world_size))
        self._listens = rank < last
        self._endpoints, self._timing = endpoints, timing
        self._inbox: dict[int, deque[Frame]] = {p: deque() for p in range(last + 1) if p != rank}
        self._queued: dict[int, int] = dict.fromkeys(self._inbox, 0)
        self._sealers: dict[int, sealed.Sealer] = {}
        self._openers: dict[int, sealed.Opener] = {}
        self._admission: Admission | None = None
        self._bulk: Links | None = None
        self._reads = 0
        self._alone: dict[int, float] = {}  # whose first connection ended, the second did not: since when
        self._context = zmq.Context(io_threads=1)
        self._control = Links(self._context, limits, timing, curve)
        try:
            if curve is not None and self._listens:
                others = {r: key for r, key in enumerate(curve.peers) if r != rank}
                self._admission = Admission(self._context, others)
            if self._listens:
                self._control.bind(endpoints[rank][1][0])
            own = b"%d-" % rank + os.urandom(NAME_BYTES)  # of this session: what an earlier one left is told apart
            for peer in self._lower:
                self._control.connect(peer, endpoints[peer][0][0], own)
            if curve is not None:
                self._bulk = Links(self._context, Limits(sealed.MAX_RECORD_BYTES, RECORDS_WAITING), timing, passwords=True)
                if self._listens:
                    self._bulk.bind(endpoints[rank][1][1])
        except BaseException:
            self.close(0)
            raise

    # --- who is who
    def name(self, peer: int) -> str:
        who = super().name(peer)
        return f"{who} ({self._names[peer]})" if peer < len(self._names) else who

    def _admit(self, name: bytes, message: bytes | zmq.Frame) -> int:
        """The rank behind a message on the control port, or -1: a peer's connection is the one it greeted over."""
        rank = _claimed(name) if self._admission is None else self._admission.rank_of(message)
        if rank not in self._inbox:
            return -1
        if rank < self.rank:
            if self._admission is None:
                return -1
            raise ProgramMismatch(f"{self.name(rank)} connects here as if it had a higher rank: its run.toml has another order")
        if self._control.ids.get(rank) != name:
            data = message if isinstance(message, bytes) else message.buffer
            if len(data) <= KIND_AT or data[KIND_AT] != Kind.HELLO or rank in self._openers:
                return -1  # left from an earlier session, or no greeting
            self._control.ids[rank] = name
            self.forget(rank)
        return rank

    def _admit_bulk(self, name: bytes, message: bytes | zmq.Frame) -> int:
        return -1

    def forget(self, peer: int) -> None:
        self._inbox[peer].clear()
        self._queued[peer] = 0
        self.greeted.discard(peer)

    # --- sending and receiving
    def send(self, peer: int, frame: bytes | Words) -> None:
        nbytes = len(frame) if isinstance(frame, bytes) else frame.nbytes
        try:
            sealer = self._sealers.get(peer)
            if sealer is None:
                self._control.send(peer, frame, nbytes)
            else:
                assert self._bulk is not None
                for record in sealer.records(frame):
                    self._bulk.send(peer, record, len(record))
        except zmq.ZMQError as error:
            raise self._lost(peer, "closed its connection") from error
        self.meter.sent(peer, nbytes)

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        inbox = self._inbox[peer]
        links, admit = self._of(peer)
        copy = size_hint < COPY_BELOW and (self._admission is None or links is self._bulk)
        deadline = time.monotonic() + timeout
        self._reads += 1
        if self._reads % TIDY_EVERY == 0:
            links.tidy()
        while not inbox:
            try:
                got = links.receive(peer, copy, admit)
                if got is not None:
                    self._arrived(*got)
                    if links is self._bulk and got[0] == peer:
                        deadline = time.monotonic() + timeout  # a part of a frame: slow is not silent
            except zmq.Again:
                self.probe(peer)
            if not inbox and time.monotonic() >= deadline:
                raise self._silent(peer, timeout)
        return self._next(peer)

    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        if likely is not None and not self._of(likely)[0].listens_to(likely):
            links, admit = self._of(likely)
            try:
                got = links.receive(likely, False, admit)  # waits PROBE_SECONDS
                if got is not None:
                    self._arrived(*got)
            except zmq.Again:
                timeout = 0
        for waited in (False, True):
            for peer, inbox in self._inbox.items():
                if inbox and (among is None or peer in among):
                    return peer, self._next(peer)
            if not waited:
                bulk = self._bulk if self._openers else None
                links, admit = (self._control, self._admit) if bulk is None else (bulk, self._admit_bulk)
                for peer, data in links.arrived(timeout, admit):
                    self._arrived(peer, data)
        return None

    def _of(self, peer: int) -> tuple[Links, Admit]:
        """Where that peer's frames come from now."""
        if peer in self._openers:
            assert self._bulk is not None
            return self._bulk, self._admit_bulk
        return self._control, self._admit

    def _next(self, peer: int) -> Frame:
        data = self._inbox[peer].popleft()
        self._queued[peer] -= len(data)
        return data

    def _arrived(self, peer: int, data: Frame) -> None:
        opener = self._openers.get(peer)
        if opener is not None:
            whole = opener.take(data)
            if whole is None:
                return
            data = whole
        if not self.is_news(peer, data):
            return
        self.meter.received(peer, len(data))
        self._queued[peer] += len(data)
        if self._queued[peer] > MAX_QUEUED_BYTES:
            ahead = f"{self._queued[peer]} bytes ahead of the program; want {MAX_QUEUED_BYTES}"
            raise CorruptFrame(f"{self.name(peer)} sent {ahead}")
        self._inbox[peer].append(data)

    # --- between machines
    def expect(self, secrets: Mapping[int, bytes]) -> None:
        if self._admission is not None:
            self._admission.expect(password_of(sealed.token(s)) for p, s in secrets.items() if p not in self._lower)

    def protect(self, secrets: Mapping[int, bytes], timeout: float) -> dict[int, PartyLost]:
        super().protect(secrets, timeout)
        for peer in self._inbox:
            self._forget_repetitions(peer)
        if self._bulk is None:
            return {}
        for peer, secret in secrets.items():
            sending, receiving = sealed.keys(secret, self.rank, peer)
            self._sealers[peer] = sealed.Sealer(sending)
            self._openers[peer] = sealed.Opener(receiving, MAX_QUEUED_BYTES, self.name(peer))
            self.greeted.discard(peer)
            if peer in self._lower:
                self._bulk.connect(peer, self._endpoints[peer][0][1], sealed.token(secret))
                self.send(peer, HERE)
            else:
                self._bulk.ids[peer] = sealed.token(secret)
        failed: dict[int, PartyLost] = {}
        deadline = time.monotonic() + timeout
        for peer in sorted(secrets, reverse=True):
            try:
                self.recv(peer, max(0.0, deadline - time.monotonic()))
                if peer not in self._lower:
                    self.send(peer, HERE)
            except PartyLost as error:
                where = "" if peer not in self._lower else f" at {self._endpoints[peer][0][1]}"
                failed[peer] = type(error)(f"{error}; its second port{where} (bulk data) was not reached: is it open?")
        return failed

    def _forget_repetitions(self, peer: int) -> None:
        """What that peer said again in the handshake, while others were waited for, is no news to the program."""
        said = (Kind.HELLO, Kind.READY, Kind.PING)
        kept = [data for data in self._inbox[peer] if len(data) <= KIND_AT or data[KIND_AT] not in said]
        self._inbox[peer] = deque(kept)
        self._queued[peer] = sum(map(len, kept))

    # --- who is gone
    def probe(self, peer: int) -> None:
        if self._gone(peer) and peer in self.greeted:
            self._drain(peer)
            if not self._inbox[peer]:
                raise self._lost(peer, "closed its connection")

    def _gone(self, peer: int) -> bool:
        if peer in self._openers:
            assert self._bulk is not None
            return self._bulk.disconnected(peer) or self._alone_seconds(peer) > ALONE_SECONDS
        if not self._control.listens_to(peer):
            gone = self._control.disconnected(peer)
            if self._control.calls.refused(peer):
                raise AuthenticationError(f"{self.name(peer)}: {self._control.calls.trouble[peer]}")
            return gone
        try:
            if peer in self.greeted:
                self._control.send(peer, PING, HEADER_BYTES)
        except zmq.ZMQError:
            return True
        return False

    def _alone_seconds(self, peer: int) -> float:
        """How long that peer's first connection has been gone."""
        if not self._control.disconnected(peer):
            self._alone.pop(peer, None)
            return 0.0
        return time.monotonic() - self._alone.setdefault(peer, time.monotonic())

    def _drain(self, peer: int) -> None:
        """Take in what arrived before a connection went: it still counts."""
        links, admit = self._of(peer)
        while True:
            try:
                got = links.receive(peer, False, admit, zmq.NOBLOCK)
                if got is not None:
                    self._arrived(*got)
            except zmq.Again:
                return

    def trouble(self, peer: int) -> MPCError | None:
        strangers = self._admission.strangers() if self._admission is not None and peer > self.rank else ""
        return self._control.calls.trouble.get(peer, PartyLost(strangers) if strangers else None)

    def _silent(self, peer: int, timeout: float) -> PartyLost:
        if peer not in self.greeted and (why := self.trouble(peer)):
            return self._lost(peer, str(why))
        return self._lost(peer, f"sent nothing for {round(timeout, 3):g} s")

    def _lost(self, peer: int, what: str) -> PartyLost:
        lost = DealerLost if peer == self.world_size else PartyLost
        return lost(f"{self.name(peer)} {what}")

    def close(self, linger: float = 1.0) -> None:
        self._control.close(linger)
        if self._bulk is not None:
            self._bulk.close(linger)
        self._context.term()


def _claimed(name: bytes) -> int:
    """The rank that a routing id of the control port claims, or -1."""
    rank, dash, rest = name.partition(b"-")
    return int(rank) if dash and len(rest) == NAME_BYTES and rank.isdigit() and len(rank) == 1 else -1
