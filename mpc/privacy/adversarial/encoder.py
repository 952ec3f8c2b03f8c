"""A representation that keeps a task and hides a private attribute: an encoder trained against critics, with noise."""
from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.estimator import Classes, data, labels, secret
from mpc.privacy import weights_file
from mpc.privacy.adversarial.noise import gaussian
from mpc.privacy.adversarial.secret import train_secret, weights_of
from mpc.privacy.adversarial.training import Floats, Labels, Settings, plain, train
from mpc.privacy.extras import needed

FORMAT: Final = "mpc adversarial encoder 1"
NAMES: Final = ("encoder", "head")
_KEPT: Final = ("classes_", "private_classes_", "_mean", "_scale")


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
    becomes a strong one; what the task's label says about the attribute stays (`fit` aims at hiding the rest, not the task);
    only ``private`` is hidden, nothing else about a person. Without noise the critics are fooled and a fresh attacker is
    not. The weights say something about the training records: they are a model trained on them.
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
        if not (np.isfinite([noise, strength, lr]).all() and noise >= 0 and strength >= 0 and lr > 0):
            raise ConfigError(f"AdversarialEncoder: got noise={noise}, strength={strength}, lr={lr}; want finite numbers >= 0, "
                              "lr > 0")
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
        with np.errstate(over="ignore", invalid="ignore"):  # `_scaled` refuses what comes of it
            self._mean, deviation = x.mean(0), x.std(0)
        self._scale = 1 / np.where(deviation <= 1e-8, 1, deviation)
        self._encoder, self._head = train(self._scaled(x), tasks, privates, self.settings)
        return self

    def fit_secret(
        self, X: Any, *, task: Any, private: Any, task_classes: Classes = None, private_classes: Classes = None,
        private_frequencies: Any = None, reveal_to: int | None = None,
    ) -> Self:  # fmt: skip
        """Train inside ``with mpc.session()``, at all parties alike, on features and labels nobody sees.

        ``X``: secret (rows, columns), scaled by its owners to mean 0 and deviation 1: `transform` will want the same scale.
        ``task``, ``private``: secret labels (rows,) or one-hot rows, each of any owner; public ones are taken too.
        ``..._classes``: as `mpc.linear_model.LogisticRegression`'s. ``private_frequencies``: the classes' shares of the
        records, if they are public; then each class weighs the same. Representations, the critics, their losses and all
        gradients stay shares: a gradient by a record's representation would tell its private label, so none is opened.

        Revealed, by name in the ledger: the weights of encoder and head, once, at the end, to party ``reveal_to`` (None:
        all); there `transform` and `predict` work. They are a model trained on private labels, without a guarantee. The
        secret models stay as ``secret_encoder_`` and ``secret_head_``. Rounds: about 320 for each step of the encoder with
        two critics and two inner steps. Raises ShapeError, ConfigError.
        """
        x = data(X)
        if reveal_to in (None, x.party.rank):
            needed("torch")  # for what is revealed at the end
        tasks, privates = (labels(y, x.shape[0], c) for y, c in ((task, task_classes), (private, private_classes)))
        weight = weights_of(private_frequencies, len(privates.classes))
        self.classes_, self.private_classes_ = tasks.classes, privates.classes
        self._encoder = self._head = None
        with x.party.scope(type(self).__name__):
            models = train_secret(x, secret(tasks.one_hot), secret(privates.one_hot), weight, self.settings)
            self.secret_encoder_, self.secret_head_ = models
            named = zip(models, NAMES, strict=True)
            weights = [model.reveal(to=reveal_to, reason=f"AdversarialEncoder {name}") for model, name in named]
        if reveal_to in (None, x.party.rank):
            self._mean, self._scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
            self._encoder, self._head = plain(self.settings, x.shape[1], len(self.classes_), weights)
        return self

    def transform(self, X: Any, *, noise: float | None = None) -> npt.NDArray[np.float32]:
        """Representations of the rows of ``X``, with fresh noise. ``noise``: another deviation, as for the audit's curve."""
        if self._encoder is None:
            raise ConfigError("transform: no weights here; call fit, or fit_secret with this party as reveal_to")
        clean = self._run(self._encoder, self._scaled(self._features(X)))
        size = self.settings.noise if noise is None else noise
        if not (np.isfinite(size) and size >= 0):
            raise ConfigError(f"transform: got noise={noise!r}; want a finite number of at least 0")
        return clean if size == 0 else (clean + size * gaussian(clean.shape)).astype(np.float32)

    def predict(self, representation: Any) -> npt.NDArray[Any]:
        """The task's label for each row of what `transform` returned, by the head that was trained with the encoder."""
        if self._head is None:
            raise ConfigError("predict: no weights here; call fit, or fit_secret with this party as reveal_to")
        z = np.asarray(representation, np.float32)
        if z.ndim != 2 or z.shape[1] != self.settings.dim:
            raise ShapeError(f"predict: got shape {z.shape}; want rows x {self.settings.dim} of transform(X)")
        return np.asarray(self.classes_[self._run(self._head, z).argmax(1)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write encoder, head, scale and classes to one .npz file, in clear: whoever has it has the model."""
        if self._encoder is None:
            raise ConfigError("save: no weights here; call fit, or fit_secret with this party as reveal_to")
        arrays = {name: getattr(self, name) for name in _KEPT}
        weights_file.write(path, FORMAT, asdict(self.settings), arrays, {"encoder": self._encoder, "head": self._head})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The encoder that `save` wrote. Nothing is unpickled. Raises ConfigError for another file."""
        about, arrays = weights_file.read(path, FORMAT, "encoder", "AdversarialEncoder.save")
        try:
            out = cls(**about)
            for name in _KEPT:
                setattr(out, name, arrays[name])
            weights = [weights_file.weights(arrays, kind) for kind in NAMES]
            out._encoder, out._head = plain(out.settings, len(out._mean), len(out.classes_), weights)
            if out._mean.shape != out._scale.shape or out._mean.ndim != 1:
                raise ValueError(f"mean and scale of shapes {out._mean.shape} and {out._scale.shape}")
            if not (np.isfinite(out._mean).all() and np.isfinite(out._scale).all()):
                raise ValueError("values that are not finite")
        except weights_file.WRONG as error:
            raise ConfigError(f"{os.fspath(path)} does not hold a whole encoder: {error}") from None
        return out

    def _features(self, X: Any) -> npt.NDArray[np.float64]:
        x = np.asarray(X, np.float64)
        width = len(self._mean) if self._encoder is not None else None
        if x.ndim != 2 or not x.size or (width is not None and x.shape[1] != width):
            raise ShapeError(f"AdversarialEncoder: got features of shape {x.shape}; want rows x {width or 'columns'}")
        if not np.isfinite(x).all():
            raise ConfigError("AdversarialEncoder: got features that are not finite; fill or drop them before")
        return x

    def _scaled(self, x: npt.NDArray[np.float64]) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.ascontiguousarray((x - self._mean) * self._scale, np.float32)
        if not (np.isfinite(scaled).all() and (self._scale > 0).all()):
            raise ConfigError(f"AdversarialEncoder: got features up to {np.abs(x).max():.3g}; float32 does not hold what "
                              "scaling makes of them: want smaller ones, or those of the training's scale")
        return scaled

    def _run(self, network: Any, x: Floats) -> npt.NDArray[np.float32]:
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
