"""Dropout."""
from __future__ import annotations

from mpc.errors import ConfigError
from mpc.nn.functional.dropout import dropout
from mpc.nn.module import Module
from mpc.tensor import SecretTensor


class Dropout(Module):
    """In training, elements dropped with probability p by a PUBLIC mask; see `mpc.nn.functional.dropout`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ConfigError(f"Dropout({p}); want a probability from 0 to 1")
        self.p = p

    def forward(self, x: SecretTensor) -> SecretTensor:
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
