"""What linear models share: coefficients, and the prediction from them."""
from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from mpc.autograd import no_grad
from mpc.estimator import Estimator
from mpc.linear_model.system import System
from mpc.tensor import SecretTensor, constant

LOOK: Final = 2.0**12  # squares of changes are small


class LinearModel(Estimator):
    """``coef_`` (features,) or (targets, features) and ``intercept_`` () or (targets,): secret tensors."""

    coef_: SecretTensor
    intercept_: SecretTensor

    def _linear(self, x: Any) -> SecretTensor:
        """x @ coef.T + intercept, left at the product's scale."""
        with no_grad():
            out: SecretTensor = self._rows(x) @ self.coef_.T
            return out + self.intercept_

    def _change(self, change: SecretTensor) -> float:
        """The root mean square of a change of scaled coefficients, revealed."""
        square = self._reveal(change.square().mean() * LOOK, f"fit: mean square change (times {LOOK:g}), for tol", 5)
        return math.sqrt(max(square, 0.0) / LOOK)

    def _set(self, system: System, u: SecretTensor, bias: SecretTensor | None, flat: bool) -> None:
        """Attributes from coefficients u (features, targets) of the system's columns and the intercept there."""
        self.coef_ = (u * system.scale.unsqueeze(1)).T
        self.coef_._value.settled()
        targets = u.shape[1]
        if bias is None:
            bias = constant(np.zeros(targets))
        self.intercept_ = bias if system.mean is None else bias - self.coef_ @ system.mean
        self.intercept_._value.settled()
        if flat:
            self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        self.n_features_in_ = u.shape[0]
