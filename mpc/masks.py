"""Names of masks, and the public linear maps that carry them (protocols.md, section 4).

A mask is named by the opening that introduced it. Views, gathers, concatenations and integer multiples of an opened
tensor need no new opening: (E, A) become (L(E), L(A)). A party evaluates a name on its own stream, the dealer on the sum
of all streams; both call `evaluate`. Names travel in requests to the dealer, so they are plain msgspec structs and
carry public structure only.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

import msgspec
import numpy as np

from mpc import windows
from mpc.errors import CorruptFrame, ShapeError
from mpc.fixed_point import Words

Shape = tuple[int, ...]
MAX_DEPTH = 64


class Mask(msgspec.Struct, tag="mask", frozen=True, array_like=True):
    """The uniform tensor of operation ``op``, tensor number ``tensor``: the sum of all parties' streams, or, for what one
    party holds alone (``owner``), that party's stream."""

    op: int
    tensor: int
    shape: Shape
    owner: int = -1


class Moved(msgspec.Struct, tag="moved", frozen=True, array_like=True):
    """A public linear map of one mask: reshape, transpose, index, broadcast, scale by an integer, windows, pairs."""

    base: Name
    kind: str
    arg: Any


class Joined(msgspec.Struct, tag="joined", frozen=True, array_like=True):
    """Several masks concatenated along an axis."""

    parts: list[Name]
    axis: int


Name = Union[Mask, Moved, Joined]


def pack_index(index: Any) -> list[Any]:
    """An index expression (integers, slices, None, Ellipsis, integer or boolean arrays) as plain data."""
    packed: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if item is None:
            packed.append(["none"])
        elif item is Ellipsis:
            packed.append(["ellipsis"])
        elif isinstance(item, slice):
            packed.append(["slice", *(None if v is None else int(v) for v in (item.start, item.stop, item.step))])
        elif isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)):
            packed.append(["int", int(item)])
        else:
            array = np.asarray(item)
            dtype = "bool" if array.dtype == np.bool_ else "int64"
            packed.append([dtype, list(array.shape), np.ascontiguousarray(array, dtype).tobytes()])
    return packed


def unpack_index(packed: list[Any]) -> tuple[Any, ...]:
    """The inverse of `pack_index`."""
    index: list[Any] = []
    for kind, *rest in packed:
        if kind == "none":
            index.append(None)
        elif kind == "ellipsis":
            index.append(Ellipsis)
        elif kind == "slice":
            index.append(slice(*rest))
        elif kind == "int":
            index.append(rest[0])
        elif kind in ("bool", "int64"):
            index.append(np.frombuffer(rest[1], kind).reshape(rest[0]))
        else:
            raise CorruptFrame(f"index item of kind {kind!r}; want none, ellipsis, slice, int, bool or int64")
    return tuple(index)


def move(array: Words, kind: str, arg: Any) -> Words:
    """Apply one public linear map to ring words (a view where NumPy gives one)."""
    if kind == "reshape":
        return array.reshape(arg)
    if kind == "transpose":
        return array.transpose(arg)
    if kind == "index":
        return np.asarray(array[unpack_index(arg)])
    if kind == "broadcast":
        return np.broadcast_to(array, tuple(arg))
    if kind == "scale":
        return np.asarray(np.multiply(array, np.uint64(arg)))
    if kind == "pad":
        return windows.pad(array, arg)
    if kind == "unfold":
        return windows.unfold(array, arg)
    if kind == "fold":
        return windows.fold(array, arg[:-2], *arg[-2:])
    if kind == "pairs":
        return _pairs(array)
    raise CorruptFrame(
        f"mask moved by {kind!r}; want reshape, transpose, index, broadcast, scale, pad, unfold, fold or pairs"
    )


class Then(msgspec.Struct, frozen=True, array_like=True):
    """Public linear maps behind a product, of (kind, argument) each, and the shape they end in: what is dealt for the
    product then has the size of that, however large the product was."""

    moves: tuple[tuple[str, Any], ...]
    shape: Shape

    def of(self, product: Words) -> Words:
        """The product's image. Raises CorruptFrame where it has another shape."""
        for kind, arg in self.moves:
            product = move(product, kind, arg)
        if product.shape != tuple(self.shape):
            raise CorruptFrame(f"a product moved to shape {product.shape}; want {tuple(self.shape)}")
        return product


def _pairs(array: Words) -> Words:
    """array[i] - array[j] for all i < j along the first axis, in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    columns = array.shape[0] if array.ndim else 0
    if columns > 16:
        raise CorruptFrame(f"pairs of {columns} columns; want at most 16")
    first, second = np.triu_indices(columns, 1)
    return np.subtract(array[first], array[second])


def broadcast(name: Name, shape: Shape, own: Shape) -> Name:
    """The name of a mask of shape ``own`` broadcast to ``shape``."""
    return name if shape == own else Moved(name, "broadcast", shape)


Rows = Callable[[Mask, "np.ndarray[Any, np.dtype[np.int64]]"], Union[Words, None]]


def evaluate(name: Name, expand: Callable[[Mask], Words], rows: Rows | None = None, depth: int = 0) -> Words:
    """The words behind a name, given how to expand a plain mask, and possibly how to expand some of its rows alone."""
    if depth > MAX_DEPTH:
        raise CorruptFrame(f"a mask name nested deeper than {MAX_DEPTH}")
    if isinstance(name, Mask):
        return expand(name)
    if isinstance(name, Moved):
        if rows is not None and name.kind == "index" and isinstance(name.base, Mask):
            chosen = whole_rows(name.base, name.arg)
            found = None if chosen is None else rows(name.base, chosen)
            if found is not None:
                return found
        return move(evaluate(name.base, expand, rows, depth + 1), name.kind, name.arg)
    return np.concatenate([evaluate(part, expand, rows, depth + 1) for part in name.parts], axis=name.axis)


def whole_rows(mask: Mask, packed: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """The row numbers, if the index takes whole rows by a list of them."""
    if len(packed) != 1 or packed[0][0] != "int64" or not mask.shape:
        return None
    chosen = unpack_index(packed)[0]
    if chosen.ndim != 1 or not chosen.size:
        return None
    if chosen.max() >= mask.shape[0] or chosen.min() < -mask.shape[0]:
        raise CorruptFrame(f"rows {chosen.min()} to {chosen.max()} of a mask of shape {mask.shape}")
    return np.where(chosen < 0, chosen + mask.shape[0], chosen).astype(np.int64)


def matmul_shape(x: Shape, y: Shape) -> Shape:
    """The shape of numpy.matmul. Raises ShapeError."""
    inner = x[-1] if x else None
    other = (y[-2] if len(y) > 1 else y[0]) if y else None
    if inner is None or inner != other:
        raise ShapeError(f"matmul of shapes {x} and {y}: want x.shape[-1] == y.shape[-2]")
    try:
        batch = np.broadcast_shapes(x[:-2], y[:-2])
    except ValueError:
        raise ShapeError(f"matmul of shapes {x} and {y}: the batch dimensions do not broadcast") from None
    return (*batch, *(x[-2:-1]), *(y[-1:] if len(y) > 1 else ()))
