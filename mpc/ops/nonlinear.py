"""ReLU and what is built from it."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import Op, Variable
from mpc.errors import NotSupported
from mpc.ops.elementwise import SCALE, minus, mul, plus, product
from mpc.ops.movement import stack
from mpc.ops.value import Value, public

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


def _relu(x: Value) -> tuple[Value, Value]:
    share = x.absorbed()
    out, bit = x.party.protocol.relu(share, max(0, share.scale - x.party.frac_bits))
    return Value(x.party, out), Value(x.party, bit)


RELU = Op("relu", _relu, (lambda g, bit, x: product(bit, g, False) if isinstance(g, Value) else mul(g, bit),))


def relu(x: SecretTensor) -> SecretTensor:
    """max(x, 0). One kernel with the truncation of x where one is due. The gradient at 0 is 1 and costs one opening."""
    return RELU(x)


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
