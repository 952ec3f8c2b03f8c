"""How much memory a request makes the dealer use, known before anything is allocated.

Sizes are products of Python integers, which do not overflow. What is added up: every mask that is expanded (once), every
copy that a public map makes of it, products before maps, and the corrections.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mpc.errors import CorruptFrame, MPCError
from mpc.masks import MAX_DEPTH, Joined, Mask, Moved, Name, Shape, matmul_shape, unpack_index, whole_rows
from mpc.preprocessing.base import AnyCorrelation, Product
from mpc.windows import Window

DEFAULT_LIMIT: Final = 4 << 30  # bytes of one request
MAX_NDIM: Final = 32
_VIEWS: Final = ("transpose", "broadcast", "unfold")
_FREE: Final = ("index", "scale", "pairs")  # maps whose argument is no list of integers


def _sizes(arg: Any) -> bool:
    return isinstance(arg, (list, tuple)) and len(arg) <= MAX_NDIM and all(isinstance(n, (int, np.integer)) for n in arg)


def check(correlations: Sequence[AnyCorrelation], limit: int, keep: int = 0) -> None:
    """Raise CorruptFrame if the request needs more than ``limit`` bytes, or names shapes that make no sense.

    ``keep``: bytes from which on a mask is not expanded for the sake of some of its rows.
    """
    try:
        _Bill(limit, keep).add(correlations)
    except MPCError as error:
        raise error if isinstance(error, CorruptFrame) else CorruptFrame(f"a request that cannot be dealt: {error}") from None
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise CorruptFrame(f"a request that cannot be dealt: {error}") from None


class _Bill:
    def __init__(self, limit: int, keep: int) -> None:
        self.limit = limit
        self.keep = keep
        self.bytes = 0
        self._masks: set[tuple[int, int, int, Shape]] = set()

    def add(self, correlations: Sequence[AnyCorrelation]) -> None:
        for item in correlations:
            shapes = [
                self.shape(value) for value in map(item.__getattribute__, item.__struct_fields__)
                if isinstance(value, (Mask, Moved, Joined))
            ]  # fmt: skip
            for shape in shapes:  # as an operand: contiguous, or negated
                self._pay(shape)
            if isinstance(item, Product) and item.kind == "matmul":
                product = matmul_shape(*shapes)
                self._pay(product)
                for move in () if item.then is None else item.then.moves:
                    product = self._moved(product, *move)
                    self._pay(product)
            for part in item.parts():
                self._pay((part.size,))

    def _pay(self, shape: Shape) -> Shape:
        """Count 8 bytes for each element of an array of that shape."""
        if len(shape) > MAX_NDIM or any(n < 0 for n in shape):
            raise CorruptFrame(f"a request for shape {tuple(shape)[:MAX_NDIM]}; want up to {MAX_NDIM} sizes of at least 0")
        self.bytes += 8 * math.prod(shape)
        if self.bytes > self.limit:
            raise CorruptFrame(
                f"a request that needs {self.bytes} bytes or more at the dealer; its limit is {self.limit}: "
                "smaller batches need less, or give the dealer a higher limit"
            )
        return tuple(shape)

    def shape(self, name: Name, depth: int = 0) -> Shape:
        """The shape behind a name, with everything on the way counted."""
        if depth > MAX_DEPTH:
            raise CorruptFrame(f"a mask name nested deeper than {MAX_DEPTH}")
        if isinstance(name, Mask):
            key = (name.op, name.tensor, name.owner, tuple(name.shape))
            if key not in self._masks:
                self._pay(name.shape)
                self._masks.add(key)
            return tuple(name.shape)
        if isinstance(name, Joined):
            shapes = [self.shape(part, depth + 1) for part in name.parts]
            empty = [np.broadcast_to(np.uint8(0), s) for s in shapes]
            axis = name.axis + len(shapes[0]) if name.axis < 0 else name.axis
            whole = (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])
            if any(e.ndim != empty[0].ndim for e in empty):
                raise CorruptFrame(f"masks of shapes {shapes} joined")
            return self._pay(whole)
        if name.kind == "index" and isinstance(name.base, Mask) and 8 * math.prod(name.base.shape) > self.keep:
            rows = whole_rows(name.base, name.arg)
            if rows is not None:
                return self._pay((rows.size, *name.base.shape[1:]))
        shape = self._moved(self.shape(name.base, depth + 1), name.kind, name.arg)
        return shape if name.kind in _VIEWS else self._pay(shape)

    def _moved(self, shape: Shape, kind: str, arg: Any) -> Shape:
        """The shape after one public map (`mpc.masks.move`)."""
        if kind not in _FREE and arg is not None and not _sizes(arg):  # text times a number would be memory, too
            raise CorruptFrame(f"a mask moved by {kind} with {str(arg)[:80]}; want up to {MAX_NDIM} integers")
        if kind == "reshape":
            known = math.prod(n for n in arg if n != -1)
            free = list(arg).count(-1)
            size = math.prod(shape)
            if free > 1 or (free and (not known or size % known)) or (not free and known != size):
                raise CorruptFrame(f"shape {shape} reshaped to {tuple(arg)}")
            return tuple(size // known if n == -1 else n for n in arg)
        if kind == "transpose":
            return np.broadcast_to(np.uint8(0), shape).transpose(arg).shape
        if kind == "index":
            return self._indexed(shape, unpack_index(arg))
        if kind == "broadcast":
            if np.broadcast_shapes(shape, tuple(arg)) != tuple(arg):
                raise CorruptFrame(f"shape {shape} broadcast to {tuple(arg)}")
            return tuple(arg)
        if kind == "scale":
            return shape
        if kind == "pad":
            above, below, left, right = arg
            return (*shape[:-2], above + shape[-2] + below, left + shape[-1] + right)
        if kind == "unfold":
            window = Window(*arg)
            return (*shape[:-2], *window.positions(*shape[-2:]), window.height, window.width)
        if kind == "fold":
            return (*shape[:-4], *arg[-2:])
        if kind == "pairs":
            return (shape[0] * (shape[0] - 1) // 2, *shape[1:])
        raise CorruptFrame(f"mask moved by {kind!r}")

    def _indexed(self, shape: Shape, index: tuple[Any, ...]) -> Shape:
        """Index lists are paid for before NumPy says what shape they give."""
        lists = [i for i in index if isinstance(i, np.ndarray)]
        if lists:
            taken = sum(1 if i.dtype != np.bool_ else i.ndim for i in lists) + sum(isinstance(i, int) for i in index)
            at = 0
            left = 1  # elements along the axes that no list or number takes
            spare = len(shape) - taken - sum(isinstance(i, slice) for i in index)
            for item in (*index, *(() if Ellipsis in [i for i in index if not isinstance(i, np.ndarray)] else (Ellipsis,))):
                if isinstance(item, slice):
                    left *= shape[at]
                    at += 1
                elif item is Ellipsis:
                    left *= math.prod(shape[at : at + spare])
                    at += spare
                elif item is not None:
                    at += item.ndim if isinstance(item, np.ndarray) and item.dtype == np.bool_ else 1
            chosen = np.broadcast_shapes(*((np.count_nonzero(i),) if i.dtype == np.bool_ else i.shape for i in lists))
            self._pay((*chosen, left))
        return np.broadcast_to(np.uint8(0), shape)[index].shape
