"""What estimators in scikit-learn's manner share: parameters, checked data, secret class labels, scores.

An estimator's ``fit`` reveals nothing unless it is asked to by ``tol`` or ``verbose``; ``score`` reveals one number. Each
is a line in the ledger.
"""
from mpc.estimator.base import Classifier, Estimator, Regressor, columns, data, secret
from mpc.estimator.labels import Classes, Labels, labels
from mpc.estimator.powers import power_of_two, quotient

__all__ = [
    "Classes", "Classifier", "Estimator", "Labels", "Regressor", "columns", "data", "labels", "power_of_two", "quotient",
    "secret",
]  # fmt: skip
