"""What losses share.

A loss is *lazy*: its gradient does not need its value, so the value is computed - and costs rounds - only when it is
revealed or used in arithmetic other than sums and public multiples. All parties use it at the same point, or none does.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mpc.autograd import Variable, no_grad
from mpc.errors import ConfigError, NotSupported
from mpc.ops.elementwise import operand, same_shape
from mpc.ops.value import LazyValue, Operand, Value, total
from mpc.tensor import SecretTensor


def without_tape(function: Callable[..., SecretTensor], *values: Value) -> Value:
    """The value of a function of tensors; for what a loss or its gradient needs on the way."""
    with no_grad():
        return function(*(Variable.result(v) for v in values))._value


def lazy(x: Value, shape: tuple[int, ...], reduction: str, divisor: float, compute: Callable[[], Operand]) -> LazyValue:
    """The loss whose terms have ``shape`` and are what ``compute`` gives; 'mean' divides by ``divisor``."""

    def value() -> Value:
        v = compute()
        assert isinstance(v, Value)
        if reduction == "none":
            return v
        summed = total(v, None, False)
        assert isinstance(summed, Value)
        return summed.scaled(1.0 / divisor) if reduction == "mean" else summed

    return LazyValue(x.party, shape if reduction == "none" else (), value)


def factor(reduction: str, divisor: float) -> float:
    """What the reduction multiplies gradients with."""
    return 1.0 / divisor if reduction == "mean" else 1.0


def over(g: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of a reduction's result, repeated for every term."""
    if g.shape == shape:
        return g
    return g.broadcast_to(shape) if isinstance(g, Value) else np.broadcast_to(g, shape)


def count(x: Any) -> float:
    """How many terms a mean is over."""
    return float(math.prod(x.shape))


def checked_reduction(reduction: str, what: str) -> None:
    """Raise ConfigError for an unknown reduction."""
    if reduction not in ("mean", "sum", "none"):
        raise ConfigError(f"{what}: reduction {reduction!r}; want 'mean', 'sum' or 'none'")


def target_of(x: SecretTensor, target: Any, reduction: str, what: str) -> Any:
    """The target as a tensor or a public array, of x's shape. Raises ShapeError, ConfigError."""
    checked_reduction(reduction, what)
    y = operand(x, target)
    if not isinstance(y, Variable):
        y = np.asarray(y)
    same_shape(x, y, what)
    return y


def without_gradient(y: Any, what: str) -> Any:
    """Raise NotSupported for a target that requires a gradient."""
    if isinstance(y, Variable) and y.requires_grad:
        raise NotSupported(f"{what}: no gradient for targets; detach() them")
    return y
