"""What a generalised table is still good for: a classifier trained on it, and counts asked of it."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.extras import needed
from mpc.privacy.masking.columns import Floats, Table, as_table, wanted
from mpc.privacy.masking.generalise import Generalised
from mpc.privacy.masking.hierarchies import Axis

QUERIES: Final = 200
LEAST_ANSWER: Final = 0.005  # of the rows: relative errors of rarer answers say little


@dataclass(frozen=True)
class Accuracy:
    """Of one classifier on the same untouched test rows: ``before`` trained on the original, ``after`` on the release;
    ``most``: always the most frequent class."""

    before: float
    after: float
    most: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Queries:
    """Relative errors of random counts: median, 95th percentile, how many were asked."""

    median: float
    p95: float
    count: int

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def classification(released: Generalised, original: Any, label: str, test: Any) -> Accuracy:
    """Logistic regression on the quasi-identifiers, for a released ``label``; tested on the exact rows of ``test``.

    A number is the middle of its interval, a category the share of each of its values. Needs scikit-learn.
    """
    needed("sklearn")
    from sklearn.linear_model import LogisticRegression

    table, held = as_table(original), as_table(test)
    for data, what in ((table, "original"), (held, "test")):
        wanted(data, [*released.names, label], f"of the {what}, the column")
    inside = released.groups >= 0
    if not inside.any():
        raise ConfigError("everything is suppressed; there is nothing to train on")
    scaled = [(_exact(released, data)) for data in (table, held)]
    masked = np.hstack([_cells(axis, cells.low, cells.high)[released.index[inside, i]]
                        for i, (axis, cells) in enumerate(zip(released.axes, released.cells, strict=True))])  # fmt: skip
    truth = held[label]
    scores = []
    for x, y in ((scaled[0], table[label]), (masked, table[label][inside])):
        if len(np.unique(y)) < 2:
            scores.append(float(np.mean(truth == y[0])))
        else:
            scores.append(float(LogisticRegression(max_iter=300).fit(x, y).score(scaled[1], truth)))
    values, counts = np.unique(table[label], return_counts=True)
    return Accuracy(scores[0], scores[1], float(np.mean(truth == values[counts.argmax()])))


def _exact(released: Generalised, table: Table) -> Floats:
    parts = []
    for axis in released.axes:
        distinct, of = np.unique(axis.encode(table[axis.name]), return_inverse=True)
        parts.append(_cells(axis, distinct, distinct)[of.reshape(-1)])
    return np.hstack(parts)


def _cells(axis: Axis, low: Floats, high: Floats) -> Floats:
    """Features of cells."""
    least, most = axis.range
    low, high = np.maximum(low, least), np.minimum(high, most)
    if axis.numeric:
        middle = (low + high) / 2
        scaled = (middle - least) / (axis.width or 1.0)
        return np.stack([scaled, scaled**2], axis=1)
    leaf = np.arange(int(most) + 1)
    inside = (low[:, None] <= leaf) & (leaf <= high[:, None])
    return np.asarray(inside / np.maximum(1, inside.sum(1, keepdims=True)))


def query_errors(released: Generalised, original: Any, count: int = QUERIES, columns: int = 2, seed: int = 0) -> Queries:
    """Random counts over ranges of ``columns`` quasi-identifiers, each range a quarter of that column's rows, against the
    original.

    The release answers as if values were spread evenly over each cell. Answers below half a percent of the rows are drawn
    again. The seed draws queries, no secret.
    """
    rng = np.random.default_rng(seed)
    table = as_table(original)
    wanted(table, released.names, "the quasi-identifier")
    x = np.stack([axis.encode(table[axis.name]) for axis in released.axes], axis=1)
    low, high, size = released.classes()
    errors: list[float] = []
    for _ in range(20 * count):
        if len(errors) == count:
            break
        inside, share = np.ones(len(x), bool), size * 1.0
        for i in rng.permutation(x.shape[1])[: min(columns, x.shape[1])]:
            start = rng.uniform(0, 0.75)
            a, b = np.quantile(x[:, i], [start, start + 0.25], method="nearest")
            inside &= (a <= x[:, i]) & (x[:, i] <= b)
            share *= _overlap(released.axes[i], low[:, i], high[:, i], a, b)
        answer = np.count_nonzero(inside)
        if answer >= LEAST_ANSWER * len(x):
            errors.append(abs(share.sum() - answer) / answer)
    if not errors:
        return Queries(float("nan"), float("nan"), 0)
    return Queries(float(np.median(errors)), float(np.quantile(errors, 0.95)), len(errors))


def _overlap(axis: Axis, low: Floats, high: Floats, a: float, b: float) -> Floats:
    """The share of each cell that lies in [a, b], its values spread evenly over steps of the axis's unit."""
    least, most = axis.range
    low, high = np.maximum(low, least), np.minimum(high, most)
    unit = axis.unit
    covered = np.minimum(high, b) - np.maximum(low, a) + unit
    return np.asarray(np.clip(covered, 0, None) / (high - low + unit))

