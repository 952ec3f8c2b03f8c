"""Classifier and regressor."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.estimator import Classes, Classifier, Regressor, columns, data, labels, secret
from mpc.neural_network.base import Network
from mpc.nn import functional
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from typing import Self


class MLPClassifier(Network, Classifier):
    """A network of dense layers that minimises the mean log-loss + alpha / (2 rows of a batch) ||w||^2 per batch.

    Two classes have one output (its log-odds), more have a softmax. Arguments are scikit-learn's, all public:
    ``hidden_layer_sizes``, ``activation`` ('relu', 'logistic', 'tanh', 'identity'), ``solver`` ('sgd' with ``momentum`` and
    ``nesterovs_momentum``, or 'adam' with ``beta_1``, ``beta_2``, ``epsilon``), ``alpha``, ``batch_size`` ('auto': 200 rows
    or all), ``learning_rate_init`` (None: 0.1 for sgd, 0.005 for adam), ``max_iter`` epochs, ``shuffle``, ``random_state`` (a
    public seed of weights and shuffles; None: the session's). ``classes``: as `LogisticRegression`'s. Scale columns to
    about mean 0 and variance 1. fit reveals nothing, unless ``verbose`` or ``tol`` is given: then one mean loss per epoch
    (``loss_curve_``), and with ``tol`` fit ends when ``n_iter_no_change`` epochs did not lower it by that much.
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        classes: Classes = None,
        **options: Any,
    ) -> None:
        super().__init__(hidden_layer_sizes, activation, **options)
        self.classes = classes

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features) and labels y, (rows,) or (rows, 1), or one-hot rows. Raises ShapeError, ConfigError."""
        x = data(X)
        with x.party.scope(type(self).__name__):
            known = labels(y, x.shape[0], self.classes)
            two = len(known.classes) == 2
            target = secret(known.column()).unsqueeze(1) if two else secret(known.one_hot)
        self.classes_ = known.classes
        return self._fit(x, target)

    def _loss(self, out: SecretTensor, target: SecretTensor) -> SecretTensor:
        if out.shape[1] == 1:
            return functional.binary_cross_entropy_with_logits(out, target)
        return functional.cross_entropy(out, target)

    def decision_function(self, X: Any) -> SecretTensor:
        """What the last layer gives before sigmoid or softmax: (rows,) for two classes, else (rows, classes)."""
        z = self._outputs(X)
        return z.flatten() if z.shape[1] == 1 else z


class MLPRegressor(Network, Regressor):
    """A network of dense layers that minimises half the mean squared error + alpha / (2 rows of a batch) ||w||^2 per batch.

    Arguments and what is revealed: see `MLPClassifier`. Targets should be of size 1 or so: scale them.
    """

    _flat: bool

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X (rows, features), y (rows,) or (rows, targets). Raises ShapeError."""
        x = data(X)
        target = columns(y, x.shape[0])
        self._flat = np.ndim(y) == 1
        return self._fit(x, target)

    def _loss(self, out: SecretTensor, target: SecretTensor) -> SecretTensor:
        return functional.mse_loss(out, target) * (0.5 * out.shape[1])

    def predict(self, X: Any) -> SecretTensor:
        """Predictions (rows,) or (rows, targets) as a secret tensor; X secret or public."""
        out = self._outputs(X)
        return out.flatten() if self._flat else out
