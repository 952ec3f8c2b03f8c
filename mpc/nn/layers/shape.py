"""Layers that only move elements: local."""
from __future__ import annotations

from typing import Any

from mpc.errors import ShapeError
from mpc.nn.module import Module
from mpc.tensor import SecretTensor


class Flatten(Module):
    """Axes start_dim to end_dim merged into one; the first is the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Axis ``dim`` split into ``unflattened_size``, of which one may be -1."""

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: SecretTensor) -> SecretTensor:
        at = self.dim + x.ndim if self.dim < 0 else self.dim
        if not 0 <= at < x.ndim:
            raise ShapeError(f"Unflatten: axis {self.dim} of shape {tuple(x.shape)}")
        return x.reshape(*x.shape[:at], *self.unflattened_size, *x.shape[at + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
