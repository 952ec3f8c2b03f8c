"""The same game where the discriminator learns by DP-SGD: the generator sees real records only through it."""
from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.laplace import Laplace
from mpc.privacy.dp.sgd import DPSGD
from mpc.privacy.dp.steps import Kind, Steps
from mpc.privacy.synthesis.training import Log, Settings, descend, follow

FOR_COUNTS = 0.05  # of epsilon: what the labels' frequencies cost
ROUNDED_UP = 1.001  # of the noise: DPSGD accounts for a slightly larger sensitivity
MOST_NOISE = 1e4


def noisy_frequencies(counts: npt.NDArray[Any], epsilon: float) -> tuple[npt.NDArray[np.float64], Guarantee]:
    """Shares of the classes from counts with Laplace noise (one record more or less: sensitivity 1), and what that costs."""
    laplace = Laplace(epsilon, 1.0)
    mechanism, guarantee = laplace.on_grid(1.0, len(counts))
    budget.charge(None, guarantee, f"{laplace}: label counts of a GAN")
    noisy = np.maximum(counts + mechanism.sample(len(counts)), 1.0)
    return noisy / noisy.sum(), guarantee


def noise_multiplier(epsilon: float, delta: float, rate: float, steps: int, other: Guarantee) -> float:
    """The least noise, to half a percent, for so many steps beside ``other``. Raises ValueError."""

    def enough(multiplier: float) -> bool:
        return (Steps({Kind(multiplier, rate): steps}) + other).delta(epsilon) <= delta

    high = 1.0
    while not enough(high):
        high *= 2
        if high > MOST_NOISE:
            raise ValueError(f"no noise makes {steps} steps ({epsilon:g}, {delta:g}) private; want fewer epochs, more epsilon")
    low = high / 2 if high > 1 else 0.3
    while high > low * 1.005:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high * ROUNDED_UP


def train_private(
    pair: tuple[Any, Any], x: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], frequencies: npt.NDArray[np.float64],
    settings: Settings, max_grad_norm: float, multiplier: float, log: Log | None = None,
) -> tuple[Any, Guarantee]:  # fmt: skip
    """(averaged generator, what its training guarantees). Records are drawn by Poisson sampling; the labels of generated
    records by the (noisy) frequencies, so that their part of the discriminator's gradient is public and needs no noise."""
    import torch
    from torch.nn.functional import one_hot, softplus

    s, (generator, discriminator) = settings, pair
    classes, size = len(frequencies), min(s.batch_size, len(x))
    twin = copy.deepcopy(discriminator)  # the same weights without the hooks for per-example gradients
    optimizer = DPSGD(discriminator, lr=s.lr, max_grad_norm=max_grad_norm, noise_multiplier=multiplier)
    own, shared = list(discriminator.parameters()), list(twin.parameters())
    for p, q in zip(own, shared, strict=True):
        q.data = p.data
    adam = torch.optim.Adam(own, lr=s.lr, betas=(0.5, 0.9))
    optimizer.optimizer = adam
    public: list[Any] = [torch.zeros_like(p) for p in own]

    def with_public_part(*_: Any) -> None:
        for p, g in zip(own, public, strict=True):
            p.grad = g.clone() if p.grad is None else p.grad + g

    adam.register_step_pre_hook(with_public_part)
    other = torch.optim.Adam(generator.parameters(), lr=s.lr, betas=(0.5, 0.9))
    chances = torch.from_numpy(frequencies)
    real, kinds = torch.from_numpy(np.ascontiguousarray(x)), one_hot(torch.from_numpy(labels), classes).float()
    average, steps = copy.deepcopy(generator), 0
    per_epoch = math.ceil(len(x) / size)
    for rows, label in optimizer.batches(real, kinds, size=size, epochs=s.epochs):
        made = one_hot(torch.multinomial(chances, size, replacement=True), classes).float()
        fake = generator(torch.randn(size, s.noise_dim), made)
        public[:] = torch.autograd.grad(softplus(twin(fake.detach(), made)).mean(), shared)
        optimizer.zero_grad()
        inputs = rows.requires_grad_(), label.requires_grad_()  # torch warns of hooks on layers whose inputs want no gradient
        softplus(-discriminator(*inputs)).mean().backward()
        optimizer.step()
        descend(other, softplus(-twin(fake, made)).mean())
        steps += 1
        follow(average, generator, min(s.average, 1 - 1 / math.sqrt(steps)))
        if log is not None and steps % per_epoch == 0:
            log(steps // per_epoch - 1, average)
    total = optimizer.guarantee
    assert total is not None
    return average, total
