"""Public keys and encrypted vectors as bytes: fixed width, every length and range checked before anything is computed.

Vector: a header (magic, version, key fingerprint, layout, account, shape), then every ciphertext in 2|n| bits,
big-endian. Nothing is allocated beyond the size of the data in hand.
"""
from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

import gmpy2
from gmpy2 import mpz

from mpc.errors import AuthenticationError, ConfigError, FixedPointRangeError, IntegrityError, ShapeError
from mpc.paillier.keys import PublicKey
from mpc.paillier.packing import Layout
from mpc.paillier.vector import MAX_SCALE, EncryptedVector

VERSION: Final = 1
MAX_DIMENSIONS: Final = 8
MAX_SIZE: Final = 1 << 59  # values, with empty dimensions left out: what an array can have
_KEY: Final = struct.Struct("<4sBBI")  # magic, version, has h, bits
_HEAD: Final = struct.Struct("<4sB16s dHQdHHB HQQ B")  # magic, version, key; layout; scale, addends, magnitude; dimensions
_LAYOUT: Final = ("bound", "frac_bits", "addends", "weight_bound", "mask_bits", "weight_frac_bits", "packed")


def public_key_to_bytes(key: PublicKey) -> bytes:
    width = -(-key.bits // 8)
    parts = [key.n] if key.h is None else [key.n, key.h]
    return _KEY.pack(b"mpPK", VERSION, len(parts) - 1, key.bits) + b"".join(x.to_bytes(width, "big") for x in parts)


def public_key_from_bytes(data: bytes, *, insecure_any_size: bool = False) -> PublicKey:
    """Raises IntegrityError (damaged, of another version) and ConfigError (no key). Whose it is, the caller must know:
    compare ``fingerprint`` with its owner, since who can replace a key reads what is encrypted under it."""
    _check_start(data, b"mpPK", "a Paillier public key", _KEY.size)
    _, _, has_h, bits = _KEY.unpack_from(data)
    width = -(-bits // 8)
    length = _KEY.size + (1 + has_h) * width
    if has_h > 1 or len(data) != length:
        raise IntegrityError(f"a Paillier public key of {bits} bits: got {len(data)} bytes; want {length}")
    n = mpz.from_bytes(data[_KEY.size : _KEY.size + width], "big")
    if n.bit_length() != bits:
        raise IntegrityError(f"got a Paillier modulus of {n.bit_length()} bits; want {bits} as announced")
    h = mpz.from_bytes(data[_KEY.size + width :], "big") if has_h else None
    return PublicKey(n, h, insecure_any_size=insecure_any_size)


def to_bytes(vector: EncryptedVector) -> bytes:
    """The vector with its account. Whoever reads it learns shape, layout, addends and key, and no value."""
    layout, key = vector.layout, vector.public_key
    if len(vector.shape) > MAX_DIMENSIONS:
        raise ShapeError(f"got {len(vector.shape)} dimensions; want at most {MAX_DIMENSIONS}")
    head = _HEAD.pack(
        b"mpEV", VERSION, key.fingerprint, *(getattr(layout, name) for name in _LAYOUT),
        vector.scale, vector.addends, vector.magnitude, len(vector.shape),
    )
    width = ciphertext_bytes(key)
    shape = struct.pack(f"<{len(vector.shape)}Q", *vector.shape)
    return b"".join([head, shape, *(c.to_bytes(width, "big") for c in vector.ciphertexts)])


def from_bytes(
    data: bytes | bytearray | memoryview,
    public_key: PublicKey,
    layout: Layout,
    *,
    shape: tuple[int, ...] | None = None,
    fresh: bool = False,
) -> EncryptedVector:
    """The vector in ``data``, under this key and layout (and of this shape, where given; of one addend, where ``fresh``).

    The account is the sender's claim: ask for ``fresh`` where single clients send. That a *value* keeps to the bound, nobody
    can see before decryption. Raises IntegrityError (no vector, truncated, too long, a ciphertext out of range or not coprime
    to n), AuthenticationError (another key's), ConfigError (another layout), ShapeError, FixedPointRangeError (an account
    that cannot be).
    """
    data = bytes(data)
    _check_start(data, b"mpEV", "an encrypted vector", _HEAD.size)
    _, _, fingerprint, *fields = _HEAD.unpack_from(data)
    settings, (scale, addends, magnitude, dimensions) = fields[: len(_LAYOUT)], fields[len(_LAYOUT) :]
    if fingerprint != public_key.fingerprint:
        raise AuthenticationError(f"got a vector under key {fingerprint.hex()[:8]}; want {public_key!r}: a foreign key")
    want = [getattr(layout, name) for name in _LAYOUT]
    for name, got, wanted in zip(_LAYOUT, settings, want, strict=True):
        if got != wanted:
            raise ConfigError(f"got a vector of another slot layout: its {name} is {got!r}; want {wanted!r}")
    start = _HEAD.size + 8 * dimensions
    if dimensions > MAX_DIMENSIONS or len(data) < start:
        raise IntegrityError(f"an encrypted vector of {dimensions} dimensions: got {len(data)} bytes; want at least {start}")
    got_shape = struct.unpack_from(f"<{dimensions}Q", data, _HEAD.size)
    if shape is not None and got_shape != tuple(shape):
        raise ShapeError(f"got an encrypted vector of shape {got_shape}; want {tuple(shape)}")
    count, width = layout.plaintexts(math.prod(got_shape), public_key.bits), ciphertext_bytes(public_key)
    if len(data) != start + count * width:
        raise IntegrityError(f"an encrypted vector of shape {got_shape}: got {len(data)} bytes; want {start + count * width}")
    if math.prod(n for n in got_shape if n) > MAX_SIZE:
        raise IntegrityError(f"got an encrypted vector of shape {got_shape}: no array has it")
    weights, rest = divmod(scale - layout.frac_bits, layout.weight_frac_bits or MAX_SCALE + 1)
    if weights < 0 or rest or scale > MAX_SCALE:
        raise FixedPointRangeError(
            f"got values of {scale} fraction bits; want {layout.frac_bits} in this layout, and {layout.weight_frac_bits} "
            "more for every real weight"
        )
    if fresh and (scale, addends, magnitude) != (layout.frac_bits, 1, layout.unit_bound):
        raise FixedPointRangeError(f"got a vector of {addends} addends at {scale} fraction bits; want one freshly encrypted")
    ciphertexts = [mpz.from_bytes(data[at : at + width], "big") for at in range(start, len(data), width)]
    check_ciphertexts(ciphertexts, public_key)
    return EncryptedVector(
        public_key, layout, got_shape, ciphertexts, scale=scale, addends=addends, magnitude=magnitude
    )


def ciphertext_bytes(key: PublicKey) -> int:
    return -(-2 * key.bits // 8)


def check_ciphertexts(ciphertexts: Sequence[mpz], key: PublicKey) -> None:
    """Raise IntegrityError naming the first that is no unit modulo n^2: 0 < c < n^2 and gcd(c, n) = 1."""
    product = mpz(1)
    for number, c in enumerate(ciphertexts):
        if not 0 < c < key.n_squared:
            raise IntegrityError(f"ciphertext {number} is out of range; want 0 < c < n^2 of {key!r}")
        product = product * c % key.n
    if gmpy2.gcd(product, key.n) != 1:  # one gcd for all of them
        number = next(i for i, c in enumerate(ciphertexts) if gmpy2.gcd(c, key.n) != 1)
        raise IntegrityError(f"ciphertext {number} is not coprime to n of {key!r}: it is no ciphertext")


def _check_start(data: bytes, magic: bytes, what: str, head: int) -> None:
    if data[:4] != magic:
        raise IntegrityError(f"got bytes that are not {what} (they start with {data[:4]!r}; want {magic!r})")
    if len(data) < head:
        raise IntegrityError(f"{what} is cut short: got {len(data)} bytes; want at least {head}")
    if data[4] != VERSION:
        raise IntegrityError(f"got {what} of version {data[4]}; want {VERSION}: both sides need the same release")
