"""A representation that keeps a task and hides a private attribute: an encoder trained against critics, with noise."""
from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.adversarial.noise import gaussian
from mpc.privacy.adversarial.training import Floats, Labels, Settings, train


class AdversarialEncoder:
    """Features -> ``dim`` values in (-1, 1) plus Gaussian noise, from which ``task`` can be told and ``private`` hardly.

    ``noise``: standard deviation of what `transform` adds. ``strength``: weight of the critics' loss in the encoder's.
    ``critics``, ``inner_steps``: how many networks guess the private attribute during training, and how often they learn
    for each step of the encoder. ``seed``: repeats initial weights, batches and *training* noise; the noise of `transform`
    comes from the operating system and cannot be repeated.

    Protects against: someone who receives representations instead of features, and trains a new attacker on other
    people's representations with known attributes. How well is a measurement, `mpc.privacy.audit.attribute_inference`, and
    no guarantee: an attacker with more data or a better model may do better; whoever can ask again for the
    same record averages the noise out (n answers: noise / sqrt(n)); averaged over many records of one person a weak leak
    becomes a strong one; what the task itself says about the attribute stays; only ``private`` is hidden, nothing else about a
    person. Without noise the critics are fooled and a fresh attacker is not. The weights say something about the
    training records: they are a model trained on them.
    """

    def __init__(
        self, dim: int = 16, noise: float = 0.5, *, strength: float = 1.0, hidden: int = 128, critics: int = 3,
        inner_steps: int = 3, epochs: int = 40, batch_size: int = 256, lr: float = 1e-3, seed: int = 0,
    ) -> None:  # fmt: skip
        if dim < 1 or hidden < 2 or critics < 0 or inner_steps < 0 or epochs < 1 or batch_size < 1:
            raise ConfigError(
                f"AdversarialEncoder: got dim={dim}, hidden={hidden}, critics={critics}, inner_steps={inner_steps}, "
                f"epochs={epochs}, batch_size={batch_size}; want counts of at least 1 (hidden 2; critics, inner_steps 0)"
            )
        if not (np.isfinite(noise) and noise >= 0 and np.isfinite(strength) and strength >= 0 and lr > 0):
            raise ConfigError(f"AdversarialEncoder: got noise={noise}, strength={strength}, lr={lr}; want numbers >= 0, lr > 0")
        self.settings = Settings(dim, noise, strength, hidden, critics, inner_steps, epochs, batch_size, lr, seed)
        self._encoder: Any = None
        self._head: Any = None

    def fit(self, X: Any, *, task: Any, private: Any) -> Self:
        """Train on features ``X`` (rows x columns), labels ``task`` to keep and ``private`` to hide (any values, one a row).

        Columns are scaled to mean 0 and deviation 1. In clear: whoever calls it sees all three; for private labels that
        nobody sees, `fit_secret`. Raises ShapeError for rows that do not match, ConfigError for a label with one class.
        """
        self._encoder = self._head = None
        x = self._features(X)
        self.classes_, tasks = _classes(task, len(x), "task")
        self.private_classes_, privates = _classes(private, len(x), "private")
        self._mean, deviation = x.mean(0), x.std(0)
        self._scale = 1 / np.where(deviation > 1e-8, deviation, 1)
        self._encoder, self._head = train(self._scaled(x), tasks, privates, self.settings)
        return self

    def transform(self, X: Any, *, noise: float | None = None) -> npt.NDArray[np.float32]:
        """Representations of the rows of ``X``, with fresh noise. ``noise``: another deviation, as for the audit's curve."""
        clean = self._run(self._encoder, self._scaled(self._features(X)))
        size = self.settings.noise if noise is None else noise
        return clean if size == 0 else (clean + size * gaussian(clean.shape)).astype(np.float32)

    def predict(self, representation: Any) -> npt.NDArray[Any]:
        """The task's label for each row of what `transform` returned, by the head that was trained with the encoder."""
        z = np.asarray(representation, np.float32)
        if z.ndim != 2 or z.shape[1] != self.settings.dim:
            raise ShapeError(f"predict: got shape {z.shape}; want rows x {self.settings.dim} of transform(X)")
        return np.asarray(self.classes_[self._run(self._head, z).argmax(1)])

    def _features(self, X: Any) -> npt.NDArray[np.float64]:
        x = np.asarray(X, np.float64)
        width = len(self._mean) if self._encoder is not None else None
        if x.ndim != 2 or not x.size or (width is not None and x.shape[1] != width):
            raise ShapeError(f"AdversarialEncoder: got features of shape {x.shape}; want rows x {width or 'columns'}")
        if not np.isfinite(x).all():
            raise ConfigError("AdversarialEncoder: got features that are not finite; fill or drop them before")
        return x

    def _scaled(self, x: npt.NDArray[np.float64]) -> Floats:
        return np.ascontiguousarray((x - self._mean) * self._scale, np.float32)

    def _run(self, network: Any, x: Floats) -> npt.NDArray[np.float32]:
        if network is None:
            raise ConfigError("AdversarialEncoder: not trained; call fit(X, task=..., private=...) first")
        import torch

        with torch.no_grad():
            return np.asarray(network(torch.from_numpy(x)).numpy())


def _classes(labels: Any, rows: int, name: str) -> tuple[npt.NDArray[Any], Labels]:
    found, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if np.shape(labels) != (rows,):
        raise ShapeError(f"AdversarialEncoder: got {name} of shape {np.shape(labels)}; want ({rows},), one label a row")
    if len(found) < 2:
        raise ConfigError(f"AdversarialEncoder: got {name} with {len(found)} class; want at least 2")
    return found, numbers.astype(np.int64)
