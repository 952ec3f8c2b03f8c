"""Dropout."""
from __future__ import annotations

import numpy as np

from mpc.errors import ConfigError
from mpc.tensor import SecretTensor


def dropout(input: SecretTensor, p: float = 0.5, training: bool = True) -> SecretTensor:
    """Elements dropped with probability p, the others divided by 1 - p; in evaluation the input itself. Local.

    The mask is PUBLIC: it comes from the public generator (`mpc.manual_seed`), so everybody knows which units a step
    leaves out; it says nothing about data. Raises ConfigError.
    """
    if not 0.0 <= p <= 1.0:
        raise ConfigError(f"dropout: p={p}; want 0 to 1")
    if not training or p == 0.0:
        return input
    kept = (input.party.public_rng.random(input.shape) >= p).astype(np.int64)
    dropped: SecretTensor = input * kept
    return dropped * (1.0 / (1.0 - p)) if p < 1.0 else dropped
