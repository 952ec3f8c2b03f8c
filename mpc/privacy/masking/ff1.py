"""FF1: a keyed permutation of strings over a small alphabet (NIST SP 800-38G, March 2016), many strings at a time.

Ten Feistel rounds with AES-CBC-MAC as the round function. Domain: radix^length >= 1,000,000, as SP 800-38G Revision 1 requires
(100 in 2016): on smaller domains the message-recovery attacks of Bellare, Hoang, Tessaro (2016) and Durak, Vaudenay (2017) come
within reach, and a table of all values is soon seen. Not constant-time: Python's integers.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpc.errors import ConfigError

LEAST_DOMAIN: Final = 1_000_000
ROUNDS: Final = 10
MOST_LENGTH: Final = 4096
BLOCK: Final = 16


class FF1:
    """Encryption and decryption of numeral strings of one radix under one AES key (16, 24 or 32 bytes)."""

    def __init__(self, key: bytes, radix: int, *, insecure_small_domain: bool = False) -> None:
        if not 2 <= radix <= 1 << 16:
            raise ConfigError(f"radix {radix}; want 2 to 65536")
        if len(key) not in (16, 24, 32):
            raise ConfigError(f"an AES key of {len(key)} bytes; want 16, 24 or 32")
        self.radix = radix
        self.least = 1 if insecure_small_domain else LEAST_DOMAIN
        self._ecb = Cipher(algorithms.AES(key), modes.ECB())  # CBC-MAC over many messages side by side

    def encrypt(self, values: Sequence[int], length: int, tweak: bytes = b"") -> list[int]:
        """Strings of ``length`` numerals, each given as the number it spells (most significant first), permuted."""
        return self._walk(values, length, tweak, range(ROUNDS), 1)

    def decrypt(self, values: Sequence[int], length: int, tweak: bytes = b"") -> list[int]:
        """The inverse of `encrypt`."""
        return self._walk(values, length, tweak, range(ROUNDS - 1, -1, -1), -1)

    def _walk(self, values: Sequence[int], n: int, tweak: bytes, rounds: range, sign: int) -> list[int]:
        radix = self.radix
        if not 2 <= n <= MOST_LENGTH or radix**n < self.least:
            raise ConfigError(f"{n} numerals of radix {radix}: {'too long' if n > MOST_LENGTH else f'{radix**n} values'}; "
                              f"FF1 wants at least {LEAST_DOMAIN} values, 2 to {MOST_LENGTH} numerals")
        if not all(0 <= v < radix**n for v in values):
            raise ConfigError(f"a value outside 0 .. {radix}^{n} - 1")
        if not values:
            return []
        u, v = n // 2, n - n // 2
        b = (radix**v - 1).bit_length() + 7 >> 3  # ceil(ceil(v log2 radix) / 8), exactly
        d = 4 * -(-b // 4) + 4
        head = (bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([10, u % 256]) + n.to_bytes(4, "big")
                + len(tweak).to_bytes(4, "big"))  # fmt: skip
        tweak += bytes((-len(tweak) - b - 1) % BLOCK)
        first = self._aes(np.frombuffer(head, np.uint8).reshape(1, BLOCK))
        left, right = map(list, zip(*(divmod(x, radix**v) for x in values), strict=True))
        for i in rounds:
            m = radix ** (u if i % 2 == 0 else v)
            fed = right if sign > 0 else left
            blocks = b"".join(tweak + bytes([i]) + x.to_bytes(b, "big") for x in fed)
            keyed = self._round(first, np.frombuffer(blocks, np.uint8).reshape(len(values), -1), d)
            y = [int.from_bytes(row[:d], "big") for row in keyed]
            if sign > 0:
                left, right = right, [(a + f) % m for a, f in zip(left, y, strict=True)]
            else:
                left, right = [(c - f) % m for c, f in zip(right, y, strict=True)], left
        return [a * radix**v + c for a, c in zip(left, right, strict=True)]

    def _round(self, first: np.ndarray[tuple[int, int], np.dtype[np.uint8]], q: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
               d: int) -> list[bytes]:  # fmt: skip
        """S = R || AES(R ^ 1) || AES(R ^ 2) ..., of which d bytes count; R is the CBC-MAC of the head and each row."""
        r = np.repeat(first, len(q), axis=0)
        for at in range(0, q.shape[1], BLOCK):
            r = self._aes(r ^ q[:, at : at + BLOCK])
        parts = [r]
        for j in range(1, -(-d // BLOCK)):
            parts.append(self._aes(r ^ np.frombuffer(j.to_bytes(BLOCK, "big"), np.uint8)))
        return [row.tobytes() for row in np.concatenate(parts, axis=1)]

    def _aes(self, blocks: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        encryptor = self._ecb.encryptor()
        data = encryptor.update(np.ascontiguousarray(blocks).tobytes()) + encryptor.finalize()
        return np.frombuffer(data, np.uint8).reshape(-1, BLOCK)
