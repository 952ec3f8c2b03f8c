"""Layers."""
from mpc.nn.layers.activation import ReLU, Sigmoid
from mpc.nn.layers.containers import ModuleList, Sequential
from mpc.nn.layers.conv import Conv1d, Conv2d
from mpc.nn.layers.linear import Identity, Linear
from mpc.nn.layers.shape import Flatten

__all__ = ["Conv1d", "Conv2d", "Flatten", "Identity", "Linear", "ModuleList", "ReLU", "Sequential", "Sigmoid"]
