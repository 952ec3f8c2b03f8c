"""Layers."""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, overload

from mpc import party
from mpc.errors import ConfigError
from mpc.nn import functional
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
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class ReLU(Module):
    """max(x, 0); in one kernel with the truncation of the layer before it."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.relu()


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.sigmoid()


class Flatten(Module):
    """Axes start_dim to end_dim merged into one; the first is the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: SecretTensor) -> SecretTensor:
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class ModuleList(Module):
    """A list of modules whose parameters are the owner's."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        if not isinstance(module, Module):
            raise ConfigError(f"{type(self).__name__}: got {type(module).__name__}; want a Module")
        setattr(self, str(len(self._modules)), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> list[Module]: ...
    def __getitem__(self, index: int | slice) -> Module | list[Module]:
        return list(self._modules.values())[index]


class Sequential(ModuleList):
    """Modules one after the other."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x
