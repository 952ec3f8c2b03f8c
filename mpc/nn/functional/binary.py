"""Binary cross-entropy of logits."""
from __future__ import annotations

from typing import Any, Final

import numpy as np

from mpc.autograd import Op, Variable
from mpc.errors import NotSupported
from mpc.nn.functional.reduction import count, factor, lazy, over, target_of, without_gradient
from mpc.ops.activations import sigmoid_value
from mpc.ops.elementwise import mul, operand, scaled
from mpc.ops.value import Operand, Value, add
from mpc.tensor import SecretTensor

# -log(1 - q) on [0, 1/2], orders 1 to 4, minimax (linear program on 2,001 points): largest error 6.7e-5
LOG_SERIES: Final = (0.996185, 0.566349, -0.011275, 0.87696)
BCE_MAX_ERROR: Final = 6e-4  # the series, and twice the error of the sigmoid kernel


def _softplus(z: Value) -> Operand:
    """max(z, 0) + log(1 + exp(-|z|)), the last term as -log(1 - q) of q = sigmoid(-|z|) by `LOG_SERIES`."""
    protocol, party = z.party.protocol, z.party
    share = z.settled()
    positive = Value(party, protocol.relu(share)[0])
    minus_size = add(z, positive.scaled(2.0), -1)
    assert isinstance(minus_size, Value)
    q = sigmoid_value(minus_size)
    series: Operand = np.full(q.shape, LOG_SERIES[-1])
    for coefficient in (*LOG_SERIES[-2::-1], 0.0):  # Horner
        series = add(mul(series, q), coefficient)
    return add(positive, series)


def _rise(y: Operand, positive: Any) -> Operand:
    """What multiplies softplus(z): 1 + (positive - 1) y."""
    return add(mul(y, positive - 1.0), 1.0)


def _value(z: Value, y: Operand, weight: Any, positive: Any) -> Operand:
    """softplus(z) - z y, or rise softplus(z) - positive z y."""
    if positive is None:
        terms = add(_softplus(z), mul(z, y), -1)
    else:
        terms = add(mul(_softplus(z), _rise(y, positive)), mul(mul(z, y), positive), -1)
    return terms if weight is None else mul(terms, weight)


def _bce(z: Value, y: Operand, weight: Any, positive: Any, reduction: str) -> Value:
    return lazy(z, z.shape, reduction, count(z), lambda: _value(z, y, weight, positive))


def _gradient(g: Any, _: Any, z: Value, y: Operand, weight: Any, positive: Any, reduction: str) -> Operand:
    """(sigmoid(z) - y) / n: no product, and n stays a public factor beside the share."""
    p: Operand = sigmoid_value(z)
    if positive is not None:
        p, y = mul(p, _rise(y, positive)), mul(y, positive)
    slope = add(p, y, -1)
    if weight is not None:
        slope = mul(slope, weight)
    return scaled(mul(over(g, z.shape), slope, False), factor(reduction, count(z)))


BCE = Op("binary_cross_entropy_with_logits", _bce, (_gradient, None))


def _public(x: SecretTensor, value: Any, what: str) -> Any:
    if value is None:
        return None
    number = operand(x, value)
    if isinstance(number, Variable):
        raise NotSupported(f"binary_cross_entropy_with_logits: {what} is secret; want public numbers")
    return number if isinstance(number, float) else np.broadcast_to(number, x.shape)


def binary_cross_entropy_with_logits(
    input: SecretTensor, target: Any, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
) -> SecretTensor:
    """Mean of softplus(z) - z y over all elements, z = input, y = target in [0, 1]; equal shapes. ``weight``: public, of
    every element's loss; ``pos_weight``: public, of what positive targets add.

    The gradient is exact up to the sigmoid kernel. Lazy: the value is computed when it is used, with an error of at
    most `BCE_MAX_ERROR` beside rounding. Raises NotSupported for targets that require a gradient.
    """
    name = "binary_cross_entropy_with_logits"
    y = without_gradient(target_of(input, target, reduction, name), name)
    return BCE(input, y, _public(input, weight, "weight"), _public(input, pos_weight, "pos_weight"), reduction)
