"""Models in torch's manner: modules, layers, losses."""
from mpc.nn import functional
from mpc.nn.layers import (
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Identity,
    Linear,
    MaxPool1d,
    MaxPool2d,
    ModuleList,
    ReLU,
    Sequential,
    Sigmoid,
)
from mpc.nn.loss import BCEWithLogitsLoss, MSELoss
from mpc.nn.module import Module, Parameter

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "Conv1d",
    "Conv2d",
    "Flatten",
    "Identity",
    "Linear",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "functional",
]  # fmt: skip
