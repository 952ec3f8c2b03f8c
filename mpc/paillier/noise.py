"""Encryption noise: n-th residues modulo n^2, one per plaintext, made ahead or when needed.

With h (Damgård, Jurik, Nielsen, "A generalization of Paillier's public-key system with applications to electronic
voting", Int. J. Inf. Security 9, 2010): (h^n)^s with h = -y^2 mod n and s of |n| / 2 bits, by a table of powers of h^n.
That rests on decisional composite residuosity *and* on h^s with short s looking like one with s as long as n, which
Goldreich and Rosen (J. Cryptology 16, 2003) prove from factoring for exponents of |n| / 2 bits.
Without h (phe's keys): r^n with r below n, many times slower.

s and r come from os.urandom. Constant-time: the powers with secret s, where the machine has the kernel of
`mpc.paillier.modular`. Elsewhere its table is read at the digits of s: who shares the machine's caches with the encrypting
process may then learn about s. r^n has a public exponent; GMP's products with r are not constant-time.
"""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import gmpy2
from gmpy2 import mpz

from mpc.paillier.modular import FixedBase, powers
from mpc.paillier.parallel import in_parallel

if TYPE_CHECKING:
    from mpc.paillier.keys import PublicKey


def random_below(limit: mpz) -> mpz:
    """Uniform in [1, limit), by rejection."""
    bits = limit.bit_length()
    while True:
        got = mpz.from_bytes(os.urandom(-(-bits // 8)), "little") & ((mpz(1) << bits) - 1)
        if 0 < got < limit:
            return got


def short_exponents(count: int, key_bits: int) -> list[int]:
    """Uniform below 2^(|n| / 2)."""
    size = key_bits // 2
    return [int.from_bytes(os.urandom(-(-size // 8)), "little") & ((1 << size) - 1) for _ in range(count)]


class Noise:
    """A pool of noise for one public key: `prepare` ahead (no data needed), `take` each once. Safe among threads.

    A pool that a fork copied is forgotten in the child: the same noise under two plaintexts would give their difference away.
    """

    def __init__(self, public_key: PublicKey) -> None:
        self.key = public_key
        self._pool: deque[mpz] = deque()
        self._pid = os.getpid()
        self._table: FixedBase | None = None

    def __len__(self) -> int:
        return len(self._pool) if self._pid == os.getpid() else 0

    def __repr__(self) -> str:
        return f"Noise({len(self)} ready)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("noise is used once, where it was made: it does not pickle")

    def prepare(self, count: int) -> None:
        """Have at least ``count`` ready."""
        missing = count - len(self)
        if missing > 0:
            made = self._make(missing)
            self._own().extend(made)

    def take(self, count: int) -> list[mpz]:
        """``count`` of them, which nobody gets again; those that are not ready are made now."""
        pool = self._own()
        taken: list[mpz] = []
        try:
            while len(taken) < count:
                taken.append(pool.popleft())  # atomic: no lock that a fork could leave locked
        except IndexError:
            taken += self._make(count - len(taken))
        return taken

    def _own(self) -> deque[mpz]:
        if self._pid != os.getpid():
            self._pool, self._pid = deque(), os.getpid()
        return self._pool

    def _make(self, count: int) -> list[mpz]:
        key = self.key
        if key.h is None:
            return in_parallel(self._full, [random_below(key.n) for _ in range(count)])
        table = self._table
        if table is None:
            table = self._table = FixedBase(gmpy2.powmod(key.h, key.n, key.n_squared), key.n_squared, key.bits // 2)
        return table.powers(short_exponents(count, key.bits))

    def _full(self, bases: Sequence[mpz]) -> list[mpz]:
        return gmpy2.powmod_base_list(list(bases), self.key.n, self.key.n_squared)


class OwnerNoise(Noise):
    """The key owner's noise: modulo p^2 and q^2 apart, put together by the Chinese remainder theorem.

    Without h: a^p mod p^2 with a uniform below p is what r^n is modulo p^2, as n = p * q and r -> r^q permutes the units.
    """

    def __init__(self, public_key: PublicKey, p: mpz, q: mpz) -> None:
        super().__init__(public_key)
        self._primes = p, q
        self._inverse = gmpy2.invert(p * p, q * q)
        self._tables: list[FixedBase] = []

    def _make(self, count: int) -> list[mpz]:
        key, (p, q) = self.key, self._primes
        if key.h is None:
            of_p, of_q = (powers([random_below(x) for _ in range(count)], x, x * x) for x in (p, q))
            return self._joined(of_p, of_q)
        if not self._tables:
            self._tables = [FixedBase(gmpy2.powmod(key.h, key.n, x * x), x * x, key.bits // 2) for x in (p, q)]
        exponents = short_exponents(count, key.bits)
        of_p, of_q = (table.powers(exponents) for table in self._tables)
        return self._joined(of_p, of_q)

    def _joined(self, of_p: list[mpz], of_q: list[mpz]) -> list[mpz]:
        p2, q2 = (x * x for x in self._primes)
        return [a + p2 * ((b - a) * self._inverse % q2) for a, b in zip(of_p, of_q, strict=True)]
