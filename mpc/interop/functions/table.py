"""The table of functions that a graph may call: torch's names on one side, the engine's operations on the other."""
from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from mpc.errors import NotSupported
from mpc.fixed_point import as_array
from mpc.interop.architecture import Arg, Group, Ref, Slice
from mpc.tensor import SecretTensor, constant

RENAMED: Final = {"axis": "dim", "keepdims": "keepdim", "x": "input"}  # NumPy's names, which torch takes too
#: Arguments of torch that say nothing about the result here.
IGNORED: Final = ("inplace", "_stacklevel", "memory_format", "non_blocking", "copy", "sparse", "scale_grad_by_freq")

_F = TypeVar("_F", bound=Callable[..., Any])


class Function(NamedTuple):
    """``apply`` takes torch's arguments by torch's names. ``limits``: what an argument may be, where not everything is
    supported. ``view``: the result shares torch's memory with the first argument. ``free``: no rounds, nothing to report."""

    name: str
    apply: Callable[..., Any]
    names: tuple[str, ...]
    limits: Mapping[str, tuple[Any, ...]]
    view: bool
    free: bool

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The arguments as `apply` takes them. Raises TypeError saying which it does not take."""
        named = {RENAMED.get(k, k): v for k, v in kwargs.items() if k not in IGNORED}
        bound = inspect.signature(self.apply).bind(*args, **named)
        for name, allowed in self.limits.items():
            got = bound.arguments.get(name, allowed[0])
            if not isinstance(got, (Ref, SecretTensor)) and plain(got) not in allowed:
                raise TypeError(f"{name}={plain(got)!r}; want {' or '.join(map(repr, allowed))}")
        for value in numbers((*args, *named.values())):
            if not math.isfinite(value):
                raise TypeError(f"the number {value}; want a finite one, e.g. -1e4 where softmax follows")
        return args, named


#: What to use instead of functions and methods, by the last part of their names.
INSTEAD: Final = {
    "argsort": "use sort()",
    "bernoulli": "use dropout(), whose mask is public",
    "cumprod": "unroll it over a public number of steps",
    "cumsum": "use a product with a public triangular matrix",
    "einsum": "use permute(), matmul and sum()",
    "elu": "use relu, leaky_relu or gelu",
    "gather": "use a product with one-hot rows",
    "group_norm": "use BatchNorm2d or layer_norm",
    "index_select": "use x[public integers], or a product with one-hot rows",
    "interpolate": "use unsqueeze(), expand() and reshape()",
    "item": "nothing secret may decide a step; use where()",
    "logsumexp": "use log_softmax(), or exp(), sum() and log()",
    "mish": "use relu, leaky_relu or gelu",
    "multi_head_attention_forward": "write it with linear, matmul and softmax",
    "nonzero": "positions of secret values are secret: use where()",
    "norm": "use square(), sum() and sqrt()",
    "pad": "use cat() with public zeros, or the layer's own padding",
    "prod": "use * over a public number of factors",
    "selu": "use relu, leaky_relu or gelu",
    "softplus": "use relu, leaky_relu or gelu",
    "tril": "multiply by a public mask",
    "triu": "multiply by a public mask",
}

FUNCTIONS: Final[dict[str, Function]] = {}


def function(*names: str, view: bool = False, free: bool = False, **limits: tuple[Any, ...]) -> Callable[[_F], _F]:
    """Register the decorated function under its own name for torch's ``names``: "torch.x", "F.x" (nn.functional),
    "operator.x", "Tensor.x" (a method)."""

    def register(apply: _F) -> _F:
        name = apply.__name__.rstrip("_")
        FUNCTIONS[name] = Function(name, apply, names, limits, view, free or view)
        return apply

    return register


def by_name() -> dict[str, str]:
    """torch's dotted name to the table's."""
    return {name: entry.name for entry in FUNCTIONS.values() for name in entry.names}


def plain(arg: Any) -> Any:
    """An argument without references as Python's own value."""
    if isinstance(arg, Group):
        items = [plain(item) for item in arg.items]
        return items if arg.mutable else tuple(items)
    return arg


def numbers(args: Sequence[Arg | Any]) -> Iterator[float]:
    """All floats among arguments."""
    for arg in args:
        if isinstance(arg, float):
            yield arg
        elif isinstance(arg, Group):
            yield from numbers(arg.items)
        elif isinstance(arg, Slice):
            yield from numbers((arg.start, arg.stop, arg.step))


def is_public(x: Any) -> bool:
    """A public array: weights that are nobody's secret, literals, public inputs."""
    return isinstance(x, np.ndarray)


def secret(x: Any) -> SecretTensor:
    """A tensor, from a public array if need be. Raises NotSupported for what is neither."""
    if isinstance(x, SecretTensor):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return constant(as_array(x))
    raise NotSupported(f"got {type(x).__name__} where a tensor is wanted")


def sizes(first: Sequence[Any], named: Any = None) -> tuple[Any, ...]:
    """f(2, 3), f((2, 3)) and f(name=(2, 3)) alike."""
    if named is not None:
        return tuple(named)
    if len(first) == 1 and isinstance(first[0], (tuple, list)):
        return tuple(first[0])
    return tuple(first)
