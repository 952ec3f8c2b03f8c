"""Losses as modules; see `mpc.nn.functional` for what they cost and when."""
from __future__ import annotations

from typing import Any

from mpc.nn import functional
from mpc.nn.module import Module
from mpc.tensor import SecretTensor

__all__ = ["BCEWithLogitsLoss", "MSELoss"]


class _Loss(Module):
    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction


class MSELoss(_Loss):
    """Mean squared error."""

    def forward(self, input: SecretTensor, target: Any) -> SecretTensor:
        return functional.mse_loss(input, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits and targets in [0, 1]."""

    def forward(self, input: SecretTensor, target: Any) -> SecretTensor:
        return functional.binary_cross_entropy_with_logits(input, target, self.reduction)
