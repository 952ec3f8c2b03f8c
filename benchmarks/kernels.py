"""Kernels in this one process: no parties, no sockets. Rates on one thread."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from mpc import prg, ring
from mpc.benchmarks.catalog import BY_NAME, KERNEL_GOALS
from mpc.benchmarks.rows import Line

Words = np.ndarray


def measure(name: str, repeat: int, quick: bool) -> list[Line]:
    """The rows of one kernel name of the catalog."""
    return list(_FUNCTIONS[name](1 if quick else repeat, quick))


def seconds(call: Callable[[], object], repeat: int, quick: bool) -> list[float]:
    """Seconds of one call, ``repeat`` times, each the mean over enough calls for 30 ms (quick: 1 ms); one more first."""
    least = 1e-3 if quick else 3e-2
    started = perf_counter()
    call()
    once = perf_counter() - started
    count = max(1, int(least / max(once, 1e-7)))
    runs = []
    for _ in range(repeat):
        started = perf_counter()
        for _ in range(count):
            call()
        runs.append((perf_counter() - started) / count)
    return runs


def _line(name: str, variant: str, unit: str, runs: list[float], rate: bool = True, note: str = "") -> Line:
    entry = BY_NAME[name]
    return Line(entry.group, name, variant, entry.title, unit, runs, rate, KERNEL_GOALS.get((name, variant)), note)


def _uniform(key: bytes, tensor: int, count: int) -> Words:
    return prg.words(key, 1, tensor, count)


def _key(number: int) -> bytes:
    return bytes(ring.expand_key(bytes([number]) * 16))


# --- products
def _yardstick(repeat: int, quick: bool) -> Iterator[Line]:
    """torch's int64 product where torch is, else the kernel of this package."""
    n = 128 if quick else 1024
    a = _uniform(_key(1), 0, n * n).reshape(n, n)
    try:
        import torch
    except ImportError:
        runs = seconds(lambda: ring.matmul(a, a), repeat, quick)
        yield _line("yardstick", "mpc (torch is not installed)", "GMAC/s", [n**3 / s / 1e9 for s in runs])
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    t = torch.from_numpy(a.view(np.int64))
    runs = seconds(lambda: t @ t, repeat, quick)
    torch.set_num_threads(threads)
    yield _line("yardstick", "torch int64", "GMAC/s", [n**3 / s / 1e9 for s in runs], note=f"{n}^3" if quick else "")


def _matmul(repeat: int, quick: bool) -> Iterator[Line]:
    chosen = ring.isa()
    shapes = {"1024^3": (1024, 1024, 1024), "128x784x128": (128, 784, 128)}
    try:
        for shape, (m, k, n) in shapes.items():
            if quick:
                m, k, n = m // 8, k // 8, n // 8
            a, b = _uniform(_key(1), 0, m * k).reshape(m, k), _uniform(_key(1), 1, k * n).reshape(k, n)
            out = np.empty((m, n), np.uint64)
            for isa in ring.available_isas():
                ring.set_isa(isa)
                runs = seconds(lambda: ring.matmul(a, b, out), repeat, quick)  # noqa: B023
                rates = [m * k * n / s / 1e9 for s in runs]
                yield _line("matmul", f"{shape} {isa}", "GMAC/s", rates, note=f"{m}x{k}x{n}" if quick else "")
    finally:
        ring.set_isa(chosen)
    n = 64 if quick else 256
    a = _uniform(_key(1), 0, n * n).reshape(n, n)
    runs = seconds(lambda: a @ a, repeat, quick)
    yield _line("matmul", "numpy uint64", "GMAC/s", [n**3 / s / 1e9 for s in runs], note=f"{n}^3: 1024^3 takes seconds")


# --- streams and elementwise
def _aes(repeat: int, quick: bool) -> Iterator[Line]:
    out = np.empty(1 << (14 if quick else 20), np.uint64)
    key, chosen = _key(1), ring.isa()
    try:
        for isa, label in (("portable", "portable"), (chosen, "AES-NI")):
            if label == "AES-NI" and isa == "portable":
                continue  # the machine has no other
            ring.set_isa(isa)
            runs = seconds(lambda: ring.streams(key, 1, 0, 0, out, ring.SET), repeat, quick)
            yield _line("aes", label, "GB/s", [out.nbytes / s / 1e9 for s in runs])
    finally:
        ring.set_isa(chosen)


def _elementwise(repeat: int, quick: bool) -> Iterator[Line]:
    n = 1 << 12 if quick else 10**6
    a, b, c, d = (_uniform(_key(1), k, n) for k in range(4))
    narrow = d.astype(np.uint32)
    out = np.empty(n, np.uint64)
    calls: dict[str, tuple[int, Callable[[], object]]] = {  # bytes moved per word, call
        "mul": (24, lambda: ring.mul(a, b, out)),
        "beaver_mul": (48, lambda: ring.beaver_mul(a, b, c, d, out, True)),
        "truncate_finish": (28, lambda: ring.truncate_finish(a, b, narrow, None, True, 16, out)),
        "numpy multiply": (24, lambda: np.multiply(a, b, out=out)),
        "numpy add": (24, lambda: np.add(a, b, out=out)),
    }
    for variant, (nbytes, call) in calls.items():
        runs = seconds(call, repeat, quick)
        rate = nbytes * n / min(runs) / 1e9
        yield _line("elementwise", variant, "ns/word", [s / n * 1e9 for s in runs], False, f"{rate:.1f} GB/s")


# --- comparison
class _Comparison:
    """Buffers and names for one run of the tree over n lanes, two parties."""

    def __init__(self, n: int) -> None:
        self.n, self.w = n, ring.planes_words(n)
        self.keys = _key(1) + _key(2)
        self.mine = _key(1)
        self.d, self.r = _uniform(self.mine, 0, n), _uniform(self.mine, 1, n)
        planes = {"tables": 233, "mono1": 81, "mono2": 15, "lteq": 32, "top": 1, "e1": 27, "level1": 7, "e2": 6, "msb": 1}
        self.at = {name: np.empty(count * self.w, np.uint64) for name, count in planes.items()}

    def deal_tables(self) -> None:
        ring.deal_tables(self.r, self.mine, 1, 5, self.at["tables"])

    def deal_monomials(self) -> None:
        ring.deal_monomials("tree1", self.n, self.keys, 2, 6, self.mine, 2, 7, self.at["mono1"])
        ring.deal_monomials("tree2", self.n, self.keys, 2, 8, self.mine, 2, 9, self.at["mono2"])

    def party(self, receiver: bool) -> None:
        at, key, first = self.at, self.mine, not receiver
        tables, mono1, mono2 = (at["tables"], at["mono1"], at["mono2"]) if receiver else (None, None, None)
        ring.compare_lookup(self.d, key, 1, 5, tables, first, at["lteq"], at["top"])
        ring.tree1_mask(at["lteq"], key, 2, 6, at["e1"])
        ring.tree1_merge(at["lteq"], at["e1"], key, 2, 6, key, 2, 7, mono1, first, at["level1"])
        ring.tree2_mask(at["level1"], key, 2, 8, at["e2"])
        ring.tree2_merge(at["level1"], at["e2"], key, 2, 8, key, 2, 9, mono2, first, at["top"], at["msb"])


def _comparison(repeat: int, quick: bool) -> Iterator[Line]:
    n = 1 << (12 if quick else 17)
    run = _Comparison(n)
    parts: dict[str, Callable[[], object]] = {
        "dealer: tables": run.deal_tables,
        "dealer: monomials": run.deal_monomials,
        "dealer": lambda: (run.deal_tables(), run.deal_monomials()),  # type: ignore[func-returns-value]
        "party, from streams": lambda: run.party(receiver=False),
        "party, receiver": lambda: run.party(receiver=True),
    }
    for variant, call in parts.items():
        runs = seconds(call, repeat, quick)
        note = f"{min(runs) / n * 1e9:.1f} ns each"
        yield _line("comparison", variant, "million/s", [n / s / 1e6 for s in runs], note=note)


# --- what Python adds
def _call(repeat: int, quick: bool) -> Iterator[Line]:
    """One word: nearly all of the time is the call."""
    a, b, c, d, out = (_uniform(_key(1), k, 1) for k in range(5))
    narrow, square, key = d.astype(np.uint32), a.reshape(1, 1), _key(1)
    calls: dict[str, Callable[[], object]] = {
        "mul": lambda: ring.mul(a, b, out),
        "beaver_mul": lambda: ring.beaver_mul(a, b, c, d, out, True),
        "truncate_finish": lambda: ring.truncate_finish(a, b, narrow, None, True, 16, out),
        "streams": lambda: ring.streams(key, 1, 0, 0, out, ring.SET),
        "prg.words": lambda: prg.words(key, 1, 0, 1),
        "matmul": lambda: ring.matmul(square, square),
        "compare_lookup": lambda: ring.compare_lookup(a, key, 1, 5, None, True, lteq, top),
    }
    lteq, top = np.empty(32, np.uint64), np.empty(1, np.uint64)
    for variant, call in calls.items():
        runs = seconds(call, repeat, quick)
        yield _line("call", variant, "us", [s * 1e6 for s in runs], False)


_FUNCTIONS: dict[str, Callable[[int, bool], Iterator[Line]]] = {
    "yardstick": _yardstick,
    "matmul": _matmul,
    "aes": _aes,
    "elementwise": _elementwise,
    "comparison": _comparison,
    "call": _call,
}
