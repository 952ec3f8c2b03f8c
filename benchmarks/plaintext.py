"""What the training is compared with: the data set, and the same model without secrets."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def breast_cancer() -> tuple[Floats, Floats, str]:
    """569 records of 30 columns (mean 0, deviation 1) and labels 0, 1, with a word on where they come from."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError:
        return _synthetic()
    x, y = load_breast_cancer(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), y.astype(np.float64), "breast cancer"


def _synthetic() -> tuple[Floats, Floats, str]:
    rng = np.random.Generator(np.random.PCG64(1))
    x = rng.standard_normal((569, 30))
    y = (x @ rng.standard_normal(30) + rng.standard_normal(569) > 0).astype(np.float64)
    return x, y, "synthetic (scikit-learn is not installed)"


def logistic_by_descent(
    x: Floats, y: Floats, weight: Floats, bias: Floats, epochs: int, rate: float
) -> tuple[Floats, Floats]:
    """Full-batch gradient descent on the mean cross-entropy in float64."""
    weight, bias = weight.copy(), bias.copy()
    for _ in range(epochs):
        error = 1 / (1 + np.exp(-(x @ weight + bias))) - y
        weight -= rate * (x.T @ error) / len(x)
        bias -= rate * error.mean()
    return weight, bias


def accuracy(x: Floats, y: Floats, weight: Any, bias: Any) -> int:
    """How many records a linear model has right."""
    return int((((x @ weight + bias) > 0) == (y > 0.5)).sum())


def sklearn_accuracy(x: Floats, y: Floats, test_x: Floats, test_y: Floats) -> int | None:
    """The same count for scikit-learn's logistic regression at its optimum; None where it is not installed."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return None
    return int((LogisticRegression(max_iter=1000).fit(x, y).predict(test_x) == test_y).sum())
