"""Sums and means along axes: local."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import Op
from mpc.errors import ShapeError
from mpc.masks import Shape
from mpc.ops.elementwise import scaled
from mpc.ops.value import Operand, Value, total

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor

Axes = int | tuple[int, ...] | list[int] | None


def axes_of(axis: Axes, shape: Shape) -> tuple[int, ...]:
    """Axes as distinct non-negative integers; None means all. Raises ShapeError."""
    if axis is None:
        return tuple(range(len(shape)))
    listed = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    out = tuple(a + len(shape) if a < 0 else a for a in listed)
    if any(not 0 <= a < len(shape) for a in out) or len(set(out)) != len(out):
        raise ShapeError(f"axis {axis} of a tensor of shape {shape}; want distinct axes from {-len(shape)} on")
    return out


def _spread(g: Any, _: Any, x: Value, axes: tuple[int, ...], keepdims: bool) -> Operand:
    """The gradient of a sum: g repeated along the summed axes."""
    kept = g.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape)))
    return kept.broadcast_to(x.shape) if isinstance(kept, Value) else np.broadcast_to(kept, x.shape)


def _mean(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    summed = x.of(total_share(x, axes, keepdims))
    out = summed.scaled(1.0 / math.prod(x.shape[a] for a in axes))
    if out.share.scale <= x.party.frac_bits:  # local: the sum may be large, the mean is not
        return Value(x.party, out.absorbed())
    return out


def total_share(x: Value, axes: tuple[int, ...], keepdims: bool) -> Any:
    summed = total(x, axes, keepdims)
    assert isinstance(summed, Value)
    return summed.share


def _mean_gradient(g: Any, _: Any, x: Value, axes: tuple[int, ...], keepdims: bool) -> Operand:
    return scaled(_spread(g, _, x, axes, keepdims), 1.0 / math.prod(x.shape[a] for a in axes))


SUM = Op("sum", total, (_spread,))
MEAN = Op("mean", _mean, (_mean_gradient,))


def sum_(
    x: SecretTensor, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, keepdim: bool = False
) -> SecretTensor:
    """Sum over ``axis`` (``dim``), or over all. Local. Pending products are summed before they are truncated."""
    return SUM(x, axes_of(axis if dim is None else dim, x.shape), keepdims or keepdim)


def mean(
    x: SecretTensor, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, keepdim: bool = False
) -> SecretTensor:
    """Mean over ``axis`` (``dim``), or over all. Local: division by the count is part of a later truncation, free when
    the count is a power of two. Raises ShapeError for empty axes."""
    axes = axes_of(axis if dim is None else dim, x.shape)
    if not all(x.shape[a] for a in axes):
        raise ShapeError(f"mean of no elements: shape {tuple(x.shape)}, axes {axes}")
    return MEAN(x, axes, keepdims or keepdim)
