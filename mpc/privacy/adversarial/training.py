"""The game between an encoder and its critics, in torch. One step: the critics learn, then the encoder, against them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.privacy.extras import needed
from mpc.privacy.weights_file import filled

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """What one training follows; `mpc.privacy.AdversarialEncoder` says what each means."""

    dim: int = 16
    noise: float = 0.5
    strength: float = 1.0
    hidden: int = 128
    critics: int = 3
    inner_steps: int = 3
    epochs: int = 40
    batch_size: int = 256
    lr: float = 1e-3
    seed: int = 0


def layers(*widths: int, last: str | None = None) -> Any:
    """A torch.nn.Sequential of Linear layers of these widths, ReLU between them and ``last`` at the end."""
    from torch import nn

    parts: list[Any] = []
    for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        parts += [nn.ReLU()] if i else []
        parts.append(nn.Linear(before, after))
    return nn.Sequential(*parts, *([getattr(nn, last)()] if last else []))


def networks(settings: Settings, columns: int, classes: int) -> tuple[Any, Any]:
    """Encoder and head with torch's initial weights."""
    s = settings
    return layers(columns, s.hidden, s.hidden // 2, s.dim, last="Tanh"), layers(s.dim, s.hidden // 2, classes)


def plain(settings: Settings, columns: int, classes: int, weights: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
    """Encoder and head in torch, with the weights that were trained elsewhere. Memory is that of the weights, whatever the
    settings say. Raises RuntimeError where they do not fit."""
    encoder, head = weights
    return (filled(lambda: networks(settings, columns, classes)[0], encoder),
            filled(lambda: networks(settings, columns, classes)[1], head))


def balanced_weights(labels: Labels, classes: int) -> npt.NDArray[np.float64]:
    """Weight of each class so that all weigh the same together; mean 1 over the records."""
    counts = np.bincount(labels, minlength=classes)
    return np.where(counts > 0, len(labels) / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)


def blind(task: Labels, private: Labels) -> float:
    """The loss of who knows the task's label and nothing else: H(private | task) in nats, private classes weighing the same;
    ln k where the two are independent."""
    joint = np.zeros((int(task.max()) + 1, int(private.max()) + 1))
    np.add.at(joint, (task, private), balanced_weights(private, joint.shape[1])[private] / len(task))
    of_task = joint.sum(1, keepdims=True)
    share = np.divide(joint, of_task, out=np.ones_like(joint), where=joint > 0)
    return float(-(joint * np.log(share)).sum())


def train(x: Floats, task: Labels, private: Labels, settings: Settings) -> tuple[Any, Any]:
    """The trained encoder (features -> tanh bottleneck, without noise) and the head (noisy representation -> task).

    A critic's loss is the cross-entropy of the private attribute, each class weighing the same; the encoder's is the task's
    cross-entropy + ``strength`` * (`blind` - the critics' mean loss)+: there a critic knows no more than the task's label says.
    Beyond it the encoder would hide the task, or teach its critics to be wrong, which a fresh attacker turns around. Two
    critics of three see the noise that users will see; the third sees none: what is hidden from it stays hidden when many
    queries average the noise out.
    """
    needed("torch")
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small products: a second thread costs more than it brings
    try:
        return _play(x, task, private, settings)
    finally:
        torch.set_num_threads(threads)


def _play(x: Floats, task: Labels, private: Labels, settings: Settings) -> tuple[Any, Any]:
    import torch
    from torch.nn.functional import cross_entropy

    s = settings
    k_task, k_private = int(task.max()) + 1, int(private.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)
        encoder, head = networks(s, x.shape[1], k_task)
        critics = [layers(s.dim, *([s.hidden] * (1 + i % 2)), k_private) for i in range(s.critics)]
    game = torch.Generator().manual_seed(s.seed)
    main = torch.optim.Adam([*encoder.parameters(), *head.parameters()], s.lr)
    against: Any = torch.optim.Adam([p for c in critics for p in c.parameters()], 2 * s.lr) if critics else None
    xs, ts, ps = torch.from_numpy(x), torch.from_numpy(task), torch.from_numpy(private)
    weight = torch.from_numpy(balanced_weights(private, k_private)).float()

    def noisy(z: Any) -> Any:
        return z + s.noise * torch.randn(z.shape, generator=game)

    def guesses(z: Any, p: Any) -> Any:
        return torch.stack([cross_entropy(c(z if i % 3 == 2 else noisy(z)), p, weight) for i, c in enumerate(critics)])

    def batch() -> Any:
        return torch.randint(len(xs), (min(s.batch_size, len(xs)),), generator=game)

    enough = blind(task, private)
    for _ in range(s.epochs * max(1, len(xs) // s.batch_size)):
        for _ in range(s.inner_steps if against else 0):
            rows = batch()
            with torch.no_grad():
                z = encoder(xs[rows])
            against.zero_grad()
            guesses(z, ps[rows]).sum().backward()
            against.step()
        rows = batch()
        z = encoder(xs[rows])
        loss = cross_entropy(head(noisy(z)), ts[rows])
        if s.critics:
            loss = loss + s.strength * (enough - guesses(z, ps[rows])).clamp(min=0).mean()
        main.zero_grad()
        loss.backward()
        main.step()
    return encoder.eval(), head.eval()
