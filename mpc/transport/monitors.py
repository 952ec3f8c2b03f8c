"""What ZeroMQ tells of connections: which came up, which ended, and why one does not come up."""
from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Final

import zmq

from mpc.errors import AuthenticationError, MPCError, PartyLost

_REFUSED: Final = "refused this process's key: its run.toml has another one"
_FAILED: Final = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: _REFUSED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "does not speak as run.toml says; has only one of the two insecure_plaintext?",
}
_BROKEN_OFF: Final = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_CALL: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_SUCCEEDED | _BROKEN_OFF | sum(_FAILED)
_EVENT: Final = struct.Struct("=HI")  # what happened, and to which descriptor


class Monitor:
    """The events of one socket."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], events: int) -> None:
        address = f"inproc://monitor-{socket.FD}"
        socket.monitor(address, events)
        self._watched = socket
        self._events: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.RCVHWM, 0)  # at a limit all traffic of the context would wait for it to be read
        self._events.connect(address)

    def news(self) -> Iterator[tuple[int, int, str]]:
        """Event, descriptor and address of all that happened since the last look."""
        while self._events.poll(0):
            event, address = self._events.recv_multipart()
            yield *_EVENT.unpack(event), address.decode()

    def close(self) -> None:
        self._watched.monitor(None, 0)
        self._events.close(0)


class Calls:
    """Connections of this process to lower ranks. ``trouble``: why a rank cannot be spoken with."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: bool) -> None:
        self._context, self._keys = context, keys
        self.trouble: dict[int, MPCError] = {}
        self._monitors: dict[int, Monitor] = {}
        self._broken_off: Counter[int] = Counter()  # handshakes in a row
        self._gone: set[int] = set()  # whose connection ended, and none came up since

    def watch(self, peer: int, socket: zmq.Socket[bytes]) -> None:
        """That socket will connect to that rank."""
        self._monitors[peer] = Monitor(self._context, socket, _CALL)

    def ended(self, peer: int) -> bool:
        """Whether the connection ended, and no other came up; notes in `trouble` why one does not."""
        for kind, _, address in self._monitors[peer].news() if peer in self._monitors else ():
            if kind == zmq.EVENT_DISCONNECTED:
                self._gone.add(peer)
            elif kind in _FAILED:
                self.trouble[peer] = AuthenticationError(f"whoever is at {address} {_FAILED[zmq.Event(kind)]}")
            elif kind == _BROKEN_OFF:
                self._broken_off[peer] += 1
                self.trouble[peer] = self._broken(peer, address)
            elif kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._gone.discard(peer)
                self.trouble.pop(peer, None)
                self._broken_off.pop(peer, None)
            elif kind == zmq.EVENT_CONNECT_RETRIED:
                self.trouble.setdefault(peer, PartyLost(f"nobody answers at {address}"))
        return peer in self._gone

    def tidy(self) -> None:
        """Take in all that happened, that it does not pile up."""
        for peer in self._monitors:
            self.ended(peer)

    def _broken(self, peer: int, address: str) -> MPCError:
        """Why a handshake broke off: a process that dies does that once, one with another key at every attempt."""
        what = f"whoever is at {address} broke off the handshake"
        if not self._keys or self._broken_off[peer] < 2:
            return PartyLost(what)
        return AuthenticationError(f"{what}: it has another key than run.toml says")

    def refused(self, peer: int) -> bool:
        """Whether that rank does not accept this process's key."""
        return _REFUSED in str(self.trouble.get(peer, ""))

    def close(self) -> None:
        for monitor in self._monitors.values():
            monitor.close()
        self._monitors.clear()


class Callers:
    """Connections of higher ranks to a port, told apart by their descriptors: no message has to be sent to see one end."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], port: zmq.Socket[bytes]) -> None:
        self._monitor = Monitor(context, port, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._open: dict[int, int | None] = {}  # descriptor -> the rank behind it, once known
        self.known: set[int] = set()
        self._ended: set[int | None] = set()  # None: of connections that nobody greeted over

    def meet(self, rank: int, message: bytes | zmq.Frame) -> None:
        """That message (no copy: copies do not know) came over the connection of that rank. The first one counts."""
        if rank in self.known:
            return
        self.known.add(rank)
        descriptor = message.get(zmq.SRCFD) if isinstance(message, zmq.Frame) else -1
        self.tidy()
        if descriptor in self._open:
            self._ended.add(self._open[descriptor])  # whoever had that descriptor before
            self._open[descriptor] = rank
        elif descriptor >= 0:
            self._ended.add(rank)

    def ended(self, rank: int) -> bool:
        """Whether the connection of a rank that was met has ended."""
        self.tidy()
        return rank in self._ended

    def tidy(self) -> None:
        """Take in all that happened, that it does not pile up."""
        for kind, descriptor, _ in self._monitor.news():
            if kind == zmq.EVENT_ACCEPTED:
                self._open[descriptor] = None
            else:
                self._ended.add(self._open.pop(descriptor, None))

    def close(self) -> None:
        self._monitor.close()
