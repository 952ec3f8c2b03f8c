"""Paillier's keys: n = p * q, encryption (1 + n)^m * r^n mod n^2, decryption modulo p^2 and q^2 apart (CRT).

Who learns what: the holder of the private key can decrypt *every* ciphertext of its key, single contributions too, so
the ciphertexts to add must not reach it (or the key must be shared: `mpc.paillier.threshold`). Everybody else learns
sizes, layouts and numbers of addends only: semantically secure under decisional composite residuosity, and for keys with
h under the short-exponent assumption too (`mpc.paillier.noise`). Ciphertexts can be changed by whoever carries them:
authenticate the channel.

Constant-time: decryption's two exponentiations (`mpc.paillier.modular`, with or without its kernel). Not constant-time:
GMP's other products and divisions by p and q, making and loading a key, and part of the noise (`mpc.paillier.noise`).
"""
from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz

from mpc.errors import AuthenticationError, ConfigError
from mpc.fixed_point import Floats, as_array
from mpc.paillier.modular import powers
from mpc.paillier.noise import Noise, OwnerNoise, random_below
from mpc.paillier.packing import DEFAULT, Digits, Layout
from mpc.paillier.vector import EncryptedVector

BITS: Final = (2048, 3072)
PRIME_ROUNDS: Final = 40  # Miller-Rabin after Baillie-PSW


class PublicKey:
    """n and, for fast noise, h = -y^2 mod n. Equal keys have equal n.

    ``insecure_any_size``: admit other sizes than 2048 and 3072 bits (tests). Raises ConfigError for what can be no key.
    """

    __slots__ = ("__dict__", "bits", "fingerprint", "h", "n", "n_squared")

    def __init__(self, n: int, h: int | None = None, *, insecure_any_size: bool = False) -> None:
        self.n, self.h = mpz(n), None if h is None else mpz(h)
        self.bits: int = self.n.bit_length()
        if self.bits not in BITS and not insecure_any_size:
            raise ConfigError(f"got a Paillier modulus of {self.bits} bits; want {BITS[0]} or {BITS[1]}")
        if n < 15 or self.bits % 2 or gmpy2.gcd(self.n, gmpy2.primorial(1000)) != 1 or gmpy2.is_prime(self.n):
            raise ConfigError("got a number that is no product of two large primes of one length as a Paillier modulus")
        if self.h is not None and (not 1 < self.h < self.n - 1 or gmpy2.jacobi(self.h, self.n) != 1):
            raise ConfigError("got an h that is not -y^2 mod n; want the one that belongs to this Paillier modulus")
        self.n_squared = self.n * self.n
        self.fingerprint = hashlib.blake2b(
            self.n.to_bytes(-(-self.bits // 8), "big"), digest_size=16, person=b"mpc-paillier-v1"
        ).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.n == other.n

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"PublicKey({self.bits} bits, {self.fingerprint.hex()[:8]}{', no h' if self.h is None else ''})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Paillier keys do not pickle: use to_bytes and from_bytes of mpc.paillier, or a key file")

    @cached_property
    def noise(self) -> Noise:
        """This key's pool; ``public.noise.prepare(count)`` makes noise before the values are there."""
        return Noise(self)

    def encrypt(self, values: Any, layout: Layout = DEFAULT, *, noise: Noise | None = None) -> EncryptedVector:
        """Encrypt an array of |x| <= layout.bound, to within 2^-(layout.frac_bits + 1).

        Raises FixedPointRangeError (NaN, infinite, beyond the bound), NotSupported (no real array).
        """
        array = as_array(values)
        plain = layout.pack(layout.encode(array), self.bits)
        return EncryptedVector(self, layout, array.shape, self.encrypt_plaintexts(plain, noise))

    def encrypt_plaintexts(self, plaintexts: Sequence[mpz], noise: Noise | None = None) -> list[mpz]:
        """(1 + m * n) * noise mod n^2 for integers modulo n. ``noise``: a pool of this key (its own by default)."""
        n, n_squared, pool = self.n, self.n_squared, self.noise if noise is None else noise
        if pool.key != self:
            raise ConfigError("got noise of another key")
        return [(1 + m * n) * r % n_squared for m, r in zip(plaintexts, pool.take(len(plaintexts)), strict=True)]



class PrivateKey:
    """p and q, of one length. Decrypts everything under ``public_key``; never printed, never pickled.

    Raises ConfigError where p and q make no key: not prime, of two lengths, or gcd(pq, (p-1)(q-1)) > 1.
    """

    __slots__ = ("__dict__", "_p", "_q", "public_key")

    def __init__(self, p: int, q: int, h: int | None = None, *, insecure_any_size: bool = False) -> None:
        p, q = mpz(p), mpz(q)
        if p == q or p.bit_length() != q.bit_length() or not all(gmpy2.is_prime(x, PRIME_ROUNDS) for x in (p, q)):
            raise ConfigError("a Paillier key needs two different primes of one length")
        self._p, self._q = p, q
        self.public_key = PublicKey(p * q, h, insecure_any_size=insecure_any_size)
        n = self.public_key.n
        self._parts = tuple((x, x * x, gmpy2.invert(-(n // x), x)) for x in (p, q))  # (1 + n)^(x-1) = 1 - n mod x^2
        self._p_inverse = gmpy2.invert(p, q)

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public_key!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key does not pickle: it stays with its owner; see mpc.paillier.write_private_key")

    @property
    def p(self) -> mpz:
        return self._p

    @property
    def q(self) -> mpz:
        return self._q

    @cached_property
    def noise(self) -> Noise:
        """The owner's noise: the same distribution as the public key's, computed modulo p^2 and q^2 apart."""
        return OwnerNoise(self.public_key, self._p, self._q)

    def encrypt(self, values: Any, layout: Layout = DEFAULT) -> EncryptedVector:
        """As `PublicKey.encrypt`, faster: noise by the Chinese remainder theorem."""
        return self.public_key.encrypt(values, layout, noise=self.noise)

    def decrypt(self, vector: EncryptedVector) -> Floats:
        """The values, exact up to float64's 53 bits. Who calls this learns them.

        Raises AuthenticationError for another key's vector; IntegrityError where a slot holds more than it can.
        """
        return np.ldexp(self.decrypt_digits(vector).astype(np.float64), -vector.scale)

    def decrypt_digits(self, vector: EncryptedVector) -> Digits:
        """The exact integers value * 2^vector.scale. Raises as `decrypt`."""
        if vector.public_key != self.public_key:
            raise AuthenticationError(f"got a vector under {vector.public_key!r}; want {self.public_key!r}")
        plain = self.decrypt_ciphertexts(vector.ciphertexts)
        digits = vector.layout.unpack(plain, vector.size, self.public_key.n, vector.magnitude)
        return digits.reshape(vector.shape)

    def decrypt_ciphertexts(self, ciphertexts: Sequence[mpz]) -> list[mpz]:
        """The plaintexts modulo n of ciphertexts."""
        halves = []
        for prime, square, factor in self._parts:
            powered = powers([c % square for c in ciphertexts], prime - 1, square)
            halves.append([(x - 1) // prime * factor % prime for x in powered])
        p, q = self._p, self._q
        return [a + p * ((b - a) * self._p_inverse % q) for a, b in zip(*halves, strict=True)]


def generate_keypair(bits: int = 2048, *, insecure_bits: int | None = None) -> tuple[PublicKey, PrivateKey]:
    """A new key: p = q = 3 mod 4, gcd(p - 1, q - 1) = 2, |p| = |q|, and p - q of more than bits / 2 - 100 bits.

    Every bit comes from os.urandom. ``bits``: 2048 or 3072 (112 and 128 bits of security); ``insecure_bits``: any other even
    size of at least 64, for tests. h = -y^2 mod n for a random y. Takes about a second at 2048 bits. Raises ConfigError.
    """
    size = bits if insecure_bits is None else insecure_bits
    if insecure_bits is None and bits not in BITS:
        raise ConfigError(f"got {bits} bits; want {BITS[0]} or {BITS[1]}")
    if type(size) is not int or size % 2 or size < 64:
        raise ConfigError(f"got {size} bits; want an even number of at least 64")
    while True:
        p, q = _prime(size // 2), _prime(size // 2)
        if gmpy2.gcd(p - 1, q - 1) == 2 and abs(p - q).bit_length() > max(2, size // 2 - 100):
            break
    n = p * q
    y = random_below(n)
    while gmpy2.gcd(y, n) != 1:
        y = random_below(n)
    private = PrivateKey(p, q, -y * y % n, insecure_any_size=insecure_bits is not None)
    return private.public_key, private


def _prime(bits: int) -> mpz:
    """A random prime = 3 mod 4 whose two highest bits are set, so that n has twice its bits."""
    while True:
        candidate = mpz.from_bytes(os.urandom(-(-bits // 8)), "little") & ((mpz(1) << bits) - 1)
        candidate |= (mpz(3) << (bits - 2)) | 3
        if gmpy2.is_prime(candidate, PRIME_ROUNDS):
            return candidate
