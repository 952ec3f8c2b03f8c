"""Losses of real targets."""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from mpc.autograd import Op
from mpc.errors import ConfigError
from mpc.nn.functional.reduction import count, factor, lazy, over, target_of, without_tape
from mpc.ops.elementwise import mul, scaled
from mpc.ops.value import Operand, Value, add
from mpc.tensor import SecretTensor


def _difference(x: Value, y: Operand) -> Value:
    d = add(x, y, -1)
    assert isinstance(d, Value)
    return d


def _gradients(slope: Callable[[Any], Operand]) -> tuple[Any, Any]:
    """Of a loss of x - y, whose slope comes from what the forward pass saved; its last argument is the reduction."""

    def gradient(sign: float) -> Callable[..., Operand]:
        def of(g: Any, saved: Any, x: Value, y: Operand, *rest: Any) -> Operand:
            return scaled(mul(over(g, x.shape), slope(saved), False), sign * factor(rest[-1], count(x)))

        return of

    return gradient(1.0), gradient(-1.0)


# --- squares
def _mse(x: Value, y: Operand, reduction: str) -> tuple[Value, Value]:
    d = _difference(x, y)
    value = lazy(x, x.shape, reduction, count(x), lambda: Value(d.party, d.party.protocol.square(d.settled())))
    return value, d


# --- absolute values
def _l1(x: Value, y: Operand, reduction: str) -> tuple[Value, Callable[[], Value]]:
    """The bits 1{d >= 0} serve value and gradient; they are computed when the first of them is."""
    d = _difference(x, y)
    positive = cache(lambda: without_tape(lambda t: t >= 0.0, d))
    return lazy(x, x.shape, reduction, count(x), lambda: add(scaled(mul(positive(), d), 2.0), d, -1)), positive


# --- squares near 0, absolute values elsewhere
def _huber(x: Value, y: Operand, delta: float, reduction: str) -> tuple[Value, Callable[[], Value]]:
    """c (d - c / 2) with c = d limited to [-delta, delta], which is the slope."""
    d = _difference(x, y)
    limited = cache(lambda: without_tape(lambda t: t.clip(-delta, delta), d))
    compute = lambda: mul(limited(), add(d, scaled(limited(), 0.5), -1))  # noqa: E731
    return lazy(x, x.shape, reduction, count(x), compute), limited


MSE = Op("mse_loss", _mse, _gradients(lambda d: scaled(d, 2.0)))
L1 = Op("l1_loss", _l1, _gradients(lambda positive: add(scaled(positive(), 2.0), -1.0)))
HUBER = Op("huber_loss", _huber, _gradients(lambda limited: limited()))


def mse_loss(input: SecretTensor, target: Any, *, reduction: str = "mean") -> SecretTensor:
    """Mean of (input - target)^2 over all elements; equal shapes. Lazy: the square is computed when the loss is used."""
    return MSE(input, target_of(input, target, reduction, "mse_loss"), reduction)


def l1_loss(input: SecretTensor, target: Any, *, reduction: str = "mean") -> SecretTensor:
    """Mean of |input - target|; equal shapes. Lazy. The gradient is 1 / n where input = target exactly (torch's is 0), and
    costs one comparison per element. Range |input - target| < 2^15."""
    return L1(input, target_of(input, target, reduction, "l1_loss"), reduction)


def huber_loss(input: SecretTensor, target: Any, reduction: str = "mean", delta: float = 1.0) -> SecretTensor:
    """Mean of d^2 / 2 where |d| <= delta, of delta (|d| - delta / 2) elsewhere, with d = input - target; equal shapes.

    Lazy. The gradient costs two comparisons per element. Raises ConfigError for delta <= 0.
    """
    if not delta > 0:
        raise ConfigError(f"huber_loss: delta={delta}; want a number above 0")
    return HUBER(input, target_of(input, target, reduction, "huber_loss"), float(delta), reduction)


def smooth_l1_loss(input: SecretTensor, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> SecretTensor:
    """`huber_loss` with delta = beta, divided by beta; `l1_loss` for beta = 0. Raises ConfigError for beta < 0."""
    if beta < 0:
        raise ConfigError(f"smooth_l1_loss: beta={beta}; want a number of at least 0")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return huber_loss(input, target, reduction=reduction, delta=beta) * (1.0 / beta)
