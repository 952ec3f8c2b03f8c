"""Views, gathers and joins: local, and they carry the opened form of what was opened."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpc import fixed_point, sharing
from mpc.autograd import Op, Variable
from mpc.errors import NotSupported, ShapeError
from mpc.masks import Shape
from mpc.ops.elementwise import operand
from mpc.ops.reduce import axes_of
from mpc.ops.value import Operand, Value, from_public
from mpc.protocols.base import broadcast_shape
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


def _scatter(g: Any, _: Any, x: Value, index: tuple[Any, ...]) -> Operand:
    """The gradient of indexing: g added at the indexed places of zeros."""
    secret = isinstance(g, Value)
    out: npt.NDArray[Any] = np.zeros(x.shape, np.uint64 if secret else np.float64)
    part = g.share.words if secret else g
    if any(isinstance(item, np.ndarray) for item in index):
        np.add.at(out, index, part)
    else:
        out[index] = part
    return g.of(Share(out, g.share.scale)) if secret else out


def _take(x: Value, index: tuple[Any, ...]) -> Value:
    return x.of(x.share[index])


def _cat(*args: Any) -> Value:
    *parts, axis = args
    first: Value = parts[0]
    gain = first.gain
    if all(p.gain == gain for p in parts):
        return first.of(sharing.concatenate([p.share for p in parts], axis))
    return Value(first.party, sharing.concatenate([p.addend() for p in parts], axis))


def _cut(i: int, g: Any, _: Any, *args: Any) -> Operand:
    *parts, axis = args
    start = sum(p.shape[axis] for p in parts[:i])
    index = (*(slice(None) for _ in range(axis)), slice(start, start + parts[i].shape[axis]))
    return _take(g, index) if isinstance(g, Value) else g[index]


RESHAPE = Op("reshape", lambda x, shape: x.reshape(shape), (lambda g, _, x, shape: g.reshape(x.shape),))
TRANSPOSE = Op(
    "transpose",
    lambda x, axes: x.transpose(axes),
    (lambda g, _, x, axes: g.transpose(tuple(int(i) for i in np.argsort(axes))),),
)
BROADCAST = Op("broadcast", lambda x, shape: x.broadcast_to(shape), (lambda g, _, x, shape: g,))
INDEX = Op("index", _take, (_scatter,))
CAT = Op("cat", _cat, _cut)


def _sizes(sizes: Sequence[Any]) -> tuple[int, ...]:
    """f(2, 3) and f((2, 3)) alike."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return tuple(int(n) for n in sizes)


def reshape(x: SecretTensor, *shape: Any) -> SecretTensor:
    """The same elements in another shape; one size may be -1. Raises ShapeError."""
    want = _sizes(shape)
    have, size = x.shape, math.prod(x.shape)
    known = math.prod(n for n in want if n != -1)
    if want.count(-1) == 1 and known and size % known == 0:
        want = tuple(size // known if n == -1 else n for n in want)
    if any(n < 0 for n in want) or math.prod(want) != size:
        raise ShapeError(f"reshape of shape {tuple(have)} ({size} elements) to {_sizes(shape)}")
    return RESHAPE(x, want)


def flatten(x: SecretTensor, start_dim: int = 0, end_dim: int = -1) -> SecretTensor:
    """Axes start_dim to end_dim merged into one."""
    shape = x.shape
    if not shape:
        return reshape(x, 1)
    start, end = axes_of(start_dim, shape)[0], axes_of(end_dim, shape)[0]
    if start > end:
        raise ShapeError(f"flatten from axis {start_dim} to {end_dim} of shape {tuple(shape)}: want them in order")
    return RESHAPE(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def permute(x: SecretTensor, *dims: Any) -> SecretTensor:
    """All axes in another order. Raises ShapeError."""
    axes = axes_of(_sizes(dims), x.shape)
    if len(axes) != x.ndim:
        raise ShapeError(f"permute of shape {tuple(x.shape)} by {_sizes(dims)}; want every axis once")
    return TRANSPOSE(x, axes)


def transpose(x: SecretTensor, dim0: int, dim1: int) -> SecretTensor:
    """Two axes exchanged, as in PyTorch."""
    (a,), (b,) = axes_of(dim0, x.shape), axes_of(dim1, x.shape)
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return TRANSPOSE(x, tuple(order))


def reversed_axes(x: SecretTensor) -> SecretTensor:
    """All axes in reverse order (the property ``T``)."""
    return TRANSPOSE(x, tuple(range(x.ndim - 1, -1, -1)))


def squeeze(x: SecretTensor, dim: Any = None) -> SecretTensor:
    """Without its axes of length 1, or without those of ``dim`` that have length 1."""
    axes = axes_of(dim, x.shape)
    return RESHAPE(x, tuple(n for i, n in enumerate(x.shape) if i not in axes or n != 1))


def unsqueeze(x: SecretTensor, dim: int) -> SecretTensor:
    """With a new axis of length 1 at ``dim``."""
    at = axes_of(dim, (*x.shape, 1))[0]
    return RESHAPE(x, (*x.shape[:at], 1, *x.shape[at:]))


def broadcast_to(x: SecretTensor, *shape: Any) -> SecretTensor:
    """Repeated to a shape by the broadcasting rules. Raises ShapeError."""
    want = _sizes(shape)
    if broadcast_shape(x.shape, want, "broadcast") != want:
        raise ShapeError(f"broadcast of shape {tuple(x.shape)} to the smaller {want}")
    return x if want == x.shape else BROADCAST(x, want)


def expand(x: SecretTensor, *sizes: Any) -> SecretTensor:
    """As `broadcast_to`; -1 keeps an axis as it is."""
    want = _sizes(sizes)
    extra = len(want) - x.ndim
    if extra < 0:
        raise ShapeError(f"expand of shape {tuple(x.shape)} to {want}: want at least {x.ndim} sizes")
    return broadcast_to(x, tuple(x.shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(want)))


def index(x: SecretTensor, key: Any) -> SecretTensor:
    """x[key] for public integers, slices, None, Ellipsis, integer and boolean arrays (NumPy's rules).

    Raises IndexError out of range, NotSupported for a secret index.
    """
    items: list[Any] = []
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, Variable):
            raise NotSupported("a secret index would show in the program; use where(), or a product with one-hot rows")
        if item is None or item is Ellipsis or isinstance(item, (slice, int, np.integer)):
            items.append(np.asarray(item) if isinstance(item, bool) else item)
            continue
        array = np.zeros(0, np.int64) if isinstance(item, list) and not item else fixed_point.as_array(item)
        if array.dtype.kind not in "biu":
            raise NotSupported(f"index of dtype {array.dtype}; want integers, booleans or slices")
        items.append(array)
    return INDEX(x, tuple(items))


def assign(x: SecretTensor, key: Any, value: Any) -> None:
    """Refused: tensors do not change in place."""
    raise NotSupported("assignment into a secret tensor is not supported; build the result with where(), cat() or stack()")


def cat(tensors: Sequence[Any], dim: int = 0) -> SecretTensor:
    """Tensors (and public arrays) joined along an axis. Raises ShapeError."""
    secret = [t for t in tensors if isinstance(t, Variable)]
    if not secret:
        raise NotSupported("cat() wants at least one secret tensor")
    first: Any = secret[0]
    parts: list[Any] = []
    for t in tensors:
        other = operand(first, t)
        parts.append(other if isinstance(other, Variable) else Variable.result(from_public(first.party, other)))
    shape = first.shape
    axis = axes_of(dim, shape)[0]
    for p in parts:
        if p.ndim != len(shape) or any(a != b for i, (a, b) in enumerate(zip(p.shape, shape, strict=True)) if i != axis):
            raise ShapeError(f"cat along axis {dim} of shapes {[tuple(p.shape) for p in parts]}: the others differ")
    return parts[0] if len(parts) == 1 else CAT(*parts, axis)


def stack(tensors: Sequence[Any], dim: int = 0) -> SecretTensor:
    """Tensors of one shape joined along a new axis. Raises ShapeError."""
    shapes = {tuple(np.shape(t)) if not isinstance(t, Variable) else tuple(t._value.shape) for t in tensors}
    if len(shapes) != 1:
        raise ShapeError(f"stack of shapes {sorted(shapes)}; want one shape")
    shape: Shape = shapes.pop()
    at = axes_of(dim, (*shape, 1))[0]
    new = (*shape[:at], 1, *shape[at:])
    return cat([RESHAPE(t, new) if isinstance(t, Variable) else np.reshape(t, new) for t in tensors], at)
