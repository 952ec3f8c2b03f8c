"""The same game where features and labels are secret shares: encoder, head and critics are trained by the engine."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpc import nn, optim
from mpc.data import generator
from mpc.errors import ConfigError
from mpc.nn import functional
from mpc.privacy.adversarial.training import Settings
from mpc.tensor import SecretTensor


def network(*widths: int, last: type[nn.Module] | None = None) -> nn.Sequential:
    """Linear layers of these widths with ReLU between them, named as torch's Sequential names them."""
    model = nn.Sequential()
    for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        if i:
            model.append(nn.ReLU())
        model.append(nn.Linear(before, after))
    if last is not None:
        model.append(last())
    return model


def train_secret(
    x: SecretTensor, task: SecretTensor, private: SecretTensor, weight: Any, settings: Settings
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and head as secret models, from features and one-hot rows. Opens masked values only: nothing is revealed.

    The loss is `training.train`'s, with its gate on shares: (ln k - a critic's loss)+ is a ReLU of a secret number, so that
    not even "this critic knows nothing" is seen; how much of ln k the task's label tells would take secret frequencies, so
    where the two depend on each other a large ``strength`` hides the task too. ``weight``: public weights of the private
    classes (mean 1 over the records), or None. Initial weights, batches and training noise are public, from ``settings.seed``.
    """
    s, party = settings, x.party
    before, party.public_rng = party.public_rng, generator.seeded(s.seed)
    try:
        rng = party.public_rng
        encoder = network(x.shape[1], s.hidden, s.hidden // 2, s.dim, last=nn.Tanh)
        head = network(s.dim, s.hidden // 2, task.shape[1])
        critics = [network(s.dim, *([s.hidden] * (1 + i % 2)), private.shape[1]) for i in range(s.critics)]
        main = optim.Adam([*encoder.parameters(), *head.parameters()], lr=s.lr)
        against = optim.Adam([p for c in critics for p in c.parameters()], lr=2 * s.lr) if critics else None
        rows, blind = x.shape[0], math.log(private.shape[1])
        size = min(s.batch_size, rows)

        def noisy(z: SecretTensor) -> SecretTensor:
            return z + s.noise * rng.standard_normal(z.shape)

        def guesses(z: SecretTensor, labels: SecretTensor) -> list[SecretTensor]:
            seen = [z if i % 3 == 2 else noisy(z) for i in range(len(critics))]
            return [functional.cross_entropy(c(v), labels, weight) for c, v in zip(critics, seen, strict=True)]

        for _ in range(s.epochs * max(1, rows // s.batch_size)):
            for _ in range(s.inner_steps if against else 0):
                chosen = rng.integers(rows, size=size)
                losses = guesses(encoder(x[chosen]).detach(), private[chosen])
                _descend(against, sum(losses[1:], losses[0]))
            chosen = rng.integers(rows, size=size)
            z = encoder(x[chosen])
            loss = functional.cross_entropy(head(noisy(z)), task[chosen])
            for guess in guesses(z, private[chosen]):
                loss = loss + (blind - guess).relu() * (s.strength / len(critics))
            for critic in critics:
                critic.zero_grad()
            _descend(main, loss)
    finally:
        party.public_rng = before
    return encoder, head


def _descend(optimizer: Any, loss: SecretTensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def weights_of(frequencies: Any, classes: int) -> Any:
    """Weights 1 / (k frequency) of classes whose shares of the records are public; None: every record weighs the same."""
    if frequencies is None:
        return None
    shares = np.asarray(frequencies, np.float64)
    if shares.shape != (classes,) or not (shares > 0).all():
        raise ConfigError(f"got frequencies {shares.tolist()}; want {classes} positive numbers, one per private class")
    return shares.sum() / (classes * shares)
