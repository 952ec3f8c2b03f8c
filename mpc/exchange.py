"""What parties send each other: an exchange under way, and what a frame that was not expected means."""
from __future__ import annotations

import math
import os
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from mpc import errors
from mpc.errors import CorruptFrame, PartyLost
from mpc.fixed_point import Words
from mpc.masks import Shape
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, HEADER_WORDS

if TYPE_CHECKING:
    from mpc.party import Party

ABORT_BYTES: Final = 1024  # most bytes of an abort's body
REASON_CHARACTERS: Final = 600
NAME_CHARACTERS: Final = 100  # of an exception's class
MEMORY_WORDS: Final = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8
ENGINE: Final = ("mpc", "contextlib", "runpy", "threading", "")  # whose frames are not the program's
COMMAND: Final = ("typer", "click")  # what called the command `mpc dealer`: no program is further out
LEAVING: Final = {
    "SystemExit": "left the session through sys.exit()",
    "KeyboardInterrupt": "was interrupted",
}


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


class Abort(msgspec.Struct, array_like=True):
    """Why a party stops, for its peers: the error's type, where it was raised first, and whom it missed or found fault
    with (-1: nobody). ``reason``: of the handshake, where settings are compared and nothing is secret yet."""

    error: str
    rank: int
    op: int
    peer: int = -1
    reason: str = ""


def abort_frame(error: BaseException, rank: int, op: int, reason: str = "") -> bytes:
    """Tells a peer that ``rank`` stops at operation ``op``: by error type and whose it was first, nothing else.

    ``reason``: text for people, of the handshake alone."""
    text = reason.encode("ascii", "backslashreplace").decode()[:REASON_CHARACTERS]
    abort = Abort(type(error).__name__, rank, op, reason=text)
    if isinstance(error, errors.MPCError):
        if error.echo is not None:
            abort.rank, abort.op = error.echo, op if error.op is None else error.op
        if error.peer is not None:
            abort.peer = error.peer
    body = msgspec.msgpack.encode(abort)
    return frames.pack(frames.Kind.ABORT, op, len(body), bytes(16)) + body


def echo_of(data: Frame, transport: Transport) -> errors.MPCError:
    """The exception that another party's abort frame stands for here."""
    try:
        if len(data) > HEADER_BYTES + ABORT_BYTES:
            raise ValueError(f"it has {len(data)} bytes")
        abort = msgspec.msgpack.decode(data[HEADER_BYTES:], type=Abort)
        if not abort.error.isidentifier() or len(abort.error) > NAME_CHARACTERS:
            raise ValueError("no error")
        if not 0 <= abort.rank <= transport.world_size >= abort.peer >= -1:
            raise ValueError("no rank")
    except (msgspec.MsgspecError, ValueError) as error:
        return CorruptFrame(f"an unreadable abort frame: {error}{here()}")
    kind = errors.by_name(abort.error) or PartyLost
    if issubclass(kind, PartyLost) and abort.peer >= 0:
        kind = errors.DealerLost if abort.peer == transport.world_size else PartyLost
    failure = kind(_reason(abort, kind, transport) + here())
    failure.echo, failure.op = abort.rank, abort.op
    failure.peer = abort.rank if abort.peer < 0 else abort.peer
    return failure


def _reason(abort: Abort, kind: type[errors.MPCError], transport: Transport) -> str:
    who, when = transport.name(abort.rank), f"at operation {abort.op}" if abort.op else "before the session began"
    if abort.error in LEAVING:
        return f"{who} {LEAVING[abort.error]} {when}; every party must stay to the end of the session"
    if abort.peer < 0:
        return f"{who} stopped {when} with {abort.error}; its own output says why"
    whom = "this process" if abort.peer == transport.rank else transport.name(abort.peer)
    if issubclass(kind, PartyLost):
        return f"{whom} was lost: {who} noticed it {when}"
    said = "".join(c if c.isprintable() else "?" for c in abort.reason[:REASON_CHARACTERS])
    return f"{who} stopped {when} with {abort.error}: {said or f'the fault is with {whom}'}"


def call_site() -> str:
    """File and line of the program's statement that is running; empty where no program is (the dealer)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _package(frame) not in COMMAND:
        if is_program(frame):
            return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def is_program(frame: FrameType) -> bool:
    """Is that frame the program's own, neither the engine's nor of what starts it?"""
    return _package(frame) not in ENGINE


def _package(frame: FrameType) -> str:
    module: str = frame.f_globals.get("__package__") or frame.f_globals.get("__name__", "")
    return module.partition(".")[0]


def here() -> str:
    """ " (here at train.py:12)", for messages."""
    site = call_site()
    return f" (here at {site})" if site else ""


def checked_shape(shape: Shape, peer: int, who: str) -> Shape:
    """A shape that ``peer`` announced. Raises ShapeError for more elements than this machine's memory holds."""
    words = math.prod(max(n, 1) for n in shape)
    if words > MEMORY_WORDS:
        error = errors.ShapeError(
            f"{who} announces an array of shape {shape}, {8 * words:.3g} bytes; the memory here is "
            f"{8 * MEMORY_WORDS:.3g} bytes: share it in parts{here()}"
        )
        error.peer = peer
        raise error
    return shape


def describe(header: frames.Header) -> str:
    return f"{frames.kind_name(header.kind)} number {header.op} of shape {header.shape} ({header.nbytes} bytes)"
