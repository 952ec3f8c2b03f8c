"""MarginalSynthesizer: mixed tables from noisy counts of all pairs of columns, of data in clear or on shares."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.gaussian import Gaussian
from mpc.privacy.dp.grid import positive
from mpc.privacy.synthesis import counting, trees
from mpc.privacy.synthesis.bins import Choices, check_reachable, learned, public
from mpc.privacy.synthesis.columns import check_declared, columns_of
from mpc.privacy.synthesis.labels import apart, known, wanted
from mpc.tensor import SecretTensor

Floats = npt.NDArray[np.float64]

WHAT: Final = "MarginalSynthesizer: counts of values and of pairs of values, by class"
MOST_CELLS: Final = 1 << 24
MOST_BINS: Final = 1 << 12


class MarginalSynthesizer:
    """Synthetic rows of a table of numbers and categories, from counts released with noise (epsilon, delta), or exactly.

    Each column takes one of finitely many values: a number its range (``bins`` of them, or edges that are declared), a category
    itself. Released are, for each class, how many records have each value of a column, and each pair of values of two columns:
    all at once, from one product of one-hot records. From these tables follows, without further cost, a tree of columns
    (``tree_``: each one's parent) and the distribution that agrees with them along it: what two columns tell each other and the
    class is kept where the tree has them beside each other, and between others what follows from that. A number is drawn
    evenly from its range.

    Sensitivity: one person has one record; neighbours differ by that record being there or counting for nothing. With d columns
    it adds 1 to one cell of each of d (d + 1) / 2 tables, so the L2 norm is the root of that; a record *replaced* by another
    moves them sqrt(2) times as far, for at most half as much epsilon again. On shares how many records there are is public. The
    noise is `Gaussian`: integers, accounted for as what is drawn. ``guarantee_`` holds the price, every open `Budget` is
    charged. Without epsilon there is no guarantee: the counts open exactly. Columns of no use cost noise: leave them out.

    ``seed`` repeats the samples; it never touches the noise, which comes from the operating system.
    """

    def __init__(self, epsilon: float | None = None, delta: float = 1e-5, *, bins: int = 16, seed: int = 0) -> None:
        self.epsilon = None if epsilon is None else positive("epsilon", epsilon)
        if not 0 < delta < 1:
            raise ValueError(f"delta {delta!r}; want more than 0 and less than 1")
        if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or not 1 <= bins <= MOST_BINS:
            raise ConfigError(f"bins={bins!r}; want an integer from 1 to {MOST_BINS}")
        np.random.default_rng(seed)  # refuses what is none before anything is spent
        self.delta, self.bins, self.seed = float(delta), int(bins), seed
        self.guarantee_: Guarantee | None = None

    def fit(
        self, X: Any, y: Any = None, *, label: str | None = None, columns: Mapping[str, Any] | None = None, classes: Any = None
    ) -> Self:
        """Release the counts of a table ``X`` (a dict of columns (rows,), or a DataFrame), by the classes in ``y`` (rows,) or
        in the column ``label``; without either all are one class. All columns are in clear, or all are SecretTensors.

        ``columns``: what is public about each: (low, high) numbers, a longer tuple of rising edges, or a list of categories;
        numbers outside count in the first or last range, and where all of the tuple are integers whole numbers alone are drawn
        (write (0.0, 1.0) for real ones), the upper end included. ``classes``: the labels there are, or their number K for
        0 .. K - 1. Both are wanted with epsilon and for secret columns, elsewhere what is not said is learned from the data.

        In clear a label or category that is not declared, or a number that is not finite, is refused before anything opens or
        is charged. That it was, and the message, are in no guarantee and for the data's holder alone: where others would see
        that there is no result, make such values one more category.
        On shares nothing is refused for what a secret holds. A category or label is its position in its list; whatever word a
        value is, it counts as exactly one, the nearest (at the ends of the ring, where no number is, as the first). Every party
        calls it; to all parties is revealed exactly one tensor, named in the ledger. Cost, with W values of all columns
        together: W comparisons a row, a product of (classes - 1) * W bits a row, and one of (classes * W x rows) @ (rows x W).
        Raises ShapeError, ConfigError, ValueError; BudgetExceeded before anything opens.
        """
        self.__dict__.pop("tree_", None)  # whatever fails below: no samples of another fit
        self.guarantee_ = None
        table, y = _table(X, y, label)
        secret = _secret(table, y)
        where = "with epsilon" if self.epsilon is not None else "on shares" if secret else ""
        columns = {} if columns is None else columns
        check_declared(table, columns, where)
        if y is None and classes is not None:
            raise ConfigError(f"fit: got classes={classes!r} without labels; want y=, or label=, the column that has them")
        if y is not None and classes is None and where:
            raise ConfigError(f"fit: {where} want classes=, the labels there are (or their number), not from the data")
        found = [public(n, columns[n], self.bins) if n in columns else learned(n, v, self.bins) for n, v in table.items()]
        kinds = np.zeros(1, np.int64) if y is None else np.unique(y) if classes is None else known(classes)
        sizes = [c.size for c in found]
        if (cells := sum(sizes) ** 2 * len(kinds)) > MOST_CELLS:
            raise ConfigError(f"fit: {sum(sizes)} values of {len(sizes)} columns and {len(kinds)} classes are {cells} cells; "
                              f"want at most {MOST_CELLS}: leave columns out, or declare wider ranges (bins=)")
        if secret:
            party = next(iter(table.values())).party
            check_reachable([*found, Choices("of the labels", kinds)], party.frac_bits)
            party.note("MarginalSynthesizer", [c.declaration for c in found], kinds.tolist(), label, self.seed)
        noise = self._noise(sizes, len(kinds))
        count = counting.on_shares if secret else counting.in_clear
        opened = _opened(count(list(table.values()), y, found, kinds), noise)
        std = 0.0
        if noise is not None:
            mechanism, self.guarantee_ = noise.on_grid(1.0, opened.size)
            std = mechanism.std
        self._columns, self.classes_ = found, kinds
        self._label, self._make = label, _maker(X)
        self._tree = trees.grow(counting.tables(opened, sizes, std))
        names = list(table)
        self.counts_ = self._tree.records
        self.tree_ = {n: None if p is None else names[p] for n, p in zip(names, self._tree.parents, strict=True)}
        self._conditional = y is not None
        return self

    def sample(self, n: int | None = None, labels: Any = None) -> Any:
        """``n`` records with labels drawn by the released counts, or one for each of ``labels``: a table with its label column,
        (table, y) where labels came apart, a table alone where there were none. Post-processing: costs nothing."""
        if not hasattr(self, "tree_"):
            raise ConfigError("sample: nothing was fitted; call fit first")
        rng = np.random.default_rng(self.seed)
        numbers = wanted(n, labels, self.classes_, self.counts_ / self.counts_.sum(), rng)
        codes = self._tree.draw(numbers, rng)
        table = {c.name: c.drawn(codes[:, j], rng) for j, c in enumerate(self._columns)}
        if not self._conditional:
            return self._make(table)
        if self._label is not None:
            return self._make({**table, self._label: self.classes_[numbers]})
        return self._make(table), self.classes_[numbers]

    def _noise(self, sizes: list[int], classes: int) -> Gaussian | None:
        """None without epsilon. Raises BudgetExceeded."""
        if self.epsilon is None:
            return None
        columns = len(sizes)
        noise = Gaussian(self.epsilon, self.delta, math.sqrt(columns * (columns + 1) / 2), truncations=0)
        budget.ask(noise.on_grid(1.0, classes * len(counting.Cells.of(sizes).rows))[1])  # before everything is counted
        return noise


def _opened(counts: Any, noise: Gaussian | None) -> Floats:
    """Integers, at whoever may see them. Charged to the open budgets."""
    if isinstance(counts, SecretTensor):
        reason = WHAT + ("" if noise else ", without differential privacy")
        return np.asarray(counts.reveal(dp=noise, reason=reason, check_range=False), np.float64)  # integers: no fixed point
    if noise is None:
        return np.asarray(counts)
    mechanism, guarantee = noise.on_grid(1.0, counts.size)
    budget.charge(None, guarantee, f"{noise}: {WHAT}")
    return np.asarray(counts + mechanism.sample(counts.shape))


def _table(X: Any, y: Any, label: str | None) -> tuple[dict[str, Any], Any]:
    """Columns, all of one length, and labels (None: none)."""
    if not (isinstance(X, Mapping) or hasattr(X, "columns")):
        raise ConfigError(f"fit: got {type(X).__name__}; want a table: a dict of columns, or a DataFrame")
    X, y = apart(X, y, label)
    table = {name: X[name] for name in X}
    if not table:
        raise ConfigError("fit: got a table without columns; want at least one beside the label")
    if not any(isinstance(v, SecretTensor) for v in table.values()):
        table = columns_of(table)
    if y is not None and not isinstance(y, SecretTensor):
        y = np.asarray(y)
        y = y.astype(str) if y.dtype.kind == "O" else y
    shapes = {name: tuple(v.shape) for name, v in {**table, **({} if y is None else {"the labels": y})}.items()}
    if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 1 or not next(iter(shapes.values()))[0]:
        raise ShapeError(f"fit: got columns of shapes {shapes}; want (rows,) each, the same everywhere, at least one row")
    return table, y


def _secret(table: Mapping[str, Any], y: Any) -> bool:
    kinds = {isinstance(v, SecretTensor) for v in [*table.values(), *([] if y is None else [y])]}
    if len(kinds) != 1:
        raise ConfigError("fit: got some columns secret; want all of them, and the labels, in clear or all as SecretTensor")
    return kinds.pop()


def _maker(X: Any) -> Any:
    """What a sampled table becomes."""
    return dict if isinstance(X, Mapping) else type(X)
