"""Linear models with scikit-learn's names, fitted on tensors nobody can see.

``fit`` takes SecretTensors (or public arrays for one of X and y), whoever owns which rows or columns; ``coef_`` and
``intercept_`` are SecretTensors, opened only by their ``reveal``. ``predict`` takes secret or public rows and gives a
SecretTensor. ``score`` reveals one number, with a line in the ledger.
"""
from mpc.linear_model.lasso import ElasticNet, Lasso
from mpc.linear_model.logistic import LogisticRegression
from mpc.linear_model.ridge import LinearRegression, Ridge

__all__ = ["ElasticNet", "Lasso", "LinearRegression", "LogisticRegression", "Ridge"]
