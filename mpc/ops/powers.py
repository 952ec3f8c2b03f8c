"""Exponential, logarithm, roots, reciprocals and what follows from them: division, powers.

Domains, errors and costs at 16 fraction bits (bytes: per element to each other party, of a tensor that is neither open nor
pending; N = 2); met means an error below max(bound * |value|, 2^-15) for relative bounds. Outside its
domain a function is clamped as stated, never garbage. All are differentiable.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import Op, Variable
from mpc.errors import NotSupported
from mpc.functions import exponential, roots
from mpc.ops.elementwise import MUL, SCALE, SQUARE, mul, multiply, operand, plus, product, scaled
from mpc.ops.value import Operand, Value
from mpc.protocols.base import Protocol
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


def prepared(x: Value) -> Share:
    """The share with its factor applied, at a scale that every function takes: pending products as they are."""
    share, limit = x.absorbed(), 2 * x.party.frac_bits
    if share.scale > limit:  # not to frac_bits: a small mean of products keeps its digits
        share = x.party.protocol.truncate(share, share.scale - limit)
        x.keep(share, True)
    return share


def applied(x: Value, function: Callable[[Protocol, Share, int], Share]) -> Value:
    """A function of shares at a value."""
    return Value(x.party, function(x.party.protocol, prepared(x), x.party.frac_bits))


def _kept(function: Callable[[Protocol, Share, int], Share]) -> Callable[[Value], tuple[Value, Value]]:
    """The forward of an operation whose gradient needs its result."""

    def forward(x: Value) -> tuple[Value, Value]:
        out = applied(x, function)
        return out, out

    return forward


def _square(y: Value) -> Value:
    return Value(y.party, y.party.protocol.square(y.settled()))


def _reciprocal_gradient(g: Operand, y: Value, x: Value) -> Operand:
    return scaled(mul(g, _square(y), False), -1.0)


def _rsqrt_gradient(g: Operand, y: Value, x: Value) -> Operand:
    """-g y^3 / 2"""
    return scaled(mul(g, product(_square(y), y), False), -0.5)


EXP = Op("exp", _kept(exponential.exp), (lambda g, y, x: mul(g, y, False),))
LOG = Op("log", lambda x: applied(x, roots.log), (lambda g, _, x: mul(g, applied(x, roots.reciprocal), False),))
RECIPROCAL = Op("reciprocal", _kept(roots.reciprocal), (_reciprocal_gradient,))
RSQRT = Op("rsqrt", _kept(roots.rsqrt), (_rsqrt_gradient,))
SQRT = Op("sqrt", lambda x: applied(x, roots.sqrt), (lambda g, _, x: scaled(mul(g, applied(x, roots.rsqrt), False), 0.5),))


def exp(x: SecretTensor) -> SecretTensor:
    """e^x. Domain [-16, 10]: relative error 1e-5; 0 below, e^10 above. 8 rounds, 45 bytes per element online."""
    return EXP(x)


def log(x: SecretTensor) -> SecretTensor:
    """Natural logarithm. Domain [2^-16, 2^15): error 3e-5; log(2^-16) = -11.09 below, for negative x too. 6 rounds, 94 bytes.

    The gradient is the reciprocal's: 0 below 2^-6.
    """
    return LOG(x)


def sqrt(x: SecretTensor) -> SecretTensor:
    """Square root. Domain [0, 2^15): relative error 3e-5; 0 for negative x. 7 rounds, 110 bytes. The gradient is that of
    `rsqrt`: 128 at and below 2^-16."""
    return SQRT(x)


def rsqrt(x: SecretTensor) -> SecretTensor:
    """x^(-1/2). Domain [2^-16, 2^15): relative error 2e-5; 256 below, for negative x too. 7 rounds, 110 bytes."""
    return RSQRT(x)


def reciprocal(x: SecretTensor) -> SecretTensor:
    """1 / x. Domain 2^-6 <= |x| < 2^15: relative error 7e-5; 0 for |x| < 2^-6. 7 rounds, 128 bytes."""
    return RECIPROCAL(x)


def divide(x: SecretTensor, other: Any) -> SecretTensor:
    """x / other. Public divisors: numbers are free, arrays local; powers of two are exact, the relative error of other
    reciprocals is 2^-12 at most. Secret divisors: a product with `reciprocal`, whose domain and error hold.

    Raises ZeroDivisionError for a public zero.
    """
    other = operand(x, other)
    if isinstance(other, Variable):
        return multiply(x, RECIPROCAL(other))
    if not np.all(other):
        raise ZeroDivisionError("division of a secret tensor by a public zero")
    inverse = 1.0 / other
    return SCALE(x, inverse) if isinstance(other, float) else MUL(x, inverse)


def rdivide(x: SecretTensor, other: Any) -> SecretTensor:
    """other / x for a public other: a product with `reciprocal`."""
    return multiply(RECIPROCAL(x), other)


def power(x: SecretTensor, exponent: Any) -> SecretTensor:
    """x ** n for a public integer n by repeated squaring (of 1 / x for negative n), or n = 1/2, -1/2.

    Raises NotSupported for anything else.
    """
    if isinstance(exponent, Variable) or not np.isscalar(exponent) or isinstance(exponent, (str, bytes, complex)):
        raise NotSupported(f"exponent {exponent!r}; want a public integer, 0.5 or -0.5")
    if float(exponent) in (0.5, -0.5):
        return SQRT(x) if float(exponent) > 0 else RSQRT(x)
    if int(exponent) != exponent:
        raise NotSupported(f"exponent {exponent!r}; want a public integer, 0.5 or -0.5 (or exp(n * log(x)))")
    n = int(exponent)
    if n == 0:
        return plus(SCALE(x, 0.0), 1.0)
    out: SecretTensor | None = None
    base = x if n > 0 else RECIPROCAL(x)
    n = abs(n)
    while True:
        if n & 1:
            out = base if out is None else MUL(out, base)
        n >>= 1
        if not n:
            return out  # type: ignore[return-value]
        base = SQUARE(base)
