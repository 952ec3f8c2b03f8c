"""Files that one key pair can read and another wrote: X25519, HKDF-SHA256, AES-256-GCM in records.

key = HKDF(DH(ephemeral, recipient) | DH(writer, recipient), info = purpose | ephemeral | recipient | writer): only the
recipient opens it, and whoever does not hold the writer's secret key (or the recipient's) cannot have made it. The
ephemeral key pair is fresh for every file, so record numbers serve as nonces. The number and the hash of the file's
header are associated data: records cannot be altered, exchanged or carried into another file.
"""
from __future__ import annotations

import struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from zmq.utils import z85

from mpc.errors import ConfigError, IntegrityError

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
RECORD_BYTES: Final = 1 << 20  # of plaintext in a full record
_PURPOSE: Final = b"mpc-store-v1"


class Keys(NamedTuple):
    """What a file is sealed under: ``records`` for its contents, ``marks`` for what is written into it later."""

    records: bytes
    marks: bytes

    def __repr__(self) -> str:
        return "Keys(...)"


def public_bytes(key: str) -> bytes:
    """A public key of `mpc keygen` (Z85, the same curve) as 32 bytes. Raises ConfigError."""
    try:
        decoded = z85.decode(key)
    except (ValueError, KeyError, IndexError, struct.error):  # the last: five characters beyond 2^32
        decoded = b""
    if len(decoded) != KEY_BYTES:
        raise ConfigError(f"got public key {key!r}; want the 40 characters that `mpc keygen` printed")
    return bytes(decoded)


def written(recipient: bytes, writer_secret: str) -> tuple[bytes, bytes, Keys]:
    """For a new file: (its ephemeral public key, the writer's public key, its keys)."""
    ephemeral = X25519PrivateKey.generate()
    writer = _private(writer_secret)
    ours, writers = _public(ephemeral), _public(writer)
    return ours, writers, _derived(_shared(ephemeral, recipient), _shared(writer, recipient), ours, recipient, writers)


def opened(ephemeral: bytes, writer: bytes, secret: str) -> Keys:
    """The keys of a file that was written for this secret key."""
    own = _private(secret)
    return _derived(_shared(own, ephemeral), _shared(own, writer), ephemeral, _public(own), writer)


def public_of(secret: str) -> bytes:
    """The public half of a secret key, as 32 bytes."""
    return _public(_private(secret))


def _derived(first: bytes, second: bytes, *names: bytes) -> Keys:
    both = HKDF(SHA256(), 2 * KEY_BYTES, None, b"".join((_PURPOSE, *names))).derive(first + second)
    return Keys(both[:KEY_BYTES], both[KEY_BYTES:])


def _private(secret: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(z85.decode(secret))


def _public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _shared(own: X25519PrivateKey, other: bytes) -> bytes:
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:
        raise IntegrityError("a public key that belongs to nobody (a point of small order)") from None


class Records:
    """Seals and opens the numbered records of one file."""

    def __init__(self, key: bytes, header_hash: bytes) -> None:
        self._cipher = AESGCM(key)
        self._header = header_hash

    def seal(self, number: int, plaintext: bytes | memoryview) -> bytes:
        return self._cipher.encrypt(_nonce(number), plaintext, self._header + number.to_bytes(8, "little"))

    def open(self, number: int, sealed: bytes | memoryview, what: str) -> bytes:
        """Raises IntegrityError, naming ``what``, unless this very record of this file was sealed so."""
        try:
            return self._cipher.decrypt(_nonce(number), sealed, self._header + number.to_bytes(8, "little"))
        except InvalidTag:
            raise IntegrityError(f"{what}: record {number} is altered, exchanged, or sealed for another key") from None


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "little")
