"""Models in torch's manner: modules, layers, losses."""
from mpc.nn import functional
from mpc.nn.layers import Flatten, Linear, ModuleList, ReLU, Sequential, Sigmoid
from mpc.nn.loss import BCEWithLogitsLoss, MSELoss
from mpc.nn.module import Module, Parameter

__all__ = [
    "BCEWithLogitsLoss",
    "Flatten",
    "Linear",
    "MSELoss",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "functional",
]  # fmt: skip
