"""Big-integer work over threads: GMP runs without the GIL, so threads share the cores and nothing is copied."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import gmpy2

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(function: Callable[[Sequence[T]], list[R]], items: Sequence[T], together: int = 1) -> list[R]:
    """``function(items)``, cut into one consecutive piece per core: whole multiples of ``together`` items, but for the last.

    Threads end with the call; exceptions come through.
    """
    count = min(workers(), -(-len(items) // together))
    if count <= 1:
        return function(items) if items else []
    groups = -(-len(items) // together)
    cuts = [min(len(items), groups * i // count * together) for i in range(count + 1)]
    with ThreadPoolExecutor(count) as pool:
        pieces = pool.map(_without_gil, [function] * count, (items[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)))
        return [result for piece in pieces for result in piece]


def _without_gil(function: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
    with gmpy2.context(gmpy2.get_context(), allow_release_gil=True):
        return function(items)
