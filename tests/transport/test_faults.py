"""Spoiled links: every party ends in time with the right exception, and no party with a wrong number.

Links between threads (and ipc sockets) have no tag: a payload altered there gives another number, by design. Faults of
whole frames and of headers are found on every link; on a sealed link every fault is.
"""
from __future__ import annotations

import re
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpc
from mpc.errors import CorruptFrame, DealerLost, MPCError, PartyLost, ProgramMismatch
from mpc.exchange import abort_frame
from mpc.transport import frames
from mpc.transport.faulty import Fault, Rule
from mpc.transport.frames import HEADER_BYTES, KIND_AT, Kind
from tests.transport.spoiled import SLACK, Outcome, run

SHORT, LONG = 1.0, 20.0  # deadlines: where silence must end, and where it must not be what ends a session
A = np.arange(6.0)
OTHER = "party 0 does not run the same program as party 1 at operation"
GARBAGE = b"GET / HTTP/1.1\r\nHost: party.example.org\r\nAccept: */*\r\n\r\n" * 4
DIMENSIONS_AT, SHAPE_AT, SHAPE_END = KIND_AT + 1, 40, 104  # of a header: how many dimensions its shape has, and they
MOST = (1 << 64) - 1
CORRECT = (*(A * A[::-1]).tolist(), *np.where(A * A[::-1] > 5, A, 0).tolist())


def program(s: mpc.Party) -> tuple[float, ...]:
    x = mpc.share(A if s.rank == 0 else None, owner=0)
    y = mpc.share(A[::-1].copy() if s.rank == 1 else None, owner=1)
    z = x * y
    chosen = x * (z > 5.0)
    return (*z.reveal(reason="product").tolist(), *chosen.reveal(reason="selection").tolist())


def check(outcomes: list[Outcome], rank: int, error: type[MPCError], says: str) -> None:
    """``rank`` finds the fault; the others learn from it what happened and at which operation."""
    for number, outcome in enumerate(outcomes):
        assert outcome.value is None
        assert isinstance(outcome.error, error), f"party {number} raised {outcome.error!r}"
        says_here = says if number == rank else rf"(party {rank}|the dealer) .*at operation \d+"
        assert re.search(says_here, str(outcome.error)), f"party {number}: got {outcome.error}; want {says_here}"


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    ("fault", "kind", "error", "says"),
    [
        (Rule(Fault.DROP), Kind.OPEN, ProgramMismatch, OTHER),
        (Rule(Fault.REPEAT), Kind.OPEN, ProgramMismatch, OTHER),
        (Rule(Fault.REORDER), Kind.BITS, ProgramMismatch, OTHER),
        (Rule(Fault.DROP), Kind.REVEAL_CHECK, ProgramMismatch, "it sent REVEAL number"),
        (Rule(Fault.REPEAT), Kind.REVEAL, ProgramMismatch, "it sent REVEAL number"),
        (Rule(Fault.TRUNCATE), Kind.OPEN, CorruptFrame, "party 0 sent what is no message: got a frame of .* at operation"),
        (Rule(Fault.EXTEND, garbage=bytes(8)), Kind.BITS, CorruptFrame, "party 0 sent what is no message: .* at operation"),
        (Rule(Fault.REPLACE, garbage=GARBAGE), Kind.REVEAL, CorruptFrame, "starts with b'GET '; want b'MPC1'.* at operation"),
        (Rule(Fault.INSERT, garbage=b""), Kind.BITS, CorruptFrame, "got a frame of 0 bytes; want at least 128 .* at operation"),
        (Rule(Fault.CORRUPT, at=0), Kind.OPEN, CorruptFrame, "starts with b'LPC1'; want b'MPC1'"),
        (Rule(Fault.CORRUPT, at=8), Kind.OPEN, ProgramMismatch, OTHER),  # the operation number
        (Rule(Fault.CORRUPT, at=30), Kind.OPEN, ProgramMismatch, OTHER),  # the transcript
        (Rule(Fault.CORRUPT, at=16), Kind.OPEN, CorruptFrame, "payload bytes that announces .* at operation"),
    ],
    ids=lambda v: v.fault.value if isinstance(v, Rule) else getattr(v, "name", None),
)
def test_on_a_link_without_tags(size: int, fault: Rule, kind: Kind, error: type[MPCError], says: str) -> None:
    """Frames are told apart by what their headers say."""
    rule = Rule(fault.fault, 1, kind, at=fault.at, garbage=fault.garbage)
    outcomes, befallen = run(program, size, {0: [rule]}, deadline=LONG)
    assert befallen == 1
    check(outcomes, 1, error, says)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Rule(Fault.DROP), "got record 4, want record 3: records are missing"),
        (Rule(Fault.REPEAT), "got record 3, want record 4: records are repeated"),
        (Rule(Fault.REORDER), "got record 4, want record 3: records are missing"),
        (Rule(Fault.TRUNCATE), "record 3 is truncated or too long"),
        (Rule(Fault.EXTEND, garbage=b"x"), "record 3 is truncated or too long"),
        (Rule(Fault.REPLACE, garbage=GARBAGE), "bytes that start with b'GET '; want a record"),
        (Rule(Fault.INSERT, garbage=b""), "got 0 bytes"),
        (Rule(Fault.CORRUPT, at=-1), "record 3 was altered"),
        (Rule(Fault.CORRUPT, at=200, mask=0x80), "record 3 was altered"),
    ],
    ids=lambda v: v.fault.value if isinstance(v, Rule) else None,
)
def test_on_a_sealed_link(size: int, fault: Rule, says: str) -> None:
    """Records are told apart by their numbers, and altered ones by their tags: also inside payloads."""
    rule = Rule(fault.fault, 1, first=3, at=fault.at, mask=fault.mask, garbage=fault.garbage)
    outcomes, befallen = run(program, size, {0: [rule]}, seal=True, deadline=LONG)
    assert befallen == 1
    check(outcomes, 1, CorruptFrame, rf"^party 0: .*{says}.*\(party 1 at operation \d+: .*test_faults.py:\d+\)")


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("seal", [False, True], ids=["clear", "sealed"])
def test_a_link_that_falls_silent(size: int, seal: bool) -> None:
    outcomes, _ = run(program, size, {0: [Rule(Fault.STALL, 1, first=4)]}, seal, deadline=SHORT)
    for outcome in outcomes:
        assert isinstance(outcome.error, PartyLost) and not isinstance(outcome.error, DealerLost)
        assert SHORT / 2 < outcome.seconds < SHORT + SLACK
    told = r"; this process was lost: party [02] noticed it at operation \d+"  # all wait as long: any may be first
    own = r" \(party 1 at operation \d+: .*test_faults.py:\d+\)$"
    assert re.match(rf"party 0 sent nothing for 1 s(?:{told})?{own}", str(outcomes[1].error))


def test_who_is_taken_for_lost_and_waited_itself_says_for_whom() -> None:
    told, over = threading.Event(), threading.Event()

    def waits(s: Any) -> None:
        if s.rank == 1:
            told.wait()
            try:
                s.barrier()
            finally:
                over.set()
        if s.rank == 2:
            lost = PartyLost("party 1 sent nothing")
            lost.peer = 1
            s.transport.send(1, abort_frame(lost, 2, 9))
            told.set()
        over.wait()
        s.barrier()

    outcomes, _ = run(waits, 3, {}, deadline=SHORT)
    both = "party 0 sent nothing for 1 s; this process was lost: party 2 noticed it at operation 9 (party 1 at operation 1: "
    assert str(outcomes[1].error).startswith(both)
    assert outcomes[1].error is not None and outcomes[1].error.peer == 0


@pytest.mark.parametrize("seal", [False, True], ids=["clear", "sealed"])
def test_a_slow_link_is_no_fault(seal: bool) -> None:
    outcomes, befallen = run(program, 3, {0: [Rule(Fault.DELAY, count=5, seconds=0.1)]}, seal, deadline=LONG)
    assert [o.value for o in outcomes] == [CORRECT] * 3 and befallen == 5


@pytest.mark.parametrize("seal", [False, True], ids=["clear", "sealed"])
@pytest.mark.parametrize("fault", [Fault.STALL, Fault.REPEAT, Fault.TRUNCATE], ids=lambda f: f.value)
def test_the_dealers_link(seal: bool, fault: Fault) -> None:
    """From the dealer to the receiver (the last party): DealerLost or CorruptFrame there, and the same told to the others."""
    deadline = SHORT if fault == Fault.STALL else LONG
    outcomes, befallen = run(program, 3, {3: [Rule(fault, 2)]}, seal, deadline=deadline)
    assert befallen
    error = DealerLost if fault == Fault.STALL else CorruptFrame
    for rank, outcome in enumerate(outcomes):
        assert outcome.value is None
        if fault == Fault.STALL and rank != 2 and not isinstance(outcome.error, DealerLost):
            # party 2 began to wait for the dealer too late to give up before those who wait for it
            assert isinstance(outcome.error, PartyLost) and "party 2" in str(outcome.error), repr(outcome.error)
            continue
        assert isinstance(outcome.error, error), f"party {rank}: {outcome.error!r}"
        assert "the dealer" in str(outcome.error) or "party 2 stopped at operation" in str(outcome.error)
        assert outcome.seconds < deadline + SLACK


@pytest.mark.parametrize("seal", [False, True], ids=["clear", "sealed"])
@pytest.mark.parametrize("fault", [Fault.DROP, Fault.REPEAT, Fault.TRUNCATE], ids=lambda f: f.value)
def test_requests_that_the_dealer_does_not_get_as_they_were_sent(seal: bool, fault: Fault) -> None:
    outcomes, befallen = run(program, 2, {1: [Rule(fault, 2)]}, seal, deadline=SHORT)
    assert befallen
    for rank, outcome in enumerate(outcomes):
        assert outcome.value is None
        # party 0 may give up before party 1 does, which began to wait later
        silent = DealerLost if rank or fault != Fault.DROP else PartyLost
        assert isinstance(outcome.error, (silent, CorruptFrame, mpc.PreprocessingExhausted)), repr(outcome.error)


@pytest.mark.parametrize("kind", [Kind.HELLO, Kind.READY], ids=lambda k: k.name)
@pytest.mark.parametrize("fault", [Fault.STALL, Fault.TRUNCATE, Fault.REPLACE], ids=lambda f: f.value)
def test_the_greeting(kind: Kind, fault: Fault) -> None:
    """Nobody starts with half an agreement."""
    rule = Rule(fault, 0, kind, count=100, garbage=GARBAGE)
    outcomes, _ = run(program, 3, {}, early={1: [rule]}, deadline=SHORT)
    for outcome in outcomes:
        assert outcome.value is None and isinstance(outcome.error, (PartyLost, CorruptFrame)), repr(outcome.error)
        assert outcome.seconds < 2 * SHORT + SLACK


def test_where_a_header_says_the_shape() -> None:
    plain, other = (frames.pack(Kind.OPEN, 1, 0, bytes(16), shape) for shape in ((0,) * 8, (MOST,) * 8))
    assert [at for at, (a, b) in enumerate(zip(plain, other, strict=True)) if a != b] == [*range(SHAPE_AT, SHAPE_END)]
    (at,) = [at for at, (a, b) in enumerate(zip(plain, frames.pack(Kind.OPEN, 1, 0, bytes(16)), strict=True)) if a != b]
    assert at == DIMENSIONS_AT


links = st.sampled_from([(0, 1), (1, 0), (1, 2), (2, 0), (2, 3), (3, 2)])  # rank 3 is the dealer
faults = st.sampled_from(sorted(set(Fault) - {Fault.DELAY, Fault.STALL}, key=str))


@settings(max_examples=60)
@given(links, faults, st.integers(0, 14), st.integers(0, 400), st.integers(1, 255), st.binary(max_size=300), st.booleans())
def test_never_a_wrong_number(
    link: tuple[int, int], fault: Fault, first: int, at: int, mask: int, garbage: bytes, seal: bool
) -> None:
    """Any fault of any frame of any link: each party has the right result, or one of few exceptions."""
    if fault == Fault.CORRUPT and not seal:
        at %= HEADER_BYTES
    rule = Rule(fault, link[1], first=first, at=at, mask=mask, garbage=garbage)
    outcomes, _ = run(program, 3, {link[0]: [rule]}, seal, deadline=SHORT)
    allowed: tuple[type[MPCError], ...] = (PartyLost, CorruptFrame, ProgramMismatch, mpc.PreprocessingExhausted)
    if fault == Fault.CORRUPT and not seal and (at == DIMENSIONS_AT or SHAPE_AT <= at < SHAPE_END):
        allowed += (mpc.ShapeError,)  # the shape of an input is what its owner's header says
    for rank, outcome in enumerate(outcomes):
        if outcome.value is not None:  # possibly followed by an exception at the session's end
            assert outcome.value == CORRECT, f"party {rank} computed {outcome.value} after {rule}"
        else:
            assert isinstance(outcome.error, allowed), f"party {rank} raised {outcome.error!r} after {rule}"


def test_an_altered_payload_on_a_link_without_tags_is_another_number() -> None:
    """Why sockets that leave the machine are sealed; this test is here so that nobody believes otherwise."""

    def value(s: Any) -> float:
        return float(mpc.share(1.5 if s.rank == 0 else None, owner=0).reveal())

    rule = Rule(Fault.CORRUPT, 1, Kind.REVEAL, at=HEADER_BYTES + 2)
    outcomes, _ = run(value, 2, {0: [rule]}, deadline=LONG)
    assert outcomes[0].value == 1.5 and outcomes[1].value in (0.5, 2.5)
    outcomes, _ = run(value, 2, {0: [Rule(Fault.CORRUPT, 1, first=2, at=-20)]}, seal=True, deadline=LONG)
    assert outcomes[0].value == 1.5 and isinstance(outcomes[1].error, CorruptFrame) and outcomes[1].value is None
