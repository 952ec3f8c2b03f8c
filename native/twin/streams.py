"""AES-128-CTR streams by name (protocols.md section 3), through the `cryptography` package.

Counter block, big-endian: operation (48 bits) | tensor (16) | block (64); keystream read as little-endian uint64, two
words per block.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from .checks import WORD, choice, flat

KEY_BYTES = 176  # as the compiled kernels' eleven round keys; the twin keeps the key and zeros
SET, ADD, SUB, XOR, XOR_SET = range(5)


def expand_key(key):
    """The opaque form of a 16-byte key that every stream function takes."""
    if len(key) != 16:
        raise ValueError(f"key: got {len(key)} bytes; want 16")
    return bytes(key) + bytes(KEY_BYTES - 16)


def split_keys(keys):
    """The 16-byte keys in a concatenation of expanded ones."""
    if len(keys) % KEY_BYTES:
        raise ValueError(f"keys: got {len(keys)} bytes; want a multiple of {KEY_BYTES} (expand_key)")
    return [bytes(keys[at : at + 16]) for at in range(0, len(keys), KEY_BYTES)]


def check_name(op, tensor):
    """The upper half of the counter block."""
    if not (0 <= op < 1 << 48 and 0 <= tensor < 1 << 16):
        raise ValueError(f"name: got op={op}, tensor={tensor}; want op < 2^48, tensor < 2^16")
    return int(op) << 16 | int(tensor)


def keystream(key, op, tensor, offset, size):
    """Words offset .. offset + size of one named stream."""
    start, skip = divmod(int(offset), 2)
    counter = (check_name(op, tensor) << 64 | start).to_bytes(16, "big")
    cipher = Cipher(AES(key), CTR(counter)).encryptor()
    data = cipher.update(bytes(8 * (size + skip)))
    return np.frombuffer(data, dtype="<u8")[skip:].astype(WORD, copy=False)


def xor_streams(keys, op, tensor, size):
    """XOR of the streams of all `keys` (zeros for none), from word 0."""
    out = np.zeros(size, WORD)
    streams(keys, op, tensor, 0, out, XOR_SET)
    return out


def streams(keys, op, tensor, offset, out, mode):
    """out = sum (SET 0), += sum (ADD 1), -= sum (SUB 2), ^= all (XOR 3), = xor (XOR_SET 4) of the keys' streams."""
    flat("out", out)
    choice("mode", mode, range(5))
    check_name(op, tensor)
    if not 0 <= offset <= (1 << 65) - out.size:
        raise ValueError(f"offset: got {offset}; want 0 <= offset, offset + {out.size} <= 2^65")
    if mode in (SET, XOR_SET):
        out[...] = 0
    for key in split_keys(keys):
        words = keystream(key, op, tensor, offset, out.size)
        if mode in (SET, ADD):
            out += words
        elif mode == SUB:
            out -= words
        else:
            out ^= words


def streams_rows(keys, op, tensor, rows, row_words, out, mode):
    """`streams` for the words rows[r] * row_words .. of each row r; out [R * row_words]."""
    flat("rows", rows, dtype=np.int64)
    flat("out", out, rows.size * row_words)
    if rows.size and (rows.min() < 0 or int(rows.max()) * row_words >= 1 << 62):
        raise ValueError(f"rows: got {rows.min()}..{rows.max()}; want 0 <= row, row * row_words < 2^62")
    choice("mode", mode, range(5))
    check_name(op, tensor)
    split_keys(keys)
    for r, row in enumerate(rows):
        streams(keys, op, tensor, int(row) * row_words, out[r * row_words : (r + 1) * row_words], mode)
