"""MomentSynthesizer: class-conditional Gaussians from noisy moments, of data in clear or on shares."""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.gaussian import Gaussian
from mpc.privacy.dp.grid import positive
from mpc.privacy.synthesis import gaussians
from mpc.privacy.synthesis.labels import known, numbered, wanted
from mpc.privacy.synthesis.records import ClearRecords, Floats, Records, SecretRecords, enlarged, triangle
from mpc.tensor import SecretTensor

NAMES: Final = ("class counts", "class sums", "sum of outer products")
FEWEST: Final = 2  # records of a class in clear: a covariance of one record is that record


class _Release(NamedTuple):
    """Sensitivity, share of the budget, grid step, number of values."""

    sensitivity: float
    weight: float
    step: float
    size: int


class MomentSynthesizer:
    """Synthetic records drawn from one Gaussian per class, whose moments were released with noise (epsilon, delta), or exactly.

    A record is clipped to ``low`` .. ``high``, scaled to u = (x - centre) / s, so that every coordinate is in [-1, 1], and
    clipped to the L2 norm ``max_norm``. Released are: class counts; class sums of u; sums of outer
    products of u - (the class's released mean), clipped to ``max_residual``. ``covariance``: "pooled", one for all classes
    (less noise), or "class", one each. ``weights``: how the three share the noise budget; multipliers are sigma / weight,
    weights of norm 1.

    Sensitivity: one person has one record; neighbours differ by that record being there or counting for nothing (its class
    included). Then the releases differ in L2 norm by at most 1, R = max_norm, and sqrt((T^4 + T^2 min(T^2, m^2)) / 2) with
    T = max_residual, m the largest coordinate that a residual can have (upper triangle). A record *replaced* by another moves
    them twice as far. Accounting: the three releases composed by `mpc.privacy.dp`; ``guarantee_`` holds it, every open `Budget`
    is charged. ``low``, ``high``, ``centre`` and the norms must not be taken from the data: what is chosen by looking at
    them is a further release. Without epsilon there is no guarantee: the moments open exactly.

    A negative eigenvalue that noise made is set to a small positive one; samples are clipped to ``low`` .. ``high``.
    ``seed`` repeats the samples; it never touches the noise, which comes from the operating system.
    """

    def __init__(
        self, epsilon: float | None = None, delta: float = 1e-5, *, low: Any = None, high: Any = None, centre: Any = None,
        max_norm: float | None = None, max_residual: float | None = None, covariance: str = "pooled",
        weights: tuple[float, float, float] = (0.1, 0.8, 0.6), seed: int = 0,
    ) -> None:  # fmt: skip
        self.epsilon = None if epsilon is None else positive("epsilon", epsilon)
        if not 0 < delta < 1:
            raise ValueError(f"delta {delta!r}; want more than 0 and less than 1")
        if covariance not in ("pooled", "class"):
            raise ConfigError(f"covariance={covariance!r}; want 'pooled' or 'class'")
        if len(weights) != 3 or not all(w > 0 for w in weights):
            raise ConfigError(f"weights={weights!r}; want three positive numbers: for counts, sums and outer products")
        if (low is None) != (high is None):
            raise ConfigError(f"low={low!r}, high={high!r}; want both or neither")
        if epsilon is not None and low is None:
            raise ConfigError("MomentSynthesizer with epsilon needs low= and high=, the range that the data are known to have: "
                              "a range taken from the data is a release of its extremes")
        self.delta, self.low, self.high, self.centre = float(delta), low, high, centre
        self.max_norm = None if max_norm is None else positive("max_norm", max_norm)
        self.max_residual = None if max_residual is None else positive("max_residual", max_residual)
        self.by_class = covariance == "class"
        self.weights = tuple(float(w) / math.hypot(*weights) for w in weights)
        self.seed = seed
        self.guarantee_: Guarantee | None = None

    def fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Release the moments of features ``X`` (rows, columns) and labels ``y`` (rows,), both in clear or both secret.

        ``classes``: the labels there are, or their number K for 0 .. K - 1; wanted with epsilon (a class that exists only
        because somebody is in it would say so) and for secret labels, where a label that is none of them counts for nothing.
        Secret data: every party calls it; to all parties are revealed exactly three tensors, named in the ledger. Cost: one
        product (columns x rows) @ (rows x columns), with columns * classes for "class"; two clips per value, three where a
        range is below 1/16 wide; with epsilon about 1,100 coins per value released. Raises ShapeError, ConfigError, ValueError;
        BudgetExceeded before anything opens.
        """
        self.__dict__.pop("means_", None)  # whatever fails below: no samples of another fit
        self.guarantee_ = None
        secret = isinstance(X, SecretTensor)
        if secret != isinstance(y, SecretTensor):
            raise ConfigError("fit: got one of X and y secret; want both in clear or both as SecretTensor")
        if len(X.shape) != 2 or tuple(y.shape) != (X.shape[0],):
            raise ShapeError(f"fit: X of shape {tuple(X.shape)}, y of shape {tuple(y.shape)}; want (rows, columns) and (rows,)")
        if classes is None and (secret or self.epsilon is not None):
            raise ConfigError("fit: want classes=, the labels there are (or their number): it must not come from the data")
        self._scale(None if secret else X, X.shape[1])
        records = self._secret(X, y, classes) if secret else self._clear(np.asarray(X, np.float64), np.asarray(y), classes)
        self._release(records)
        return self

    def sample(self, n: int | None = None, labels: Any = None) -> tuple[Floats, npt.NDArray[Any]]:
        """``n`` records and their labels, drawn by the released counts, or those given. Post-processing: costs nothing."""
        rng = np.random.default_rng(self.seed)
        if not hasattr(self, "means_"):
            raise ConfigError("sample: nothing was fitted; call fit first")
        numbers = wanted(n, labels, self.classes_, self.counts_ / self.counts_.sum(), rng)
        means = (self.means_ - self._centre) / self._unit
        u = gaussians.draw(means, gaussians.root(self.covariances_ / np.outer(self._unit, self._unit)), numbers, rng)
        x = u * self._unit + self._centre
        return (x if self._low is None else np.clip(x, self._low, self._high)), self.classes_[numbers]

    # --- preparation
    def _scale(self, X: Any, columns: int) -> None:
        """Public: centre and unit of each column."""
        low, high = self.low, self.high
        if low is None and X is not None:
            low, high = np.min(X, 0), np.max(X, 0)
        self._low = self._high = None
        if low is None:  # secret data without bounds: taken as they are
            self._centre, self._unit = np.zeros(columns), np.ones(columns)
            return
        self._low, self._high = (np.broadcast_to(np.asarray(v, np.float64), (columns,)) for v in (low, high))
        if not (np.isfinite(self._low).all() and np.isfinite(self._high).all() and (self._low <= self._high).all()):
            raise ConfigError(f"low={self.low!r}, high={self.high!r}, or data that are not finite; want finite low <= high")
        centre = (self._low + self._high) / 2 if self.centre is None else np.asarray(self.centre, np.float64)
        self._centre = np.broadcast_to(centre, (columns,))
        if self.epsilon is not None and not ((self._low <= self._centre) & (self._centre <= self._high)).all():
            raise ConfigError(f"centre={self.centre!r}; want it between low and high: clipping a norm moves records towards it")
        unit = np.maximum(np.abs(self._high - self._centre), np.abs(self._low - self._centre))
        self._unit = np.where(unit > 0, unit, 1.0)

    def _clear(self, X: Floats, y: npt.NDArray[Any], classes: Any) -> Records:
        if not np.isfinite(X).all():
            raise ValueError("fit: got features that are not finite (NaN or infinite); fill or drop them before")
        self.classes_ = np.unique(y) if classes is None else known(classes)
        numbers = numbered(y, self.classes_)
        fewest = np.bincount(numbers, minlength=len(self.classes_)).min()
        if self.epsilon is None and fewest < FEWEST:
            raise ValueError(f"fit: got a class of {fewest} records; want at least {FEWEST}: one would be copied")
        return ClearRecords((X - self._centre) / self._unit, numbers, len(self.classes_), self._range(), self.max_norm)

    def _secret(self, X: SecretTensor, y: SecretTensor, classes: Any) -> Records:
        self.classes_ = known(classes)
        if not np.array_equal(self.classes_, np.arange(len(self.classes_))):
            raise ConfigError(f"fit: got classes={classes!r} for secret labels; want a number K, and labels 0 .. K - 1")
        X.party.note("MomentSynthesizer", self.seed)
        bounded = self._low is not None
        if bounded and (self._unit < 2.0**-5).any():  # computed values of 2^25, over a small unit, would come back as anything
            X = X.clip(self._low, self._high)
        u = (X - self._centre) * (1 / self._unit) if bounded else X
        return SecretRecords(u, y, len(self.classes_), self._range() if bounded else None, self.max_norm)

    # --- release
    def _release(self, records: Records) -> None:
        number, columns = len(self.classes_), records.columns
        noises = self._calibrated(records, number)
        counts = records.open(records.counts(), noises[0], NAMES[0])
        sums = records.open(records.sums(), noises[1], NAMES[1])
        self.counts_ = np.maximum(counts, 1.0)
        means = np.clip(sums / self.counts_[:, None], *(self._range() if self._low is not None else (-np.inf, np.inf)))
        upper = records.open(records.scatter(means, self.max_residual, self.by_class), noises[2], NAMES[2])
        total = self.counts_[:, None] if self.by_class else self.counts_.sum(keepdims=True)[None]
        found = gaussians.symmetric(upper / total, columns)
        if (noise := noises[1]) is not None:  # the scatter about a noisy mean is larger by that noise's variance
            excess = ((noise.noise_multiplier or 0.0) * noise.declared() / self.counts_) ** 2
            per = excess if self.by_class else np.array([(excess * self.counts_).sum() / self.counts_.sum()])
            found = found - per[:, None, None] * np.eye(columns)
        unit = np.outer(self._unit, self._unit)
        self.means_ = means * self._unit + self._centre
        self.covariances_ = gaussians.repaired(found) * unit

    def _range(self) -> tuple[Floats, Floats]:
        assert self._low is not None and self._high is not None
        return (self._low - self._centre) / self._unit, (self._high - self._centre) / self._unit

    def releases(self, records: Records, number: int) -> list[_Release]:
        """What the noise is scaled to; see the class."""
        low, high = self._range()
        norm = min(self.max_norm or math.inf, float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high)))))
        residual = min(self.max_residual or math.inf, float(np.linalg.norm(high - low)))
        norm, residual = (enlarged(v, records.columns, records.step) for v in (norm, residual))
        largest = min(residual, float((high - low).max()) + 4 * records.step)
        product = math.sqrt((residual**4 + residual**2 * largest**2) / 2)
        size = len(triangle(records.columns)[0]) * (number if self.by_class else 1)
        steps = (records.count_step, records.step, records.product_step)
        sizes = (number, number * records.columns, size)
        return [_Release(*r) for r in zip((1.0, norm, product), self.weights, steps, sizes, strict=True)]

    def _calibrated(self, records: Records, number: int) -> list[Gaussian | None]:
        self.guarantee_ = None
        if self.epsilon is None:
            return [None] * 3
        releases = tuple(self.releases(records, number))
        noises = _noises(_sigma(self.epsilon, self.delta, releases), self.delta, releases)
        whole = _guarantee(noises, releases)
        budget.ask(whole)  # not two of three
        self.guarantee_ = whole
        return list(noises)


def _noises(sigma: float, delta: float, releases: tuple[_Release, ...]) -> list[Gaussian]:
    return [Gaussian(delta=delta, sensitivity=r.sensitivity, noise_multiplier=sigma / r.weight, truncations=0)
            for r in releases]  # fmt: skip


def _guarantee(noises: list[Gaussian], releases: tuple[_Release, ...]) -> Guarantee:
    parts = [g.on_grid(r.step, r.size)[1] for g, r in zip(noises, releases, strict=True)]
    return parts[0] + parts[1] + parts[2]


@lru_cache(maxsize=64)
def _sigma(epsilon: float, delta: float, releases: tuple[_Release, ...]) -> float:
    """The least noise, to half a percent, with which all releases together are (epsilon, delta) private. Public."""

    def enough(sigma: float) -> bool:
        return _guarantee(_noises(sigma, delta, releases), releases).delta(epsilon) <= delta

    low, high = 0.0, 1.0
    while not enough(high):
        low, high = high, high * 2
        if high > 1e6:
            raise ValueError(f"no noise makes it ({epsilon:g}, {delta:g}) private; want more epsilon or delta")
    while high - low > 0.005 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
