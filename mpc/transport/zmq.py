"""ZeroMQ links: ``ipc://`` on one machine, ``tcp://`` otherwise.

Of two ranks the lower one binds (ROUTER) and the higher one connects (DEALER); the dealer, whose rank is the number of
parties, connects to all. While a receive waits, a liveness probe finds a peer whose process is gone before the
deadline: the binder's mandatory routing refuses a vanished peer, the connector's monitor reports the lost connection.
"""
from __future__ import annotations

import time
from collections import deque

import zmq

from mpc.errors import ConfigError, DealerLost, PartyLost
from mpc.fixed_point import Words
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, Kind, pack

COPY_BELOW = 1 << 16  # bytes: smaller frames are cheaper to copy than to share with the I/O thread
PROBE_SECONDS = 0.2
RECONNECT_MS = 5
MAX_FRAME_BYTES = 1 << 36
PING = pack(Kind.PING, 0, 0, bytes(16))


class ZmqTransport(Transport):
    """The links of one rank; ``addresses[r]`` is where rank r is bound.

    ``session``: how many sessions the processes opened before; a frame of another one is never taken for one of this.
    """

    def __init__(
        self, rank: int, world_size: int, addresses: tuple[str, ...], dealer: bool = True, session: int = 0
    ) -> None:
        super().__init__(rank, world_size)
        self._session = session
        addresses = tuple(f"{a}.{session}" if a.startswith("ipc://") else a for a in addresses)
        last = world_size if dealer else world_size - 1
        self._context = zmq.Context(io_threads=1)
        self._inbox: dict[int, deque[Frame]] = {p: deque() for p in range(last + 1) if p != rank}
        self._connected: dict[int, zmq.Socket[bytes]] = {}
        self._monitors: dict[int, zmq.Socket[bytes]] = {}
        self._peer_of: dict[zmq.Socket[bytes], int] = {}
        self._poller = zmq.Poller()
        self._router: zmq.Socket[bytes] | None = None
        try:
            if rank < last:
                self._router = self._socket(zmq.ROUTER)
                self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
                self._router.bind(addresses[rank])
                self._poller.register(self._router, zmq.POLLIN)
            for peer in range(min(rank, world_size)):
                socket = self._socket(zmq.DEALER)
                socket.setsockopt(zmq.ROUTING_ID, self._identity(rank))
                self._monitors[peer] = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
                socket.connect(addresses[peer])
                self._connected[peer] = socket
                self._peer_of[socket] = peer
                self._poller.register(socket, zmq.POLLIN)
        except zmq.ZMQError as error:
            self.close(0)
            raise ConfigError(f"rank {rank} cannot use the addresses {addresses}: {error}") from error

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        socket.setsockopt(zmq.RCVTIMEO, int(PROBE_SECONDS * 1000))
        return socket

    def send(self, peer: int, frame: bytes | Words) -> None:
        nbytes = len(frame) if isinstance(frame, bytes) else frame.nbytes
        self._send(peer, frame, nbytes)
        self.meter.sent(peer, nbytes)

    def _send(self, peer: int, frame: bytes | Words, nbytes: int) -> None:
        copy = nbytes < COPY_BELOW
        socket = self._connected.get(peer)
        try:
            if socket is None:
                assert self._router is not None
                self._router.send(self._identity(peer), zmq.SNDMORE)
                socket = self._router
            socket.send(frame, 0, copy)  # type: ignore[arg-type]  # arrays are buffers; typed so from Python 3.12 on
        except zmq.ZMQError as error:
            raise self._lost(peer, "closed its connection") from error

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        inbox = self._inbox[peer]
        socket = self._connected.get(peer)
        copy = size_hint < COPY_BELOW
        deadline = time.monotonic() + timeout
        while not inbox:
            try:
                if socket is not None:
                    self._arrived(peer, socket.recv(copy=copy))
                else:
                    self._recv_router(copy)
            except zmq.Again:
                self._probe(peer)
            if not inbox and time.monotonic() >= deadline:
                raise self._lost(peer, f"sent nothing for {timeout:g} s")
        return inbox.popleft()

    def recv_any(self, timeout: float, likely: int | None = None) -> tuple[int, Frame] | None:
        socket = self._connected.get(likely) if likely is not None else None
        if likely is not None and socket is not None:
            try:
                self._arrived(likely, socket.recv())  # waits PROBE_SECONDS
            except zmq.Again:
                timeout = 0
        for waited in (False, True):
            for peer, inbox in self._inbox.items():
                if inbox:
                    return peer, inbox.popleft()
            if not waited:
                for ready, _ in self._poller.poll(int(timeout * 1000)):
                    if ready is self._router:
                        self._recv_router(False)
                    else:
                        self._arrived(self._peer_of[ready], ready.recv(copy=False))
        return None

    def _recv_router(self, copy: bool, flags: int = 0) -> None:
        assert self._router is not None
        parts = self._router.recv_multipart(flags, copy)
        if len(parts) != 2:
            return  # no frame of ours: a frame is one part behind the sender's identity
        identity = parts[0]
        peer = self._rank_of(identity if isinstance(identity, bytes) else identity.bytes)
        if peer > self.rank:
            self._arrived(peer, parts[1])

    def _arrived(self, peer: int, message: bytes | zmq.Frame) -> None:
        data = message if isinstance(message, bytes) else message.buffer
        if peer not in self.greeted:
            self._forget_disconnects(peer)
        if self.is_news(peer, data):
            self.meter.received(peer, len(data))
            self._inbox[peer].append(data)

    def _forget_disconnects(self, peer: int) -> None:
        """Before a peer's first frame: its TCP port may have belonged to the session before, which closed."""
        monitor = self._monitors.get(peer)
        while monitor is not None and monitor.poll(0):
            monitor.recv_multipart()

    def alive(self) -> None:
        """Raise PartyLost or DealerLost if a peer heard before has gone."""
        for peer in self._inbox:
            self._probe(peer)

    def _probe(self, peer: int) -> None:
        """Raise if a peer heard before has gone and left nothing to read."""
        if peer not in self.greeted:
            return
        monitor = self._monitors.get(peer)
        if monitor is None:
            try:
                self._send(peer, PING, HEADER_BYTES)
            except PartyLost:
                self._drain(peer)
                if not self._inbox[peer]:
                    raise
        elif monitor.poll(0):
            monitor.recv_multipart()  # the one event asked for: the connection is gone
            self._drain(peer)
            if not self._inbox[peer]:
                raise self._lost(peer, "closed its connection")

    def _drain(self, peer: int) -> None:
        """Take in what arrived before a connection went: it still counts."""
        socket = self._connected.get(peer)
        while True:
            try:
                if socket is not None:
                    self._arrived(peer, socket.recv(zmq.NOBLOCK))
                else:
                    self._recv_router(True, zmq.NOBLOCK)
            except zmq.Again:
                return

    def _identity(self, rank: int) -> bytes:
        return b"rank-%d-%d" % (rank, self._session)

    def _rank_of(self, identity: bytes) -> int:
        """The rank that this identity claims in this session, or -1."""
        for peer in self._inbox:
            if identity == self._identity(peer):
                return peer
        return -1

    def _lost(self, peer: int, what: str) -> PartyLost:
        lost = DealerLost if peer == self.world_size else PartyLost
        return lost(f"{self.name(peer)} {what}")

    def close(self, linger: float = 1.0) -> None:
        for peer, socket in self._connected.items():
            if peer in self._monitors:
                socket.disable_monitor()
            socket.close(int(linger * 1000))
        for monitor in self._monitors.values():
            monitor.close(0)
        if self._router is not None:
            self._router.close(int(linger * 1000))
        self._connected.clear()
        self._monitors.clear()
        self._router = None
        self._context.term()

