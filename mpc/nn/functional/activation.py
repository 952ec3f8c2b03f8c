"""Activations. What is not here is a method of tensors: relu, sigmoid, tanh, gelu, softmax, log_softmax."""
from __future__ import annotations

from mpc.errors import ConfigError
from mpc.tensor import SecretTensor


def leaky_relu(input: SecretTensor, negative_slope: float = 0.01) -> SecretTensor:
    """max(x, 0) + negative_slope * min(x, 0): one ReLU. The gradient at 0 is 1."""
    return input.relu() * (1.0 - negative_slope) + input * negative_slope


def relu6(input: SecretTensor) -> SecretTensor:
    """x limited to [0, 6]."""
    return input.clip(0.0, 6.0)


def hardtanh(input: SecretTensor, min_val: float = -1.0, max_val: float = 1.0) -> SecretTensor:
    """x limited to [min_val, max_val]."""
    return input.clip(min_val, max_val)


def tanh(input: SecretTensor) -> SecretTensor:
    """`SecretTensor.tanh`."""
    return input.tanh()


def gelu(input: SecretTensor, approximate: str = "none") -> SecretTensor:
    """x Phi(x), as `SecretTensor.gelu`. ``approximate='tanh'`` gives the same, which differs from that formula by 5e-4 at
    most. Raises ConfigError."""
    if approximate not in ("none", "tanh"):
        raise ConfigError(f"gelu: approximate={approximate!r}; want 'none' or 'tanh'")
    return input.gelu()


def silu(input: SecretTensor) -> SecretTensor:
    """x sigmoid(x)."""
    return input * input.sigmoid()


def softmax(input: SecretTensor, dim: int) -> SecretTensor:
    """`SecretTensor.softmax`."""
    return input.softmax(dim)


def log_softmax(input: SecretTensor, dim: int) -> SecretTensor:
    """`SecretTensor.log_softmax`."""
    return input.log_softmax(dim)
