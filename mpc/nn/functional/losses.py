"""Losses.

A loss is *lazy*: its gradient does not need its value, so the value is computed - and costs rounds - only when it is
revealed or used in arithmetic other than sums and public multiples. All parties use it at the same point, or none does.
"""
from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from mpc.autograd import Op, Variable
from mpc.errors import ConfigError, NotSupported
from mpc.ops.elementwise import mul, operand, product, same_shape, scaled
from mpc.ops.nonlinear import sigmoid_value
from mpc.ops.value import LazyValue, Operand, Value, add, from_public, total
from mpc.tensor import SecretTensor


def _reduced(v: Operand, reduction: str) -> Value:
    assert isinstance(v, Value)
    if reduction == "none":
        return v
    summed = total(v, None, False)
    assert isinstance(summed, Value)
    return summed.scaled(1.0 / math.prod(v.shape)) if reduction == "mean" else summed


def _lazy(x: Value, reduction: str, compute: Any) -> LazyValue:
    return LazyValue(x.party, x.shape if reduction == "none" else (), lambda: _reduced(compute(), reduction))


def _factor(x: Value, reduction: str) -> float:
    return 1.0 / math.prod(x.shape) if reduction == "mean" else 1.0


def _over(g: Any, x: Value) -> Any:
    """The gradient of a reduction's result, repeated for every element."""
    if g.shape == x.shape:
        return g
    return g.broadcast_to(x.shape) if isinstance(g, Value) else np.broadcast_to(g, x.shape)


# --- mean squared error
def _mse(x: Value, y: Value, reduction: str) -> tuple[Value, Value]:
    d = add(x, y, -1)
    assert isinstance(d, Value)
    return _lazy(x, reduction, lambda: Value(d.party, d.party.protocol.square(d.settled()))), d


def _mse_gradient(sign: float) -> Any:
    return lambda g, d, x, y, reduction: scaled(mul(_over(g, x), d, False), 2.0 * sign * _factor(x, reduction))


MSE = Op("mse_loss", _mse, (_mse_gradient(1.0), _mse_gradient(-1.0)))


# --- binary cross-entropy with logits
# -log(1 - q) on [0, 1/2], orders 1 to 4, minimax (linear program on 2,001 points): largest error 6.7e-5
LOG_SERIES: Final = (0.996185, 0.566349, -0.011275, 0.87696)
BCE_MAX_ERROR: Final = 6e-4  # the series, and twice the error of the sigmoid kernel


def _bce(z: Value, y: Value, reduction: str) -> Value:
    return _lazy(z, reduction, lambda: _bce_value(z, y))


def _bce_value(z: Value, y: Value) -> Value:
    """max(z, 0) - z y + log(1 + exp(-|z|)), the last term as -log(1 - q) of q = sigmoid(-|z|) by `LOG_SERIES`."""
    protocol, party = z.party.protocol, z.party
    share = z.settled()
    positive = Value(party, protocol.relu(share)[0])
    minus_size = add(z, positive.scaled(2.0), -1)
    assert isinstance(minus_size, Value)
    q = sigmoid_value(minus_size)
    series: Operand = np.full(q.shape, LOG_SERIES[-1])
    for coefficient in (*LOG_SERIES[-2::-1], 0.0):  # Horner
        series = add(mul(series, q), coefficient)
    out = add(add(positive, product(z, y), -1), series)
    assert isinstance(out, Value)
    return out


def _bce_gradient(g: Any, _: Any, z: Value, y: Value, reduction: str) -> Operand:
    """(sigmoid(z) - y) / n: no product, and n stays a public factor beside the share."""
    return scaled(mul(_over(g, z), add(sigmoid_value(z), y, -1), False), _factor(z, reduction))


BCE = Op("binary_cross_entropy_with_logits", _bce, (_bce_gradient, None))


def _checked(x: SecretTensor, target: Any, reduction: str, what: str) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ConfigError(f"{what}: reduction {reduction!r}; want 'mean', 'sum' or 'none'")
    y = operand(x, target)
    if not isinstance(y, Variable):
        y = SecretTensor(from_public(x.party, np.asarray(y)))
    same_shape(x, y, what)
    return y


def mse_loss(input: SecretTensor, target: Any, reduction: str = "mean") -> SecretTensor:
    """Mean of (input - target)^2 over all elements; equal shapes. Lazy: the square is computed when the loss is used."""
    return MSE(input, _checked(input, target, reduction, "mse_loss"), reduction)


def binary_cross_entropy_with_logits(input: SecretTensor, target: Any, reduction: str = "mean") -> SecretTensor:
    """Mean of softplus(z) - z y over all elements, z = input, y = target in [0, 1]; equal shapes.

    The gradient is exact up to the sigmoid kernel. Lazy: the value is computed when it is used, with an error of at
    most `BCE_MAX_ERROR` beside rounding. Raises NotSupported for targets that require a gradient.
    """
    y = _checked(input, target, reduction, "binary_cross_entropy_with_logits")
    if y.requires_grad:
        raise NotSupported("binary_cross_entropy_with_logits: no gradient for targets; detach() them")
    return BCE(input, y, reduction)
