"""Rounds and bytes of every function are what its docstring says."""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import SecretTensor

# method, shape, call, rounds, bytes per element to the other party
TABLE: list[tuple[str, tuple[int, ...], Callable[[Any], Any], int, int]] = [
    ("sigmoid", (1000,), lambda x: x.sigmoid(), 4, 25),
    ("tanh", (1000,), lambda x: x.tanh(), 4, 25),
    ("erf", (1000,), lambda x: x.erf(), 4, 25),
    ("gelu", (1000,), lambda x: x.gelu(), 5, 33),
    ("exp", (1000,), lambda x: x.exp(), 8, 45),
    ("log", (1000,), lambda x: x.log(), 6, 94),
    ("sqrt", (1000,), lambda x: x.sqrt(), 7, 110),
    ("rsqrt", (1000,), lambda x: x.rsqrt(), 7, 110),
    ("reciprocal", (1000,), lambda x: x.reciprocal(), 7, 128),
    ("softmax", (1000, 10), lambda x: x.softmax(1), 14, 63),
    ("softmax", (100, 1000), lambda x: x.softmax(1), 35, 54),
    ("log_softmax", (1000, 10), lambda x: x.log_softmax(1), 13, 55),
    ("log_softmax", (100, 1000), lambda x: x.log_softmax(1), 33, 46),
    ("max", (1000, 10), lambda x: x.amax(1), 6, 29),
    ("max", (100, 1000), lambda x: x.amax(1), 21, 21),
    ("sort", (1000, 10), lambda x: x.sort(1), 44, 52),
    ("sign", (1000,), lambda x: x.sign(), 4, 17),
    ("floor", (1000,), lambda x: x.floor(), 4, 12),
    ("remainder", (1000,), lambda x: x % 2, 4, 12),
]


def _all() -> list[tuple[int, float]]:
    with mpc.session() as s:
        found = []
        for _, shape, call, *_ in TABLE:
            x = mpc.share(np.zeros(shape), 0) + mpc.share(np.ones(shape), 1)
            before = s.total.rounds, s.total.bytes_sent
            call(x)
            found.append((s.total.rounds - before[0], (s.total.bytes_sent - before[1]) / x.numel()))
        return found


@pytest.fixture(scope="module")
def measured() -> list[tuple[int, float]]:
    return mpc.local(_all, parties=2, threads=True)[0]


@pytest.mark.parametrize("k", range(len(TABLE)), ids=[f"{name} {shape}" for name, shape, *_ in TABLE])
def test_cost(measured: list[tuple[int, float]], k: int) -> None:
    name, _, _, rounds, nbytes = TABLE[k]
    assert (measured[k][0], round(measured[k][1])) == (rounds, nbytes)
    text = getattr(SecretTensor, name).__doc__
    if name != "max":  # counts levels
        numbers = set(map(int, re.findall(r"\b\d+\b", text)))
        assert {rounds, nbytes} <= numbers, text
