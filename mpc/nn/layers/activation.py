"""Activations; domains, errors and costs: the functions of tensors that they call."""
from __future__ import annotations

from mpc.errors import ConfigError
from mpc.nn.functional import activation
from mpc.nn.module import Module
from mpc.tensor import SecretTensor


class ReLU(Module):
    """max(x, 0); in one kernel with the truncation of the layer before it."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.relu()


class LeakyReLU(Module):
    """max(x, 0) + negative_slope * min(x, 0)."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: SecretTensor) -> SecretTensor:
        return activation.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Hardtanh(Module):
    """x limited to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ConfigError(f"Hardtanh({min_val}, {max_val}); want the smaller one first")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: SecretTensor) -> SecretTensor:
        return activation.hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class ReLU6(Module):
    """x limited to [0, 6]."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return activation.relu6(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.sigmoid()


class Tanh(Module):
    """tanh(x)."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.tanh()


class GELU(Module):
    """x Phi(x), Phi the normal distribution function."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: SecretTensor) -> SecretTensor:
        return activation.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return activation.silu(x)


class Softmax(Module):
    """exp(x) / sum of exp(x) along ``dim``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.softmax(self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of `Softmax`."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.log_softmax(self.dim)
