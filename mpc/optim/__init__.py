"""Optimisers and learning-rate schedules with public hyper-parameters."""
from mpc.optim import lr_scheduler
from mpc.optim.adam import Adam, AdamW
from mpc.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "lr_scheduler"]
