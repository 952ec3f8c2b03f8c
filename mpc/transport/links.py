"""The sockets of one rank on one port: a ROUTER that higher ranks connect to, and a DEALER for every lower rank.

ZeroMQ's routing ids say which connection a message came over. What they mean is decided by whoever uses the links:
`admit` names the rank behind an id that is not known yet, and only messages of known ids are taken.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

from mpc.errors import ConfigError
from mpc.fixed_point import Words
from mpc.transport.base import Frame
from mpc.transport.monitors import Callers, Calls

COPY_BELOW: Final = 1 << 16  # bytes: smaller frames are cheaper to copy than to share with the I/O thread
PROBE_SECONDS: Final = 0.2
KEEPALIVE_PROBES: Final = 3
HANDSHAKE_SECONDS: Final = 10  # of ZeroMQ, before any message: whoever connects and says nothing is cut off then

Admit = Callable[[bytes, "bytes | zmq.Frame"], int]


ZAP_DOMAIN: Final = b"mpc"


class Limits(NamedTuple):
    """What one port takes: bytes of a message, messages that wait unread per connection (0: any number)."""

    message: int = 1 << 36
    waiting: int = 0


class Curve(NamedTuple):
    """The key pair of this process and the public keys of all, by rank (Z85)."""

    public: bytes
    secret: bytes
    peers: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Curve({self.public!r})"


class Timing(NamedTuple):
    """Milliseconds between attempts to connect, and seconds of silence before TCP asks whether the peer lives (0: never)."""

    reconnect: int = 5
    keepalive: float = 0


class Links:
    """Messages to and from ranks. ``names[peer]``: the routing id under which this process connects to that rank."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        limits: Limits,
        timing: Timing,
        curve: Curve | None = None,
        passwords: bool = False,
    ) -> None:
        self._context, self._limits, self._timing, self._curve = context, limits, timing, curve
        self._passwords = passwords  # whoever connects shows one, before anything of it is read
        self.ids: dict[int, bytes] = {}  # of higher ranks, once known
        self._router: zmq.Socket[bytes] | None = None
        self._sockets: dict[int, zmq.Socket[bytes]] = {}
        self.calls = Calls(context, keys=curve is not None)
        self._callers: Callers | None = None
        self.poller = zmq.Poller()

    def bind(self, address: str) -> None:
        """Listen there for higher ranks. Raises ConfigError."""
        self._router = self._socket(zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if self._curve is not None:
            self._router.setsockopt(zmq.CURVE_SERVER, 1)
            self._router.setsockopt(zmq.CURVE_SECRETKEY, self._curve.secret)
            self._router.setsockopt(zmq.CURVE_PUBLICKEY, self._curve.public)
            self._router.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        if self._passwords:
            self._router.setsockopt(zmq.PLAIN_SERVER, 1)
            self._router.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
            self._callers = Callers(self._context, self._router)
        self._router.setsockopt(zmq.IPV6, "[" in address)
        try:
            self._router.bind(address)
        except zmq.ZMQError as error:
            raise ConfigError(
                f"this process cannot listen at {address}: {error}. Is the address this machine's, and the port free?"
            ) from error
        self.poller.register(self._router, zmq.POLLIN)

    def connect(self, peer: int, address: str, name: bytes) -> None:
        """Connect to a lower rank under a routing id. Raises ConfigError."""
        socket = self._socket(zmq.DEALER)
        socket.setsockopt(zmq.ROUTING_ID, name)
        socket.setsockopt(zmq.IPV6, "[" in address)
        if self._curve is not None:
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._curve.secret)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self._curve.public)
            socket.setsockopt(zmq.CURVE_SERVERKEY, self._curve.peers[peer])
        if self._passwords:
            socket.setsockopt(zmq.PLAIN_USERNAME, b"mpc")
            socket.setsockopt(zmq.PLAIN_PASSWORD, password_of(name))
        self._sockets[peer] = socket
        self.calls.watch(peer, socket)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            raise ConfigError(f"this process cannot connect to {address}: {error}") from error
        self.poller.register(socket, zmq.POLLIN)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, self._limits.waiting)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, self._timing.reconnect)
        socket.setsockopt(zmq.MAXMSGSIZE, self._limits.message)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_SECONDS * 1000)
        socket.setsockopt(zmq.RCVTIMEO, int(PROBE_SECONDS * 1000))
        if self._timing.keepalive:
            seconds = max(1, int(self._timing.keepalive / KEEPALIVE_PROBES))
            socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, seconds)
            socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, seconds)
            socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_PROBES)
        return socket

    def send(self, peer: int, message: bytes | bytearray | memoryview | Words, nbytes: int) -> None:
        """Queue one message; the buffer is not written to afterwards. Raises zmq.ZMQError when its connection is gone."""
        socket = self._sockets.get(peer)
        if socket is None:
            if self._router is None or peer not in self.ids:
                raise zmq.ZMQError(zmq.EHOSTUNREACH)
            socket = self._router
            socket.send(self.ids[peer], zmq.SNDMORE)
        # never waits: only where a connection was refused is there no queue to take it
        socket.send(message, zmq.NOBLOCK, nbytes < COPY_BELOW)  # type: ignore[arg-type]  # typed so from Python 3.12 on

    def receive(self, peer: int, copy: bool, admit: Admit, flags: int = 0) -> tuple[int, Frame] | None:
        """The next message on the socket that ``peer`` speaks through, and whose it is; None if it is nobody's.

        Raises zmq.Again after `PROBE_SECONDS`, or at once with zmq.NOBLOCK.
        """
        socket = self._sockets.get(peer)
        if socket is not None:
            return peer, _data(socket.recv(flags, copy))
        assert self._router is not None
        return self._from_router(copy, admit, flags)

    def _from_router(self, copy: bool, admit: Admit, flags: int) -> tuple[int, Frame] | None:
        assert self._router is not None
        unknown = self._callers is not None and len(self._callers.known) < len(self.ids)
        parts = self._router.recv_multipart(flags, copy and not unknown)
        if len(parts) != 2:
            return None  # no message of ours: one part behind the sender's id
        name = bytes(_data(parts[0]))
        rank = next((r for r, known in self.ids.items() if known == name), -1)
        if rank < 0 or self._curve is not None:  # a key is asked for with every message: ids can be claimed
            rank = admit(name, parts[1])
        if unknown and rank >= 0:
            assert self._callers is not None
            self._callers.meet(rank, parts[1])
        return (rank, _data(parts[1])) if rank >= 0 else None

    def arrived(self, timeout: float, admit: Admit) -> list[tuple[int, Frame]]:
        """One message of every socket that has some, after at most ``timeout`` seconds."""
        found = []
        for ready, _ in self.poller.poll(int(timeout * 1000)):
            if ready is self._router:
                got = self._from_router(False, admit, 0)
                if got is not None:
                    found.append(got)
            else:
                peer = next(p for p, s in self._sockets.items() if s is ready)
                found.append((peer, _data(ready.recv(copy=False))))
        return found

    def listens_to(self, peer: int) -> bool:
        """Whether that rank is one that connects to this process."""
        return peer not in self._sockets

    def disconnected(self, peer: int) -> bool:
        """Whether the connection to a lower rank ended, and no other came up; of a higher rank: whether its connection ended,
        at a port with passwords (at another nobody knows: False)."""
        if not self.listens_to(peer):
            return self.calls.ended(peer)
        return self._callers is not None and self._callers.ended(peer)

    def tidy(self) -> None:
        """Take in what the monitors tell, that it does not pile up."""
        self.calls.tidy()
        if self._callers is not None:
            self._callers.tidy()

    def close(self, linger: float) -> None:
        """Close all sockets; what is unsent gets ``linger`` seconds."""
        self.calls.close()
        if self._callers is not None:
            self._callers.close()
        for socket in (*self._sockets.values(), *([self._router] if self._router is not None else [])):
            socket.close(int(linger * 1000))
        self._sockets.clear()
        self._router = self._callers = None


def password_of(name: bytes) -> bytes:
    """What a connection under that routing id shows at a port with passwords."""
    return name.hex().encode()


def _data(message: bytes | zmq.Frame) -> Frame:
    return message if isinstance(message, bytes) else message.buffer
