"""What parties send each other: an exchange under way, and what a frame that was not expected means."""
from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mpc import errors
from mpc.errors import CorruptFrame, PartyLost
from mpc.fixed_point import Words
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, HEADER_WORDS

if TYPE_CHECKING:
    from mpc.party import Party


class Pending:
    """An exchange whose frames are on their way. Links are in order, so what was posted before is read before."""

    __slots__ = ("_frame", "_got", "_header", "_party")

    def __init__(self, party: Party, frame: Words, header: bytes) -> None:
        self._party = party
        self._frame = frame
        self._header = header
        self._got: list[Words] | None = None
        party.outstanding.append(self)

    def _others(self) -> list[Words]:
        outstanding = self._party.outstanding
        while self._got is None:
            outstanding.popleft()._receive()
        return self._got

    def _receive(self) -> None:
        receive, header, nbytes = self._party.receive, self._header, self._frame.nbytes
        self._got = [frames.payload(receive(peer, header, nbytes)) for peer in self._party.peers]

    def wait(self) -> list[Words]:
        """The payload words of every rank in order, this one's included."""
        got = list(self._others())
        got.insert(self._party.rank, self._frame[HEADER_WORDS:])
        return got

    def add(self) -> Words:
        """The sum of all ranks' payloads, in a new array."""
        return self._combine(np.add)

    def xor(self) -> Words:
        """The XOR of all ranks' payloads, in a new array."""
        return self._combine(np.bitwise_xor)

    def _combine(self, function: np.ufunc) -> Words:
        first, *rest = self._others()
        out: Words = function(self._frame[HEADER_WORDS:], first)
        for other in rest:
            function(out, other, out=out)
        return out


def publish(party: Party, kind: frames.Kind, words: Words) -> list[Words]:
    """Public words of every party, as many from each, by rank; one round. What they say is checked by the caller."""
    frame = frames.new(words.size)
    frame[HEADER_WORDS:] = words
    party.note(kind.name)
    return party.post(kind, party.next_op(), frame, (words.size,)).wait()


class FromOwner(Pending):
    """One party's frame to all others."""

    __slots__ = ("_nbytes", "_owner")

    def __init__(self, party: Party, owner: int, frame: Words | None, header: bytes, nbytes: int) -> None:
        self._owner = owner
        self._nbytes = nbytes
        super().__init__(party, frame, header)  # type: ignore[arg-type]

    def _receive(self) -> None:
        if self._party.rank == self._owner:
            self._got = [self._frame[HEADER_WORDS:]]
        else:
            self._got = [frames.payload(self._party.receive(self._owner, self._header, HEADER_BYTES + self._nbytes))]

    def words(self) -> Words:
        """The owner's payload; not to be written to."""
        return self._others()[0]


def echo_of(data: Frame, transport: Transport) -> errors.MPCError:
    """The exception that another party's abort frame stands for here."""
    try:
        name, rank, op = msgspec.msgpack.decode(data[HEADER_BYTES:], type=tuple[str, int, int])
    except msgspec.MsgspecError as error:
        return CorruptFrame(f"an unreadable abort frame: {error}")
    kind = errors.by_name(name) or PartyLost
    failure = kind(f"{transport.name(rank)} stopped at operation {op} with {name}; its own output says why")
    failure.echo = rank
    return failure


def describe(header: frames.Header) -> str:
    return f"{frames.kind_name(header.kind)} number {header.op} of shape {header.shape} ({header.nbytes} bytes)"
