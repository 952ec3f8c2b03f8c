"""The transport contract: send a frame to a rank, receive one from a rank within a deadline; count the bytes."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from mpc.errors import MPCError, PartyLost
from mpc.fixed_point import Words
from mpc.transport.frames import HEADER_BYTES, KIND_AT, Kind

Frame = bytes | memoryview


@dataclass
class Meter:
    """Frames and bytes by peer rank, counted where they leave and arrive, without what sealing adds (40 bytes per MiB
    begun). Keep-alive frames are not counted."""

    frames_sent: dict[int, int] = field(default_factory=dict)
    bytes_sent: dict[int, int] = field(default_factory=dict)
    frames_received: dict[int, int] = field(default_factory=dict)
    bytes_received: dict[int, int] = field(default_factory=dict)

    def sent(self, peer: int, nbytes: int) -> None:
        self.frames_sent[peer] = self.frames_sent.get(peer, 0) + 1
        self.bytes_sent[peer] = self.bytes_sent.get(peer, 0) + nbytes

    def received(self, peer: int, nbytes: int) -> None:
        self.frames_received[peer] = self.frames_received.get(peer, 0) + 1
        self.bytes_received[peer] = self.bytes_received.get(peer, 0) + nbytes

    def payload_sent(self, peer: int) -> int:
        """Payload bytes sent to that peer: all bytes but the headers."""
        return self.bytes_sent.get(peer, 0) - HEADER_BYTES * self.frames_sent.get(peer, 0)


class Transport(ABC):
    """Links of one process to every other rank; rank ``world_size`` is the dealer.

    Sending never blocks on the receiver. Frames of one link arrive whole and in order.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank = rank
        self.world_size = world_size
        self.meter = Meter()
        self.greeted: set[int] = set()  # peers heard in this session
        self.begun = False  # the handshake is over

    def name(self, peer: int) -> str:
        """How messages to people call that peer."""
        return "the dealer" if peer == self.world_size else f"party {peer}"

    def is_news(self, peer: int, data: Frame) -> bool:
        """Whether a frame that arrived is for the program: no keep-alive, and nothing of the handshake said again (it may
        have met the end of the session before)."""
        kind = data[KIND_AT] if len(data) > KIND_AT else None
        if peer in self.greeted and (kind in (Kind.PING, Kind.HELLO) or (self.begun and kind == Kind.READY)):
            return False
        self.greeted.add(peer)
        return True

    @abstractmethod
    def send(self, peer: int, frame: bytes | Words) -> None:
        """Queue one frame. A caller does not write to the buffer afterwards. Raises PartyLost."""

    @abstractmethod
    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        """The next frame from that peer. Raises PartyLost or DealerLost after ``timeout`` seconds of silence."""

    @abstractmethod
    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        """The next frame from whichever peer (``among`` these) has one, or None after ``timeout`` seconds. ``likely``: who
        is waited for first; the others are looked at when it is silent."""

    def expect(self, secrets: Mapping[int, bytes]) -> None:
        """`protect` may follow with these secrets, here and at the peers: let their connections in."""

    def protect(self, secrets: Mapping[int, bytes], timeout: float) -> dict[int, PartyLost]:
        """The handshake is over. Encrypt all further frames to and from these peers with keys derived from the pairs'
        secrets, where frames leave the machine. Returns the peers with whom that failed, and why."""
        self.begun = True
        return {}

    def probe(self, peer: int) -> None:
        """Raise PartyLost or DealerLost if a peer heard before has gone, where the transport can tell; AuthenticationError
        if it refuses this process."""

    def forget(self, peer: int) -> None:
        """It begins anew: nothing that it said before counts."""

    def trouble(self, peer: int) -> MPCError | None:
        """What is known of why a peer was not heard: AuthenticationError where keys do not fit."""
        return None

    @abstractmethod
    def close(self, linger: float = 1.0) -> None:
        """Release every resource; unsent frames get ``linger`` seconds."""
