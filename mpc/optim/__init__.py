"""Optimisers with public hyper-parameters."""
from mpc.optim.sgd import SGD

__all__ = ["SGD"]
