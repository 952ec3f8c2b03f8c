"""How good synthetic records are, and how near to real ones.

`utility`: train on synthetic, test on real. `marginals`, `pairs`: how far distributions are apart. `nearness`: distances to
training records, compared with those of records that were held out, and an attack by them.

Each of these numbers is computed from real records and so says something about them; the smallest distances, and everything
else that is about the nearest record, say most about *outliers*. None of it is covered by a synthesiser's epsilon. Compute
them once, keep them with the data or release them with noise of their own (`mpc.privacy.Laplace`), and do not choose among
synthesisers by them as if that cost nothing.
"""
from __future__ import annotations

import itertools
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.intervals import known
from mpc.privacy.audit.measured import Finding, Measured, scored
from mpc.privacy.extras import needed
from mpc.privacy.synthesis.columns import columns_of

Floats = npt.NDArray[np.float64]
Table = dict[str, npt.NDArray[Any]]

BINS: Final = 10  # of a number, where a pair with it is compared
MOST_ROWS: Final = 4096  # side of a block of distances


class Utility(NamedTuple):
    """Accuracies on real test records."""

    real: float  # trained on real records
    synthetic: float  # trained on synthetic ones

    @property
    def loss(self) -> float:
        return self.real - self.synthetic

    def measured(self) -> Measured:
        """The quality of an exposure in an audit's report."""
        return Measured("utility", quality=self.synthetic, details=self._asdict())


class Nearness(NamedTuple):
    """``ratio``: median over synthetic records of (distance to the nearest training record / to the second nearest): near 0
    copies, near 1 nothing in particular; ``held_out_ratio``: the same of real records that were held out, the number to
    compare with. ``copies``: share of synthetic records nearer to a training record than 99 % of the held-out ones are (0.01
    is par). ``auc``: of the attack that calls a record a member if some synthetic record is near; 0.5 is a guess. A simple
    attack: `mpc.privacy.audit` has stronger ones."""

    ratio: float
    held_out_ratio: float
    copies: float
    auc: float

    def measured(self) -> Measured:
        """A row of an audit's report, without limits: `nearest_record` has them."""
        said = f"2 AUC - 1; {self.copies:.1%} nearer than 99 % of held-out records (1 % is par)"
        return Measured("nearness", (Finding("membership, nearest record", known(2 * self.auc - 1), note=said),),
                        details=self._asdict())  # fmt: skip


def utility(model: Any, real: tuple[Any, Any], synthetic: tuple[Any, Any], test: tuple[Any, Any]) -> Utility:
    """Accuracy on ``test`` of ``model`` (scikit-learn's fit and score; cloned) trained on ``real`` and on ``synthetic``."""
    needed("sklearn")
    from sklearn.base import clone

    trained = [clone(model).fit(*records).score(*test) for records in (real, synthetic)]
    return Utility(float(trained[0]), float(trained[1]))


def marginals(real: Any, synthetic: Any) -> dict[str, float]:
    """For each column the distance of its two distributions, 0 to 1: Kolmogorov-Smirnov (largest difference of the
    distribution functions) of numbers, total variation of categories."""
    a, b = _both(real, synthetic)
    return {name: _distance(a[name], b[name]) for name in a}


def pairs(real: Any, synthetic: Any) -> dict[str, float]:
    """``correlation``: mean absolute difference of the correlations of numeric columns (0 to 2); ``mutual_information``: of
    the mutual information, in bits, of all pairs of columns, numbers in ten bins of equal counts in the real data."""
    a, b = _both(real, synthetic)
    numbers = [name for name in a if a[name].dtype.kind in "iuf"]
    out = {}
    if len(numbers) > 1:
        both = [_correlations(np.stack([t[n] for n in numbers]).astype(np.float64)) for t in (a, b)]
        out["correlation"] = float(np.abs(both[0] - both[1])[np.triu_indices(len(numbers), 1)].mean())
    if len(a) > 1:
        coded = [{name: _codes(t[name], a[name]) for name in a} for t in (a, b)]
        found = [abs(_information(coded[0][p], coded[0][q]) - _information(coded[1][p], coded[1][q]))
                 for p, q in itertools.combinations(a, 2)]  # fmt: skip
        out["mutual_information"] = float(np.mean(found))
    return out


def nearness(train: Any, held_out: Any, synthetic: Any) -> Nearness:
    """Distances among rows of numbers (scale the columns before): see `Nearness` and, for what they give away, this module.

    ``held_out``: real records from where ``train`` comes from that the synthesiser has not seen.
    """
    known, others, made = _rows(train, held_out, synthetic)
    if not known.shape[1] == others.shape[1] == made.shape[1] or len(known) < 2 or not len(others) or not len(made):
        raise ShapeError(f"nearness: got {known.shape}, {others.shape}, {made.shape}; want rows of one width, 2 at least")
    near, beside = _nearest(made, known, 2), _nearest(others, known, 2)
    member, stranger = -_nearest(known, made, 1)[:, 0], -_nearest(others, made, 1)[:, 0]
    return Nearness(
        float(np.median(_ratio(near))), float(np.median(_ratio(beside))),
        float((near[:, 0] < np.quantile(beside[:, 0], 0.01)).mean()), _auc(member, stranger),
    )  # fmt: skip


def nearest_record(train: Any, held_out: Any, synthetic: Any) -> Measured:
    """The attack of `Nearness.auc` as a row of an audit's report: advantage with limits, ROC curve, chance. Rows of numbers, 4
    of each at least."""
    mine, others, made = _rows(train, held_out, synthetic)
    if not mine.shape[1] == others.shape[1] == made.shape[1] or not len(made):
        raise ShapeError(f"nearest_record: got {mine.shape}, {others.shape}, {made.shape}; want rows of one width")
    return scored("membership, nearest record", *(-_nearest(rows, made, 1)[:, 0] for rows in (mine, others)))


def _both(real: Any, synthetic: Any) -> tuple[Table, Table]:
    arrays = ({str(i): c for i, c in enumerate(t.T)} if isinstance(t, np.ndarray) else t for t in (real, synthetic))
    a, b = (columns_of(t) for t in arrays)
    if list(a) != list(b):
        raise ConfigError(f"got columns {list(a)} and {list(b)}; want the same in both tables")
    if not all(len(next(iter(t.values()))) for t in (a, b)):
        raise ShapeError("got a table without rows; want at least one")
    for name in a:
        _finite(f"column {name!r}", a[name], b[name])
    return a, b


def _finite(what: str, *arrays: npt.NDArray[Any]) -> None:
    """NaN would count as a value like others, and as no distance at all."""
    if any(v.dtype.kind == "f" and not np.isfinite(v).all() for v in arrays):
        raise ValueError(f"{what}: got values that are not finite (NaN or infinite); fill or drop them before")


def _rows(*arrays: Any) -> list[Floats]:
    out = [np.asarray(v, np.float64) for v in arrays]
    if not all(v.ndim and v.size for v in out):
        raise ShapeError(f"nearness: got shapes {', '.join(str(v.shape) for v in out)}; want rows of numbers, 1 at least")
    _finite("nearness", *out)
    return [v.reshape(len(v), -1) for v in out]


def _distance(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    values, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    p, q = (np.bincount(c, minlength=len(values)) / len(c) for c in (codes[: len(a)], codes[len(a) :]))
    if a.dtype.kind in "iuf":
        return float(np.abs(np.cumsum(p) - np.cumsum(q)).max())
    return float(np.abs(p - q).sum() / 2)


def _correlations(columns: Floats) -> Floats:
    """A constant column correlates with nothing."""
    centred = columns - columns.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
    return np.asarray(unit @ unit.T)


def _codes(values: npt.NDArray[Any], reference: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if values.dtype.kind in "iuf":
        return np.searchsorted(np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1])), values, side="left")
    known = np.unique(reference)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[place] == values, place, len(known))


def _information(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> float:
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    apart = joint.sum(1, keepdims=True) * joint.sum(0)
    kept = joint > 0
    return float((joint[kept] * np.log2(joint[kept] / apart[kept])).sum())


def _nearest(rows: Floats, among: Floats, count: int) -> Floats:
    """The ``count`` smallest distances of every row."""
    out, squares = np.empty((len(rows), count)), (among**2).sum(1)
    for start in range(0, len(rows), MOST_ROWS):
        part = rows[start : start + MOST_ROWS]
        best = np.full((len(part), count), np.inf)
        for other in range(0, len(among), MOST_ROWS):
            chunk = slice(other, other + MOST_ROWS)
            d = (part**2).sum(1)[:, None] + squares[chunk] - 2 * part @ among[chunk].T
            best = np.sort(np.hstack([best, np.partition(d, min(count, d.shape[1]) - 1, 1)[:, :count]]), 1)[:, :count]
        out[start : start + MOST_ROWS] = np.sqrt(np.maximum(best, 0))
    return out


def _ratio(two: Floats) -> Floats:
    """Two equal distances, of 0 too, are a ratio of 1."""
    return np.divide(two[:, 0], two[:, 1], out=np.ones(len(two)), where=two[:, 1] > 0)


def _auc(high: Floats, low: Floats) -> float:
    """P(high > low) + P(equal) / 2."""
    order = np.sort(low)
    return float((np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")).mean() / 2 / len(low))
