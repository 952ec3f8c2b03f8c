"""What a request may make the dealer allocate: refused before it happens, never for what programs ask."""
from __future__ import annotations

import threading
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import masks, prg
from mpc.masks import Joined, Mask, Moved, Then
from mpc.preprocessing import limits, requests
from mpc.preprocessing.base import BitValues, Harmonics, Merges, Product, Tables, Truncation
from mpc.preprocessing.dealer import serve
from mpc.preprocessing.dealing import CACHE_BYTES, KeyedDealing
from mpc.supervision import threads
from tests.preprocessing.stores import compare, estimators, functions, perceptron, planned, run

LIMIT = 1 << 20
SMALL = Mask(1, 0, (4, 6))
HUGE = Mask(1, 0, (1 << 20, 1 << 20))


def keys(parties: int = 2) -> list[bytes]:
    return [prg.derive(prg.fresh_secret(), "dealt") for _ in range(parties)]


def indexed(*index: Any) -> Moved:
    return Moved(SMALL, "index", masks.pack_index(tuple(index)))


FAR = np.zeros((1 << 10, 1), np.int64), np.zeros((1, 1 << 10), np.int64)
REQUESTS = {
    "mask": Truncation(2, HUGE, 4, 16),
    "more elements than words count": Truncation(2, Mask(1, 0, (1 << 62, 1 << 62)), 4, 16),
    "negative shape": Truncation(2, Mask(1, 0, (-4,)), 4, 16),
    "two negative sizes": Truncation(2, Mask(1, 0, (-4, -4)), 16, 16),
    "too many axes": Truncation(2, Mask(1, 0, (1,) * 80), 1, 16),
    "corrections": Merges(2, 1 << 40, "tree"),
    "negative corrections": Merges(2, -64, "tree"),
    "harmonics": Harmonics(2, SMALL, 24, 20, 1 << 30, 15),
    "bits": BitValues(2, 1 << 50),
    "tables": Tables(2, SMALL, 1 << 40),
    "outer product": Product(2, "mul", Mask(1, 0, (1 << 16, 1)), Mask(1, 0, (1, 1 << 16)), 1 << 32),
    "matrix product": Product(2, "matmul", Mask(1, 0, (1 << 15, 1)), Mask(1, 0, (1, 1 << 15)), 1 << 30),
    "behind a product": Product(
        2, "matmul", Mask(1, 0, (256, 1)), Mask(1, 0, (1, 256)), 4, Then((("pad", [0, 0, 0, 1 << 20]),), (4,))
    ),
    "broadcast": Truncation(2, Moved(SMALL, "broadcast", (1 << 30, 4, 6)), 4, 16),
    "padding": Truncation(2, Moved(SMALL, "pad", [1 << 20, 0, 0, 0]), 4, 16),
    "windows": Truncation(2, Moved(Mask(1, 0, (300, 300)), "unfold", [100, 100, 1, 1, 1, 1]), 4, 16),
    "folding": Truncation(2, Moved(SMALL, "fold", [1, 1, 1, 1, 1, 1, 1 << 30, 1 << 30]), 4, 16),
    "index lists that spread": Truncation(2, indexed(*FAR), 4, 16),
    "an index list and the rest": Truncation(2, indexed(np.zeros(1 << 18, np.int64)), 4, 16),
    "rows": Product(2, "mul", indexed(np.zeros(1 << 20, np.int64)), SMALL, 4),
    "pairs": Truncation(2, Moved(Mask(1, 0, (1 << 9, 16)), "pairs", None), 4, 16),
    "joined": Truncation(2, Joined([SMALL] * 10_000, 0), 4, 16),
    "joined shapes": Truncation(2, Joined([SMALL, Mask(1, 1, (3,))], 1), 4, 16),
    "joined nothing": Truncation(2, Joined([], 0), 4, 16),
    "deep": Truncation(2, Joined([SMALL], 0), 4, 16),
    "reshape": Truncation(2, Moved(SMALL, "reshape", (5, 5)), 25, 16),
    "reshape twice free": Truncation(2, Moved(SMALL, "reshape", (-1, -1)), 24, 16),
    "index out of range": Truncation(2, indexed(9), 6, 16),
    "nonsense argument": Truncation(2, Moved(SMALL, "pad", "abc"), 6, 16),
}
for _ in range(100):
    REQUESTS["deep"] = Truncation(2, Moved(REQUESTS["deep"].r, "transpose", [1, 0]), 24, 16)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_would_need_too_much_is_refused_before_it_is_allocated(name: str) -> None:
    body = requests.encode([REQUESTS[name]])
    dealing = KeyedDealing(keys(), LIMIT)
    tracemalloc.start()
    started = time.thread_time()
    with pytest.raises(mpc.CorruptFrame):
        dealing.answer(body)
    seconds = time.thread_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LIMIT + 8 * len(body)
    assert seconds < 2


@pytest.mark.parametrize("program", [perceptron, functions, estimators, compare])
def test_the_bill_covers_what_dealing_takes(program: Any, tmp_path: Path) -> None:
    """Of every request of real programs: corrections, masks and their images; caches hold no more than they say."""
    plan = planned(program, tmp_path, 3)
    dealing = KeyedDealing(keys(3))
    for body in plan.requests:
        bill = limits._Bill(limits.DEFAULT_LIMIT, CACHE_BYTES // 4)
        bill.add(requests.decode(body))
        tracemalloc.start()
        frames = list(dealing.answer(body))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(frame.nbytes for frame in frames) <= bill.bytes + 128 * len(frames)
        assert peak <= 3 * bill.bytes + 300_000, requests.describe(requests.decode(body))


def test_batches_of_a_data_set_larger_than_the_limit_are_dealt() -> None:
    data = Mask(1, 0, (1 << 20, 784))  # 6.6 GB, never expanded
    batch = Moved(data, "index", masks.pack_index(np.arange(0, 1000, 8)))
    item = Product(3, "matmul", batch, Mask(2, 0, (784, 10)), 1250)
    assert sum(1 for _ in KeyedDealing(keys(), 16 << 20).answer(requests.encode([item]))) == 1


def test_a_request_beyond_the_limit_ends_the_session_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "serve", partial(serve, limit=1000))
    with pytest.raises(mpc.CorruptFrame, match="its limit is 1000|the dealer"):
        run(compare, 3)


def test_the_dealer_passes_an_abort_on_at_once() -> None:
    """The receiver waits for the dealer, not for the party that stops: it hears of it long before its deadline."""
    ready = threading.Event()

    def program() -> float:
        with mpc.session() as s:
            s.barrier()
            if s.rank == 0:
                ready.wait(60)
                time.sleep(0.2)
                raise RuntimeError("an error of the script's own")
            started = time.perf_counter()
            try:
                if s.rank == s.world_size - 1:
                    ready.set()
                    s.hear(s.world_size, 0)  # nothing was asked: only an abort can come
                    raise AssertionError("the dealer sent something else")
                s.barrier()
            finally:
                waited.append(time.perf_counter() - started)
            return 0.0

    waited: list[float] = []
    with pytest.raises(RuntimeError):
        mpc.local(program, 3, threads=True, deadline=60)
    assert len(waited) == 2 and max(waited) < 30
