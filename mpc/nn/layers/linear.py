"""The dense layer and the layer that does nothing."""
from __future__ import annotations

import math
from typing import Any

from mpc import party
from mpc.errors import ConfigError
from mpc.nn.functional.linear import linear
from mpc.nn.module import Module, Parameter
from mpc.tensor import SecretTensor


class Linear(Module):
    """x @ weight.T + bias: (..., in_features) to (..., out_features).

    Initial values are torch's, uniform within 1 / sqrt(in_features), drawn from the session's public generator
    (`mpc.manual_seed`): known to everybody until the first update. Rounds: one for what is not open yet; the truncation
    is done by what follows, in one kernel with a ReLU.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ConfigError(f"Linear({in_features}, {out_features}): want at least one feature each")
        self.in_features, self.out_features = in_features, out_features
        rng = party.current().public_rng
        limit = 1.0 / math.sqrt(in_features)
        self.weight = Parameter(rng.uniform(-limit, limit, (out_features, in_features)))
        self.bias = Parameter(rng.uniform(-limit, limit, out_features)) if bias else None

    def forward(self, x: SecretTensor) -> SecretTensor:
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """Its input; takes and ignores any arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        return x
