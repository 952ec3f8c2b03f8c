"""Layers, one file per kind."""
from mpc.nn.layers.activation import GELU, Hardtanh, LeakyReLU, LogSoftmax, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from mpc.nn.layers.containers import ModuleList, Sequential
from mpc.nn.layers.conv import Conv1d, Conv2d
from mpc.nn.layers.dropout import Dropout
from mpc.nn.layers.embedding import Embedding
from mpc.nn.layers.linear import Identity, Linear
from mpc.nn.layers.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from mpc.nn.layers.pooling import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from mpc.nn.layers.shape import Flatten, Unflatten

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Hardtanh",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "ModuleList",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Unflatten",
]  # fmt: skip
