"""Least squares with an L1 penalty, alone or beside an L2 penalty."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mpc.autograd import no_grad
from mpc.errors import ShapeError
from mpc.estimator import Regressor, columns, data, power_of_two
from mpc.linear_model.base import LinearModel
from mpc.linear_model.inverse import product, shortened
from mpc.linear_model.ridge import centred
from mpc.linear_model.system import System, exponent, tensor
from mpc.sharing import Share, add
from mpc.tensor import SecretTensor, stack

if TYPE_CHECKING:
    from typing import Self

STEP_BITS: Final = 22  # of the matrix of a step
START_BITS: Final = 30
WEAKEST, STRONGEST = -8, -1


class ElasticNet(LinearModel, Regressor):
    """Least squares with both penalties: minimises
    ||y - X w - b||^2 / (2 rows) + alpha l1_ratio ||w||_1 + alpha (1 - l1_ratio) ||w||^2 / 2, as scikit-learn's.

    Method: columns and targets are centred and scaled by secret powers of two as for `Ridge`; then ADMM with
    over-relaxation: a product with (X.T X + R)^-1 R, found once, and a soft threshold by one ReLU. R holds a secret power
    of two per column, near the root of its threshold. About 90 rounds and 6 per iteration, which touches features only,
    no rows. ``n_iter_`` is ``max_iter`` (50 did as well as 100 on every set tried), unless ``tol`` is given: then every
    tenth iteration reveals the root mean square of the last change of the scaled coefficients, and fit ends below ``tol``.
    Otherwise fit reveals nothing. Range: as `Ridge`; alpha below 2^10 times the standard deviations of y and a column.
    Error: predictions as `Ridge`'s; coefficients to 1e-3 standard deviations of y per one of their column. Those that are
    zero are exactly zero; one within the error of its threshold may be either.
    """

    n_iter_: int

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self._want("alpha", alpha > 0 and math.isfinite(alpha), "a number above 0 (without a penalty: LinearRegression)")
        self._want("l1_ratio", 0 < l1_ratio <= 1, "a number above 0 and at most 1 (without an L1 penalty: Ridge)")
        self._want("max_iter", max_iter >= 1, "at least 1")
        self._want("tol", tol is None or tol > 0, "None or a number above 0")

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features), y (rows,) or (rows, 1). Raises ShapeError."""
        x = data(X)
        targets = columns(y, x.shape[0])
        if targets.shape[1] != 1:
            raise ShapeError(f"got y of shape {tuple(targets.shape)}; want (rows,): fit one target at a time")
        with no_grad(), x.party.scope(type(self).__name__):
            unit = x.shape[0] * 2.0 ** -exponent(x.shape[0])  # of the penalties, where sums over rows are scaled
            system = System(x, self.alpha * (1 - self.l1_ratio) * unit, centre=self.fit_intercept)
            targets, scale, factor, mean = centred(targets, self.fit_intercept)
            w = self._admm(system, targets, (system.scale * scale).unsqueeze(1), self.alpha * self.l1_ratio * unit)
            self._set(system, w * factor, mean, True)
        return self

    def _admm(self, system: System, targets: SecretTensor, scale: SecretTensor, weight: float) -> SecretTensor:
        """The coefficients (features, 1) of the scaled problem, with thresholds weight * scale.

        w = (G + R)^-1 (b + R (z - u)); v = 7/4 w - 3/4 z + u; z = soft(v, threshold / R); u = v - z.
        """
        party = system.party
        protocol, f = party.protocol, party.frac_bits
        threshold = scale * weight
        root, inverse_root = power_of_two(threshold, 2, WEAKEST, STRONGEST)
        r = (inverse_root * 0.5)._value.settled()  # between sqrt(threshold) / 2 and sqrt(threshold), 2^-9 and 1/2
        theta = protocol.mul(shortened(party, threshold._value.absorbed(), START_BITS), (root * 2)._value.settled())
        limit = tensor(party, shortened(party, theta, f))
        inverse = system.inverse(extra=r)
        start = seven_quarters(product(party, inverse, system.gradient(targets), START_BITS))
        step = seven_quarters(protocol.mul(inverse, r.reshape((1, -1))))
        step = shortened(party, step, STEP_BITS)
        protocol.open(step)
        z, u = _soft(tensor(party, shortened(party, start, f)), limit)
        self.n_iter_ = 1
        for k in range(2, self.max_iter + 1):
            ahead = add(start, protocol.matmul(step, (z - u)._value.settled()))
            v = tensor(party, shortened(party, add(ahead, (u - 0.75 * z)._value.absorbed()), f))
            before = z
            z, u = _soft(v, limit)
            self.n_iter_ = k
            if self.tol is not None and k % 10 == 0 and self._change(z - before) < self.tol:
                break
        return z

    def predict(self, X: Any) -> SecretTensor:
        """Predictions (rows,) as a secret tensor, for secret or public X. Raises ShapeError, SessionError."""
        return self._linear(X)


class Lasso(ElasticNet):
    """Least squares with an L1 penalty: minimises ||y - X w - b||^2 / (2 rows) + alpha ||w||_1; see `ElasticNet` for the
    method, its rounds, range and errors."""

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, max_iter: int = 100, tol: float | None = None
    ) -> None:
        super().__init__(alpha, l1_ratio=1.0, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol)


def seven_quarters(x: Share) -> Share:
    """x times 7/4, exactly."""
    return Share(x.words * np.uint64(7), x.scale + 2)


def _soft(v: SecretTensor, limit: SecretTensor) -> tuple[SecretTensor, SecretTensor]:
    """(v moved towards 0 by ``limit``, and how far it moved): one ReLU."""
    sides = stack([v - limit, -v - limit]).relu()
    z = sides[0] - sides[1]
    return z, v - z
