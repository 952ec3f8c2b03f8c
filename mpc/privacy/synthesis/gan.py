"""GAN: synthetic tables and images from a generative adversarial network."""
from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.grid import positive
from mpc.privacy.dp.laplace import MOST_EPSILON
from mpc.privacy.extras import needed
from mpc.privacy.synthesis import basis, gan_file, networks, private, training
from mpc.privacy.synthesis.columns import Encoder, columns_of
from mpc.privacy.synthesis.labels import apart, known, numbered, wanted
from mpc.privacy.synthesis.training import Settings

FEWEST: Final = 10  # records of a label: fewer are learned by heart
TEMPERATURE: Final = 0.3  # of the softmax that stands for a choice


class GAN:
    """A conditional generative adversarial network: learns (record, label), then draws as many new records as are wanted.

    `fit` takes images (rows, height, width) or (rows, channels, height, width), numbers (rows, columns), or a table (a dict of
    columns, a DataFrame) of numbers and categories. ``hidden``: widths of the perceptrons. Images are made
    of ``components`` numbers in a basis, the principal components of the data or, with epsilon, cosines, which know nothing
    of them; components=0: pixel by pixel, by convolutions of ``width`` channels, which take far longer to become as various.

    A GAN is no encryption and, without ``epsilon``, no guarantee: it may repeat records it was trained on, rare ones above all,
    and its synthetic records are to be treated as personal data until an audit says more. With ``epsilon`` (neighbours: one
    record more or less) it begins with records drawn from noisy class moments (`MomentSynthesizer`, of what the network sees;
    ``start``: their share of epsilon; 0, and for categories and convolutions: none, but noisy label frequencies); then the
    discriminator - the only part that sees records - is trained by DP-SGD (`mpc.privacy.DPSGD`), which spends the rest. All
    else is post-processing. ``guarantee_`` and every open `Budget` know the cost. With few thousand records such a GAN is no
    better than its start, and `MomentSynthesizer` with all of epsilon is; on mixed tables `MarginalSynthesizer` is far better
    (`mpc bench privacy-synthesis digits-gan adult-private`).
    ``seed`` repeats initial weights, batches and samples, not the privacy noise.
    """

    def __init__(
        self, *, epochs: int = 50, batch_size: int = 128, noise_dim: int = 64, hidden: tuple[int, ...] = (128, 128),
        components: int = 64, width: int = 20, lr: float = 5e-4, average: float = 0.999, loss: str | None = None, seed: int = 0,
        epsilon: float | None = None, delta: float = 1e-5, max_grad_norm: float = 1.0, start: float = 0.75,
    ) -> None:  # fmt: skip
        if epochs < 1 or batch_size < 2 or noise_dim < 1 or not hidden or min(*hidden, width, components + 1) < 1:
            raise ConfigError(f"GAN: got epochs={epochs}, batch_size={batch_size}, noise_dim={noise_dim}, hidden={hidden}, "
                              f"components={components}, width={width}; want counts of at least 1 (a batch of 2, components 0)")
        if not (lr > 0 and 0 <= average < 1):
            raise ConfigError(f"GAN: got lr={lr}, average={average}; want lr > 0 and 0 <= average < 1")
        if loss not in (None, "logistic", "wasserstein"):
            raise ConfigError(f"GAN: got loss={loss!r}; want 'logistic', 'wasserstein', or None to choose by the data")
        self.settings = Settings(noise_dim, tuple(hidden), epochs, batch_size, lr, average, loss or "", seed)
        self.epsilon = None if epsilon is None else positive("epsilon", epsilon)
        if epsilon is not None and epsilon > MOST_EPSILON:
            raise ValueError(f"GAN: got epsilon={epsilon}; want at most {MOST_EPSILON:g}: beyond it the noise protects nobody, "
                             "and so little of it cannot be accounted for")
        self.delta, self.max_grad_norm = delta, positive("max_grad_norm", max_grad_norm)
        if not 0 < delta < 1:
            raise ValueError(f"delta {delta!r}; want more than 0 and less than 1")
        if not 0 <= start < 1:
            raise ConfigError(f"GAN: got start={start}; want a share of epsilon, 0 to below 1")
        if epsilon is not None and loss == "wasserstein":
            raise ConfigError("GAN: got loss='wasserstein' with epsilon; want 'logistic': the penalty of the other "
                              "has no gradient of one record alone")
        self.guarantee_: Guarantee | None = None
        self.start = start
        self.width, self.components = width, components
        self._generator: Any = None
        self._shape: tuple[int, ...] | None = None  # of an image; None: a table
        self._make: Any = None  # a table's type; None: arrays

    def fit(
        self, X: Any, y: Any = None, *, label: str | None = None, columns: Mapping[str, Any] | None = None, low: Any = None,
        high: Any = None, classes: Any = None, log: Any = None,
    ) -> Self:  # fmt: skip
        """Train on ``X``, with labels ``y`` (rows,) or, for a table, the column named ``label``; without either: unconditional.

        ``columns``: what is public about a table's columns, (low, high) or a list of categories each; ``low``, ``high``:
        about an array (bytes have 0 to 255); ``classes``: the labels there are. With epsilon all of that must be said,
        without it is learned from the data. ``log(epoch, generator)`` is called after every epoch. Raises ConfigError,
        ShapeError, ValueError, BudgetExceeded.
        """
        needed("torch")
        import torch

        self._generator = None
        table = _is_table(X)
        self._label, self._make = label, type(X) if not isinstance(X, Mapping) and table else dict
        if table:
            X, y = apart(X, y, label)
        x = self._table(columns_of(X), columns) if table else self._array(np.asarray(X), low, high)
        self._conditional = y is not None
        if y is None:
            y, classes = np.zeros(len(x), np.int64), [0]
        numbers, counts = self._labels(np.asarray(y), len(x), classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self._generator = self._trained(x, numbers, counts, log)
        return self

    def sample(self, n: int | None = None, labels: Any = None, *, seed: int | None = None, generator: Any = None) -> Any:
        """``n`` synthetic records with labels in the proportions of the data, or one for each of ``labels``.

        A table comes back as one, with its label column; arrays as (X, y); X alone where there were no labels.
        ``generator``: another than the fitted one, as `fit`'s ``log`` receives it.
        """
        generator = self._generator if generator is None else generator
        if generator is None:
            raise ConfigError("sample: nothing was fitted; call fit first")
        seed = self.settings.seed if seed is None else seed
        numbers = wanted(n, labels, self.classes_, self.frequencies_, np.random.default_rng(seed))
        out = training.generate(generator, numbers, len(self.classes_), self.settings.noise_dim, seed)
        return self._decoded(out, self.classes_[numbers])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what `sample` needs to one .npz file, in clear: whoever has it can draw without limit. Raises ConfigError."""
        if self._generator is None:
            raise ConfigError("save: nothing was fitted; call fit first")
        gan_file.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The GAN that `save` wrote. ``guarantee_`` is then one (epsilon, delta), as the file says, at the GAN's delta.
        Nothing is unpickled. Raises ConfigError for another file."""
        return gan_file.load(cls, path)

    def _trained(self, x: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64], counts: npt.NDArray[Any], log: Any) -> Any:
        s, self.guarantee_ = self.settings, None
        if self.epsilon is None:
            self.frequencies_ = counts / counts.sum()
            s = replace(s, loss=s.loss or ("logistic" if self._convolves else "wasserstein"))
            return training.train(self._pair(), x, numbers, len(counts), s, log)
        start, pair = self.start if self._norm else 0.0, self._pair()
        terms = private.Privacy(self.epsilon, self.delta, start, self._norm)
        self.frequencies_, cost, multiplier = private.begin(pair, x, numbers, len(counts), s, terms)
        generator, own = private.train_private(
            pair, x, numbers, self.frequencies_, s, self.max_grad_norm, multiplier, start > 0, log
        )
        self.guarantee_ = own + cost
        return generator

    # --- what the networks see
    def _table(self, table: dict[str, npt.NDArray[Any]], columns: Mapping[str, Any] | None) -> npt.NDArray[np.float32]:
        self._encoder, self._shape = Encoder(table, columns, self.epsilon is not None), None
        return self._encoder.encode(table)

    def _array(self, x: npt.NDArray[Any], low: Any, high: Any) -> npt.NDArray[np.float32]:
        if (low is None) != (high is None):
            raise ConfigError(f"fit: got low={low!r}, high={high!r}; want both or neither")
        if low is None and self.epsilon is not None and x.dtype != np.uint8:
            raise ConfigError("fit with epsilon needs low= and high=, the range that the data are known to have")
        if x.ndim == 2:
            self._make = None
            table = {str(i): column for i, column in enumerate(x.T)}
            if low is None:
                return self._table(table, None)
            ends = (np.broadcast_to(v, x.shape[1:]).tolist() for v in (low, high))
            return self._table(table, dict(zip(table, zip(*ends, strict=True), strict=True)))
        if x.ndim not in (3, 4) or min(x.shape[-2:]) < networks.SMALLEST_IMAGE or any(s % 4 for s in x.shape[-2:]):
            raise ShapeError(f"fit: got shape {x.shape}; want rows x columns, or images with sides that are multiples of 4, "
                             f"at least {networks.SMALLEST_IMAGE}")
        if not np.isfinite(x).all():
            raise ValueError("fit: got pixels that are not finite (NaN or infinite)")
        found = (0, 255) if x.dtype == np.uint8 else (x.min(), x.max())
        self._low, self._high = (float(v) for v in (found if low is None else (low, high)))
        if not self._low < self._high:
            raise ConfigError(f"fit: got low={self._low}, high={self._high}; want low < high")
        self._shape, self._dtype = x.shape[1:], x.dtype
        size = (math.prod(x.shape[1:-2]), *x.shape[-2:])
        pixels = np.clip(x.reshape(len(x), -1), self._low, self._high)
        pixels = np.asarray((pixels - self._low) * (2 / (self._high - self._low)) - 1, np.float32)
        if self._convolves:
            return pixels.reshape(len(x), *size)
        count = min(self.components, pixels.shape[1])
        learned = self.epsilon is None
        self._basis = basis.principal(pixels, count) if learned else basis.cosines(size[1], size[2], size[0], count)
        return self._basis.encode(pixels)

    def _labels(self, y: npt.NDArray[Any], rows: int, classes: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if y.shape != (rows,):
            raise ShapeError(f"fit: got labels of shape {y.shape} for {rows} records; want ({rows},)")
        if classes is None and self.epsilon is not None:
            raise ConfigError("fit with epsilon needs classes=, the labels there are (or their number), not from the data")
        y = y.astype(str) if y.dtype.kind == "O" else y
        self.classes_ = np.unique(y) if classes is None else known(classes)
        numbers = numbered(y, self.classes_)
        counts = np.bincount(numbers, minlength=len(self.classes_))
        if rows < FEWEST or (self.epsilon is None and counts.min() < FEWEST):  # with epsilon a refusal would tell a count
            raise ValueError(f"fit: got {rows} records, some label with fewer than {FEWEST}; want at least {FEWEST} of each")
        return numbers, counts

    @property
    def _norm(self) -> float:
        """The largest L2 norm of an encoded record, from what is public: numbers are at most 1, and so are pixels before the
        basis turns them. 0 where Gaussians are no start: for categories, whose one-hot digits they do not look like."""
        if self._shape is None:
            return 0.0 if any(c.choices for c in self._encoder.columns) else math.sqrt(self._encoder.width)
        return 0.0 if self._convolves else math.sqrt(len(self._basis.vectors)) / float(self._basis.scale.min())

    @property
    def _convolves(self) -> bool:
        return self._shape is not None and not self.components

    def _pair(self) -> tuple[Any, Any]:
        s, classes = self.settings, len(self.classes_)
        if self._convolves:
            assert self._shape is not None
            image = (math.prod(self._shape[:-2]), self._shape[-2], self._shape[-1])
            return networks.image_pair(image, classes, s.noise_dim, self.width)
        if self._shape is not None:
            return networks.row_pair(self._basis.vectors.shape[1], classes, s.noise_dim, s.hidden, None)
        output = networks.mixed(self._encoder.blocks(), TEMPERATURE)
        return networks.row_pair(self._encoder.width, classes, s.noise_dim, s.hidden, output)

    def _decoded(self, out: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> Any:
        if self._shape is not None:
            out = out if self._convolves else self._basis.decode(out)
            pixels = (out.reshape(-1, *self._shape) + 1) * ((self._high - self._low) / 2) + self._low
            x: Any = np.rint(pixels).astype(self._dtype) if self._dtype.kind in "iu" else pixels.astype(self._dtype)
        else:
            x = self._encoder.decode(out)
            if self._make is not None:
                return self._make({**x, self._label: labels} if self._label is not None else x)
            x = np.stack(list(x.values()), 1)
        return (x, labels) if self._conditional else x


def _is_table(X: Any) -> bool:
    return isinstance(X, Mapping) or (hasattr(X, "columns") and hasattr(X, "__getitem__"))
