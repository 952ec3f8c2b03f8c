"""Sums, products, comparisons and choices, element by element with broadcasting."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpc import fixed_point
from mpc.autograd import Op, Variable
from mpc.errors import NotSupported, ShapeError
from mpc.ops.value import Operand, Value, add, encode, public, structure
from mpc.protocols.base import broadcast_shape
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


def operand(x: SecretTensor, y: Any) -> Any:
    """The other operand: a tensor of the same session as it is, anything else as a public number or array."""
    if isinstance(y, Variable):
        if y._value.party is not x._value.party:
            raise NotSupported("two tensors of different sessions in one operation; want both from the open session")
        return y
    return public(y, x._value.party.frac_bits)


def product(x: Value, y: Value, fold: bool = True) -> Value:
    """x * y; what is pending is truncated with the product, unless the other factor is a bit. ``fold``: see
    `Value.factor`."""
    if fold:
        x.shrunk()
        y.shrunk()
    a, b = x.share, y.share
    party = x.party
    f = party.frac_bits
    if a.scale + b.scale <= 2 * f:
        return Value(party, party.protocol.mul(a, b), x.gain * y.gain)
    if a.scale <= f or x is y:
        x, y = y, x
    b = y.factor(fold)  # x is pending
    a = x.absorbed() if fold else x.share
    if a.scale <= f or x is y:
        return Value(party, party.protocol.mul(x.factor(fold), b), x.gain * y.gain)
    kept, out = party.protocol.mul_truncated(a, a.scale - f, b)
    x.keep(kept, fold)
    return Value(party, out, x.gain * y.gain)


def times(x: Value, p: Any) -> Value:
    """x times a public number (free) or array (local)."""
    if isinstance(p, float):
        return x.scaled(p)
    if p.size and not any(p.strides):  # one number, repeated
        out = x.scaled(float(p.flat[0]))
        shape = broadcast_shape(x.shape, p.shape, "product")
        return out if shape == x.shape else out.broadcast_to(shape)
    words, scale = encode(p, x.party.frac_bits)
    broadcast_shape(x.shape, words.shape, "product")
    share = x.factor(True) if scale else x.share
    return x.of(x.party.protocol.mul_public(share, words, scale))


def mul(x: Operand, y: Operand, fold: bool = True) -> Operand:
    """x * y of secrets and public arrays in any combination."""
    if isinstance(x, Value):
        return product(x, y, fold) if isinstance(y, Value) else times(x, y)
    return times(y, x) if isinstance(y, Value) else np.multiply(x, y)


def scaled(x: Operand, factor: float) -> Operand:
    return x.scaled(factor) if isinstance(x, Value) else np.multiply(x, factor)


ADD = Op("add", add, (lambda g, _, x, y: g, lambda g, _, x, y: g))
SUB = Op("sub", lambda x, y: add(x, y, -1), (lambda g, _, x, y: g, lambda g, _, x, y: scaled(g, -1.0)))
MUL = Op("mul", mul, (lambda g, _, x, y: mul(g, y, False), lambda g, _, x, y: mul(g, x, False)))
SCALE = Op("scale", scaled, (lambda g, _, x, factor: scaled(g, factor),))


def _square(x: Value) -> Value:
    x.shrunk()
    share = x.factor(True)
    return Value(x.party, x.party.protocol.square(share), x.gain * x.gain)


SQUARE = Op("square", _square, (lambda g, _, x: scaled(mul(g, x, False), 2.0),))


def plus(x: SecretTensor, other: Any) -> SecretTensor:
    """x + other, elementwise with broadcasting. Local."""
    return ADD(x, operand(x, other))


def minus(x: SecretTensor, other: Any) -> SecretTensor:
    """x - other, elementwise with broadcasting. Local."""
    return SUB(x, operand(x, other))


def rminus(x: SecretTensor, other: Any) -> SecretTensor:
    """other - x."""
    return SUB(operand(x, other), x)


def multiply(x: SecretTensor, other: Any) -> SecretTensor:
    """x * other, elementwise with broadcasting. Secret factors: one round for what is not open yet, the truncation is
    left to the next user of the result. Public factors: local; integer arrays and bits stay exact."""
    other = operand(x, other)
    if isinstance(other, float):
        return SCALE(x, other)
    return SQUARE(x) if other is x else MUL(x, other)


def negate(x: SecretTensor) -> SecretTensor:
    """-x. Free."""
    return SCALE(x, -1.0)


def square(x: SecretTensor) -> SecretTensor:
    """x * x with a single mask: cheaper than the product of two tensors."""
    return SQUARE(x)


def _difference(name: str, x: SecretTensor, other: Any) -> Share:
    """A positive multiple of x - other, at any scale; ``name``: of the comparison, for the transcript."""
    right = other._value if isinstance(other, Variable) else other
    x._value.party.note(name, x._value.number, structure(right))
    if isinstance(right, float) and right == 0.0:
        value = x._value
    else:
        got = add(x._value, right, -1)
        assert isinstance(got, Value)
        value = got
    if value.gain == 0.0:
        return value.absorbed()
    return value.share if value.gain > 0 else -value.share


def _bits(x: SecretTensor, share: Share) -> SecretTensor:
    return Variable.result(Value(x._value.party, share))


def less(x: SecretTensor, other: Any) -> SecretTensor:
    """1 where x < other, else 0: a tensor of bits, without gradient. Range |x - other| < 2^15 (2^63 in the ring).
    Pending values are compared as they are, before rounding."""
    return _bits(x, x._value.party.protocol.negative(_difference("less", x, operand(x, other))))


def greater(x: SecretTensor, other: Any) -> SecretTensor:
    """1 where x > other, else 0; see `less`."""
    return _bits(x, x._value.party.protocol.negative(-_difference("greater", x, operand(x, other))))


def greater_equal(x: SecretTensor, other: Any) -> SecretTensor:
    """1 where x >= other, else 0; see `less`."""
    protocol = x._value.party.protocol
    return _bits(x, protocol.complement(protocol.negative(_difference("greater_equal", x, operand(x, other)))))


def less_equal(x: SecretTensor, other: Any) -> SecretTensor:
    """1 where x <= other, else 0; see `less`."""
    protocol = x._value.party.protocol
    return _bits(x, protocol.complement(protocol.negative(-_difference("less_equal", x, operand(x, other)))))


def equal(x: SecretTensor, other: Any) -> SecretTensor:
    """1 where x == other exactly, else 0. Meant for bits, integers and settled values: two results of rounding differ."""
    return _bits(x, x._value.party.protocol.is_zero(_difference("equal", x, operand(x, other))))


def not_equal(x: SecretTensor, other: Any) -> SecretTensor:
    """1 where x != other, else 0; see `equal`."""
    protocol = x._value.party.protocol
    return _bits(x, protocol.complement(protocol.is_zero(_difference("not_equal", x, operand(x, other)))))


def both(x: SecretTensor, other: Any) -> SecretTensor:
    """x & other of bits: their product."""
    return multiply(x, other)


def either(x: SecretTensor, other: Any) -> SecretTensor:
    """x | other of bits: x + other - x * other."""
    return minus(plus(x, other), multiply(x, other))


def complement(x: SecretTensor) -> SecretTensor:
    """~x of bits: 1 - x."""
    return rminus(x, 1.0)


def where(condition: Any, x: Any, y: Any) -> SecretTensor:
    """x where condition is 1, y where it is 0, with broadcasting: y + condition * (x - y).

    ``condition`` is a tensor of bits (a comparison's result) or a public array; x, y are tensors or public. One round
    when condition and one of x and y are secret. Differentiable in x and y.
    """
    tensors = [t for t in (condition, x, y) if isinstance(t, Variable)]
    if not tensors:
        raise NotSupported("where() of public values only; use numpy.where")
    first: Any = tensors[0]
    if not isinstance(condition, Variable):
        array: npt.NDArray[Any] = fixed_point.as_array(condition)
        if not np.isin(array, (0, 1)).all():
            raise NotSupported("where() wants a condition of zeros and ones (or True and False)")
        condition = np.asarray(array, np.int64)
    elif condition._value.share.scale or condition._value.gain != 1.0:
        raise NotSupported("where() wants the result of a comparison as its condition, e.g. where(x > 0, x, y)")
    x, y = operand(first, x), operand(first, y)
    difference = SUB(x, y) if isinstance(x, Variable) or isinstance(y, Variable) else np.subtract(x, y)
    if isinstance(condition, Variable):
        chosen = multiply(condition, difference)  # type: ignore[arg-type]
    else:
        chosen = MUL(difference, np.atleast_1d(condition) if condition.ndim == 0 else condition)
    return ADD(chosen, y)


def same_shape(x: Any, y: Any, what: str) -> None:
    """Raise ShapeError unless the shapes are equal."""
    a, b = tuple(x.shape), tuple(y.shape)
    if a != b:
        raise ShapeError(f"{what}: shapes {a} and {b} differ; want the same, reshape one of them")
