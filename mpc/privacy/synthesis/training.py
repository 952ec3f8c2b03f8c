"""One loop for every GAN in clear: the discriminator tells real records from generated ones, the generator learns to pass."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Log = Callable[[int, Any], None]


PENALTY: Final = 10.0


@dataclass(frozen=True)
class Settings:
    """``average``: decay of the running average of the generator's weights, which is what samples are drawn from.

    ``loss``: "logistic", non-saturating: the discriminator's is BCE(real, 1) + BCE(generated, 0), the generator's
    BCE(generated, 1) (Goodfellow et al. 2014); "wasserstein": differences of means, with a penalty of the discriminator's
    gradient between real and generated records (Gulrajani et al. 2017), slower by a half and better at tables with rare
    categories.
    """

    noise_dim: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    average: float
    loss: str
    seed: int


def train(
    pair: tuple[Any, Any], x: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int,
    settings: Settings, log: Log | None = None,
) -> Any:  # fmt: skip
    """The averaged generator after ``epochs`` passes over the records ``x``. Generated records take the labels of the real ones
    of their batch."""
    import torch
    from torch.nn.functional import one_hot

    s, (generator, discriminator) = settings, pair
    real, kinds = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(labels)
    average, steps = copy.deepcopy(generator), 0
    adam = [torch.optim.Adam(m.parameters(), lr=s.lr, betas=(0.5, 0.9)) for m in (generator, discriminator)]
    size = min(s.batch_size, len(x))
    for epoch in range(s.epochs):
        for chosen in torch.randperm(len(x)).split(size):
            if len(chosen) < size:
                continue  # the last batch of an odd size
            label = one_hot(kinds[chosen], classes).float()
            fake = generator(torch.randn(size, s.noise_dim), label)
            descend(adam[1], _judged(discriminator, real[chosen], fake.detach(), label, s.loss))
            for p in discriminator.parameters():
                p.requires_grad_(False)
            descend(adam[0], _passed(discriminator(fake, label), s.loss))
            for p in discriminator.parameters():
                p.requires_grad_(True)
            steps += 1
            follow(average, generator, min(s.average, 1 - 1 / math.sqrt(steps)))
        if log is not None:
            log(epoch, average)
    return average


def _passed(logit: Any, loss: str) -> Any:
    """What the generator minimises."""
    from torch.nn.functional import softplus

    return softplus(-logit).mean() if loss == "logistic" else -logit.mean()


def _judged(discriminator: Any, real: Any, fake: Any, label: Any, loss: str) -> Any:
    """What the discriminator minimises."""
    import torch
    from torch.nn.functional import softplus

    said_real, said_fake = discriminator(real, label), discriminator(fake, label)
    if loss == "logistic":
        return softplus(-said_real).mean() + softplus(said_fake).mean()
    part = torch.rand(len(real), *[1] * (real.dim() - 1))
    between = (part * real + (1 - part) * fake).requires_grad_()
    slope = torch.autograd.grad(discriminator(between, label).sum(), between, create_graph=True)[0].flatten(1).norm(dim=1)
    return said_fake.mean() - said_real.mean() + PENALTY * ((slope - 1) ** 2).mean()


def descend(optimizer: Any, loss: Any) -> None:
    """One step of an optimiser."""
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

    was = generator.training
    generator.eval()
    parts = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(labels), 1024):
            label = one_hot(torch.from_numpy(labels[start : start + 1024]), classes).float()
            parts.append(generator(torch.randn(len(label), noise_dim), label).numpy())
    generator.train(was)
    return np.concatenate(parts)
