"""How far away the peers are: one-way delay and bandwidth of links, measured.

`agreed` is for sessions: the parties measure together, and all take the slowest link's figures, so that choices that
depend on them are the same everywhere. `links` is for `mpc check`: each link by itself, with whoever is there.
"""
from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from mpc.errors import MPCError, PartyLost
from mpc.exchange import echo_of, publish
from mpc.network import Network
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import Kind

if TYPE_CHECKING:
    from mpc.party import Party

DELAYS: Final = 4  # empty exchanges; the first brings the parties into step
PROBES: Final = 4  # exchanges with data; TCP's window opens meanwhile
PROBE_WORDS: Final = 1 << 13
ECHOES: Final = 5
LOADS: Final = 3
LOAD_BYTES: Final = 1 << 20
FASTEST: Final = 1e-9  # seconds: no difference of two clock readings is taken for less


def agreed(party: Party) -> Network:
    """The delay and bandwidth of the slowest link between parties, the same at all. Nine rounds.

    Who enters an exchange last waits for less than the way, who enters first for more: of each exchange the longest wait
    counts, and of these the shortest. Bandwidth counts what a party sends to all others together. The dealer's link is
    taken to be as good as the slowest.
    """
    with party.scope("links"):
        delays, loads = [], []
        for _ in range(DELAYS):
            started = time.perf_counter()
            party.barrier()
            delays.append(time.perf_counter() - started)
        for _ in range(PROBES):
            frame = frames.new(PROBE_WORDS)
            frame[frames.HEADER_WORDS :] = 0
            party.note("links")
            started = time.perf_counter()
            party.post(Kind.BROADCAST, party.next_op(), frame, (PROBE_WORDS,)).wait()
            loads.append(time.perf_counter() - started)
        mine = np.array([1e9 * seconds for seconds in (*delays[1:], *loads)], np.uint64)
        longest = np.max(publish(party, Kind.BROADCAST, mine), axis=0) / 1e9
        one_way, load = float(longest[: DELAYS - 1].min()), float(longest[DELAYS - 1 :].min())
        return Network(one_way, len(party.peers) * 8 * PROBE_WORDS / max(load - one_way, FASTEST))


@dataclass
class Link:
    """What `links` finds of one peer: seconds, bytes per second towards it, and why it could not be measured."""

    round_trip: float | None = None
    bandwidth: float | None = None
    trouble: str = ""
    _sent: float = 0.0
    _times: list[float] = field(default_factory=list)

    def next(self, now: float) -> int | None:
        """The size of the next echo to ask for, having noted the time of the last; None when all are done."""
        if self._sent:
            self._times.append(now - self._sent)
        self._sent = now
        if len(self._times) < ECHOES:
            return 0
        if len(self._times) < ECHOES + LOADS:
            return LOAD_BYTES
        self.round_trip = min(self._times[:ECHOES])
        self.bandwidth = LOAD_BYTES / max(min(self._times[ECHOES:]) - self.round_trip, FASTEST)
        return None


def links(transport: Transport, peers: set[int], seconds: float) -> dict[int, Link]:
    """Measure the links to ``peers``, all of which call this at about the same time; those that do not answer say so."""
    found = {peer: Link() for peer in sorted(peers)}
    busy, others = set(peers), set(peers)  # whom this process still measures; who still measures it
    end = time.monotonic() + seconds

    def ask(peer: int) -> None:
        size = found[peer].next(time.perf_counter())
        if size is None:
            busy.discard(peer)
            transport.send(peer, frames.pack(Kind.CLOSE, 0, 0, bytes(16)))
        else:
            transport.send(peer, frames.pack(Kind.ECHO, 0, size, bytes(16)) + bytes(size))

    def heard(peer: int, data: Frame) -> None:
        kind = frames.unpack(data).kind
        if kind == Kind.ECHO:
            transport.send(peer, frames.pack(Kind.ECHOED, 0, 0, bytes(16)))
        elif kind == Kind.ECHOED and peer in busy:
            ask(peer)
        elif kind == Kind.ABORT:
            raise echo_of(data, transport)
        else:
            others.discard(peer)

    def without(peer: int, error: MPCError) -> None:
        found[peer].trouble = str(error)
        busy.discard(peer)
        others.discard(peer)

    for peer in sorted(peers):
        try:
            ask(peer)
        except PartyLost as error:
            without(peer, error)
    while busy or others:
        if time.monotonic() > end:
            for peer in busy:
                found[peer].trouble = f"{transport.name(peer)} did not answer within {seconds:g} s"
            break
        got = transport.recv_any(0.2, among=busy | others)
        for peer in sorted(busy | others) if got is None else ():
            try:
                transport.probe(peer)
            except PartyLost as error:
                without(peer, error)
        if got is not None:
            try:
                heard(*got)
            except MPCError as error:
                without(got[0], error)
    return found
