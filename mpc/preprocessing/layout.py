"""The format of a store: one party's file of stored correlations, sealed to that party.

::

    8 bytes       magic
    8 bytes       format version, little-endian
    8 bytes       length of the header
    header        msgpack of `Header`, zeros up to HEADER_AREA
    2 x 4096      marks: how many dealings are used up, twice, each with a MAC
    records       of AES-256-GCM (`mpc.preprocessing.sealing`), numbered through the file:
                  the plan, then every dealing: this party's secret, and at the receiver the corrections in order, under
                  a key that comes of that secret. When a session takes the dealing, zeros take the secret's place
"""
from __future__ import annotations

import hashlib
import struct
from typing import Annotated, Final

import msgspec

from mpc.config import MAX_PARTIES
from mpc.preprocessing.plan import DIGEST_BYTES
from mpc.preprocessing.sealing import KEY_BYTES, RECORD_BYTES, TAG_BYTES
from mpc.prg import SECRET_BYTES

MAGIC: Final = b"MPCSTORE"
FORMAT_VERSION: Final = 2
HEADER_AREA: Final = 8192
MARK_BYTES: Final = 4096  # a mark has a block of its own: writing one cannot tear the other
MARKS: Final = (HEADER_AREA, HEADER_AREA + MARK_BYTES)
BODY: Final = HEADER_AREA + 2 * MARK_BYTES
SECRET_SIZE: Final = SECRET_BYTES + TAG_BYTES  # of its record
PREFIX: Final = struct.Struct("<8sQQ")
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Hash = Annotated[bytes, msgspec.Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
PublicKey = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before the records, in clear: public structure. ``store``: random, the same in all parties' files."""

    package: str
    store: Hash
    plan: Hash
    world_size: Annotated[int, msgspec.Meta(ge=2, le=MAX_PARTIES)]
    protocol: str
    frac_bits: int
    runs: Count
    plan_bytes: Count
    dealer: PublicKey
    rank: int
    name: str
    correction_bytes: Count
    ephemeral: PublicKey
    recipient: PublicKey

    def common(self) -> bytes:
        """16 bytes that are the same in all parties' files of one production."""
        same = msgspec.structs.replace(self, rank=0, name="", correction_bytes=0, ephemeral=bytes(32), recipient=bytes(32))
        return digest(msgspec.msgpack.encode(same), DIGEST_BYTES)

    def area(self) -> bytes:
        """The bytes up to the marks."""
        head = msgspec.msgpack.encode(self)
        return (PREFIX.pack(MAGIC, FORMAT_VERSION, len(head)) + head).ljust(HEADER_AREA, b"\0")

    def where(self, dealing: int) -> tuple[int, int]:
        """(place in the file, number of the record) of a dealing's secret; its corrections follow."""
        plan, each = records_of(self.plan_bytes), 1 + records_of(self.correction_bytes)
        start = BODY + sealed_bytes(self.plan_bytes) + dealing * dealing_size(self.correction_bytes)
        return start, plan + dealing * each


def records_of(nbytes: int) -> int:
    """How many records hold that many bytes."""
    return -(-nbytes // RECORD_BYTES)


def sealed_bytes(nbytes: int) -> int:
    """How many bytes they take."""
    return nbytes + TAG_BYTES * records_of(nbytes)


def dealing_size(correction_bytes: int) -> int:
    """How many bytes of the file a dealing takes."""
    return SECRET_SIZE + sealed_bytes(correction_bytes)


def correction_key(secret: bytes) -> bytes:
    """What a dealing's corrections are sealed under: who overwrites the secret has overwritten them."""
    return digest(b"corrections", KEY_BYTES, secret)


def digest(data: bytes, size: int, key: bytes = b"") -> bytes:
    """BLAKE2b for stores: of a header, or with a key as a MAC."""
    return hashlib.blake2b(data, digest_size=size, key=key, person=b"mpc-store-v1").digest()


def mark(used: int, key: bytes) -> bytes:
    """How far a store is used up, as it is written into it."""
    number = used.to_bytes(8, "little")
    return (number + digest(number, 32, key)).ljust(MARK_BYTES, b"\0")
