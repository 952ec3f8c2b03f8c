"""A client's message: four magic bytes, the header's length, the header in msgpack, then raw bytes in parts.

Nothing is unpickled and nothing is executed; every size is checked before it is used, and the parts are views of the message,
so that reading one allocates the header alone (at most `MAX_HEADER` bytes). The header is public: whoever relays a message
reads it. Where parts are sealed, the header's bytes are their associated data.
"""
from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from mpc.errors import IntegrityError

VERSION: Final = 1
MAGIC: Final = b"MPCA"
REPORT_BYTES: Final = 16
MAX_NAME: Final = 128  # characters of a client's name and of a task's
MAX_PARTS: Final = 16
MAX_HEADER: Final = 4096
MAX_LENGTH: Final = 1 << 31  # values in an update
_PREFIX: Final = struct.Struct("<4sI")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
_Size = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What everybody may know of a message.

    ``kind``: the aggregator's. ``task``: names one training; ``round`` counts within it. ``report``: 16 random bytes that name
    this message. ``client``: who says to have made it (whoever accepts connections knows better). ``length``: values in the
    update. ``settings``: 16 bytes that differ where client and server work under different settings or keys. ``weight``: where
    it is public, else 0. ``parts``: the sizes of what follows.
    """

    version: Annotated[int, msgspec.Meta(ge=1, lt=1 << 16)]
    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=16)]
    task: _Name
    round: _Size
    report: Annotated[bytes, msgspec.Meta(min_length=REPORT_BYTES, max_length=REPORT_BYTES)]
    client: _Name
    length: Annotated[int, msgspec.Meta(ge=1, le=MAX_LENGTH)]
    settings: Annotated[bytes, msgspec.Meta(max_length=16)]
    weight: float
    parts: Annotated[tuple[_Size, ...], msgspec.Meta(max_length=MAX_PARTS)]


_DECODER: Final = msgspec.msgpack.Decoder(Header)  # made here: several threads at their first decoding of a type crash


class Message(NamedTuple):
    """A message that was read: its header, the header's own bytes, and views of the parts."""

    header: Header
    head: bytes
    parts: list[memoryview]


def fresh_report() -> bytes:
    """16 bytes of the operating system's randomness: a message's name."""
    return os.urandom(REPORT_BYTES)


def head_of(header: Header) -> bytes:
    """The header's bytes, as they travel. Raises IntegrityError for one that no reader would accept."""
    head = msgspec.msgpack.encode(header)
    if len(head) > MAX_HEADER:
        raise IntegrityError(f"got a header of {len(head)} bytes; want at most {MAX_HEADER}")
    header_of(head)
    return head


def pack(head: bytes, parts: Sequence[bytes | memoryview]) -> bytes:
    """The message of a header (`head_of`) and its parts."""
    return b"".join((_PREFIX.pack(MAGIC, len(head)), head, *parts))


def unpack(message: bytes | bytearray | memoryview) -> Message:
    """Read a message from anywhere. Raises IntegrityError for what is none: magic, version, a missing or excess byte."""
    view = memoryview(message).cast("B")
    if len(view) < _PREFIX.size:
        raise IntegrityError(f"got {len(view)} bytes; want a message (at least {_PREFIX.size})")
    magic, size = _PREFIX.unpack(view[: _PREFIX.size])
    if magic != MAGIC:
        raise IntegrityError(f"got a message that starts with {bytes(magic)!r}; want {MAGIC!r}")
    if size > min(MAX_HEADER, len(view) - _PREFIX.size):
        raise IntegrityError(f"got a header of {size} bytes in a message of {len(view)}; want at most {MAX_HEADER}")
    at = _PREFIX.size + size
    head = bytes(view[_PREFIX.size : at])
    header = header_of(head)
    if len(view) - at != sum(header.parts):
        raise IntegrityError(f"got {len(view) - at} bytes behind the header; want {sum(header.parts)}: the message was cut "
                             "short, or something was added")
    parts = []
    for part in header.parts:
        parts.append(view[at : at + part])
        at += part
    return Message(header, head, parts)


def header_of(head: bytes) -> Header:
    """The header of its bytes. Raises IntegrityError for what is none."""
    try:
        header = _DECODER.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IntegrityError(f"got a header that cannot be read ({error})") from None
    if header.version != VERSION:
        raise IntegrityError(f"got a message of version {header.version}; want {VERSION}: the same release everywhere")
    return header


def objection(header: Header, want: Header) -> str:
    """Why a message is not one for this aggregation, or "". ``want``: kind, task, round, length and settings are compared."""
    for name in ("kind", "task", "round", "length"):
        got, wanted = getattr(header, name), getattr(want, name)
        if got != wanted:
            return f"it is for {name} {got!r}; want {name} {wanted!r}"
    if header.settings != want.settings:
        return "it was made under other settings or for other keys; want the same at the client and here"
    return ""
