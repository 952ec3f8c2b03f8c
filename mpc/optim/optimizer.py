"""What optimisers share: parameter groups with public hyper-parameters."""
from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from mpc.autograd import Variable
from mpc.errors import ConfigError, ShapeError
from mpc.ops.value import Value
from mpc.sharing import Share, sub
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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Options and state with parameters by position, as in torch; what is secret in it stays shares."""
        place = {id(p): i for i, p in enumerate(self._parameters())}
        return {
            "param_groups": [{**group, "params": [place[id(p)] for p in group["params"]]} for group in self.param_groups],
            "state": {place[key]: dict(state) for key, state in self.state.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take options and state from `state_dict`, all or nothing. Raises ConfigError, ShapeError where it does not fit."""
        name, parameters = type(self).__name__, self._parameters()
        have, want = list(state_dict.get("param_groups", ())), self.state_dict()["param_groups"]
        nothing: dict[str, Any] = {}
        for got, group in zip_longest(have, want, fillvalue=nothing):
            if got.keys() != group.keys() or list(got["params"]) != group["params"]:
                raise ConfigError(f"load_state_dict: got groups {have!r}; this {name} has {want!r}")
        for i, entries in state_dict["state"].items():
            if not 0 <= i < len(parameters):
                raise ConfigError(f"load_state_dict: got state of parameter {i}; this {name} has {len(parameters)}")
            for key, value in entries.items():
                if isinstance(value, (Share, SecretTensor)) and tuple(value.shape) != parameters[i].shape:
                    raise ShapeError(f"load_state_dict: {key} of parameter {i} has shape {tuple(value.shape)}; "
                                     f"want {tuple(parameters[i].shape)}")
        for got, group in zip(have, self.param_groups, strict=True):
            group.update({key: value for key, value in got.items() if key != "params"})
        self.state = {id(parameters[i]): dict(entries) for i, entries in state_dict["state"].items()}

    def _parameters(self) -> list[Any]:
        return [p for group in self.param_groups for p in group["params"]]


def descend(p: SecretTensor, update: Share) -> None:
    """p -= update, which is at frac_bits. Local."""
    p._value = Value(p.party, sub(p._value.settled(), update))
