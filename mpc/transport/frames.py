"""The frame: a fixed 128-byte header and raw little-endian array bytes.

The header carries the frame's kind, operation number, shape, payload length and the sender's running hash of the
program's public structure. Peers that run the same program have equal headers, so the check is one comparison.
"""
from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from mpc.errors import CorruptFrame
from mpc.fixed_point import Words

HEADER_BYTES: Final = 128
HEADER_WORDS: Final = HEADER_BYTES // 8
MAX_DIMS: Final = 8
MAGIC: Final = b"MPC1"
KIND_AT: Final = len(MAGIC)  # where a frame says what it is for
_LAYOUT: Final = struct.Struct(f"<4sBBHQQ16s{MAX_DIMS}Q24x")
assert _LAYOUT.size == HEADER_BYTES


class Kind(IntEnum):
    """What a frame is for."""

    HELLO = 1
    OPEN = 2  # sums modulo 2^64
    BITS = 3  # packed bits
    INPUT = 4  # shape of a shared input
    REVEAL_CHECK = 5  # header only, before unmasked shares leave
    REVEAL = 6
    REQUEST = 7  # to the dealer
    CORRECTION = 8  # from the dealer
    BROADCAST = 9  # plaintext words (the clear protocol)
    BARRIER = 10
    CLOSE = 11
    SAVED = 12  # public words about files of shares
    SHAPES = 13  # of what each party brings
    READY = 14  # the handshake's last word: the session's identifier
    ECHO = 15  # answered with what it carries, to measure a link
    ECHOED = 16
    STORE = 17  # which dealing of the stores is used
    CIPHERTEXTS = 18  # of Paillier: encrypted masks, partial decryptions
    BYTES = 18  # of any length, of one party for another or for all (`mpc.byte_exchange`)
    REPORTS = 19  # what a party says of clients' contributions
    PING = 254
    ABORT = 255


class Header(NamedTuple):
    kind: int
    op: int
    nbytes: int
    transcript: bytes
    shape: tuple[int, ...]
    flags: int


def pack(kind: Kind, op: int, nbytes: int, transcript: bytes, shape: tuple[int, ...] = (), flags: int = 0) -> bytes:
    """A header's 128 bytes. Shapes of more than 8 dimensions keep their first 8 (the transcript has all)."""
    dims = shape[:MAX_DIMS]
    return _LAYOUT.pack(
        MAGIC, kind, len(dims), flags, op, nbytes, transcript, *dims, *(0,) * (MAX_DIMS - len(dims))
    )


def unpack(data: bytes | memoryview) -> Header:
    """The header of a whole frame. Raises CorruptFrame if it is none or the length does not fit."""
    header = unpack_header(data)
    if header.nbytes != len(data) - HEADER_BYTES:
        raise CorruptFrame(f"got a frame of {len(data) - HEADER_BYTES} payload bytes that announces {header.nbytes}")
    return header


def unpack_header(data: bytes | memoryview) -> Header:
    """The header at the start of ``data``. Raises CorruptFrame if it is none."""
    if len(data) < HEADER_BYTES:
        raise CorruptFrame(f"got a frame of {len(data)} bytes; want at least {HEADER_BYTES}")
    magic, kind, ndim, flags, op, nbytes, transcript, *dims = _LAYOUT.unpack(data[:HEADER_BYTES])
    if magic != MAGIC or ndim > MAX_DIMS:
        raise CorruptFrame(f"got a frame that starts with {bytes(magic)!r}; want {MAGIC!r}")
    return Header(kind, op, nbytes, transcript, tuple(dims[:ndim]), flags)


def new(words: int) -> Words:
    """An empty frame for ``words`` payload words; fill ``frame[HEADER_WORDS:]``, then `seal` it."""
    return np.empty(HEADER_WORDS + words, np.uint64)


def seal(frame: Words, header: bytes) -> None:
    """Write the header into a frame made by `new`."""
    frame[:HEADER_WORDS] = np.frombuffer(header, np.uint64)


def payload(data: bytes | memoryview) -> Words:
    """The payload words of a received frame (copied only where the buffer is unaligned). Raises CorruptFrame for others."""
    if (len(data) - HEADER_BYTES) % 8:
        raise CorruptFrame(f"got {len(data) - HEADER_BYTES} payload bytes; want whole words of 8")
    words = np.frombuffer(data, np.uint64, offset=HEADER_BYTES)
    return words if words.flags.aligned else words.copy()


def as_bytes(frame: bytes | Words) -> memoryview:
    """A frame as a flat view of its bytes."""
    return memoryview(frame if isinstance(frame, bytes) else frame.data).cast("B")


def kind_name(kind: int) -> str:
    return Kind(kind).name if kind in Kind._value2member_map_ else f"kind {kind}"
