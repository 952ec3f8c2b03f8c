"""The sealed channel: round trips, known answers, keys by direction, and what is refused by which name."""
from __future__ import annotations

import hashlib
import os
import tracemalloc

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mpc.errors import CorruptFrame, SessionError
from mpc.transport import frames, sealed
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.sealed import MAX_RECORD_BYTES, PIECE_BYTES, PREFIX_BYTES, Opener, Sealer, keys, token

LIMIT = 1 << 26
KEY = bytes(range(32))


def pair(limit: int = LIMIT) -> tuple[Sealer, Opener]:
    return Sealer(KEY), Opener(KEY, limit, "party 1")


def frame(nbytes: int, kind: Kind = Kind.OPEN) -> bytes:
    """A frame with ``nbytes`` bytes of payload."""
    return frames.pack(kind, 7, nbytes, bytes(16)) + os.urandom(nbytes)


def sealed_frame(nbytes: int) -> list[bytes]:
    return [bytes(record) for record in Sealer(KEY).records(frame(nbytes))]


ONE = PIECE_BYTES - HEADER_BYTES  # the largest payload that leaves as one record


@pytest.mark.parametrize("nbytes", [0, 8, 1000, ONE, ONE + 1, 5 * PIECE_BYTES + 24])
def test_frames_come_back_whole_writable_and_aligned(nbytes: int) -> None:
    sealer, opener = pair()
    for _ in range(2):
        sent = frame(nbytes)
        records = list(sealer.records(sent))
        assert len(records) == -(-len(sent) // PIECE_BYTES)
        assert all(len(r) <= MAX_RECORD_BYTES for r in records)
        *before, last = [opener.take(r) for r in records]
        assert before == [None] * (len(records) - 1)
        assert isinstance(last, memoryview) and last == sent
        words = np.frombuffer(last, np.uint8, offset=HEADER_BYTES)
        assert words.ctypes.data % 8 == 0 and not last.readonly


def test_arrays_are_sealed_as_they_are_and_records_keep_their_own_memory() -> None:
    sealer, opener = pair()
    words = frames.new(3 * PIECE_BYTES // 8)
    words[:] = np.arange(words.size)
    frames.seal(words, frames.pack(Kind.OPEN, 1, words.nbytes - HEADER_BYTES, bytes(16)))
    records = list(sealer.records(words))
    *_, got = [opener.take(r) for r in records]
    assert got is not None and bytes(got) == words.tobytes()
    frames.seal(words, bytes(HEADER_BYTES))
    assert frames.unpack(got).op == 1  # nor does the receiver see the sender's buffer


def test_nothing_of_the_frame_is_readable_and_equal_frames_look_different() -> None:
    sealer, _ = pair()
    sent = frame(40)
    one, two = (b"".join(sealer.records(sent)) for _ in range(2))
    assert one[PREFIX_BYTES:] != two[PREFIX_BYTES:]
    for start in range(0, len(sent) - 8, 8):
        assert start == 32 or sent[start : start + 8] == bytes(8) or sent[start : start + 8] not in one


def test_known_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed key and frames: the wire format, byte by byte. Changing it needs another WIRE_VERSION."""
    monkeypatch.setattr(sealed, "PIECE_BYTES", 160)
    monkeypatch.setattr(sealed, "REKEY_RECORDS", 2)
    sealer = Sealer(KEY)
    sent = bytes(range(200)) + bytes(101)
    records = [bytes(r) for _ in range(2) for r in sealer.records(sent)]
    assert records[0][:40].hex() == "4d505231a000000000000000000000008d00000000000000" "0ebdb7ddb12985ba00a1a33e14219f96"
    assert hashlib.sha256(b"".join(records)).hexdigest() == "07692eadb0db40385b6ea3d6df82493ee60c68fd456ae1260006460c1879966a"
    second = hashlib.blake2b(key=KEY, digest_size=32, person=b"mpc-rekey-v1").digest()  # the same by hand
    by_hand = []
    for number, (magic, key) in enumerate([(b"MPR1", KEY), (b"MPR+", KEY), (b"MPR1", second), (b"MPR+", second)]):
        piece, rest = ((sent[:160], 141) if number % 2 == 0 else (sent[160:], 0))
        prefix = magic + len(piece).to_bytes(4, "little") + number.to_bytes(8, "little") + rest.to_bytes(8, "little")
        by_hand.append(prefix + AESGCM(key).encrypt(number.to_bytes(12, "little"), piece, prefix))
    assert records == by_hand
    opener = Opener(KEY, LIMIT, "party 1")
    assert [opener.take(r) for r in records] == [None, sent, None, sent]


def test_keys_and_tokens_of_a_fixed_secret() -> None:
    sending, receiving = keys(KEY, 0, 1)
    assert (receiving, sending) == keys(KEY, 1, 0)
    assert sending.hex() == "cca05c0c0bee2cf2eacd7dc951f1d23d9f11e37449c3d57a2a7cc6df9cf63996"
    assert receiving.hex() == "a5e39a030aa1449e287f52ebc4bdeb6179692481a23e98c2964f04fdb76c7092"
    assert token(KEY).hex() == "cd1aa0db5c5c4c66a3a3b5c2309ed20f"


def test_each_direction_pair_and_session_has_its_own_key() -> None:
    pairs = (0, 1), (0, 2), (1, 2), (0, 12), (11, 2)
    made = [key for secret in (KEY, bytes(32)) for me, peer in pairs for key in keys(secret, me, peer)]
    assert len(set(made)) == len(made) and all(len(k) == 32 for k in made)
    mine, theirs = keys(KEY, 0, 1)
    reflected = list(Sealer(mine).records(frame(8)))
    with pytest.raises(CorruptFrame, match="altered on its way, or sealed with another session's key"):
        Opener(theirs, LIMIT, "party 1").take(reflected[0])


def test_tokens_are_names_that_zeromq_takes() -> None:
    made = {token(os.urandom(32)) for _ in range(600)}
    assert len(made) == 600 and all(len(t) == 16 and t[0] for t in made)


def altered(record: bytes, at: int, mask: int = 1) -> bytes:
    return record[:at] + bytes((record[at] ^ mask,)) + record[at + 1 :]


@pytest.mark.parametrize("at", [*range(4), *range(8, 16), *range(16, 24), 4, 24, 60, -1], ids=str)
def test_every_part_of_a_record_is_protected(at: int) -> None:
    for nbytes in (64, PIECE_BYTES):
        record = sealed_frame(nbytes)[0]
        for mask in (1, 0x80):
            _, opener = pair()
            with pytest.raises(CorruptFrame, match="^party 1: .*Start the session again"):
                opener.take(altered(record, at % len(record), mask))
            with pytest.raises(CorruptFrame, match="party 1: nothing more is read from this link"):
                opener.take(record)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r: [r[0], r[0]], "got record 0, want record 1: records are repeated or late"),
        (lambda r: [r[1]], "got record 1, want record 0: records are missing"),
        (lambda r: [r[0], r[2]], "got record 2, want record 1: records are missing"),
        (lambda r: [r[0], r[1][:-1]], "record 1 is truncated or too long: got 1048575 bytes, want 1048576"),
        (lambda r: [r[0], r[1] + b"x"], "record 1 is truncated or too long"),
        (lambda r: [r[0][:20]], "got 20 bytes"),
        (lambda r: [b""], "got 0 bytes"),
        (lambda r: [b"GET / HTTP/1.1\r\nHost: party.example.org\r\n\r\n"], "start with b'GET '; want a record"),
        (lambda r: [r[0], altered(r[1], 500)], "record 1 was altered"),
    ],
    ids=["repeated", "missing", "reordered", "truncated", "longer", "shorter", "empty", "garbage", "altered"],
)
def test_faults_have_names_and_end_the_link(change, match: str) -> None:
    _, opener = pair()
    records = sealed_frame(3 * PIECE_BYTES)
    *before, last = change(records)
    assert [opener.take(r) for r in before] == [None] * len(before)
    with pytest.raises(CorruptFrame, match=match):
        opener.take(last)
    for record in records:
        with pytest.raises(CorruptFrame, match="nothing more is read"):
            opener.take(record)


def forged(magic: bytes, size: int, number: int, rest: int, key: bytes = KEY) -> bytes:
    """A record that a peer with the right key, but another program, could send."""
    prefix = magic + size.to_bytes(4, "little") + number.to_bytes(8, "little") + rest.to_bytes(8, "little")
    return prefix + AESGCM(key).encrypt(number.to_bytes(12, "little"), bytes(size), prefix)


@pytest.mark.parametrize(
    ("records", "match"),
    [
        ([(sealed.FIRST, 0, 0)], "does not fit"),
        ([(sealed.FIRST, HEADER_BYTES - 1, 0)], "does not fit"),
        ([(sealed.FIRST, HEADER_BYTES, 1)], "does not fit"),  # a short record with more to come
        ([(sealed.FIRST, PIECE_BYTES + 1, 0)], "does not fit"),
        ([(sealed.FIRST, PIECE_BYTES, LIMIT)], f"announced a frame of {PIECE_BYTES + LIMIT} bytes; want at most {LIMIT}"),
        ([(sealed.MORE, HEADER_BYTES, 0)], r"does not fit the frame it belongs to \(0 to come\)"),
        ([(sealed.FIRST, PIECE_BYTES, 10), (sealed.MORE, 9, 0)], "does not fit"),
        ([(sealed.FIRST, PIECE_BYTES, 10), (sealed.MORE, 11, 0)], "does not fit"),
        ([(sealed.FIRST, PIECE_BYTES, 10), (sealed.MORE, 0, 10)], "does not fit"),
        ([(sealed.FIRST, PIECE_BYTES, 10), (sealed.MORE, 9, 1)], "does not fit"),
        ([(sealed.FIRST, PIECE_BYTES, 2 * PIECE_BYTES), (sealed.MORE, PIECE_BYTES, 0)], "does not fit"),
        ([(sealed.FIRST, PIECE_BYTES, 10), (sealed.FIRST, HEADER_BYTES, 0)], "began a frame with 10 bytes of another to come"),
    ],
)
def test_lengths_must_fit_what_was_announced(records: list[tuple[bytes, int, int]], match: str) -> None:
    _, opener = pair()
    *before, last = [forged(magic, size, number, rest) for number, (magic, size, rest) in enumerate(records)]
    assert [opener.take(r) for r in before] == [None] * len(before)
    with pytest.raises(CorruptFrame, match=match):
        opener.take(last)


@pytest.mark.parametrize("limit", [1 << 20, 1 << 50])
def test_what_is_not_authentic_allocates_nothing(limit: int) -> None:
    """Neither beyond the limit nor within it: an announcement is believed only once its record's tag is right."""
    record = altered(forged(sealed.FIRST, PIECE_BYTES, 0, (1 << 49) - PIECE_BYTES), -1 % (PREFIX_BYTES + PIECE_BYTES + 16))
    _, opener = pair(limit)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFrame, match="altered" if limit > 1 << 49 else "announced a frame of 562949953421312 bytes"):
            opener.take(record)
        assert tracemalloc.get_traced_memory()[1] < 2 * PIECE_BYTES
    finally:
        tracemalloc.stop()


def test_an_announcement_beyond_the_machine_is_refused_by_name() -> None:
    _, opener = pair(1 << 60)
    with pytest.raises(CorruptFrame, match="a frame of 562949953421312 bytes, more than this machine has"):
        opener.take(forged(sealed.FIRST, PIECE_BYTES, 0, (1 << 49) - PIECE_BYTES))


def test_a_frame_given_up_half_way_may_be_followed_by_an_abort() -> None:
    """Ctrl-C between two records: the peer still learns why, and never sees the half."""
    for kind in (Kind.ABORT, Kind.OPEN):
        sealer, opener = pair()
        half = sealer.records(frame(3 * PIECE_BYTES))
        assert opener.take(next(half)) is None
        after = list(sealer.records(frame(40, kind)))
        if kind == Kind.ABORT:
            got = opener.take(after[0])
            assert got is not None and frames.unpack(got).kind == Kind.ABORT
        else:
            with pytest.raises(CorruptFrame, match="began a frame with"):
                opener.take(after[0])


@pytest.mark.parametrize("before", [0, 1, 3])  # records of a frame that left; with keys that change after two
def test_an_interrupted_peers_last_record_may_be_missing(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between sealing a record and handing it over: its number is used up, and the peer still learns why."""
    monkeypatch.setattr(sealed, "REKEY_RECORDS", 2)
    for kind, more in ((Kind.ABORT, 0), (Kind.OPEN, 0), (Kind.ABORT, PIECE_BYTES)):
        sealer, opener = pair()
        half = sealer.records(frame(4 * PIECE_BYTES))
        assert [opener.take(next(half)) for _ in range(before)] == [None] * before
        next(half)  # never sent
        after = list(sealer.records(frame(40 + more, kind)))
        if kind == Kind.ABORT and not more:
            got = opener.take(after[0])
            assert got is not None and frames.unpack(got).kind == Kind.ABORT
            with pytest.raises(CorruptFrame, match="nothing more is read from this link since it was interrupted"):
                opener.take(next(iter(sealer.records(frame(40)))))
        else:
            with pytest.raises(CorruptFrame, match=f"got record {before + 1}, want record {before}: records are missing"):
                opener.take(after[0])
        sealer, opener = pair()  # not of two
        lost = sealer.records(frame(4 * PIECE_BYTES))
        next(lost), next(lost)
        with pytest.raises(CorruptFrame, match="got record 2, want record 0: records are missing"):
            opener.take(next(iter(sealer.records(frame(40, Kind.ABORT)))))


def test_keys_change_after_so_many_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "REKEY_RECORDS", 3)
    sealer, opener = pair()
    seen = set()
    for _ in range(10):
        sent = frame(64)
        for record in sealer.records(sent):
            assert opener.take(record) == sent
        seen.add(sealer._key)
    assert len(seen) == 4 and KEY in seen


def test_a_link_refuses_more_records_than_nonces_are_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "MAX_RECORDS", 2)
    sealer, _ = pair()
    for _ in range(2):
        assert len(list(sealer.records(frame(8)))) == 1
    with pytest.raises(SessionError, match="open a new session"):
        list(sealer.records(frame(8)))
