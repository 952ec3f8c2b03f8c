"""What is measured: names, titles, the figures to reach (2 cores, N = 2) and two other systems' figures.

The others' figures come from peers.md: another machine of this kind, another day. Compare by ratio to the yardstick
(torch's int64 product of 1024^3 on one thread: 5.1 GMAC/s there).
"""
from __future__ import annotations

from typing import Final, NamedTuple

GROUPS: Final = ("kernels", "protocols", "training")
PEERS: Final = ("CrypTen TFP", "SPU semi2k")
PEERS_NOTE: Final = "peers.md, another day: torch int64 1024^3 at 5.1 GMAC/s there"


class Entry(NamedTuple):
    """One name of ``--only``. A kernel name may give several rows, told apart by their variant."""

    name: str
    group: str
    title: str
    goal: float | None = None  # seconds for workloads
    peers: tuple[float | None, float | None] = (None, None)  # seconds
    goal_mb: float | None = None  # online, sent per party


ENTRIES: Final = (
    Entry("yardstick", "kernels", "int64 product 1024^3, one thread"),
    Entry("matmul", "kernels", "matrix product modulo 2^64, one thread"),
    Entry("aes", "kernels", "AES-128-CTR stream of 8 MB"),
    Entry("elementwise", "kernels", "elementwise kernels, 10^6 words"),
    Entry("comparison", "kernels", "comparison kernels, 2^17 comparisons"),
    Entry("call", "kernels", "one kernel call from Python on one word"),
    Entry("round", "protocols", "100 exchanges of an empty frame"),
    Entry("matmul-256", "protocols", "matrix product 256^3, truncated", None, (0.029, 0.116)),
    Entry("matmul-1024", "protocols", "matrix product 1024^3, truncated", 0.45, (1.00, 2.35)),
    Entry("matmul-784", "protocols", "matrix product 128x784x128, truncated", None, (0.042, 0.173)),
    Entry("product", "protocols", "elementwise product 10^6, truncated", 0.08, (0.203, 0.355)),
    Entry("compare", "protocols", "x > 0, 10^5", None, (0.33, 0.217)),
    Entry("relu", "protocols", "ReLU, 10^6", 0.20, (3.01, 2.28), 14.0),
    Entry("sigmoid", "protocols", "sigmoid, 10^5", None, (0.61, 1.25)),
    Entry("sequence", "protocols", "100 multiplications in sequence", 0.03, (0.30, 0.117)),
    Entry("start", "protocols", "start of all processes to the first reveal", 1.5, (1.95, 2.4)),
    Entry("logistic", "training", "logistic regression 569x30, 50 epochs", 0.3, (5.3, 2.5)),
    Entry("mlp-1", "training", "MLP 784-128-10, batch 128, one step", 0.05, (0.55, 0.57)),
    Entry("mlp-2", "training", "MLP 784-128-128-10, batch 128, one step", None, (0.92, 0.86)),
    Entry("infer-128", "training", "784-128-128-10, inference of 128", None, (0.30, 0.38)),
    Entry("infer-1", "training", "784-128-128-10, inference of 1", None, (0.085, 0.034)),
)
BY_NAME: Final = {entry.name: entry for entry in ENTRIES}
KERNEL_GOALS: Final = {("matmul", "1024^3 avx512"): 7.0, ("aes", "AES-NI"): 3.0}  # GMAC/s, GB/s on one core


def chosen(groups: list[str], only: list[str]) -> list[Entry]:
    """Entries of these groups (all if empty) with these names (all if empty); the yardstick is always among them.

    Raises KeyError with the first unknown name.
    """
    for name in only:
        if name not in BY_NAME:
            raise KeyError(name)
    wanted = [e for e in ENTRIES if (not groups or e.group in groups) and (not only or e.name in only)]
    yardstick = BY_NAME["yardstick"]
    return wanted if yardstick in wanted else [yardstick, *wanted]
