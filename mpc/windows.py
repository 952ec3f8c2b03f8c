"""Windows over the last two axes: what turns convolutions and pooling into products and sums (im2col and col2im).

Public linear maps of arrays, of ring words and of floats alike. `pad`, `unfold` and `fold` also move names of masks
(`mpc.masks.move`), so their arguments are short lists of integers, and they refuse what makes no sense.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.errors import CorruptFrame

Array = npt.NDArray[Any]
MAX_WORDS = 1 << 32  # of an array that a name may ask the dealer for


class Window(NamedTuple):
    """Height and width of a window, of its steps, and of the gaps between its elements (1: none)."""

    height: int
    width: int
    down: int = 1
    right: int = 1
    row_gap: int = 1
    column_gap: int = 1

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """How many windows fit, down and across; below 1 where none does."""
        tall, wide = self.row_gap * (self.height - 1) + 1, self.column_gap * (self.width - 1) + 1
        return (height - tall) // self.down + 1, (width - wide) // self.right + 1


def pad(array: Array, widths: Sequence[int]) -> Array:
    """Zeros around the last two axes: ``widths`` = above, below, left, right."""
    if array.ndim < 2 or not _integers(widths, 4, 0):
        raise CorruptFrame(f"padding {widths!r} of shape {array.shape}; want four widths of at least 0 and two axes")
    above, below, left, right = widths
    height, width = array.shape[-2:]
    shape = (*array.shape[:-2], above + height + below, left + width + right)
    _check_size(shape)
    out = np.zeros(shape, array.dtype)
    out[..., above : above + height, left : left + width] = array
    return out


def unfold(array: Array, window: Sequence[int]) -> Array:
    """(..., H, W) to (..., rows, columns, height, width): the window at every place. A view that must not be written."""
    if array.ndim < 2 or not _integers(window, 6, 1):
        raise CorruptFrame(f"windows {window!r} of shape {array.shape}; want six sizes of at least 1 and two axes")
    w = Window(*window)
    rows, columns = w.positions(*array.shape[-2:])
    shape = (*array.shape[:-2], rows, columns, w.height, w.width)
    if rows < 1 or columns < 1:
        raise CorruptFrame(f"windows {window!r} do not fit into shape {array.shape}")
    _check_size(shape)
    down, right = array.strides[-2:]
    strides = (*array.strides[:-2], down * w.down, right * w.right, down * w.row_gap, right * w.column_gap)
    return np.lib.stride_tricks.as_strided(array, shape, strides, writeable=False)


def sums(array: Array, window: Window) -> Array:
    """The sum over every window: (..., H, W) to (..., rows, columns)."""
    rows, columns = window.positions(*array.shape[-2:])
    out = np.zeros((*array.shape[:-2], rows, columns), array.dtype)
    for _, _, down, right in _places(window, rows, columns):
        out += array[..., down, right]
    return out


def fold(array: Array, window: Sequence[int], height: int, width: int) -> Array:
    """The transpose of `unfold`: (..., rows, columns, h, w) added up at their places in (..., height, width)."""
    if array.ndim < 4 or not _integers(window, 6, 1) or not _integers((height, width), 2, 1):
        raise CorruptFrame(f"windows {window!r} of shape {array.shape}, {height} x {width}; want six sizes and four axes")
    window = Window(*window)
    rows, columns = array.shape[-4:-2]
    if array.shape[-2:] != window[:2] or window.positions(height, width) != (rows, columns):
        raise CorruptFrame(f"windows {window!r} of shape {array.shape} do not cover {height} x {width}")
    _check_size((*array.shape[:-4], height, width))
    out = np.zeros((*array.shape[:-4], height, width), array.dtype)
    for i, j, down, right in _places(window, rows, columns):
        out[..., down, right] += array[..., i, j]
    return out


def _places(w: Window, rows: int, columns: int) -> Iterator[tuple[int, int, slice, slice]]:
    """For every element of the window: where it comes to lie, in all windows at once."""
    for i in range(w.height):
        top = i * w.row_gap
        for j in range(w.width):
            left = j * w.column_gap
            down = slice(top, top + (rows - 1) * w.down + 1, w.down)
            yield i, j, down, slice(left, left + (columns - 1) * w.right + 1, w.right)


def _integers(values: Any, count: int, least: int) -> bool:
    return (
        isinstance(values, (tuple, list))
        and len(values) == count
        and all(type(v) is int and least <= v < MAX_WORDS for v in values)
    )


def _check_size(shape: Sequence[int]) -> None:
    size = 1
    for n in shape:
        size *= n
    if size > MAX_WORDS:
        raise CorruptFrame(f"a mask of shape {tuple(shape)}: more than {MAX_WORDS} words")
