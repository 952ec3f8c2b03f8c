"""Layers that only move elements: local."""
from __future__ import annotations

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
