"""Encryption noise: n-th residues modulo n^2, one per plaintext, made ahead or when needed.

With h (Damgård, Jurik, Nielsen, "A generalization of Paillier's public-key system with applications to electronic
voting", Int. J. Inf. Security 9, 2010): (h^n)^s with h = -y^2 mod n and s of |n| / 2 bits, by a table of powers of h^n.
That rests on decisional composite residuosity *and* on h^s with short s looking like a random element of Jacobi symbol 1,
which Goldreich and Rosen (J. Cryptology 16, 2003) prove from factoring for exponents of |n| / 2 bits.
Without h (phe's keys): r^n with r below n, about ten times slower.

s and r come from os.urandom. Not constant-time: the table is indexed by s, so who shares the machine's caches with the
encrypting process may learn about s; GMP's products and r^n are not constant-time either.
"""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import gmpy2
from gmpy2 import mpz

from mpc.paillier.parallel import in_parallel

if TYPE_CHECKING:
    from mpc.paillier.keys import PublicKey

WINDOW: Final = 6  # bits: the table of a 2048-bit key has 5.6 MB and takes 50 ms


def random_below(limit: mpz) -> mpz:
    """Uniform in [1, limit), by rejection."""
    bits = limit.bit_length()
    while True:
        got = mpz.from_bytes(os.urandom(-(-bits // 8)), "little") & ((mpz(1) << bits) - 1)
        if 0 < got < limit:
            return got


class FixedBase:
    """base^s mod modulus for many s below 2^bits: one product per window of s, of powers base^(d * 2^(WINDOW * i))."""

    def __init__(self, base: mpz, modulus: mpz, bits: int) -> None:
        self._modulus, self.bytes = modulus, bits // 8
        self._rows: list[list[mpz]] = []
        for _ in range(-(-bits // WINDOW)):
            row = [mpz(1)]
            for _ in range((1 << WINDOW) - 1):
                row.append(row[-1] * base % modulus)
            base = row[-1] * base % modulus
            self._rows.append(row)

    def powers(self, exponents: Sequence[bytes]) -> list[mpz]:
        modulus, mask, out = self._modulus, (1 << WINDOW) - 1, []
        for exponent in exponents:
            s, result = int.from_bytes(exponent, "little"), None
            for row in self._rows:
                factor = row[s & mask]
                result = factor if result is None else result * factor % modulus
                s >>= WINDOW
            out.append(result)
        return out


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
        pool, taken = self._own(), []
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
        return table.powers([os.urandom(table.bytes) for _ in range(count)])

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
            return in_parallel(self._both, [(random_below(p), random_below(q)) for _ in range(count)])
        if not self._tables:
            self._tables = [FixedBase(gmpy2.powmod(key.h, key.n, x * x), x * x, key.bits // 2) for x in (p, q)]
        return self._of_tables([os.urandom(self._tables[0].bytes) for _ in range(count)])

    def _both(self, bases: Sequence[tuple[mpz, mpz]]) -> list[mpz]:
        p, q = self._primes
        return [self._joined(gmpy2.powmod_sec(a, p, p * p), gmpy2.powmod_sec(b, q, q * q)) for a, b in bases]

    def _of_tables(self, exponents: Sequence[bytes]) -> list[mpz]:
        of_p, of_q = (table.powers(exponents) for table in self._tables)
        return [self._joined(a, b) for a, b in zip(of_p, of_q, strict=True)]

    def _joined(self, a: mpz, b: mpz) -> mpz:
        p, q = self._primes
        return a + p * p * ((b - a) * self._inverse % (q * q))
