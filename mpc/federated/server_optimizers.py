"""What the server does with the clients' mean update (Reddi et al., "Adaptive Federated Optimization", ICLR 2021).

The mean update plays the gradient's part with its sign turned: delta = mean of (local weights - global weights).
An optimiser sees the mean alone, never an update, and of the mean the parameters' part: buffers (running means and
variances) are averaged plainly, since a step with momentum could make a variance negative. Its state is as public as the
models of all rounds are: it is computed from them.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import numpy as np

from mpc.errors import ConfigError
from mpc.federated.weights import Floats


class ServerOptimizer(ABC):
    """``step(weights, delta)`` gives the next global weights. Where it is linear in delta it can also be taken on a delta that
    nobody sees: ``ahead(weights)`` is what is known before, and ``lr * delta`` is added to it."""

    lr: float

    @abstractmethod
    def step(self, weights: Floats, delta: Floats) -> Floats:
        """The next weights; state moves on."""

    def ahead(self, weights: Floats) -> Floats:
        """The next weights without ``lr * delta``; state stays. Raises ConfigError where the step is not linear."""
        raise ConfigError(f"{type(self).__name__} divides by the root of squared updates, most of which fixed-point numbers of "
                          "16 fraction bits round to 0; with keep_secret=True want Averaging or FedAvgM")

    def reset(self) -> None:
        """Forget the state."""


class Averaging(ServerOptimizer):
    """weights + lr * delta; lr = 1 is federated averaging (McMahan et al. 2017)."""

    def __init__(self, lr: float = 1.0) -> None:
        self.lr = _positive("lr", lr)

    def step(self, weights: Floats, delta: Floats) -> Floats:
        return weights + self.lr * delta

    def ahead(self, weights: Floats) -> Floats:
        return weights


class FedAvgM(ServerOptimizer):
    """Momentum at the server (Hsu et al. 2019): v = momentum * v + delta; weights + lr * v."""

    def __init__(self, lr: float = 1.0, momentum: float = 0.9) -> None:
        self.lr, self.momentum = _positive("lr", lr), _below_one("momentum", momentum)
        self.velocity: Floats | None = None

    def step(self, weights: Floats, delta: Floats) -> Floats:
        self.velocity = delta.copy() if self.velocity is None else self.momentum * self.velocity + delta
        return weights + self.lr * self.velocity

    def ahead(self, weights: Floats) -> Floats:
        return weights if self.velocity is None else weights + self.lr * self.momentum * self.velocity

    def reset(self) -> None:
        self.velocity = None


class FedAdam(ServerOptimizer):
    """Adam at the server: m = b1 m + (1 - b1) delta; v = b2 v + (1 - b2) delta^2; weights + lr * m / (sqrt(v) + tau).

    As in the paper there is no correction of the first steps' bias and v starts at ``tau``^2.
    """

    def __init__(self, lr: float = 0.01, betas: tuple[float, float] = (0.9, 0.99), tau: float = 1e-3) -> None:
        self.lr, self.tau = _positive("lr", lr), _positive("tau", tau)
        self.betas = (_below_one("betas[0]", betas[0]), _below_one("betas[1]", betas[1]))
        self._state: tuple[Floats, Floats] | None = None

    def step(self, weights: Floats, delta: Floats) -> Floats:
        m, v = self._state or (np.zeros_like(delta), np.full_like(delta, self.tau**2))
        b1, b2 = self.betas
        m, v = b1 * m + (1 - b1) * delta, b2 * v + (1 - b2) * delta**2
        self._state = m, v
        return weights + self.lr * m / (np.sqrt(v) + self.tau)

    def reset(self) -> None:
        self._state = None


BY_NAME: Final = {"average": Averaging, "fedavgm": FedAvgM, "fedadam": FedAdam}


def chosen(wanted: ServerOptimizer | str | None) -> ServerOptimizer:
    """An optimiser by its name, or as it is. Raises ConfigError."""
    if isinstance(wanted, ServerOptimizer):
        return wanted
    name = "average" if wanted is None else wanted
    if not isinstance(name, str) or name.lower() not in BY_NAME:
        raise ConfigError(f"got server_optimizer={wanted!r}; want {', '.join(BY_NAME)}, or a ServerOptimizer")
    return BY_NAME[name.lower()]()


def _positive(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise ConfigError(f"got {name}={value!r}; want a number above 0")
    return float(value)


def _below_one(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ConfigError(f"got {name}={value!r}; want 0 <= {name} < 1")
    return float(value)
