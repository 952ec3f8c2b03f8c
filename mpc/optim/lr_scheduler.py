"""Learning-rate schedules with torch's names: public numbers, written into the optimiser's groups."""
from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from mpc.errors import ConfigError
from mpc.optim.optimizer import Optimizer


class LRScheduler(ABC):
    """Sets ``group["lr"]`` of every group by its initial rate and the step number.

    Call ``step()`` after each epoch (or step). ``state_dict`` holds the step number; schedules are closed formulas of it.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ConfigError(f"{type(self).__name__}: got {type(optimizer).__name__}; want an optimiser of mpc.optim")
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set()

    @abstractmethod
    def rate(self, base: float, epoch: int) -> float:
        """The rate after ``epoch`` steps of a group with the initial rate ``base``."""

    def step(self) -> None:
        """Go on by one."""
        self.last_epoch += 1
        self._set()

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The present rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Step number and initial rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken. Raises ConfigError for another number of groups."""
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ConfigError(f"got rates of {len(state_dict['base_lrs'])} groups; want {len(self.base_lrs)}")
        self.last_epoch, self.base_lrs = int(state_dict["last_epoch"]), list(state_dict["base_lrs"])
        self._set()


class FactorLR(LRScheduler):
    """A schedule whose rates are multiples of the initial one, the same for all groups."""

    @abstractmethod
    def factor(self, epoch: int) -> float:
        """The multiple after ``epoch`` steps."""

    def rate(self, base: float, epoch: int) -> float:
        return base * self.factor(epoch)


class LambdaLR(FactorLR):
    """Initial rate times ``lr_lambda(epoch)``, a public function."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.lr_lambda(epoch))


class StepLR(FactorLR):
    """Times ``gamma`` every ``step_size`` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ConfigError(f"StepLR: step_size={step_size}; want at least 1")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.gamma ** (epoch // self.step_size))


class MultiStepLR(FactorLR):
    """Times ``gamma`` at every one of ``milestones``."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.gamma ** sum(epoch >= m for m in self.milestones))


class ExponentialLR(FactorLR):
    """Times ``gamma`` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.gamma**epoch)


class LinearLR(FactorLR):
    """From ``start_factor`` to ``end_factor`` over ``total_iters`` epochs: warming up."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if total_iters < 1:
            raise ConfigError(f"LinearLR: total_iters={total_iters}; want at least 1")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


class CosineAnnealingLR(LRScheduler):
    """Along half a cosine from the initial rate to ``eta_min`` over ``T_max`` epochs."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ConfigError(f"CosineAnnealingLR: T_max={T_max}; want at least 1")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2
