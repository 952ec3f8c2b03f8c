"""What the tests of noise share: exact enumeration of coins, one chi-square test, runs on shares."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

import mpc
from mpc.party import Party
from mpc.privacy import DiscreteLaplace
from mpc.privacy.dp.coins import ClearCoins
from mpc.privacy.dp.mechanisms import Mechanism

# Of every statistical test: a correct sampler fails once in 10^9 runs; where as few as 20 are expected in a cell, and counts
# are not yet normal, Pearson's statistic exceeds this quantile up to 5 times as often (summed exactly, for Poisson counts).
SIGNIFICANCE = 1e-9


class EveryCoin(ClearCoins):
    """Every outcome of ``count`` fair coins, once: lane l holds the binary digits of l."""

    def __init__(self, count: int) -> None:
        super().__init__(1 << count)
        self.count, self.used = count, 0

    def fair(self, count: int) -> np.ndarray:
        assert self.used + count <= self.count, "more coins than were announced"
        lanes = np.arange(self.n)
        rows = [(lanes >> (self.used + k) & 1).astype(np.uint8) for k in range(count)]
        self.used += count
        padded = np.zeros((count, 64 * self.width), np.uint8)
        for k, row in enumerate(rows):
            padded[k, : self.n] = row
        return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def enumerated(mechanism: Mechanism, coins: int) -> dict[int, float]:
    """The sampler's distribution over all outcomes of its ``coins`` fair coins."""
    every = EveryCoin(coins)
    values = mechanism.circuit(every).view(np.int64)
    assert every.used == coins, f"{every.used} coins were drawn; {coins} were announced"
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), (counts / every.n).tolist(), strict=True))


def chi_square(samples: np.ndarray, support: np.ndarray, probabilities: np.ndarray) -> float:
    """p-value of the samples under the probabilities; neighbouring values are pooled until 20 are expected."""
    samples = np.asarray(samples, np.int64).ravel()
    if ((samples < support[0]) | (samples > support[-1])).any():
        return 0.0
    counts = np.bincount(samples - support[0], minlength=len(support))
    got, want, pool = [], [], [0, 0.0]
    for c, p in zip(counts, probabilities * len(samples), strict=True):
        pool = [pool[0] + c, pool[1] + p]
        if pool[1] >= 20:
            got.append(pool[0])
            want.append(pool[1])
            pool = [0, 0.0]
    got[-1] += pool[0]
    want[-1] += pool[1]
    expected = np.array(want)
    return float(stats.chi2.sf(((np.array(got) - expected) ** 2 / expected).sum(), len(got) - 1))


def on_shares(mechanism: Mechanism, n: int, parties: int = 2, before: Callable[[Any], None] = lambda s: None) -> np.ndarray:
    """n samples drawn on shares and opened."""

    def program() -> np.ndarray:
        with mpc.session() as s:
            before(s)
            return s.reveal(mechanism.sample_shares(s, n), reason="noise", check_range=False)

    return mpc.local(program, parties=parties, threads=True)[0].astype(np.int64)


def coarse_laplace(thresholds: list[int], rate: float = 10.0) -> DiscreteLaplace:
    """The circuit with other biases: multiples of 1/4, so that its coins can be enumerated."""
    mechanism = DiscreteLaplace(rate)
    assert len(thresholds) == len(mechanism.thresholds)
    mechanism.thresholds = [t << (mechanism.bits - 2) for t in thresholds]
    return mechanism


def attack(near: np.ndarray, far: np.ndarray, delta: float = 0.0) -> float:
    """A lower bound (confidence 1 - 1e-6) on epsilon by the best threshold: chosen on one half, measured on the other."""
    half = len(near) // 2
    cuts = np.unique(np.quantile(near[:half], np.linspace(0.02, 0.98, 49)))

    def shown(cut: np.ndarray, part: slice) -> np.ndarray:
        hits = [(side[part][:, None] >= cut).sum(0) for side in (near, far)]
        n = [len(side[part]) for side in (near, far)]
        low = stats.beta.ppf(5e-7, hits[0], n[0] - hits[0] + 1)
        high = stats.beta.ppf(1 - 5e-7, hits[1] + 1, np.maximum(n[1] - hits[1], 1e-9))
        return np.log(np.maximum(np.nan_to_num(low) - delta, 1e-12) / high)

    best = cuts[[np.argmax(shown(cuts, slice(half)))]]
    return float(shown(best, slice(half, None))[0])


def run(program: Callable[[Party], Any], parties: int = 2, protocol: str = "additive", **options: Any) -> list[Any]:
    """What ``program`` returns at every party of a session in threads."""
    def main() -> Any:
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, threads=True, protocol=protocol, **options)


def shared(s: Party, values: Any) -> mpc.SecretTensor:
    """Party 0's numbers."""
    return mpc.share(np.asarray(values, float) if s.rank == 0 else None, owner=0)
