"""Models in torch's manner: modules, layers, losses."""
from mpc.nn import functional
from mpc.nn.layers import Conv1d, Conv2d, Flatten, Identity, Linear, ModuleList, ReLU, Sequential, Sigmoid
from mpc.nn.loss import BCEWithLogitsLoss, MSELoss
from mpc.nn.module import Module, Parameter

__all__ = [
    "BCEWithLogitsLoss",
    "Conv1d",
    "Conv2d",
    "Flatten",
    "Identity",
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
