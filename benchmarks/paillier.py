"""Paillier: ten clients' updates encrypted, summed and decrypted at 2048 bits, beside phe value by value in the same run.

Every client reads the public key from bytes and makes its own tables, as ten machines would; its vector goes through bytes,
checked; the key's owner decrypts the sum. phe encrypts, adds and decrypts a sample, value by value on one core as it does;
its times are scaled to all values, and halved (divided by the cores) where both are compared.
"""
from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np

from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.rows import Line
from mpc.paillier import (
    EncryptedVector,
    Layout,
    Noise,
    PrivateKey,
    from_bytes,
    generate_keypair,
    public_key_from_bytes,
    public_key_to_bytes,
    to_bytes,
)
from mpc.paillier.interop import private_key_to_phe
from mpc.paillier.parallel import workers

CLIENTS: Final = 10
LAYOUT: Final = Layout(bound=1.0, frac_bits=24, addends=CLIENTS)  # a float32 of [0.5, 1) has 24 bits
TO_REACH: Final = {"seconds": 3.0, "ratio": 300.0}


class _Parts(NamedTuple):
    """Seconds of one run."""

    encrypt: float
    carry: float
    add: float
    decrypt: float


def measure(name: str, repeat: int, quick: bool) -> list[Line]:
    """The rows of one name of the catalog's group "paillier"."""
    _, private = generate_keypair()
    return list({"paillier-sum": _sum, "paillier-rates": _rates}[name](private, 1 if quick else repeat, quick))


def _line(name: str, variant: str, unit: str, runs: list[float], rate: bool = False, **more: Any) -> Line:
    entry = BY_NAME[name]
    return Line(entry.group, name, variant, entry.title, unit, runs, rate, **more)


def _aggregate(private: PrivateKey, key: bytes, updates: np.ndarray[Any, Any]) -> tuple[_Parts, float, int]:
    """Seconds, the largest error, and the bytes that one client sends."""
    encrypting = carrying = 0.0
    received: list[EncryptedVector] = []
    for update in updates:
        started = perf_counter()
        vector = public_key_from_bytes(key).encrypt(update, LAYOUT)
        encrypted = perf_counter()
        data = to_bytes(vector)
        received.append(from_bytes(data, private.public_key, LAYOUT, shape=update.shape, fresh=True))
        encrypting, carrying = encrypting + encrypted - started, carrying + perf_counter() - encrypted
    started = perf_counter()
    total = EncryptedVector.sum(received)
    added = perf_counter()
    result = private.decrypt(total)
    decrypted = perf_counter()
    error = float(np.abs(result - updates.astype(np.float64).sum(0)).max())
    return _Parts(encrypting, carrying, added - started, decrypted - added), error, len(data)


def _sum(private: PrivateKey, repeat: int, quick: bool) -> Iterator[Line]:
    name, size = "paillier-sum", 200 if quick else 10_000
    updates = np.random.default_rng(0).uniform(-1, 1, (CLIENTS, size)).astype(np.float32)
    key = public_key_to_bytes(private.public_key)
    if not quick:
        _aggregate(private, key, updates)  # memory grows
    runs = [_aggregate(private, key, updates) for _ in range(repeat)]
    seconds = [sum(parts) for parts, _, _ in runs]
    goal = None if quick else TO_REACH["seconds"]
    note = f"{runs[0][2] / 1e6:.2f} MB a client; {LAYOUT.slots(2048)} values in a ciphertext, {workers()} cores"
    yield _line(name, "whole", "s", seconds, goal=goal, note=note, max_error=max(error for _, error, _ in runs))
    for part in _Parts._fields:
        yield _line(name, part, "s", [getattr(parts, part) for parts, _, _ in runs])
    try:
        phe = [_phe(private, updates, 2 if quick else 40) for _ in range(repeat)]
    except ImportError:
        return  # the extra "phe" is not installed: nothing to compare with
    sample = f"{2 if quick else 40} of {size} values, scaled"
    yield _line(name, "phe, one core", "s", phe, note=sample)
    ratio = [theirs / workers() / ours for theirs, ours in zip(phe, seconds, strict=True)]
    goal = None if quick else TO_REACH["ratio"]
    yield _line(name, "phe, all cores / whole", "times", ratio, True, goal=goal, note="phe's time divided by the cores")


def _phe(private: PrivateKey, updates: np.ndarray[Any, Any], sample: int) -> float:
    """Seconds that phe would take for all values, from this many of them."""
    theirs = private_key_to_phe(private)
    started = perf_counter()
    encrypted = [[theirs.public_key.encrypt(float(x)) for x in update[:sample]] for update in updates[: max(1, CLIENTS // 5)]]
    encrypting = (perf_counter() - started) * CLIENTS / len(encrypted)
    started = perf_counter()
    totals = [sum(column[1:], column[0]) for column in zip(*encrypted, strict=True)]
    adding = (perf_counter() - started) * (CLIENTS - 1) / (len(encrypted) - 1)
    started = perf_counter()
    for total in totals:
        theirs.decrypt(total)
    return (encrypting + adding + perf_counter() - started) * updates.shape[1] / sample


def _rates(private: PrivateKey, repeat: int, quick: bool) -> Iterator[Line]:
    """Ciphertexts a second, on all cores: what packing does not change."""
    name, count, public = "paillier-rates", 4 if quick else 200, private.public_key
    plain, pool = [1] * count, Noise(public)
    public.noise.take(1), private.noise.take(1)  # tables
    ciphertexts = public.encrypt_plaintexts(plain)
    for variant, call in (
        ("encrypt, public key", lambda: public.encrypt_plaintexts(plain)),
        ("encrypt, owner", lambda: public.encrypt_plaintexts(plain, private.noise)),
        ("decrypt", lambda: private.decrypt_ciphertexts(ciphertexts)),
    ):
        yield _line(name, variant, "/s", [count / _timed(call) for _ in range(repeat)], True)
    runs = []
    for _ in range(repeat):
        pool.prepare(count)
        runs.append(count / _timed(lambda: public.encrypt_plaintexts(plain, pool)))
    yield _line(name, "encrypt, noise made ahead", "/s", runs, True)
    yield _line(name, "tables of a public key", "s", [_timed(lambda: Noise(public).take(1)) for _ in range(repeat)])


def _timed(call: Any) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started
