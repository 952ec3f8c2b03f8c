"""Messages are read strictly: whatever they hold, they are read whole or refused with a reason."""
from __future__ import annotations

import re
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc import identity
from mpc.errors import ConfigError, IntegrityError
from mpc.federated import messages as wire
from mpc.federated.sealing import OVERHEAD, Opener, seal

HEADER = wire.Header(1, "plain", "task", 3, bytes(range(16)), "client", 5, b"s" * 16, 2.0, (3, 0, 4))
WHOLE = wire.pack(wire.head_of(HEADER), [b"abc", b"", b"defg"])


def test_what_is_packed_is_read() -> None:
    for message in (WHOLE, bytearray(WHOLE), memoryview(WHOLE)):
        read = wire.unpack(message)
        assert read.header == HEADER
        assert [bytes(part) for part in read.parts] == [b"abc", b"", b"defg"]
        assert read.head == wire.head_of(HEADER)


def test_parts_are_views_of_the_message() -> None:
    message = bytearray(WHOLE)
    read = wire.unpack(message)
    message[-1] ^= 0xFF
    assert bytes(read.parts[2]) == b"def" + bytes([ord("g") ^ 0xFF])


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_every_shorter_message_is_refused(size: int) -> None:
    with pytest.raises(IntegrityError):
        wire.unpack(WHOLE[:size])


def changed(**fields: object) -> bytes:
    return msgspec.msgpack.encode(msgspec.structs.replace(HEADER, **fields))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (changed(version=2), "version 2; want 1"),
        (changed(version=-1), "cannot be read"),
        (changed(round=-1), "cannot be read"),
        (changed(report=b"short"), "cannot be read"),
        (changed(client=""), "cannot be read"),
        (changed(client="x" * 129), "cannot be read"),
        (changed(task="x" * 129), "cannot be read"),
        (changed(length=0), "cannot be read"),
        (changed(length=1 << 40), "cannot be read"),
        (changed(settings=b"x" * 17), "cannot be read"),
        (changed(parts=(7,) * 17), "cannot be read"),
        (changed(parts=(-1, 8)), "cannot be read"),
        (changed(parts=(8,)), "7 bytes behind the header; want 8"),
        (changed(parts=(1 << 61, 1 << 61)), "7 bytes behind the header; want 4611686018427387904"),
        (changed(weight="2"), "cannot be read"),
        (msgspec.msgpack.encode([*msgspec.structs.astuple(HEADER), "more"]), "cannot be read"),
        (msgspec.msgpack.encode(msgspec.structs.astuple(HEADER)[:-1]), "cannot be read"),
        (msgspec.msgpack.encode({"version": 1}), "cannot be read"),
        (wire.head_of(HEADER) + b"\x00", "cannot be read"),
        (b"", "cannot be read"),
        (b"\xff" * 40, "cannot be read"),
    ],
)
def test_headers_that_say_what_cannot_be_are_refused(head: bytes, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        wire.unpack(wire.pack(head, [b"abcdefg"]))


def test_sizes_are_checked_before_they_are_used() -> None:
    for size in (wire.MAX_HEADER + 1, 1 << 31, (1 << 32) - 1):
        with pytest.raises(IntegrityError, match="got a header of"):
            wire.unpack(struct.pack("<4sI", wire.MAGIC, size) + bytes(8192))
    with pytest.raises(IntegrityError, match="starts with"):
        wire.unpack(b"MPCX" + WHOLE[4:])
    with pytest.raises(IntegrityError, match="cannot be read"):
        wire.head_of(msgspec.structs.replace(HEADER, client="x" * 129))


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        wire.unpack(wire.MAGIC + data)


@given(st.integers(0, 8 * len(WHOLE) - 1))
def test_a_flipped_bit_is_a_refusal_or_another_message(bit: int) -> None:
    data = bytearray(WHOLE)
    data[bit // 8] ^= 1 << bit % 8
    try:
        read = wire.unpack(data)
    except IntegrityError:
        return
    assert wire.pack(read.head, read.parts) == bytes(data)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "shares"}, "for kind 'plain'; want kind 'shares'"),
        ({"task": "other"}, "for task 'task'; want task 'other'"),
        ({"round": 4}, "for round 3; want round 4"),
        ({"length": 6}, "for length 5; want length 6"),
        ({"settings": b"t" * 16}, "other settings"),
        ({"report": b"r" * 16, "client": "another", "weight": 1.0, "parts": ()}, "^$"),
    ],
)
def test_why_a_message_is_not_for_this_round(fields: dict[str, object], says: str) -> None:
    assert re.search(says, wire.objection(HEADER, msgspec.structs.replace(HEADER, **fields)))


def test_sealed_bytes_open_with_their_key_and_context_alone() -> None:
    alice, bob = identity.create("alice"), identity.create("bob")
    plain = bytes(range(100))
    sealed = seal(alice.public_key, plain, b"context")
    assert len(sealed) == len(plain) + OVERHEAD
    assert Opener(alice.secret_key).open(sealed, b"context") == plain
    assert sealed != seal(alice.public_key, plain, b"context")
    refused = [(bob, sealed, b"context"), (alice, sealed, b"contexu")]
    refused += [(alice, cut, b"context") for cut in (sealed[:-1], sealed[1:], b"")]
    for at in (0, 31, 32, 80, len(sealed) - 1):
        altered = bytearray(sealed)
        altered[at] ^= 4
        refused.append((alice, bytes(altered), b"context"))
    for who, data, context in refused:
        with pytest.raises(IntegrityError, match="altered, cut short, or sealed for another"):
            Opener(who.secret_key).open(data, context)


def test_keys_that_are_none_are_refused_and_never_shown() -> None:
    with pytest.raises(ConfigError, match="40 characters"):
        seal("short", b"", b"")
    with pytest.raises(ConfigError, match="belongs to nobody"):
        seal("0" * 40, b"", b"")  # the point of order 1
    secret = identity.create("carol").secret_key
    with pytest.raises(ConfigError) as caught:
        Opener(secret[:-1])
    assert secret[:-1] not in str(caught.value)
    assert secret not in repr(Opener(secret))


def test_identifiers_are_random() -> None:
    drawn = np.frombuffer(b"".join(wire.fresh_report() for _ in range(500)), np.uint8)
    assert len({drawn[i : i + 16].tobytes() for i in range(0, drawn.size, 16)}) == 500
    assert abs(int(np.unpackbits(drawn).sum()) - 4 * drawn.size) < 7 * (2 * drawn.size) ** 0.5
