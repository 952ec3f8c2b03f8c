"""What a peer announces is compared with what is possible and expected, before anything is made of it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

import mpc
from mpc import errors
from mpc.exchange import Abort, abort_frame, echo_of
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind
from mpc.transport.memory import Hub

LARGE = [(2**60,), (2**32, 2**32), (2**63, 2**63, 0), (2**64 - 1,) * 8]


def outcomes(program: Callable[[Any], Any], protocol: str = "additive") -> list[BaseException | None]:
    """How each of three parties ends."""
    found: list[BaseException | None] = [None] * 3

    def main() -> None:
        with mpc.session() as s:
            try:
                program(s)
            except errors.MPCError as error:
                found[s.rank] = error
                raise

    with pytest.raises(errors.MPCError):
        mpc.local(main, threads=True, deadline=5, protocol=protocol)
    return found


def owner_says(s: Any, shape: tuple[int, ...], payload: int, kind: Kind, owner: int = 1) -> None:
    """As `mpc.share`, with any shape and payload from the owner."""
    if s.rank != owner:
        mpc.share(None, owner)
        return
    op = s.next_op()
    s.note("input", op, owner, s.frac_bits)
    frame = frames.new(payload)
    frame[HEADER_WORDS:] = 0
    s.from_owner(owner, frame, shape, op, kind)
    s.barrier()


@pytest.mark.parametrize("shape", LARGE)
def test_an_input_larger_than_the_memory(shape: tuple[int, ...]) -> None:
    for rank, error in enumerate(outcomes(lambda s: owner_says(s, shape, 0, Kind.INPUT))):
        assert isinstance(error, errors.ShapeError) and error.peer in (None, 1), error
        assert rank == 1 or ("party 1" in str(error) and "operation 1" in str(error))
        assert rank == 1 or "the memory here is" in str(error) or error.echo is not None


@pytest.mark.parametrize(
    "protocol, kind, shape, payload",
    [
        ("additive", Kind.INPUT, (2,), 2),  # an input's frame has no payload
        ("clear", Kind.BROADCAST, (4,), 3),
        ("clear", Kind.BROADCAST, (4, 2), 9),
        ("clear", Kind.BROADCAST, (), 0),
    ],
)
def test_a_payload_that_does_not_fit_its_shape(protocol: str, kind: Kind, shape: tuple[int, ...], payload: int) -> None:
    for rank, error in enumerate(outcomes(lambda s: owner_says(s, shape, payload, kind), protocol)):
        assert isinstance(error, errors.CorruptFrame), error
        assert rank == 1 or error.peer == 1


@pytest.mark.parametrize(
    "words, kind",
    [
        ((9, 1, 1, 1, 1, 1, 1, 1, 1), errors.CorruptFrame),
        ((2**64 - 2, 4, 3, 0, 0, 0, 0, 0, 0), errors.CorruptFrame),
        ((2, 2**40, 2**40, 0, 0, 0, 0, 0, 0), errors.ShapeError),
        ((2, 4, 2**62, 0, 0, 0, 0, 0, 0), errors.ShapeError),
        ((2, 5, 3, 0, 0, 0, 0, 0, 0), errors.ProgramMismatch),  # what is shared then has other rows
    ],
)
def test_shapes_of_joined_data(monkeypatch: pytest.MonkeyPatch, words: tuple[int, ...], kind: type[Exception]) -> None:
    from mpc.data import joining

    publish = joining.publish

    def lie(party: Any, what: Kind, honest: Any) -> Any:
        return publish(party, what, np.array(words, np.uint64) if party.rank == 1 else honest)

    monkeypatch.setattr(joining, "publish", lie)
    found = outcomes(lambda s: mpc.data.by_rows(np.ones((4, 3)) if s.rank == 1 else np.ones((2, 3)) if s.rank == 0 else None))
    assert [type(error) for error in found] == [kind] * 3
    assert all("party 1" in str(error) for error in found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(("KeyError", 3, 7)),  # rank 3 is the dealer of two parties: out of range
        msgspec.msgpack.encode(("KeyError", -1, 7)),
        msgspec.msgpack.encode(("KeyError", 1, 7, 9)),
        msgspec.msgpack.encode(("\x1b[2J clears the terminal", 1, 7)),
        msgspec.msgpack.encode(("K" * 1000, 1, 7)),
        bytes(1 << 20),
    ],
)
def test_aborts_that_are_none(body: bytes) -> None:
    data = frames.pack(Kind.ABORT, 7, len(body), bytes(16)) + body
    error = echo_of(data, Hub(2).join(0))
    assert type(error) is errors.CorruptFrame and "\x1b" not in str(error) and len(str(error)) < 300


def test_an_abort_says_whom_and_where() -> None:
    transport = Hub(3).join(0)
    lost = errors.PartyLost("party 2 closed its connection")
    lost.peer = 2
    error = echo_of(abort_frame(lost, 1, 7), transport)
    assert type(error) is errors.PartyLost and (error.echo, error.op, error.peer) == (1, 7, 2)
    assert str(error).startswith("party 2 was lost: party 1 noticed it at operation 7 (here at test_announced.py:")
    again = echo_of(abort_frame(error, 0, 9), Hub(3).join(2))  # passed on by party 0, as it was
    assert (again.echo, again.op, again.peer) == (1, 7, 2) and "this process was lost" in str(again)
    gone = errors.DealerLost("the dealer closed its connection")
    gone.peer = 3
    assert type(echo_of(abort_frame(gone, 2, 5), transport)) is errors.DealerLost
    assert "with KeyError; its own output" in str(echo_of(abort_frame(KeyError("secret"), 1, 7), transport))
    assert "secret" not in str(echo_of(abort_frame(KeyError("secret"), 1, 7), transport))
    assert Abort("KeyError", 1, 7).peer == -1
