"""Safe primes p = 2 p' + 1 with p' prime, searched by several processes.

Each process draws a random start from the operating system, sieves a window behind it by small primes, and tests what is
left; windows without a find are left for a fresh start, so that large gaps between primes are not favoured much. Of
1024 bits, about one in 1,000 candidates that the sieve leaves is a safe prime; most of the time goes into modular powers.
"""
from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

import gmpy2
import numpy as np
from gmpy2 import mpz

from mpc.errors import ConfigError
from mpc.paillier.parallel import workers

ROUNDS: Final = 40  # of Miller and Rabin's test, behind Baillie, Pomerance, Selfridge and Wagstaff's
WINDOW: Final = 1 << 18  # candidates p' = start + 6 k per start
SMALL: Final = 1 << 18  # primes below sieve
REPORT: Final = 100  # candidates tested between two reports

Progress = Callable[[int], None]


def is_safe(p: mpz) -> bool:
    """Is p prime, and (p - 1) / 2 too? Wrong with probability below 4^-40 for numbers not chosen to deceive."""
    return p > 5 and p % 4 == 3 and gmpy2.is_prime(p >> 1, ROUNDS) and gmpy2.is_prime(p, ROUNDS)


def search(bits: int) -> Iterator[mpz]:
    """Safe primes of ``bits`` bits whose two highest bits are set; 0 for every 100 candidates tested in between."""
    if bits < 32:
        raise ConfigError(f"got safe primes of {bits} bits; want at least 32")
    tested, small = 0, _small_primes(min(SMALL, 1 << (bits // 2 - 2)))
    while True:
        for half in _candidates(bits - 1, small):
            tested += 1
            if tested % REPORT == 0:
                yield mpz(0)
            p = 2 * half + 1
            if gmpy2.powmod(2, p - 1, p) == 1 and is_safe(p):
                yield p
                break  # the next one from a fresh start


def _candidates(bits: int, small: np.ndarray) -> Iterator[mpz]:
    """p' = 5 mod 6 in one window, of ``bits`` bits with the two highest set, such that no small prime divides p' or 2p' + 1."""
    top = mpz(3) << (bits - 2)
    start = top | (mpz.from_bytes(os.urandom(bits // 8 + 1), "little") & ((mpz(1) << (bits - 2)) - 1))
    start += 5 - start % 6
    left = np.ones(WINDOW, bool)
    for prime in small.tolist():
        inverse, rest = int(gmpy2.invert(6, prime)), int(start % prime)
        left[-rest * inverse % prime :: prime] = False  # start + 6k = 0
        left[(-rest - (prime + 1) // 2) * inverse % prime :: prime] = False  # 2(start + 6k) + 1 = 0
    for k in np.flatnonzero(left).tolist():
        half = start + 6 * k
        if half.bit_length() == bits:
            yield half


def _small_primes(limit: int) -> np.ndarray:
    """Primes from 5 up to ``limit``."""
    sieve = np.ones(max(limit, 6), bool)
    sieve[:2] = False
    for i in range(2, int(limit**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = False
    return np.flatnonzero(sieve)[2:]


def safe_primes(bits: int, count: int = 2, progress: Progress | None = None, timeout: float = 3600.0) -> list[mpz]:
    """``count`` different safe primes of ``bits`` bits, by one process per core, which send them through pipes.

    ``progress`` is called every half second with the number of candidates tested so far. Raises ConfigError when a
    process fails, or after ``timeout`` seconds.
    """
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()", str(bits)]
    children = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for _ in range(workers())]
    pipes = [child.stdout.fileno() for child in children if child.stdout is not None]
    heard = dict.fromkeys(pipes, b"")
    end = time.monotonic() + timeout
    try:
        while True:
            for pipe in select.select(pipes, (), (), 0.5)[0]:
                got = os.read(pipe, 1 << 16)
                if not got:
                    raise ConfigError("a process that searches for safe primes ended; its output says why")
                heard[pipe] += got
            lines = [line for data in heard.values() for line in data.split(b"\n")[:-1]]
            found = list(dict.fromkeys(mpz(line.decode(), 16) for line in lines if line != b"."))
            if progress is not None:
                progress(REPORT * lines.count(b"."))
            if len(found) >= count:
                return found[:count]
            if time.monotonic() > end:
                raise ConfigError(f"found {len(found)} of {count} safe primes of {bits} bits in {timeout:g} s; want more time")
    finally:
        for child in children:
            child.kill()
            child.communicate()


def main() -> None:
    """What each process of `safe_primes` runs."""
    for found in search(int(sys.argv[1])):
        print(f"{found:x}" if found else ".", flush=True)
