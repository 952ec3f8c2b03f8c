"""Classification by log-odds that are linear in the features."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mpc.autograd import no_grad
from mpc.estimator import Classes, Classifier, data, labels, secret
from mpc.linear_model.base import LinearModel
from mpc.linear_model.system import System, exponent
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from typing import Self


class LogisticRegression(LinearModel, Classifier):
    """Two classes (log-odds of the second) or more (softmax of a score each): minimises the sum of log-losses +
    ||w||^2 / (2 C), scikit-learn's objective.

    Method: columns are centred and scaled by secret powers of two as for `Ridge`. The curvature is bounded by that of
    1/4 X.T X (two classes) or 1/2 X.T X (Boehning), whose inverse is found once; a step is that inverse times the
    gradient, with Nesterov's momentum (k - 1) / (k + 2): no learning rate, and badly conditioned columns do no harm. X is
    opened once; an iteration opens coefficients and errors: 10 rounds for two classes, 20 to 25 for more, after about 70.
    ``max_iter`` iterations: 50 reach scikit-learn's accuracy for two or three classes, the ten of digits take 100. With
    ``tol`` every tenth one reveals the root mean square of the last change of the scaled coefficients, and fit ends below
    ``tol``; otherwise fit reveals nothing. ``classes``: the values that labels may have or their number; see
    `mpc.estimator.labels`. Range: as `Ridge`.
    Error: probabilities within 0.02 of scikit-learn's where its optimum is reached (few classes, or much regularised);
    coefficients in weak directions to a few hundredths, since sigmoid and softmax have errors of 1e-4.
    """

    n_iter_: int

    def __init__(
        self,
        C: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float | None = None,
        classes: Classes = None,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.classes = classes
        self._want("C", C > 0, "a number above 0 (math.inf for no penalty)")
        self._want("max_iter", max_iter >= 1, "at least 1")
        self._want("tol", tol is None or tol > 0, "None or a number above 0")

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features) and labels y, (rows,) or (rows, 1), or one-hot rows. Raises ShapeError, ConfigError."""
        x = data(X)
        rows, features = x.shape
        with no_grad(), x.party.scope(type(self).__name__):
            known = labels(y, rows, self.classes)
            two = len(known.classes) == 2
            target = known.column().reshape(rows, 1) if two else known.one_hot
            system = System(
                x,
                0.0 if math.isinf(self.C) else 2.0 ** -exponent(rows) / self.C,
                centre=self.fit_intercept,
                ones=self.fit_intercept,
                curvature=0.25 if two else 0.5,
            )
            w = self._descend(system, target, two)
            bias = w[features] if self.fit_intercept else None
            self._set(system, w[:features], bias, flat=False)
            self.classes_ = known.classes
        return self

    def _descend(self, system: System, target: Any, two: bool) -> SecretTensor:
        """Coefficients (features, scores) of the system's columns."""
        inverse = system.inverse()
        w = system.times(inverse, system.gradient(secret(target - 1 / (2 if two else target.shape[1]))))
        ahead, self.n_iter_ = w, 1
        for k in range(2, self.max_iter + 1):
            z = system.x @ ahead
            p = z.sigmoid() if two else z.softmax(dim=1)
            before, w = w, ahead + system.times(inverse, system.gradient(target - p, ahead))
            ahead = w + (w - before) * ((k - 1) / (k + 2))
            self.n_iter_ = k
            if self.tol is not None and k % 10 == 0 and self._change(w - before) < self.tol:
                break
        return w

    def decision_function(self, X: Any) -> SecretTensor:
        """X @ coef.T + intercept: log-odds of the second class (rows,), or scores (rows, classes)."""
        z = self._linear(X)
        return z.flatten() if z.shape[1] == 1 and len(self.classes_) == 2 else z
