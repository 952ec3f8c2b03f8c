"""Noise for differential privacy, drawn on shares: one value for each weight of a 784-128-10 network."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mpc.benchmarks.harness import Workload
from mpc.benchmarks.protocols import Operation
from mpc.party import Party
from mpc.privacy import Binomial, DiscreteGaussian, DiscreteLaplace
from mpc.privacy.dp.mechanisms import Mechanism
from mpc.sharing import Share

WEIGHTS: Final = 101_770
NOISES: Final[dict[str, Mechanism]] = {
    "noise-laplace": DiscreteLaplace(0.1),
    "noise-laplace-fine": DiscreteLaplace(0.5 / 65536),  # epsilon 0.5 on a fixed-point sum of sensitivity 1
    "noise-binomial": Binomial(1024),
    "noise-gaussian": Binomial(1024, 12),  # noise multiplier 1 on fixed-point gradients clipped to 1
    "noise-table": DiscreteGaussian(16.0),
}


class Noise(Operation):
    """Samples of one mechanism; the parties wait for their words."""

    def __init__(self, name: str, party: Party, quick: bool) -> None:
        super().__init__(party, quick)
        self.name, self.mechanism = name, NOISES[name]
        self.count = 1000 if quick else WEIGHTS
        self.size = str(self.count)

    def prepare(self) -> None:
        return None

    def run(self, state: None) -> Share:
        noise = self.mechanism.sample_shares(self.party, self.count)
        _ = noise.words
        return noise

    def finish(self, state: Any, result: Share) -> tuple[str, dict[str, Any]]:
        cost = self.mechanism.cost(self.count)
        return f"{cost.rounds} rounds, {cost.bytes / self.count:.0f} B a sample to each party", {}


WORKLOADS: Final[dict[str, Callable[[Party, bool], Workload]]] = {name: partial(Noise, name) for name in NOISES}
