"""What each rank's wire shows while a program runs once for every one of many samples."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc.config import SessionConfig
from mpc.errors import ConfigError
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.session import session
from mpc.supervision.threads import run_threads
from mpc.transport import frames
from mpc.transport.around import Around
from mpc.transport.base import Transport
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.memory import Hub

Program = Callable[[Party, Any], Any]

_SESSION = {Kind.HELLO, Kind.READY, Kind.ECHO, Kind.ECHOED, Kind.BARRIER, Kind.CLOSE, Kind.PING, Kind.ABORT, Kind.STORE}


class Seen(NamedTuple):
    """One frame: ``op`` counted from the start of its sample; ``payload`` whole."""

    sender: int
    receiver: int
    kind: int
    op: int
    payload: bytes


class Recording(NamedTuple):
    """``samples``: per sample every frame between ranks, the dealer being rank ``parties``."""

    samples: list[list[Seen]]
    parties: int


class _Listening(Around):
    """Notes every frame that its rank sends."""

    def __init__(self, inner: Transport, sent: list[tuple[int, bytes]]) -> None:
        super().__init__(inner)
        self._sent = sent

    def send(self, peer: int, frame: bytes | Words) -> None:
        self._sent.append((peer, bytes(frames.as_bytes(frame))))
        self.inner.send(peer, frame)


class _ListeningHub(Hub):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.sent: dict[int, list[tuple[int, bytes]]] = {rank: [] for rank in range(size + 1)}

    def join(self, rank: int) -> Any:
        return _Listening(super().join(rank), self.sent[rank])


def record(
    program: Program, samples: Sequence[Any], owner: int = 0, parties: int = 3, protocol: str = "additive",
    deadline: float = 60.0,
) -> Recording:  # fmt: skip
    """Run ``program(party, sample)`` for every sample in one session of threads, the dealer beside, and keep all frames.

    Rank ``owner`` is given the sample, the others None; what a program returns is dropped. In these threads frames travel as
    they are; between machines they are sealed as well, so this is what the receivers see, not who listens on the line.
    Raises ConfigError for an owner that is no party, and what the program raises.
    """
    if not 0 <= owner < parties:
        raise ConfigError(f"got owner {owner}; want a rank from 0 to {parties - 1}")
    starts: list[int] = []

    def run() -> None:
        with session() as party:
            for sample in samples:
                if party.rank == owner:
                    starts.append(party.next_op())
                else:
                    party.next_op()
                program(party, sample if party.rank == owner else None)
            if party.rank == owner:
                starts.append(party.next_op())
            else:
                party.next_op()

    hub = _ListeningHub(parties)
    run_threads(run, (), SessionConfig(world_size=parties, protocol=protocol, deadline=deadline), None, hub=hub)
    out: list[list[Seen]] = [[] for _ in samples]
    for sender, sent in hub.sent.items():
        for receiver, data in sent:
            header = frames.unpack_header(data)
            at = int(np.searchsorted(starts, header.op, "right")) - 1
            if header.kind not in _SESSION and 0 <= at < len(out):
                out[at].append(Seen(sender, receiver, header.kind, header.op - starts[at], data[HEADER_BYTES:]))
    return Recording(out, parties)
