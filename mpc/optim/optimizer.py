"""What optimisers share: parameter groups with public hyper-parameters."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mpc.autograd import Variable
from mpc.errors import ConfigError
from mpc.tensor import SecretTensor


class Optimizer:
    """``params``: tensors that require gradients, or dicts {"params": tensors, option: value, ...} as in torch.

    ``param_groups`` holds the options of each group; changing ``group["lr"]`` between steps is allowed.
    """

    param_groups: list[dict[str, Any]]
    state: dict[int, dict[str, Any]]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        listed = list(params)
        if not listed:
            raise ConfigError(f"{type(self).__name__}: no parameters to optimise")
        groups = listed if isinstance(listed[0], dict) else [{"params": listed}]
        self.param_groups = []
        self.state = {}
        seen: set[int] = set()
        for group in groups:
            unknown = group.keys() - defaults.keys() - {"params"}
            if unknown:
                raise ConfigError(f"{type(self).__name__}: unknown options {sorted(unknown)}; want {sorted(defaults)}")
            tensors = [group["params"]] if isinstance(group["params"], Variable) else list(group["params"])
            for p in tensors:
                if not isinstance(p, SecretTensor) or not p.is_leaf or not p.requires_grad:
                    raise ConfigError(f"{type(self).__name__}: got {p!r}; want leaf tensors with requires_grad=True")
                if id(p) in seen:
                    raise ConfigError(f"{type(self).__name__}: a parameter of shape {tuple(p.shape)} is given twice")
                seen.add(id(p))
            self.param_groups.append({**defaults, **group, "params": tensors})

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None
