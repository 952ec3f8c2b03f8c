"""A sealed link under attack, as a state machine: records in flight are dropped, repeated, swapped, cut, altered, forged.

The model is a list of frames and a rule by which the next record is judged, read off its clear bytes and off whether it
is the very record that was sent.
"""
from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mpc.errors import CorruptFrame
from mpc.transport import frames, sealed
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.sealed import FIRST, MORE, PREFIX_BYTES, TAG_BYTES, Opener, Sealer

PIECE = 256  # bytes here, so that frames of several records are small
LIMIT = 4096


class AttackedLink(RuleBasedStateMachine):
    @initialize()
    def connect(self) -> None:
        self.patches = [mock.patch.object(sealed, "PIECE_BYTES", PIECE), mock.patch.object(sealed, "REKEY_RECORDS", 7)]
        for patch in self.patches:
            patch.start()
        forth, back = sealed.keys(os.urandom(32), 0, 1)
        self.sealer, self.other = Sealer(forth), Sealer(back)
        self.opener = Opener(forth, LIMIT, "party 1")
        self.flight: list[bytes] = []
        self.genuine: set[bytes] = set()  # what the peer sent in this direction
        self.aborts: set[bytes] = set()
        self.sent: list[bytes] = []
        self.got: list[bytes] = []
        self.due = 0
        self.broken = False

    def teardown(self) -> None:
        for patch in getattr(self, "patches", ()):
            patch.stop()

    @rule(extra=st.integers(0, LIMIT - HEADER_BYTES), kind=st.sampled_from([Kind.OPEN, Kind.CORRECTION]))
    def send(self, extra: int, kind: Kind) -> None:
        frame = frames.pack(kind, len(self.sent), extra, bytes(16)) + os.urandom(extra)
        self.sent.append(frame)
        self.put(self.sealer.records(frame))

    @rule(records=st.integers(1, 3))
    def give_up(self, records: int) -> None:
        """The sender is interrupted inside a frame and says so."""
        half = self.sealer.records(frames.pack(Kind.OPEN, 0, 3 * PIECE, bytes(16)) + bytes(3 * PIECE))
        self.put(itertools.islice(half, records))
        why = frames.pack(Kind.ABORT, 0, 20, bytes(16)) + os.urandom(20)
        self.sent.append(why)
        made = [bytes(r) for r in self.sealer.records(why)]
        self.aborts.update(made)
        self.put(made)

    def put(self, records: Iterable[bytes | memoryview]) -> None:
        made = [bytes(r) for r in records]
        self.flight += made
        self.genuine.update(made)

    # --- what somebody between can do
    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.flight.pop(data.draw(self.positions()))

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.flight.insert(data.draw(self.positions()), self.flight[data.draw(self.positions())])

    @precondition(lambda self: len(self.flight) > 1)
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        i, j = data.draw(self.positions()), data.draw(self.positions())
        self.flight[i], self.flight[j] = self.flight[j], self.flight[i]

    @precondition(lambda self: self.flight)
    @rule(data=st.data(), longer=st.booleans())
    def cut(self, data: st.DataObject, longer: bool) -> None:
        at = data.draw(self.positions())
        record = self.flight[at]
        self.flight[at] = record + bytes(data.draw(st.integers(1, 40))) if longer else record[: data.draw(st.integers(0, 300))]

    @precondition(lambda self: any(self.flight))
    @rule(data=st.data(), clear=st.booleans())
    def flip(self, data: st.DataObject, clear: bool) -> None:
        at = data.draw(st.sampled_from([i for i, r in enumerate(self.flight) if r]))
        record = bytearray(self.flight[at])
        bits = 8 * (min(PREFIX_BYTES, len(record)) if clear else len(record))
        bit = data.draw(st.integers(0, bits - 1))
        record[bit // 8] ^= 1 << bit % 8
        self.flight[at] = bytes(record)

    @rule(data=st.data(), garbage=st.binary(max_size=80))
    def inject(self, data: st.DataObject, garbage: bytes) -> None:
        self.flight.insert(data.draw(st.integers(0, len(self.flight))), garbage)

    @rule(
        number=st.integers(0, 12),
        size=st.integers(0, PIECE + 2),
        rest=st.integers(0, 2 * LIMIT),
        magic=st.sampled_from([FIRST, MORE]),
    )
    def forge(self, number: int, size: int, rest: int, magic: bytes) -> None:
        prefix = sealed._PREFIX.pack(magic, size, number, rest)
        self.flight.insert(0, prefix + os.urandom(size + TAG_BYTES))

    @rule()
    def reflect(self) -> None:
        """What this end itself sent comes back to it."""
        frame = frames.pack(Kind.OPEN, 0, 8, bytes(16)) + bytes(8)
        self.flight.insert(0, *(bytes(r) for r in self.other.records(frame)))

    def positions(self) -> st.SearchStrategy[int]:
        return st.integers(0, len(self.flight) - 1)

    # --- the receiver
    @precondition(lambda self: self.flight)
    @rule()
    def take(self) -> None:
        record = self.flight.pop(0)
        wanted = self.judge(record)
        if wanted is None:
            self.broken = record in self.aborts and int.from_bytes(record[8:16], "little") > self.due
            self.due += 1
            frame = self.opener.take(record)
            if self.broken:  # the peer's last word, behind one record that is missing
                assert frame is not None and bytes(frame) in self.sent
            elif frame is not None:
                self.got.append(bytes(frame))
            return
        self.broken = True
        with pytest.raises(CorruptFrame, match="^party 1: ") as caught:
            self.opener.take(record)
        assert re.search(wanted, str(caught.value)), f"got {caught.value}; want {wanted}"

    @precondition(lambda self: len(self.flight) > 3)
    @rule()
    def take_all(self) -> None:
        while self.flight:
            self.take()

    def judge(self, record: bytes) -> str | None:
        """What the receiver must say to this record; None if it must take it."""
        if self.broken:
            return "nothing more is read from this link"
        if len(record) < PREFIX_BYTES + TAG_BYTES or record[:4] not in (FIRST, MORE):
            return "want a record"
        number = int.from_bytes(record[8:16], "little")
        if number == self.due + 1 and record in self.aborts:
            return None
        if number != self.due and (number, record[:4], record[16:24]) == (self.due + 1, FIRST, bytes(8)):
            missing = f"got record {number}, want record {self.due}: records are missing"
            return f"{missing}|truncated or too long|does not fit|announced"
        if number != self.due:
            return f"got record {number}, want record {self.due}: records are {'missing' if number > self.due else 'repeated'}"
        if record in self.genuine:
            return None
        if len(record) != PREFIX_BYTES + TAG_BYTES + int.from_bytes(record[4:8], "little"):
            return "truncated or too long"
        return "announced a frame of|does not fit|was altered"

    @invariant()
    def what_came_out_is_a_prefix_of_what_was_sent(self) -> None:
        if hasattr(self, "got"):
            assert self.got == self.sent[: len(self.got)]


TestAttackedLink = AttackedLink.TestCase
TestAttackedLink.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_an_untouched_link_delivers_everything() -> None:
    """The machine's own check: with no attack, every frame comes out (so the model is no excuse for silence)."""
    link = AttackedLink()
    link.connect()
    try:
        for extra in (0, 1, PIECE, LIMIT - HEADER_BYTES):
            link.send(extra, Kind.OPEN)
            link.give_up(1 + extra % 3)
        link.take_all()
        assert link.got == link.sent and len(link.got) == 8 and not link.broken
    finally:
        link.teardown()
