"""Arithmetic, comparisons and sums. Operands are tensors, public arrays or, in sums over shapes, plain numbers."""
from __future__ import annotations

import math
import operator
from typing import Any, Final

from mpc.errors import NotSupported
from mpc.interop.functions.table import function, is_public, secret
from mpc.ops import elementwise
from mpc.ops.reduce import axes_of
from mpc.tensor import SecretTensor


@function("torch.add", "operator.add", "operator.iadd", "Tensor.add", "Tensor.__add__", "Tensor.__radd__")
def add(input: Any, other: Any, alpha: float = 1) -> Any:
    return input + (other if alpha == 1 else other * alpha)


@function("torch.sub", "torch.subtract", "operator.sub", "operator.isub", "Tensor.sub", "Tensor.subtract")
def sub(input: Any, other: Any, alpha: float = 1) -> Any:
    return input - (other if alpha == 1 else other * alpha)


@function("torch.rsub", "Tensor.rsub", "Tensor.__rsub__")
def rsub(input: Any, other: Any, alpha: float = 1) -> Any:
    return other - (input if alpha == 1 else input * alpha)


@function("torch.mul", "torch.multiply", "operator.mul", "operator.imul", "Tensor.mul", "Tensor.multiply")
def mul(input: Any, other: Any) -> Any:
    return input * other


@function("torch.div", "torch.true_divide", "torch.divide", "operator.truediv", "operator.itruediv", "Tensor.div",
          "Tensor.divide", "Tensor.true_divide", rounding_mode=(None,))
def div(input: Any, other: Any, rounding_mode: None = None) -> Any:
    return input / other


@function("operator.floordiv", "torch.floor_divide", "Tensor.floor_divide")
def floordiv(input: Any, other: Any) -> Any:
    if isinstance(input, SecretTensor) or isinstance(other, SecretTensor):
        raise NotSupported("// of a secret tensor; want it on shapes only (floor() of a quotient otherwise)")
    return input // other


@function("operator.mod", "torch.remainder", "Tensor.remainder")
def mod(input: Any, other: Any) -> Any:
    return input % other


@function("torch.neg", "torch.negative", "operator.neg", "Tensor.neg", "Tensor.negative")
def neg(input: Any) -> Any:
    return -input


@function("torch.pow", "operator.pow", "Tensor.pow", "Tensor.__rpow__")
def pow_(input: Any, exponent: Any) -> Any:
    if not isinstance(input, SecretTensor):
        return input**exponent
    special = _POWERS.get(exponent) if isinstance(exponent, (int, float)) else None
    return getattr(input, special)() if special else input**exponent


_POWERS: Final = {0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal", 2.0: "square"}


@function("torch.square", "Tensor.square")
def square(input: Any) -> Any:
    return secret(input).square()


@function("torch.abs", "torch.absolute", "operator.abs", "Tensor.abs", "Tensor.absolute")
def abs_(input: Any) -> Any:
    return abs(input)


@function("torch.clamp", "torch.clip", "Tensor.clamp", "Tensor.clip")
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    return secret(input).clip(min, max)


@function("torch.matmul", "torch.mm", "torch.bmm", "torch.mv", "torch.dot", "operator.matmul", "Tensor.matmul", "Tensor.mm",
          "Tensor.bmm", "Tensor.mv", "Tensor.dot")
def matmul(input: Any, other: Any) -> Any:
    return input @ other


@function("torch.baddbmm", "torch.addmm", "torch.addmv", "Tensor.addmm", "Tensor.addmv", "Tensor.baddbmm")
def addmm(input: Any, mat1: Any, mat2: Any, beta: float = 1, alpha: float = 1) -> Any:
    product = mat1 @ mat2
    return (product if alpha == 1 else product * alpha) + (input if beta == 1 else input * beta)


# --- comparisons: bits; of shapes, truth values
@function("torch.lt", "operator.lt", "Tensor.lt")
def lt(input: Any, other: Any) -> Any:
    return operator.lt(input, other)


@function("torch.le", "operator.le", "Tensor.le")
def le(input: Any, other: Any) -> Any:
    return operator.le(input, other)


@function("torch.gt", "operator.gt", "Tensor.gt")
def gt(input: Any, other: Any) -> Any:
    return operator.gt(input, other)


@function("torch.ge", "operator.ge", "Tensor.ge")
def ge(input: Any, other: Any) -> Any:
    return operator.ge(input, other)


@function("torch.eq", "operator.eq", "Tensor.eq")
def eq(input: Any, other: Any) -> Any:
    return operator.eq(input, other)


@function("torch.ne", "operator.ne", "Tensor.ne")
def ne(input: Any, other: Any) -> Any:
    return operator.ne(input, other)


@function("torch.where")
def where(condition: Any, input: Any, other: Any) -> Any:
    return elementwise.where(condition, input, other)


@function("Tensor.where")
def tensor_where(input: Any, condition: Any, other: Any) -> Any:
    return elementwise.where(condition, input, other)


@function("torch.masked_fill", "Tensor.masked_fill")
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    return elementwise.where(mask, value, secret(input))


@function("torch.maximum", "Tensor.maximum")
def maximum(input: Any, other: Any) -> Any:
    return secret(input).maximum(other)


@function("torch.minimum", "Tensor.minimum")
def minimum(input: Any, other: Any) -> Any:
    return secret(input).minimum(other)


# --- along axes
@function("torch.sum", "Tensor.sum", dtype=(None,))
def sum_(input: Any, dim: Any = None, keepdim: bool = False, dtype: None = None) -> Any:
    return _over(secret(input).sum, dim, keepdim)


@function("torch.mean", "Tensor.mean", dtype=(None,))
def mean(input: Any, dim: Any = None, keepdim: bool = False, dtype: None = None) -> Any:
    return _over(secret(input).mean, dim, keepdim)


@function("torch.var", "Tensor.var")
def var(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int | None = None) -> Any:
    x = secret(input)
    if isinstance(dim, bool):  # torch's other order, var(input, unbiased)
        dim, unbiased = None, dim
    axes = tuple(range(x.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    n = math.prod(x.shape[a] for a in axes)
    less = int(unbiased) if correction is None else correction
    if n <= less:
        raise NotSupported(f"the variance of {n} values with correction {less}")
    centred = x - x.mean(axes, True)
    return centred.square().sum(axes, keepdim) / (n - less)


@function("torch.std", "Tensor.std")
def std(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int | None = None) -> Any:
    return var(input, dim, unbiased, keepdim, correction).sqrt()


@function("torch.max", "Tensor.max")
def max_(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    if isinstance(dim, SecretTensor) or is_public(dim):
        return secret(input).maximum(dim)
    return secret(input).max() if dim is None else secret(input).max(dim, keepdim)


@function("torch.min", "Tensor.min")
def min_(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    if isinstance(dim, SecretTensor) or is_public(dim):
        return secret(input).minimum(dim)
    return secret(input).min() if dim is None else secret(input).min(dim, keepdim)


@function("torch.amax", "Tensor.amax")
def amax(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    x, shape = _joined(secret(input), dim, keepdim)
    return x.amax(-1).reshape(shape)


@function("torch.amin", "Tensor.amin")
def amin(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    x, shape = _joined(secret(input), dim, keepdim)
    return x.amin(-1).reshape(shape)


@function("torch.argmax", "Tensor.argmax")
def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return _place(secret(input).argmax(dim, keepdim), input, dim, keepdim)


@function("torch.argmin", "Tensor.argmin")
def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return _place(secret(input).argmin(dim, keepdim), input, dim, keepdim)


@function("torch.median", "Tensor.median")
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return secret(input).median(dim, keepdim)


@function("torch.sort", "Tensor.sort")
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool | None = None) -> Any:
    return secret(input).sort(dim, descending)


@function("torch.topk", "Tensor.topk")
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return secret(input).topk(k, dim, largest)


def _place(found: SecretTensor, input: Any, dim: int | None, keepdim: bool) -> SecretTensor:
    """The place among all elements keeps every axis in torch, where it was asked to."""
    return found.reshape((1,) * len(input.shape)) if keepdim and dim is None else found


def _joined(x: SecretTensor, dim: Any, keepdim: bool) -> tuple[SecretTensor, tuple[int, ...]]:
    """x with the axes ``dim`` (none: all) as its last one, and the shape of what is left of it."""
    axes = axes_of(None if dim == () else tuple(dim) if isinstance(dim, (list, tuple)) else dim, x.shape)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdim or i not in axes)
    return x.permute(*kept, *axes).reshape(*(x.shape[i] for i in kept), -1), shape


def _over(reduction: Any, dim: Any, keepdim: bool) -> Any:
    dim = tuple(dim) if isinstance(dim, (list, tuple)) else dim
    return reduction(None if dim == () else dim, keepdim)
