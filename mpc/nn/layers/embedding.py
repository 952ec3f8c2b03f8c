"""Embedding of secret classes."""
from __future__ import annotations

from typing import Any

from mpc import party
from mpc.errors import ConfigError
from mpc.nn.functional.onehot import embedding
from mpc.nn.module import Module, Parameter
from mpc.tensor import SecretTensor


class Embedding(Module):
    """Rows of a table by secret (or public) integers; see `mpc.nn.functional.embedding`. For inputs that are one-hot rows
    already, multiply: ``rows @ layer.weight``. Initial values are torch's, normal with deviation 1 and zeros in the row
    ``padding_idx``, from the public generator."""

    weight: Parameter

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        if num_embeddings < 1 or embedding_dim < 1:
            raise ConfigError(f"Embedding({num_embeddings}, {embedding_dim}): want at least one row and column")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ConfigError(f"Embedding: padding_idx={padding_idx} of {num_embeddings} rows")
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        table = party.current().public_rng.normal(size=(num_embeddings, embedding_dim))
        if padding_idx is not None:
            table[padding_idx] = 0.0
        self.weight = Parameter(table)

    def forward(self, x: Any) -> SecretTensor:
        return embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
