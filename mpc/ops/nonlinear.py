"""ReLU, sigmoid and what is built from ReLU."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import Op, Variable
from mpc.errors import NotSupported
from mpc.ops.elementwise import SCALE, minus, mul, plus, product
from mpc.ops.movement import stack
from mpc.ops.value import Operand, Value, add, public
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


def _relu(x: Value) -> tuple[Value, Value]:
    share = x.absorbed()
    out, bit = x.party.protocol.relu(share, max(0, share.scale - x.party.frac_bits))
    return Value(x.party, out), Value(x.party, bit)


def sigmoid_value(x: Value) -> Value:
    """1 / (1 + exp(-x)), straight from a pending product."""
    share = x.absorbed()
    if share.scale > 2 * x.party.frac_bits:
        share = x.settled()
    return Value(x.party, x.party.protocol.sigmoid(share, x.party.frac_bits))


def _sigmoid(x: Value) -> tuple[Value, Value]:
    out = sigmoid_value(x)
    return out, out


def _sigmoid_gradient(g: Operand, y: Value, x: Value) -> Operand:
    """g * (y - y^2)"""
    share: Share = y.settled()
    slope = add(y, Value(y.party, y.party.protocol.square(share)), -1)
    return mul(g, slope, False)


RELU = Op("relu", _relu, (lambda g, bit, x: product(bit, g, False) if isinstance(g, Value) else mul(g, bit),))
SIGMOID = Op("sigmoid", _sigmoid, (_sigmoid_gradient,))


def relu(x: SecretTensor) -> SecretTensor:
    """max(x, 0). One kernel with the truncation of x where one is due. The gradient at 0 is 1 and costs one opening."""
    return RELU(x)


def sigmoid(x: SecretTensor) -> SecretTensor:
    """1 / (1 + exp(-x)) from any scale. Error and range: the protocol's `sigmoid` kernel."""
    return SIGMOID(x)


def absolute(x: SecretTensor) -> SecretTensor:
    """|x| = 2 relu(x) - x. The gradient at 0 is 1."""
    return minus(SCALE(RELU(x), 2.0), x)


def clip(x: SecretTensor, min: Any = None, max: Any = None) -> SecretTensor:
    """x limited to [min, max], public numbers or arrays; either may be None. One ReLU over both bounds at once.

    Raises NotSupported for secret bounds or none at all.
    """
    if isinstance(min, Variable) or isinstance(max, Variable):
        raise NotSupported("clip() wants public bounds; with secret ones use where(x < low, low, x)")
    f = x.party.frac_bits
    low, high = (None if b is None else public(b, f) for b in (min, max))
    if low is None and high is None:
        raise NotSupported("clip() without bounds; want min, max or both")
    if high is None:
        return plus(RELU(minus(x, low)), low)
    if low is None:
        return minus(x, RELU(minus(x, high)))
    if np.any(np.greater(low, high)):
        raise ValueError(f"clip to min {min!r} above max {max!r}")
    over = RELU(stack([minus(x, low), minus(x, high)]))
    return plus(over[0] - over[1], low)
