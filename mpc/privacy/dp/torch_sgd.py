"""DP-SGD for torch models: per-example gradients by opacus, noise and subsampling from the operating system's entropy.

The sum of clipped gradients is rounded to a grid 2^-35 of the noise's standard deviation and the noise is added to these
integers (`mpc.privacy.dp.normal`), so no floating-point noise meets a floating-point value. Float64 sums and the rounding move
the sum by less than `SLACK` of max_grad_norm, which is accounted for as sensitivity.
"""
from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

import numpy as np

from mpc import prg
from mpc.errors import ConfigError, NotSupported
from mpc.preprocessing.base import COINS
from mpc.privacy.dp import normal
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.private_sgd import PrivateSGD
from mpc.privacy.dp.steps import Kind, Steps
from mpc.privacy.extras import needed

SLACK: Final = 2.0**-14  # of the sensitivity
_HOOKS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # weak values too: hooks know their model, whose layers hold them
MOST_ROWS: Final = 1 << 15
MOST_ROUNDING: Final = 1 << 20


class TorchDPSGD(PrivateSGD):
    """See `PrivateSGD`. Layers are those opacus knows; a batch norm mixes examples and is refused.

    `batches` draws every record independently (Poisson) and the accounting then is that of the subsampled Gaussian; a step on
    any other batch is accounted for without amplification. A record whose gradient is not finite counts as 0.
    """

    def _inner(self, lr: float, options: dict[str, Any]) -> Any:
        needed("torch", "opacus", "dp_accounting")
        import torch
        from opacus import GradSampleModule
        from opacus.validators import ModuleValidator

        # what torch says of the per-example gradients of any layer whose inputs need no gradient
        warnings.filterwarnings("ignore", "Full backward hook is firing when gradients are computed", UserWarning)
        problems = ModuleValidator.validate(self.model, strict=False)
        if problems:
            raise NotSupported(f"DPSGD: {'; '.join(map(str, problems))}")
        known = _HOOKS.get(self.model)
        hooks = self.model if isinstance(self.model, GradSampleModule) else None if known is None else known()
        if hooks is None:  # once for a model: its layers call them from then on
            if hasattr(self.model, "autograd_grad_sample_hooks"):
                raise NotSupported("DPSGD: a copy of a model with DPSGD's hooks, which are the original's; want a new model "
                                   "with load_state_dict(original.state_dict())")
            hooks = GradSampleModule(self.model, loss_reduction=self.loss_reduction)
            _HOOKS[self.model] = ref(hooks)
        if hooks.loss_reduction != self.loss_reduction:
            raise ConfigError(f"DPSGD: loss_reduction={self.loss_reduction!r}; this model's layers were told "
                              f"{hooks.loss_reduction!r} before")
        self._params = [p for p in self.model.parameters() if p.requires_grad]
        if not self._params:
            raise ConfigError("DPSGD: no parameters to optimise")
        self._size = sum(p.numel() for p in self._params)
        if self.noise_multiplier * math.sqrt(self._size) > MOST_ROUNDING:
            raise NotSupported(f"DPSGD: {self._size} parameters at noise multiplier {self.noise_multiplier:g}; want the "
                               f"multiplier times the root of their number below {MOST_ROUNDING}, for the grid's rounding")
        self._drawn: tuple[int, float] | None = None  # rows and rate of the batch that waits for its step
        self._drawing = False
        return torch.optim.SGD(self._params, lr=lr, **options)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, per example too."""
        for p in self._params:
            p.grad_sample = None
        self.optimizer.zero_grad(set_to_none)

    def released(self, key: tuple[Any, ...]) -> Guarantee:
        multiplier, rate, total_variation = key
        return Steps({Kind(multiplier, rate, total_variation): 1})

    def _key(self, rate: float) -> tuple[float, float, float]:
        return self.noise_multiplier / (1 + SLACK), rate, normal.TOTAL_VARIATION * self._size

    def step(self) -> None:
        """Clip every example's gradient to max_grad_norm, add up, add noise, divide by the (expected) batch size, update.

        Raises BudgetExceeded, with nothing changed; ConfigError where the gradients are not those of one batch."""
        samples = [self._sample_of(p) for p in self._params]
        rows = {len(s) for s in samples}
        if len(rows) != 1:
            raise ConfigError(f"DPSGD: gradients of {sorted(rows)} examples in one step; want one backward() of one batch")
        (n,) = rows
        if not n and not self._drawing:
            raise ConfigError("DPSGD: a batch of no examples; want at least one (batches() steps for empty draws itself)")
        expected, rate = float(n), 1.0
        if self._drawing:
            if self._drawn is None:
                raise ConfigError("DPSGD: a second step on one drawn batch; want one step a batch, amplification counts on it")
            drawn, rate = self._drawn
            if drawn != n:
                raise ConfigError(f"DPSGD: gradients of {n} examples; {drawn} were drawn")
            expected = rate * self._rows
        self._noisy(samples, n, expected, rate)

    def _noisy(self, samples: list[Any], n: int, expected: float, rate: float) -> None:
        if max(n, expected) >= MOST_ROWS or max(n, expected) / self.noise_multiplier >= 2.0**16:
            raise ConfigError(f"DPSGD: a batch of {n}; want less than {MOST_ROWS}, and than 2^16 times the noise multiplier")
        self._charge(None, self._key(rate), rate < 1 or self.steps % self.disjoint_batches == 0)
        self._drawn = None
        step = self.noise_multiplier * self.max_grad_norm * 2.0**-normal.SIGMA_BITS
        sums = clipped_sums(samples, self.max_grad_norm) if n else [p.new_zeros(p.shape).double() for p in self._params]
        import torch

        for p, total in zip(self._params, sums, strict=True):
            integers = np.rint(total.cpu().numpy() / step).astype(np.int64)
            integers += normal.sample(integers.size).reshape(integers.shape)
            p.grad = torch.from_numpy(np.asarray(integers * (step / expected))).to(p)
            p.grad_sample = None
        self.optimizer.step()

    def _sample_of(self, p: Any) -> Any:
        found = getattr(p, "grad_sample", None)
        if found is None:
            raise ConfigError("DPSGD: a parameter without per-example gradients; want loss.backward() in training mode, and "
                              "every forward pass that has no backward one in eval mode or under no_grad")
        if isinstance(found, list):
            raise ConfigError("DPSGD: two backward() in one step; want one, or zero_grad() between them")
        return found

    def batches(self, *tensors: Any, size: int, epochs: int = 1) -> Iterator[Any]:
        """Poisson samples of the rows of tensors: every row with probability size / rows, independently, from the operating
        system's entropy. One step belongs to each; an empty one makes its step, of noise alone, by itself.

        Yields tuples of tensors (a single tensor for one), ceil(epochs * rows / size) of them with the empty ones."""
        counts = {len(t) for t in tensors}
        if len(counts) != 1:
            raise ConfigError(f"DPSGD: batches of tensors with {sorted(counts)} rows; want tensors with the same number")
        (self._rows,) = counts
        if not 1 <= size <= self._rows or epochs < 1:
            raise ConfigError(f"DPSGD: size={size}, epochs={epochs} of {self._rows} rows; want 1 to {self._rows}, at least 1")
        if self.disjoint_batches != 1:
            raise ConfigError("DPSGD: disjoint_batches with drawn batches, which overlap; want one or the other")
        threshold = min(2**64 - 1, round(size / self._rows * 2.0**64))
        rate = 1.0 if size == self._rows else threshold * 2.0**-64
        self._drawing = True
        try:
            for _ in range(math.ceil(epochs * self._rows / size)):
                index = poisson(self._rows, threshold) if rate < 1 else np.arange(self._rows)
                self._drawn = index.size, rate
                if not index.size:
                    self.zero_grad()
                    self._noisy([], 0, rate * self._rows, rate)
                    continue
                got = tuple(t[index] for t in tensors)
                yield got if len(got) > 1 else got[0]
        finally:
            self._drawing, self._drawn = False, None


def clipped_sums(samples: list[Any], bound: float) -> list[Any]:
    """Sum over examples of g_i min(1, bound / |g_i|), in float64, one tensor per parameter; |g_i| over all parameters."""
    import torch

    squares = sum(s.detach().reshape(len(s), -1).double().square().sum(1) for s in samples)
    factors = torch.clamp(bound / squares.sqrt().clamp_min(torch.finfo(torch.float64).tiny), max=1.0)
    fine = torch.isfinite(squares)
    factors = torch.where(fine, factors, torch.zeros_like(factors))
    out = []
    for s in samples:
        rows = s.detach().reshape(len(s), -1).double()
        if not bool(fine.all()):
            rows = torch.where(fine[:, None], rows, torch.zeros_like(rows))
        out.append((factors @ rows).reshape(s.shape[1:]))
    return out


def poisson(rows: int, threshold: int) -> Any:
    """Indices of the rows that are drawn, each with probability threshold 2^-64."""
    key = prg.derive(prg.fresh_secret(), "poisson sample")
    return np.flatnonzero(prg.words(key, 1, COINS, rows) < np.uint64(threshold))
