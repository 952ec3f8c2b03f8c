"""Proof that many powers have one secret exponent: x_j' = x_j^w for all j and v' = v^w, in squares modulo n^2.

The equality proof of Chaum and Pedersen, made non-interactive (Fiat-Shamir), for a random combination of all x_j: with
128-bit coefficients rho_j from the hash of the whole statement, X = prod x_j^rho_j and X' = prod x_j'^rho_j,

    commit a = X^r, b = v^r;   e = hash(statement, X, X', a, b), 256 bits;   z = r + e w over the integers;
    accept if e = hash(statement, X, X', X^z X'^-e, v^z v'^-e).

Soundness (random oracle): n is a product of safe primes 2p' + 1 and 2q' + 1, so the squares modulo n^2 are a group of order
n p' q' without an element of small order, and the callers square what they pass. One wrong x_j' leaves the combination
wrong except with probability 2^-128 (the "small exponents" batch test of Bellare, Garay and Rabin, Eurocrypt 1998),
and a wrong combination has one challenge at most that can be answered. Zero-knowledge: r is 384 bits longer than w, so z
is within 2^-128 of what does not depend on w. Constant-time: the powers of r. Not constant-time: GMP's products.
"""
from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Final, NamedTuple

import gmpy2
from gmpy2 import mpz

from mpc.errors import IntegrityError
from mpc.paillier.modular import powers as powers_of

COEFFICIENT_BYTES: Final = 16
CHALLENGE_BYTES: Final = 32
HIDING_BITS: Final = 128
_WINDOW: Final = 8  # bits of a coefficient at a time


class Proof(NamedTuple):
    """Challenge and answer."""

    e: int
    z: int

    def to_bytes(self, n_bits: int) -> bytes:
        return self.e.to_bytes(CHALLENGE_BYTES, "little") + self.z.to_bytes(answer_bytes(n_bits), "little")


def proof_bytes(n_bits: int) -> int:
    return CHALLENGE_BYTES + answer_bytes(n_bits)


def answer_bytes(n_bits: int) -> int:
    """Exponents w = delta * s stay below 2^(2 n_bits + 16), for up to 8 parties."""
    return -(-(2 * n_bits + 17 + 8 * CHALLENGE_BYTES + HIDING_BITS) // 8)


def from_bytes(data: bytes, n_bits: int) -> Proof:
    """The inverse of `Proof.to_bytes`. Raises IntegrityError for another length."""
    if len(data) != proof_bytes(n_bits):
        raise IntegrityError(f"got a proof of {len(data)} bytes; want {proof_bytes(n_bits)}")
    return Proof(int.from_bytes(data[:CHALLENGE_BYTES], "little"), int.from_bytes(data[CHALLENGE_BYTES:], "little"))


def prove(
    context: bytes, modulus: mpz, v: mpz, v_power: mpz, bases: Sequence[mpz], powers: Sequence[mpz], w: mpz, n_bits: int
) -> Proof:
    """A proof for powers[j] = bases[j]^w and v_power = v^w modulo ``modulus``."""
    seed = _statement(context, modulus, v, v_power, bases, powers)
    rho = _coefficients(seed, len(bases))
    base, power = product(bases, rho, modulus), product(powers, rho, modulus)
    r = mpz.from_bytes(os.urandom(answer_bytes(n_bits) - 1), "little")
    a, b = powers_of((base, v), r, modulus)
    e = _challenge(seed, modulus, base, power, a, b)
    return Proof(e, int(r + e * w))


def holds(
    proof: Proof, context: bytes, modulus: mpz, v: mpz, v_power: mpz, bases: Sequence[mpz], powers: Sequence[mpz], n_bits: int
) -> bool:
    """Is it a proof of that statement? Nothing here is secret."""
    e, z = proof
    if not (0 <= e < 1 << (8 * CHALLENGE_BYTES) and 0 <= z < 1 << (8 * answer_bytes(n_bits))):
        return False
    seed = _statement(context, modulus, v, v_power, bases, powers)
    rho = _coefficients(seed, len(bases))
    base, power = product(bases, rho, modulus), product(powers, rho, modulus)
    if gmpy2.gcd(power, modulus) != 1 or gmpy2.gcd(v_power, modulus) != 1:
        return False
    a, b = powers_of((base, v), mpz(z), modulus) if z else (mpz(1), mpz(1))
    a = a * gmpy2.powmod(power, -e, modulus) % modulus
    b = b * gmpy2.powmod(v_power, -e, modulus) % modulus
    expected = _challenge(seed, modulus, base, power, a, b).to_bytes(CHALLENGE_BYTES, "little")
    return hmac.compare_digest(expected, e.to_bytes(CHALLENGE_BYTES, "little"))


def product(bases: Sequence[mpz], exponents: Sequence[bytes], modulus: mpz) -> mpz:
    """prod bases[j]^exponents[j] for public 16-byte exponents, by buckets (Pippenger): about 16 products per base."""
    total = mpz(1)
    for place in reversed(range(COEFFICIENT_BYTES)):
        buckets: dict[int, mpz] = {}
        for base, exponent in zip(bases, exponents, strict=True):
            digit = exponent[place]
            if digit:
                buckets[digit] = buckets[digit] * base % modulus if digit in buckets else base
        for _ in range(_WINDOW):
            total = total * total % modulus
        running = part = mpz(1)
        for digit in range(max(buckets, default=0), 0, -1):
            if digit in buckets:
                running = running * buckets[digit] % modulus
            part = part * running % modulus
        total = total * part % modulus
    return total


def _statement(
    context: bytes, modulus: mpz, v: mpz, v_power: mpz, bases: Sequence[mpz], powers: Sequence[mpz]
) -> bytes:
    """One hash of everything the proof is about; every number in as many bytes as the modulus has."""
    digest = hashlib.blake2b(digest_size=32, person=b"mpc-eqdl-v1")
    width = _width(modulus)
    for size in (len(context), width, len(bases), len(powers)):
        digest.update(size.to_bytes(8, "little"))
    digest.update(context)
    for number in (modulus, v, v_power, *bases, *powers):
        digest.update(number.to_bytes(width, "little"))
    return digest.digest()


def _coefficients(seed: bytes, count: int) -> list[bytes]:
    stream = hashlib.shake_256(b"mpc-eqdl-v1 coefficients" + seed).digest(COEFFICIENT_BYTES * count)
    return [stream[i : i + COEFFICIENT_BYTES] for i in range(0, len(stream), COEFFICIENT_BYTES)]


def _challenge(seed: bytes, modulus: mpz, *numbers: mpz) -> int:
    digest = hashlib.blake2b(seed, digest_size=CHALLENGE_BYTES, person=b"mpc-eqdl-v1 e")
    for number in numbers:
        digest.update(number.to_bytes(_width(modulus), "little"))
    return int.from_bytes(digest.digest(), "little")


def _width(modulus: mpz) -> int:
    return -(-int(modulus.bit_length()) // 8)
