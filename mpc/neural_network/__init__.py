"""Networks of dense layers with scikit-learn's names, trained on tensors nobody can see.

``fit`` takes SecretTensors (or public arrays for one of X and y), whoever owns which rows or columns. It reveals nothing,
unless ``tol`` or ``verbose`` asks for one loss per epoch. The weights are secret: ``coefs_``, ``intercepts_``, ``model_``.
"""
from mpc.neural_network.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
