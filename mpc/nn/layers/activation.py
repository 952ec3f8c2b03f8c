"""Activations."""
from __future__ import annotations

from mpc.nn.module import Module
from mpc.tensor import SecretTensor


class ReLU(Module):
    """max(x, 0); in one kernel with the truncation of the layer before it."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.relu()


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.sigmoid()
