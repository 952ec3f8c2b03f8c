"""Linear models with scikit-learn's names, fitted on tensors nobody can see.

``fit`` takes SecretTensors (or public arrays for one of X and y); ``coef_`` and ``intercept_`` are SecretTensors, opened
only by their ``reveal``. ``predict`` takes secret or public rows and gives a SecretTensor. ``score`` reveals one number,
with a line in the ledger.
"""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import no_grad
from mpc.errors import ConfigError, SessionError, ShapeError
from mpc.nn.functional import binary_cross_entropy_with_logits
from mpc.optim import SGD
from mpc.tensor import SecretTensor, constant, stack

if TYPE_CHECKING:
    from typing import Self


def _secret(x: Any) -> SecretTensor:
    return x if isinstance(x, SecretTensor) else constant(x)


def _checked(x: Any, y: Any) -> tuple[SecretTensor, SecretTensor]:
    """X (rows, features) and y (rows,) or (rows, 1). Raises ShapeError."""
    x, y = _secret(x).detach(), _secret(y).detach()
    if y.ndim == 2 and y.shape[1] == 1:
        y = y.flatten()
    if x.ndim != 2 or y.ndim != 1 or x.shape[0] != y.shape[0] or not x.numel():
        raise ShapeError(f"got X of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}; want (rows, features), (rows,)")
    return x, y


class _LinearModel:
    coef_: SecretTensor
    intercept_: SecretTensor
    n_features_in_: int

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def set_params(self, **params: Any) -> Self:
        """Change the constructor's arguments. Raises ConfigError for unknown ones."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(f"{type(self).__name__} has no parameter {name!r}; it has {sorted(self.get_params())}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def _linear(self, x: Any) -> SecretTensor:
        """X @ coef + intercept, shape (rows,), left at the product's scale."""
        if "coef_" not in vars(self):
            raise SessionError(f"this {type(self).__name__} is not fitted; call fit(X, y) first")
        shape = tuple(np.shape(x)) if not isinstance(x, SecretTensor) else tuple(x.shape)
        if len(shape) != 2 or shape[1] != self.n_features_in_:
            raise ShapeError(f"got X of shape {shape}; want (rows, {self.n_features_in_})")
        with no_grad():
            product: SecretTensor = x @ self.coef_.flatten()
            return product + self.intercept_


class Ridge(_LinearModel):
    """Least squares with an L2 penalty: minimises ||y - X w - b||^2 + alpha ||w||^2.

    Method: columns are centred and scaled to mean squares between 1/4 and 1 by secret powers of two (found by
    comparisons, so no scale is public and none needs to be known), the Gram matrix is inverted by Newton-Schulz
    iteration (products only), and ``refine`` steps of residual correction on the data remove the inverse's rounding.
    About 4 (log2(features) + f - 7) + 6 refine + 20 rounds. Range: sums of squares below 2^30 at 16 fraction bits, column
    standard deviations from 2^-7 to 2^7.
    Error: coefficients of well-conditioned data (scaled Gram eigenvalues above 2^-6) agree with float64 to about 2^-10 of the
    prediction's size per standard deviation of the column; directions with eigenvalues below 2^-9 shrink as if alpha
    were larger. fit reveals nothing.
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, refine: int = 4) -> None:
        if not alpha >= 0 or not math.isfinite(alpha):
            raise ConfigError(f"{type(self).__name__}: alpha={alpha!r}; want a number of at least 0")
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.refine = refine

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features), y (rows,) or (rows, 1). Raises ShapeError."""
        x, y = _checked(X, y)
        party = x.party
        with no_grad(), party.scope(type(self).__name__):
            rows, features = x.shape
            share_of_rows = 2.0 ** -math.ceil(math.log2(rows)) if rows > 1 else 1.0  # the system scaled by it is the same
            penalty = self.alpha * share_of_rows
            if self.fit_intercept:
                x_mean, y_mean = x.mean(0), y.mean()
                x_mean._value.settled(), y_mean._value.settled()
                x, y = x - x_mean, y - y_mean
            scale = _root_inverse((x.square()).sum(0) * share_of_rows + penalty, party.frac_bits)
            x = x * scale
            party.protocol.open(x._value.settled())
            gram = x.T @ x * share_of_rows
            weight_penalty = scale.square() * penalty
            if penalty:
                gram = gram + weight_penalty * np.eye(features, dtype=np.int64)
            inverse = _newton_schulz(gram, features, party.frac_bits)
            w = inverse @ ((x.T @ y) * share_of_rows)
            for _ in range(self.refine):
                gradient = (x.T @ (y - x @ w)) * share_of_rows
                if penalty:
                    gradient = gradient - weight_penalty * w
                w = w + inverse @ gradient
            self.coef_ = w * scale
            self.coef_._value.settled()
            self.intercept_ = y_mean - x_mean @ self.coef_ if self.fit_intercept else constant(np.zeros(()))
            self.intercept_._value.settled()
            self.n_features_in_ = features
        return self

    def predict(self, X: Any) -> SecretTensor:
        """Predictions (rows,) as a secret tensor, for secret or public X. Raises ShapeError, SessionError."""
        return self._linear(X)

    def score(self, X: Any, y: Any) -> float:
        """The coefficient of determination R^2, error about 1e-3. Reveals this one number."""
        x, y = _checked(X, y)
        with no_grad(), x.party.scope(f"{type(self).__name__}.score"):
            unexplained = (y - self._linear(x)).square().mean()
            spread = (y - y.mean()).square().mean()
            return _reveal_number(1 - _quotient(unexplained, spread), f"R^2 of {type(self).__name__}.score")


class LinearRegression(Ridge):
    """Ordinary least squares; see `Ridge` for the method, its rounds, range and errors.

    Collinear columns have no unique solution; the one found is small in the undetermined directions.
    """

    def __init__(self, *, fit_intercept: bool = True, refine: int = 4) -> None:
        super().__init__(0.0, fit_intercept=fit_intercept, refine=refine)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"fit_intercept": self.fit_intercept, "refine": self.refine}


class LogisticRegression(_LinearModel):
    """Binary classification: minimises mean log-loss + ||w||^2 / (2 C rows), scikit-learn's objective.

    Full-batch gradient descent with momentum: ``max_iter`` steps of ``learning_rate`` (None: 8 / (features + 1), stable for any
    columns of mean 0 and variance 1; scale yours so). X is opened once under one mask; an iteration opens the weights
    and the error. y must be 0 or 1: labels are secret, so nothing can check it, and other values give a wrong model.
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int = 100,
        learning_rate: float | None = None,
        momentum: float = 0.9,
    ) -> None:
        if not C > 0:
            raise ConfigError(f"LogisticRegression: C={C!r}; want a number above 0 (math.inf for no penalty)")
        if max_iter < 1:
            raise ConfigError(f"LogisticRegression: max_iter={max_iter!r}; want at least 1")
        self.C = C
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.momentum = momentum

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features) and labels y of 0 and 1, (rows,) or (rows, 1). Raises ShapeError."""
        x, y = _checked(X, y)
        rows, features = x.shape
        party = x.party
        with party.scope(type(self).__name__):
            party.protocol.open(x._value.settled())
            weights = constant(np.zeros(features), requires_grad=True)
            bias = constant(np.zeros(()), requires_grad=True)
            groups: list[dict[str, Any]] = [{"params": [weights], "weight_decay": 1.0 / (self.C * rows)}]
            if self.fit_intercept:
                groups.append({"params": [bias]})
            rate = 8.0 / (features + 1) if self.learning_rate is None else self.learning_rate
            optimizer = SGD(groups, lr=rate, momentum=self.momentum)
            for _ in range(self.max_iter):
                z = x @ weights + bias if self.fit_intercept else x @ weights
                optimizer.zero_grad()
                binary_cross_entropy_with_logits(z, y).backward()
                optimizer.step()
            self.coef_ = weights.detach().reshape(1, features)
            self.intercept_ = bias.detach().reshape(1)
            self.n_features_in_ = features
        return self

    def decision_function(self, X: Any) -> SecretTensor:
        """X @ coef + intercept, (rows,): log-odds of class 1."""
        return self._linear(X)

    def predict(self, X: Any) -> SecretTensor:
        """Classes (rows,) as bits, a secret tensor; X secret or public."""
        return self._linear(X) > 0

    def predict_proba(self, X: Any) -> SecretTensor:
        """Probabilities of classes 0 and 1, (rows, 2), error as the sigmoid kernel's."""
        p = self._linear(X).sigmoid()
        return stack([1 - p, p], 1)

    def score(self, X: Any, y: Any) -> float:
        """Share of rows predicted right. Reveals this one number."""
        x, y = _checked(X, y)
        with no_grad(), x.party.scope("LogisticRegression.score"):
            bits = self.predict(x)
            wrong = (y - bits * (2 * y - 1)).mean()  # y + p - 2 p y
            return _reveal_number(1 - wrong, "accuracy of LogisticRegression.score")


def _reveal_number(x: SecretTensor, reason: str) -> float:
    """Open one number to everybody; the ledger names the caller of the method that asks."""
    got = x.party.reveal(x._value.settled(), None, reason, False, depth=3)
    assert got is not None
    return float(got.reshape(-1)[0])


def _powers(t: SecretTensor, step: int, low: int, high: int) -> SecretTensor:
    """c = 2^-(k+1) where 2^(step k) <= t < 2^(step (k+1)), low <= k <= high; 2^-low below: c^step * t < 1.

    One comparison with all bounds at once; c is secret and exact.
    """
    exponents = np.arange(low, high + 1)
    bits = t.unsqueeze(-1) >= np.ldexp(1.0, step * exponents)
    return 2.0**-low - bits @ np.ldexp(1.0, -exponents - 1)


def _root_inverse(t: SecretTensor, frac_bits: int) -> SecretTensor:
    """A secret power of two between 1/(2 sqrt t) and 1/sqrt t."""
    bound = min(7, frac_bits - 1, 30 - frac_bits)
    return _powers(t, 2, -bound, min(bound, (30 - frac_bits) // 2))


def _quotient(x: SecretTensor, y: SecretTensor) -> SecretTensor:
    """x / y for 2^-12 < y < 2^14: y is normalised to [1/2, 1), inverted by three Newton steps. Error about 2^-12."""
    f = x.party.frac_bits
    c = _powers(y, 1, -min(12, f - 1, 30 - f), min(30 - f, f - 1))
    v = y * c
    r = 2.9142 - 2 * v
    for _ in range(3):
        r = r * (2 - v * r)
    return x * c * r


def _newton_schulz(a: SecretTensor, size: int, frac_bits: int) -> SecretTensor:
    """The inverse of a symmetric positive matrix with trace at most ``size``: V <- V (2 - A V) from V = 2^-p.

    An eigenvalue e is inverted up to (1 - e / 2^p)^(2^k); k stops where the rounding of V would start to grow.
    """
    p = math.ceil(math.log2(size)) if size > 1 else 0
    start = 2.0**-p
    eye = np.eye(size)
    a._value.settled()
    v: SecretTensor = (2 * start * eye) - a * start**2  # type: ignore[assignment]
    for _ in range(p + max(4, min(frac_bits - 7, 30 - frac_bits)) - 1):
        v = v @ (2 * eye - a @ v)
    v._value.settled()
    return v
