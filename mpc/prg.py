"""Randomness by name (protocols.md, section 3): keys from the operating system, expanded by AES-128-CTR.

A uniform tensor is a *name*: key, operation number (48 bits), tensor number (16 bits), word offset. Nobody sends or
stores it; it is regenerated where it is needed. Kinds of keys never mix: *dealt* (dealer and one party), *pairwise*
(two parties), *private* (one party).
"""
from __future__ import annotations

import hashlib
import os
from typing import Final

import numpy as np

from mpc import ring
from mpc.fixed_point import Words

KEY_BYTES: Final = 16
SECRET_BYTES: Final = 32
SET, ADD, SUB, XOR, XOR_SET = 0, 1, 2, 3, 4


def fresh_secret() -> bytes:
    """32 bytes from the operating system."""
    return os.urandom(SECRET_BYTES)


def derive(secret: bytes, purpose: str, *context: bytes) -> bytes:
    """A 16-byte AES key: keyed BLAKE2b of the purpose and context under ``secret``, expanded for the kernels."""
    digest = hashlib.blake2b(key=secret, digest_size=KEY_BYTES, person=b"mpc-key-v1")
    for part in (purpose.encode(), *context):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return ring.expand_key(digest.digest())


def combine(*contributions: bytes) -> bytes:
    """One secret of several parties' contributions, in the order given: uniform if any one of them is."""
    digest = hashlib.blake2b(digest_size=SECRET_BYTES, person=b"mpc-secret-v1")
    for part in contributions:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def words(keys: bytes, op: int, tensor: int, count: int, mode: int = SET, offset: int = 0) -> Words:
    """``count`` words of the sum (or XOR, mode XOR_SET) of the streams of all ``keys`` under that name."""
    out = np.empty(count, np.uint64)
    ring.streams(keys, op, tensor, offset, out, mode)
    return out
