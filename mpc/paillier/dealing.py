"""Dealing a shared Paillier key: the one process that knows it, and forgets it.

It knows p, q and all shares while it runs, so it could decrypt everything that is ever encrypted under the key: trust it,
or do not use a shared key. Run `deal` in a process of its own, on a machine that nobody uses for anything else, which writes
one file per party (`mpc.paillier.share_file`) and ends. "Forgets" means that it keeps nothing and that its memory goes back to
the operating system: Python cannot wipe memory, so swap, core dumps and whoever can read the memory are trusted too.
Everything random is from os.urandom. Not constant-time.
"""
from __future__ import annotations

import math

import gmpy2
from gmpy2 import mpz

from mpc.errors import ConfigError
from mpc.paillier import primes
from mpc.paillier.keys import BITS, PublicKey
from mpc.paillier.noise import random_below
from mpc.paillier.threshold import KeyShare, ThresholdKey, check_parties


def deal(
    bits: int = 2048, parties: int = 3, threshold: int = 2, progress: primes.Progress | None = None,
    *, insecure_primes: tuple[int, int] | None = None,
) -> list[KeyShare]:
    """A fresh key's shares by rank; ``shares[0].key`` is the public side. For a process that forgets (see above).

    Takes some seconds at 2048 bits; ``progress`` is called with the number of candidates tested so far.
    ``insecure_primes``: these safe primes, of any size, instead of fresh ones (tests). Raises ConfigError.
    """
    check_parties(parties, threshold)
    if insecure_primes is None:
        if bits not in BITS:
            raise ConfigError(f"got {bits} bits; want {BITS[0]} or {BITS[1]}")
        p, q = primes.safe_primes(bits // 2, 2, progress)
    else:
        p, q = map(mpz, insecure_primes)
        if p == q or p.bit_length() != q.bit_length() or not (primes.is_safe(p) and primes.is_safe(q)):
            raise ConfigError("a shared key needs two different safe primes of one length")
    n, m = p * q, (p >> 1) * (q >> 1)
    y, root = _unit(n), _unit(n * n)
    public = PublicKey(n, -y * y % n, insecure_any_size=insecure_primes is not None)
    coefficients = [m * gmpy2.invert(m, n), *(random_below(n * m) for _ in range(threshold - 1))]
    secrets = [sum(a * mpz(i) ** k for k, a in enumerate(coefficients)) % (n * m) for i in range(1, parties + 1)]
    v, factorial = root * root % (n * n), math.factorial(parties)
    key = ThresholdKey(public, parties, threshold, v, [gmpy2.powmod_sec(v, factorial * s, n * n) for s in secrets])
    return [KeyShare(key, rank, secret) for rank, secret in enumerate(secrets)]


def _unit(limit: mpz) -> mpz:
    while True:
        got = random_below(limit)
        if gmpy2.gcd(got, limit) == 1:
            return got
