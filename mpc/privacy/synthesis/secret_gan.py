"""A GAN whose training records nobody sees: discriminator and generator are models on shares."""
from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mpc import nn, optim
from mpc.data import generator
from mpc.errors import ConfigError, ShapeError
from mpc.estimator import Classes, data, labels, secret
from mpc.nn import functional
from mpc.privacy.synthesis.labels import numbered
from mpc.tensor import SecretTensor, cat, constant

Floats = npt.NDArray[np.float64]
FEWEST: Final = 10


class SecretGAN:
    """A conditional GAN for rows of numbers, trained inside ``with mpc.session()`` at all parties alike.

    Perceptrons of ``hidden`` widths: the generator from ``noise_dim`` public normal numbers and a label to a row in (-1, 1),
    the discriminator from a row and a label to a logit; binary cross-entropy and Adam on shares. ``low``, ``high``: the
    public range of the columns.

    Nothing opens in `fit`: records, labels, losses, gradients and weights stay shares; initial weights, batches and noise are
    public, from ``seed``. `sample` reveals synthetic rows, `reveal` the generator's weights, each by name in the ledger.
    Secret training hides the records from the parties; it does not make what is revealed anonymous: samples may repeat
    records, and there is no guarantee (for one: `MomentSynthesizer` with epsilon).
    """

    def __init__(
        self, *, low: Any = -1.0, high: Any = 1.0, noise_dim: int = 8, hidden: tuple[int, ...] = (32,), epochs: int = 50,
        batch_size: int = 64, lr: float = 2e-3, seed: int = 0,
    ) -> None:  # fmt: skip
        if epochs < 1 or batch_size < 1 or noise_dim < 1 or not hidden or min(hidden) < 1 or not lr > 0:
            raise ConfigError(f"SecretGAN: got epochs={epochs}, batch_size={batch_size}, noise_dim={noise_dim}, "
                              f"hidden={hidden}, lr={lr}; want counts of at least 1, lr > 0")
        self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all() and (self.low < self.high).all()):
            raise ConfigError(f"SecretGAN: got low={low!r}, high={high!r}; want finite numbers, low < high")
        self.noise_dim, self.hidden, self.epochs, self.batch_size = noise_dim, tuple(hidden), epochs, batch_size
        self.lr, self.seed = lr, seed
        self.generator_: nn.Sequential | None = None

    def fit(self, X: Any, y: Any = None, classes: Classes = None) -> Self:
        """Train on secret rows ``X`` (rows, columns) with secret labels ``y`` (rows,) or one-hot rows; None: unconditional.

        Generated rows take the (secret) labels of the real rows of their batch. Reveals nothing. Rounds: about 77 for each
        batch with one hidden layer. Raises ConfigError, ShapeError.
        """
        x = data(X)
        rows = x.shape[0]
        if rows < FEWEST:
            raise ShapeError(f"SecretGAN: got {rows} records; want at least {FEWEST}: fewer are learned by heart")
        found = None if y is None else labels(y, rows, classes)
        self.classes_ = np.arange(1) if found is None else found.classes
        kinds = constant(np.ones((rows, 1))) if found is None else secret(found.one_hot)
        with x.party.scope(type(self).__name__):
            self._train((x - (self.high + self.low) / 2) * (2 / (self.high - self.low)), kinds)
        return self

    def _train(self, x: SecretTensor, kinds: SecretTensor) -> None:
        party, (rows, columns), classes = x.party, x.shape, len(self.classes_)
        before, party.public_rng = party.public_rng, generator.seeded(self.seed)
        try:
            rng = party.public_rng
            self.generator_ = _perceptron(self.noise_dim + classes, *self.hidden, columns, last=nn.Tanh())
            discriminator = _perceptron(columns + classes, *reversed(self.hidden), 1)
            adam = [optim.Adam(m.parameters(), lr=self.lr, betas=(0.5, 0.99)) for m in (self.generator_, discriminator)]
            size = min(self.batch_size, rows)
            truth = np.repeat([1.0, 0.0], size)[:, None]
            for _ in range(self.epochs * (rows // size)):
                chosen = rng.integers(rows, size=size)
                kind = kinds[chosen]
                fake = self.generator_(cat([constant(rng.standard_normal((size, self.noise_dim))), kind], 1))
                both = cat([cat([x[chosen], kind], 1), cat([fake.detach(), kind], 1)], 0)
                _descend(adam[1], functional.binary_cross_entropy_with_logits(discriminator(both), truth))
                passed = discriminator(cat([fake, kind], 1))
                _descend(adam[0], functional.binary_cross_entropy_with_logits(passed, truth[:size]))
        finally:
            party.public_rng = before

    def sample(self, n: int | None = None, labels: Any = None, *, reveal_to: int | None = None, seed: int = 1) -> Any:
        """``n`` synthetic rows with labels in equal proportions, or one for each of the public ``labels``; (X, y).

        The generator stays secret; its rows open to party ``reveal_to`` (None: all); X is None at the others. The noise they
        are made of is public, from ``seed``: with it they say more of the generator than rows alone.
        """
        if self.generator_ is None:
            raise ConfigError("SecretGAN.sample: nothing was fitted; call fit first")
        if (n is None) == (labels is None):
            raise ConfigError(f"sample: got n={n}, labels={labels!r}; want one of the two")
        if not isinstance(n, (int, np.integer, type(None))) or (np.size(labels) if n is None else n) < 1:
            raise ConfigError(f"sample: got n={n!r}, {np.size(labels)} labels; want at least 1, a whole number")
        if n is not None:
            numbers = np.arange(n) % len(self.classes_)
        else:
            numbers = numbered(np.asarray(labels), self.classes_)
        given = np.hstack([np.random.default_rng(seed).standard_normal((len(numbers), self.noise_dim)),
                           np.eye(len(self.classes_))[numbers]])  # fmt: skip
        rows = self.generator_(constant(given)).detach().reveal(to=reveal_to, reason="SecretGAN samples")
        return (None if rows is None else self._unscaled(rows)), self.classes_[numbers]

    def reveal(self, to: int | None = None) -> Any:
        """Open the generator's weights, once; a function (noise, one-hot labels) -> rows there, None at the others.

        Whoever has it can draw without limit, and ask it more than samples answer."""
        if self.generator_ is None:
            raise ConfigError("SecretGAN.reveal: nothing was fitted; call fit first")
        weights = list(self.generator_.reveal(to=to, reason="SecretGAN generator").values())
        if weights[0] is None:
            return None

        def generate(noise: Any, one_hot: Any) -> Floats:
            h = np.hstack([noise, one_hot])
            for i in range(0, len(weights), 2):
                h = h @ weights[i].T + weights[i + 1]  # type: ignore[union-attr]
                h = np.maximum(h, 0) if i < len(weights) - 2 else np.tanh(h)
            return self._unscaled(h)

        return generate

    def _unscaled(self, rows: Floats) -> Floats:
        return np.asarray(np.clip(rows, -1, 1) * (self.high - self.low) / 2 + (self.high + self.low) / 2)


def _perceptron(*widths: int, last: nn.Module | None = None) -> nn.Sequential:
    model = nn.Sequential()
    for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        if i:
            model.append(nn.ReLU())
        model.append(nn.Linear(before, after))
    if last is not None:
        model.append(last)
    return model


def _descend(optimizer: Any, loss: SecretTensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
