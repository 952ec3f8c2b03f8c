"""Layers, one file per kind."""
from mpc.nn.layers.activation import ReLU, Sigmoid
from mpc.nn.layers.containers import ModuleList, Sequential
from mpc.nn.layers.conv import Conv1d, Conv2d
from mpc.nn.layers.linear import Identity, Linear
from mpc.nn.layers.pooling import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from mpc.nn.layers.shape import Flatten

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "Flatten",
    "Identity",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "ModuleList",
    "ReLU",
    "Sequential",
    "Sigmoid",
]  # fmt: skip
