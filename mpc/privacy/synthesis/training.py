"""One loop for every GAN in clear: the discriminator tells real records from generated ones, the generator learns to pass."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Log = Callable[[int, Any], None]


@dataclass(frozen=True)
class Settings:
    """``average``: decay of the running average of the generator's weights, which is what samples are drawn from."""

    noise_dim: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    average: float
    seed: int


def train(
    pair: tuple[Any, Any], x: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], frequencies: npt.NDArray[np.float64],
    settings: Settings, log: Log | None = None,
) -> Any:  # fmt: skip
    """The averaged generator after ``epochs`` passes over the records ``x``.

    Non-saturating losses: the discriminator's is BCE(real, 1) + BCE(generated, 0), the generator's BCE(generated, 1)
    (Goodfellow et al. 2014). Generated records take the labels of the real ones of their batch.
    """
    import torch
    from torch.nn.functional import one_hot, softplus

    s, (generator, discriminator) = settings, pair
    classes = len(frequencies)
    real, kinds = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(labels)
    random = torch.Generator().manual_seed(s.seed)
    average = copy.deepcopy(generator)
    steps = 0
    adam = [torch.optim.Adam(m.parameters(), lr=s.lr, betas=(0.5, 0.99)) for m in (generator, discriminator)]
    size = min(s.batch_size, len(x))
    for epoch in range(s.epochs):
        order = torch.randperm(len(x), generator=random)
        for start in range(0, len(x) - size + 1, size):
            chosen = order[start : start + size]
            label = one_hot(kinds[chosen], classes).float()
            fake = generator(torch.randn(size, s.noise_dim, generator=random), label)
            loss = softplus(-discriminator(real[chosen], label)).mean() + softplus(discriminator(fake.detach(), label)).mean()
            _descend(adam[1], loss)
            for p in discriminator.parameters():
                p.requires_grad_(False)
            _descend(adam[0], softplus(-discriminator(fake, label)).mean())
            for p in discriminator.parameters():
                p.requires_grad_(True)
            steps += 1
            follow(average, generator, min(s.average, 1 - 1 / math.sqrt(steps)))
        if log is not None:
            log(epoch, average)
    return average


def _descend(optimizer: Any, loss: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def follow(average: Any, model: Any, decay: float) -> None:
    """average <- decay average + (1 - decay) model; running statistics are copied."""
    import torch

    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
        for slow, fast in zip(average.buffers(), model.buffers(), strict=True):
            slow.copy_(fast)


def generate(
    generator: Any, labels: npt.NDArray[np.int64], classes: int, noise_dim: int, seed: int
) -> npt.NDArray[np.float32]:
    """One record for each label, in batches that bound memory."""
    import torch
    from torch.nn.functional import one_hot

    generator.eval()
    parts = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(labels), 1024):
            label = one_hot(torch.from_numpy(labels[start : start + 1024]), classes).float()
            parts.append(generator(torch.randn(len(label), noise_dim), label).numpy())
    return np.concatenate(parts)
