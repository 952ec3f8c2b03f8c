"""Parameters, checked data and scores of estimators, regressors and classifiers."""
from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpc import fixed_point
from mpc.autograd import no_grad
from mpc.errors import ConfigError, SessionError, ShapeError
from mpc.estimator.labels import labels
from mpc.estimator.powers import power_of_two, quotient
from mpc.tensor import SecretTensor, constant, stack

if TYPE_CHECKING:
    from typing import Self


class Estimator:
    """Constructor arguments are attributes of the same name; what ``fit`` finds ends with an underscore."""

    n_features_in_: int

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        names: list[str] = []
        for kind in type(self).__mro__:
            own = vars(kind).get("__init__")
            if own is None:
                continue
            found = list(inspect.signature(own).parameters.values())[1:]
            names += [p.name for p in found if p.kind is not inspect.Parameter.VAR_KEYWORD]
            if not found or found[-1].kind is not inspect.Parameter.VAR_KEYWORD:
                break  # otherwise it passes **options on
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change the constructor's arguments. Raises ConfigError for unknown or bad ones; then nothing has changed."""
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ConfigError(f"{type(self).__name__} has no parameter {name!r}; it has {sorted(known)}")
        vars(self).update(vars(type(self)(**{**known, **params})))
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def _want(self, name: str, good: bool, want: str) -> None:
        """Raise ConfigError about the argument ``name`` unless it is good."""
        if not good:
            raise ConfigError(f"{type(self).__name__}: {name}={getattr(self, name)!r}; want {want}")

    def _rows(self, x: Any) -> Any:
        """X (rows, features) for a prediction: a secret tensor, or an array. Raises SessionError, ShapeError."""
        if "n_features_in_" not in vars(self):
            raise SessionError(f"this {type(self).__name__} is not fitted; call fit(X, y) first")
        x = x.detach() if isinstance(x, SecretTensor) else fixed_point.as_array(x)
        if x.ndim != 2 or x.shape[1] != self.n_features_in_:
            raise ShapeError(f"got X of shape {tuple(x.shape)}; want (rows, {self.n_features_in_})")
        return x

    def _reveal(self, x: SecretTensor, reason: str, depth: int = 3) -> float:
        """Open one number to everybody; the ledger names the caller of the method that asks."""
        x.party.note("value", x._value.number)
        got = x.party.reveal(x._value.settled(exact=True), None, f"{type(self).__name__}.{reason}", False, depth)
        assert got is not None
        return float(got.reshape(-1)[0])


def secret(x: Any) -> SecretTensor:
    """A tensor without history; an array that all parties pass becomes one."""
    return x.detach() if isinstance(x, SecretTensor) else constant(x)


def data(x: Any) -> SecretTensor:
    """X (rows, features) as a tensor. Raises ShapeError."""
    out = secret(x)
    if out.ndim != 2 or not out.numel():
        raise ShapeError(f"got X of shape {tuple(out.shape)}; want (rows, features), none of them 0")
    return out


def columns(y: Any, rows: int) -> SecretTensor:
    """Targets (rows,) or (rows, targets) as (rows, targets). Raises ShapeError."""
    out = secret(y)
    if out.ndim == 1:
        out = out.unsqueeze(1)
    if out.ndim != 2 or out.shape[0] != rows or not out.numel():
        raise ShapeError(f"got y of shape {tuple(np.shape(y) if not isinstance(y, SecretTensor) else y.shape)} "
                         f"for {rows} rows of X; want (rows,) or (rows, targets)")
    return out


class Regressor(Estimator, ABC):
    """Estimators of real targets."""

    @abstractmethod
    def predict(self, X: Any) -> SecretTensor:
        """Predictions as a secret tensor."""

    def score(self, X: Any, y: Any) -> float:
        """The coefficient of determination R^2 (its mean over targets), error about 1e-3. Reveals this one number."""
        x = self._rows(X)
        want = columns(y, x.shape[0])
        with no_grad(), want.party.scope(f"{type(self).__name__}.score"):
            got = self.predict(x).reshape(*want.shape)
            spread = want - want.mean(0)
            rows = 2.0 ** -max(0, want.shape[0] - 1).bit_length()  # a power of two leaves the sum its range
            scale, _ = power_of_two(spread.square().sum(0) * rows, 2, -6, 14)
            ratio = quotient(((want - got) * scale).square().mean(0), (spread * scale).square().mean(0)).mean()
            return self._reveal(1 - ratio, "score: R^2")


class Classifier(Estimator, ABC):
    """Estimators of classes, of two by one column of log-odds, of more by a column of scores each."""

    classes_: npt.NDArray[Any]

    @abstractmethod
    def decision_function(self, X: Any) -> SecretTensor:
        """Scores as a secret tensor: (rows,) for two classes, else (rows, classes)."""

    def _bits(self, X: Any) -> SecretTensor:
        """The predicted classes: the bit of the second of two, (rows,), or one-hot rows."""
        z = self.decision_function(X)
        return z > 0 if z.ndim == 1 else z.argmax(dim=1, one_hot=True)

    def predict(self, X: Any) -> SecretTensor:
        """Classes (rows,), values of ``classes_``, as a secret tensor; X secret or public. One comparison per row, or
        an argmax."""
        x = self._rows(X)
        if self.classes_.dtype.kind not in "biuf":
            raise ConfigError(f"{type(self).__name__}.predict: classes {self.classes_.tolist()} are no numbers, so no tensor "
                              "can hold them; fit with their indices")
        with no_grad():
            bits = self._bits(x)
            if bits.ndim == 1:
                first, second = (x.item() for x in self.classes_.astype(np.float64))
                return bits if (first, second) == (0, 1) else bits * (second - first) + first
            return bits @ self.classes_

    def predict_proba(self, X: Any) -> SecretTensor:
        """Probabilities (rows, classes), error as the sigmoid kernel's or softmax's."""
        with no_grad():
            z = self.decision_function(X)
            if z.ndim == 2:
                return z.softmax(dim=1)
            p = z.sigmoid()
            return stack([1 - p, p], 1)

    def score(self, X: Any, y: Any) -> float:
        """Share of rows predicted right. Reveals this one number."""
        x = self._rows(X)
        known = labels(y, x.shape[0], self.classes_)
        bits = self._bits(x)
        with no_grad(), bits.party.scope(f"{type(self).__name__}.score"):
            if bits.ndim == 1:
                t = known.column()
                right = 1 - (t - bits * (2 * t - 1))  # y + p - 2 p y are the errors
            else:
                right = (bits * known.one_hot).sum(1)
            return self._reveal(right.mean(), "score: accuracy")
