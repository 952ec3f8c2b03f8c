"""The sealed bulk channel as a state machine without I/O: frames to AES-256-GCM records and back.

A frame leaves as records of `PIECE_BYTES` of it (the last may have fewer), one message each, so that encryption,
transfer and decryption overlap::

    magic 4 | plaintext bytes here 4 | sequence number 8 | bytes of the frame after this record 8 | ciphertext | tag 16

The 24 clear bytes are the associated data; the frame's own header is encrypted. The sequence number counts the records
of one direction from 0 and is the nonce, so no nonce meets a key twice and the receiver knows which record is due. One
record may be missing at the end of a link: a sender that is interrupted (Ctrl-C) between sealing a record and handing it
over does not know whether it left, never uses its number again, and says in an abort frame why nothing more comes.
Keys: one per direction and session, from the secret that the handshake agreed for the pair. After `REKEY_RECORDS`
records a key is replaced by its hash: at most 2^30 blocks under one key, so an adversary's advantage of below 2^-69
(NIST SP 800-38D; RFC 8446, section 5.5), and past records stay closed to who steals today's key.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mpc.errors import CorruptFrame, SessionError
from mpc.fixed_point import Words
from mpc.transport.base import Frame
from mpc.transport.frames import HEADER_BYTES, KIND_AT, Kind, as_bytes

KEY_BYTES: Final = 32
TOKEN_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
PIECE_BYTES: Final = 1 << 20
FIRST, MORE = b"MPR1", b"MPR+"  # a frame's first record; the others
_PREFIX: Final = struct.Struct("<4sIQQ")
PREFIX_BYTES: Final = _PREFIX.size
MAX_RECORD_BYTES: Final = PREFIX_BYTES + PIECE_BYTES + TAG_BYTES
MAX_RECORDS: Final = 1 << 63
REKEY_RECORDS: Final = 1 << 14


def keys(secret: bytes, me: int, peer: int) -> tuple[bytes, bytes]:
    """The keys for (sending, receiving) of rank ``me``, from the session secret of the pair."""
    return _key(secret, me, peer), _key(secret, peer, me)


def _key(secret: bytes, source: int, target: int) -> bytes:
    way = b"%d to %d" % (source, target)
    return hashlib.blake2b(way, key=secret, digest_size=KEY_BYTES, person=b"mpc-seal-v1").digest()


def token(secret: bytes) -> bytes:
    """What a bulk connection calls itself: derived from the pair's secret, so that no stranger can take its place."""
    digest = hashlib.blake2b(key=secret, digest_size=TOKEN_BYTES, person=b"mpc-token-v1").digest()
    return bytes((digest[0] | 0x80,)) + digest[1:]  # ZeroMQ keeps names that begin with a zero byte to itself


class _Direction:
    """One direction's key and the sequence number of its next record."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._next = 0

    def _advance(self) -> None:
        self._next += 1
        if self._next % REKEY_RECORDS == 0:
            self._key = hashlib.blake2b(key=self._key, digest_size=KEY_BYTES, person=b"mpc-rekey-v1").digest()
            self._cipher = AESGCM(self._key)


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "little")


class Sealer(_Direction):
    """The sending end of one direction."""

    def records(self, frame: bytes | Words) -> Iterator[memoryview]:
        """The frame's records in the order they must be sent, each encrypted when it is asked for, in a buffer of its
        own. After a frame that was given up half-way only an abort frame is understood. Raises SessionError after 2^63
        records."""
        data = as_bytes(frame)
        magic = FIRST
        for start in range(0, len(data), PIECE_BYTES):
            number, cipher = self._next, self._cipher
            if number >= MAX_RECORDS:
                raise SessionError(f"this link has sent {number} records, as many as a session may: open a new session")
            self._advance()  # used up, whatever happens next
            piece = data[start : start + PIECE_BYTES]
            prefix = _PREFIX.pack(magic, len(piece), number, len(data) - start - len(piece))
            record = np.empty(PREFIX_BYTES + len(piece) + TAG_BYTES, np.uint8).data
            record[:PREFIX_BYTES] = prefix
            cipher.encrypt_into(_nonce(number), piece, prefix, record[PREFIX_BYTES:])
            yield record
            magic = MORE


class Opener(_Direction):
    """The receiving end of one direction. ``limit``: bytes that a frame may have; ``name``: the peer, in messages."""

    def __init__(self, key: bytes, limit: int, name: str) -> None:
        super().__init__(key)
        self._limit = limit
        self._name = name
        self._frame: memoryview | None = None  # under way
        self._filled = 0
        self._failure: str | None = None

    def take(self, record: Frame) -> Frame | None:
        """The next message of the link; the whole frame, writable, once its last record is there.

        Raises CorruptFrame for anything but the record that is due: nothing of its frame comes out, and every later call
        raises too. A record that is not authentic makes nothing be allocated beyond its own size.
        """
        if self._failure is not None:
            raise CorruptFrame(f"{self._name}: nothing more is read from this link since {self._failure}")
        try:
            return self._take(memoryview(record))
        except CorruptFrame as error:
            self._failure = str(error)
            self._frame = None
            raise

    def _take(self, record: memoryview) -> Frame | None:
        first, size, rest = self._check(record)
        due, number = self._next, int.from_bytes(record[8:16], "little")
        if number > due:
            self._advance()
        if first or self._frame is None:
            piece = np.empty(size, np.uint8).data
        else:
            piece = self._frame[self._filled : self._filled + size]
        try:
            self._cipher.decrypt_into(_nonce(self._next), record[PREFIX_BYTES:], record[:PREFIX_BYTES], piece)
        except InvalidTag:
            if number > due:
                raise self._misplaced(number, due) from None
            raise self._corrupt(f"record {due} was altered on its way, or sealed with another session's key") from None
        self._advance()
        if number > due:
            if piece[KIND_AT] != Kind.ABORT:
                raise self._misplaced(number, due)
            self._failure = "it was interrupted"
        if first:
            if self._frame is not None and piece[KIND_AT] != Kind.ABORT:
                raise self._corrupt(f"it began a frame with {len(self._frame) - self._filled} bytes of another to come")
            self._frame = None  # it stopped in the middle, and this says why
            if not rest:
                return piece
            self._frame, self._filled = self._room(piece, rest), 0
        self._filled += size
        if rest:
            return None
        frame, self._frame = self._frame, None
        return frame

    def _room(self, piece: memoryview, rest: int) -> memoryview:
        """The buffer of a frame that starts with ``piece``."""
        try:
            frame = np.empty(len(piece) + rest, np.uint8).data
        except MemoryError:
            raise self._corrupt(f"it announced a frame of {len(piece) + rest} bytes, more than this machine has") from None
        frame[: len(piece)] = piece
        return frame

    def _check(self, record: memoryview) -> tuple[bool, int, int]:
        """(is it a frame's first?, bytes of the frame here, bytes to come) of a record whose clear part is as it must be."""
        if len(record) < PREFIX_BYTES + TAG_BYTES or record[:4] not in (FIRST, MORE):
            raise self._corrupt(f"got {len(record)} bytes that start with {bytes(record[:4])!r}; want a record, {FIRST!r}")
        magic, size, number, rest = _PREFIX.unpack_from(record)
        if number != self._next and (number, magic, rest) != (self._next + 1, FIRST, 0):  # that may be an abort
            raise self._misplaced(number, self._next)
        if len(record) - PREFIX_BYTES - TAG_BYTES != size:
            raise self._corrupt(
                f"record {number} is truncated or too long: got {len(record) - PREFIX_BYTES - TAG_BYTES} bytes, want {size}"
            )
        first = magic == FIRST
        if first and size + rest > self._limit:
            raise self._corrupt(f"it announced a frame of {size + rest} bytes; want at most {self._limit}")
        due = size + rest if first else 0 if self._frame is None else len(self._frame) - self._filled
        least = PIECE_BYTES if rest else HEADER_BYTES if first else 1
        if size + rest != due or not least <= size <= PIECE_BYTES:
            raise self._corrupt(
                f"record {number} of {size} bytes with {rest} to come does not fit the frame it belongs to ({due} to come)"
            )
        return first, size, rest

    def _misplaced(self, number: int, due: int) -> CorruptFrame:
        how = "repeated or late" if number < due else "missing"
        return self._corrupt(f"got record {number}, want record {due}: records are {how}")

    def _corrupt(self, what: str) -> CorruptFrame:
        return CorruptFrame(f"{self._name}: {what}. Start the session again; if it recurs, somebody alters the traffic")
