"""The same game where the discriminator learns by DP-SGD: the generator sees real records only through it.

Before it, both networks play on records drawn from noisy class moments: that costs privacy once, for the moments, however long
they play. After it they move slowly, and the discriminator by plain gradient descent: Adam would make of a small noisy gradient
a step as long as any, and the start would be forgotten. With few records the start is most of what a private GAN becomes.
"""
from __future__ import annotations

import copy
import math
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee, pure
from mpc.privacy.dp.laplace import Laplace
from mpc.privacy.dp.sgd import DPSGD
from mpc.privacy.dp.steps import Kind, Steps
from mpc.privacy.synthesis.moments import MomentSynthesizer
from mpc.privacy.synthesis.training import Log, Settings, descend, follow, train

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

FOR_COUNTS = 0.05  # of epsilon: what the labels' frequencies cost where there are no moments
RESIDUAL = 0.5  # of the largest norm: what a record's distance from the mean of its class is clipped to
START_STEPS = 1000  # at least: they cost time alone
SLOWER = 0.2  # after a start: the generator's learning rate, by that of the start
JUDGE_LR, JUDGE_MOMENTUM = 0.05, 0.9  # after a start: the discriminator's
ROUNDED_UP = 1.001  # of the noise: DPSGD accounts for a slightly larger sensitivity
MOST_NOISE = 1e4


@dataclass(frozen=True)
class Privacy:
    """``start``: share of epsilon for the moments. ``norm``: public, the largest L2 norm an encoded record has."""

    epsilon: float
    delta: float
    start: float
    norm: float


class Begun(NamedTuple):
    """Frequencies of the classes, what they (and the moments) cost, and the noise of DP-SGD that spends the rest."""

    frequencies: npt.NDArray[np.float64]
    cost: Guarantee
    multiplier: float


def begin(pair: tuple[Any, Any], x: Floats, labels: Labels, classes: int, settings: Settings, privacy: Privacy) -> Begun:
    """Release the moments (or label counts alone) and train the pair on what is drawn from them. Raises BudgetExceeded, where
    there is no room for all that `train_private` will cost too, before anything is drawn."""
    p, s, size = privacy, settings, min(settings.batch_size, len(x))
    share, moments = p.start * p.epsilon, None
    laplace, cost = Laplace(FOR_COUNTS * p.epsilon, 1.0), Guarantee()
    if p.start:
        delta = p.delta / 2
        moments = MomentSynthesizer(share, delta, low=-p.norm, high=p.norm, max_norm=1.0, max_residual=RESIDUAL, seed=s.seed)
        cost = Guarantee(pure(share).pld, lost=delta)  # what they are calibrated to; to compose their own is slow at every step
    elif classes > 1:
        share, cost = laplace.epsilon, laplace.on_grid(1.0, classes)[1]
    rate, steps = size / len(x), math.ceil(s.epochs * len(x) / size)
    multiplier = noise_multiplier(p.epsilon - share, p.delta - cost.delta(share), rate, steps)
    budget.ask(Steps({Kind(multiplier / ROUNDED_UP, rate): steps}) + cost)
    if moments is not None:
        budget.charge(None, cost, "class moments that a GAN begins with")
        Context().run(moments.fit, x, labels, classes)  # charged already
        made, kinds = moments.sample(len(x))
        epochs = max(s.epochs, math.ceil(START_STEPS * size / len(x)))
        start = train(pair, made.astype(np.float32), kinds, classes, replace(s, loss="logistic", epochs=epochs))
        pair[0].load_state_dict(start.state_dict())
        return Begun(moments.counts_ / moments.counts_.sum(), cost, multiplier)
    counts = np.bincount(labels, minlength=classes)
    return Begun(noisy_frequencies(counts, laplace) if classes > 1 else np.ones(1), cost, multiplier)


def noisy_frequencies(counts: npt.NDArray[Any], laplace: Laplace) -> npt.NDArray[np.float64]:
    """Shares of the classes from counts with Laplace noise (one record more or less: sensitivity 1)."""
    mechanism, guarantee = laplace.on_grid(1.0, len(counts))
    budget.charge(None, guarantee, f"{laplace}: label counts of a GAN")
    noisy = np.maximum(counts + mechanism.sample(len(counts)), 1.0)
    return np.asarray(noisy / noisy.sum())


def noise_multiplier(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The least noise, to half a percent, for so many steps. Raises ValueError."""

    def enough(multiplier: float) -> bool:
        return Steps({Kind(multiplier, rate): steps}).delta(epsilon) <= delta

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
    pair: tuple[Any, Any], x: Floats, labels: Labels, frequencies: npt.NDArray[np.float64],
    settings: Settings, max_grad_norm: float, multiplier: float, started: bool, log: Log | None = None,
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
    inner: torch.optim.Optimizer = torch.optim.Adam(own, lr=s.lr, betas=(0.5, 0.9))
    if started:
        inner = torch.optim.SGD(own, lr=JUDGE_LR, momentum=JUDGE_MOMENTUM)
    optimizer.optimizer = inner
    public: list[Any] = [torch.zeros_like(p) for p in own]

    def with_public_part(*_: Any) -> None:
        for p, g in zip(own, public, strict=True):
            p.grad = g.clone() if p.grad is None else p.grad + g

    inner.register_step_pre_hook(with_public_part)
    other = torch.optim.Adam(generator.parameters(), lr=s.lr * (SLOWER if started else 1.0), betas=(0.5, 0.9))
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
