"""What only one party can read: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, AES-128-GCM.

Keys are those of `mpc keygen` (Curve25519, Z85), so a client finds the parties' in run.toml. ``context`` is bound to the
ciphertext: whoever opens must know it, byte for byte. Base mode says nothing of who sealed: that is the sender's connection.
"""
from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from zmq.utils import z85

from mpc.errors import ConfigError, IntegrityError
from mpc.preprocessing.sealing import KEY_BYTES, public_bytes

OVERHEAD: Final = 48  # bytes: the ephemeral public key and the tag
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_PURPOSE: Final = b"mpc-contribution-v1"


def seal(public_key: str, plaintext: bytes | memoryview, context: bytes) -> bytes:
    """Bytes that the holder of the secret key can read, together with the same ``context``. Raises ConfigError for no key."""
    key = X25519PublicKey.from_public_bytes(public_bytes(public_key))
    try:
        return _SUITE.encrypt(bytes(plaintext), key, _PURPOSE + context)
    except ValueError:
        raise ConfigError(f"got public key {public_key!r}, which belongs to nobody (a point of small order)") from None


class Opener:
    """A party's secret key. Never printed."""

    def __init__(self, secret_key: str) -> None:
        try:
            raw = z85.decode(secret_key)
        except (ValueError, KeyError, IndexError):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise ConfigError("got a secret key that is none of `mpc keygen`")  # never quoted
        self._key = X25519PrivateKey.from_private_bytes(raw)
        self.public_key = z85.encode(self._key.public_key().public_bytes_raw()).decode()

    def __repr__(self) -> str:
        return f"Opener({self.public_key})"

    def open(self, sealed: bytes | memoryview, context: bytes) -> bytes:
        """The plaintext. Raises IntegrityError unless it was sealed so, for this key, with this context."""
        try:
            return _SUITE.decrypt(bytes(sealed), self._key, _PURPOSE + context)
        except (InvalidTag, ValueError):
            raise IntegrityError("altered, cut short, or sealed for another key or another message") from None
