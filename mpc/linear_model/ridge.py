"""Least squares, with and without an L2 penalty."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import no_grad
from mpc.estimator import Regressor, columns, data, power_of_two
from mpc.linear_model.base import LinearModel
from mpc.linear_model.system import HIGHEST, LOWEST, System, exponent
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from typing import Self


class Ridge(LinearModel, Regressor):
    """Least squares with an L2 penalty: minimises ||y - X w - b||^2 + alpha ||w||^2.

    Method: columns are centred and scaled to mean squares between 1/4 and 1 by secret powers of two (found by
    comparisons, so no scale is public and none needs to be known), the Gram matrix is inverted by Newton-Schulz
    iteration (products only, in more bits than tensors have), and ``refine`` steps of residual correction on the data
    remove the inverse's errors. About 80 + 6 refine rounds; nothing is revealed.
    Range: sums of squares below 2^30 at 16 fraction bits, standard deviations of columns and targets from 2^-9 to 2^14.
    Error: predictions agree with float64's to 1e-3 standard deviations of y, coefficients likewise per standard deviation
    of their column. Beside that coefficients have frac_bits bits: a column of standard deviation s adds s 2^-16 to a
    prediction's error. Directions in which scaled columns vary by less than 2^-16 of their sum of squares shrink as if alpha
    were larger there.
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, refine: int = 3) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.refine = refine
        self._want("alpha", alpha >= 0 and math.isfinite(alpha), "a number of at least 0")
        self._want("refine", refine >= 0, "at least 0")

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features), y (rows,) or (rows, targets). Raises ShapeError."""
        x = data(X)
        targets = columns(y, x.shape[0])
        with no_grad(), x.party.scope(type(self).__name__):
            system = System(x, self.alpha * 2.0 ** -exponent(x.shape[0]), centre=self.fit_intercept)
            targets, _, factor, mean = centred(targets, self.fit_intercept)
            inverse = system.inverse()
            w = system.times(inverse, system.gradient(targets))
            for _ in range(self.refine):
                w = w + system.times(inverse, system.gradient(targets - system.x @ w, w))
            self._set(system, w * factor, mean, np.ndim(y) == 1)
        return self

    def predict(self, X: Any) -> SecretTensor:
        """Predictions (rows,) or (rows, targets) as a secret tensor, for secret or public X. Raises ShapeError,
        SessionError."""
        return self._linear(X)


class LinearRegression(Ridge):
    """Ordinary least squares; see `Ridge` for the method, its rounds, range and errors.

    Collinear columns have no unique solution; the one found is small in the undetermined directions.
    """

    def __init__(self, *, fit_intercept: bool = True, refine: int = 3) -> None:
        super().__init__(0.0, fit_intercept=fit_intercept, refine=refine)


def centred(y: SecretTensor, centre: bool) -> tuple[SecretTensor, SecretTensor, SecretTensor, SecretTensor | None]:
    """y (rows, targets) scaled to mean squares in [1/4, 1), the secret powers of two that did it and that undo it, and
    the means taken off before."""
    mean = None
    if centre:
        mean = y.mean(0)
        mean._value.settled()
        y = y - mean
    scale, back = power_of_two(y.square().sum(0) * 2.0 ** -exponent(y.shape[0]), 2, LOWEST, HIGHEST)
    return y * scale, scale, back, mean
