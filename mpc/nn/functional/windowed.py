"""What convolution and pooling share: windows in torch's terms, and public linear maps of secrets and arrays."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc import masks, windows
from mpc.errors import ConfigError, ShapeError
from mpc.ops.value import Operand, Value
from mpc.sharing import Share
from mpc.windows import Window

Padding = tuple[int, int, int, int]  # above, below, left, right


def moved(v: Operand, kind: str, arg: Any) -> Any:
    """A public linear map of a secret (its opened form goes along) or of a public array."""
    return v.of(v.share.move(kind, arg)) if isinstance(v, Value) else masks.move(np.asarray(v), kind, arg)


def folded(v: Operand, window: Window, height: int, width: int) -> Operand:
    """Windows added up at their places: local."""
    if isinstance(v, Value):
        return v.of(Share(windows.fold(v.share.words, window, height, width), v.share.scale, owner=v.share.owner))
    return windows.fold(np.asarray(v), window, height, width)


def inside(v: Operand, padding: Padding, shape: tuple[int, ...]) -> Operand:
    """Without the padding."""
    if not any(padding):
        return v
    (above, _, left, _), (height, width) = padding, shape[-2:]
    index = [["ellipsis"], ["slice", above, above + height, None], ["slice", left, left + width, None]]
    return moved(v, "index", index)


def sizes(value: Any, count: int, what: str, least: int = 1) -> tuple[int, ...]:
    """One integer for every axis, or one per axis. Raises ConfigError."""
    listed = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(listed) != count or any(not isinstance(n, (int, np.integer)) or n < least for n in listed):
        raise ConfigError(f"{what}={value!r}; want an integer of at least {least}, or {count} of them")
    return tuple(int(n) for n in listed)


def two_axes(x: Any, axes: int, what: str) -> Any:
    """A batch of images: of images as it is, of rows (``axes`` = 1) as images of height 1, one record as a batch of one."""
    if x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(f"{what}: input of shape {tuple(x.shape)}; want {axes + 2} axes, or {axes + 1} for one record")
    *batch, channels = x.shape[:-axes]
    shape = (*(batch or (1,)), channels, *((1,) if axes == 1 else ()), *x.shape[-axes:])
    return x if shape == x.shape else x.reshape(shape)


def as_given(out: Any, x: Any, axes: int) -> Any:
    """The result in the layout of x; the inverse of `two_axes`."""
    shape = (out.shape[:2] + (out.shape[3:] if axes == 1 else out.shape[2:]))[x.ndim == axes + 1 :]
    return out if shape == out.shape else out.reshape(shape)


def window_of(kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Window:
    """One or two axes as a window of two."""
    (a, b), (c, d), (e, f) = ((1, *v) if len(v) == 1 else v for v in (kernel, stride, dilation))
    return Window(a, b, c, d, e, f)


def check_fits(shape: Sequence[int], window: Window, padding: Padding, what: str) -> None:
    """Raise ShapeError unless a window fits into the padded image."""
    above, below, left, right = padding
    height, width = shape[-2] + above + below, shape[-1] + left + right
    if min(window.positions(height, width)) < 1:
        raise ShapeError(f"{what}: a window of {window[:2]} does not fit into {height} x {width} with its padding")
