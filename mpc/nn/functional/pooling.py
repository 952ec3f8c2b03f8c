"""Pooling: means and maxima over windows."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpc import windows
from mpc.autograd import Op
from mpc.errors import ConfigError, NotSupported, ShapeError
from mpc.functions import order
from mpc.nn.functional.windowed import Padding, as_given, check_fits, folded, inside, moved, sizes, two_axes, window_of
from mpc.ops.elementwise import MUL, mul, product, scaled
from mpc.ops.powers import prepared
from mpc.ops.value import Operand, Value, add
from mpc.sharing import Share
from mpc.tensor import SecretTensor
from mpc.windows import Window


def _sums(x: Value, window: Window, padding: Padding, factor: float) -> Value:
    words = windows.pad(x.share.words, padding) if any(padding) else x.share.words
    out = x.of(Share(windows.sums(words, window), x.share.scale, owner=x.share.owner)).scaled(factor)
    if out.share.scale <= x.party.frac_bits:  # local: the sum may be large, the mean is not
        return Value(x.party, out.absorbed())
    return out


def _spread(g: Any, _: Any, x: Value, window: Window, padding: Padding, factor: float) -> Operand:
    """g at every element of its window. Where windows do not overlap this only repeats g: opened once, for all of them."""
    *lead, height, width = x.shape
    rows, columns = g.shape[-2:]
    tall, wide = window.height, window.width
    if window == (tall, wide, tall, wide, 1, 1) and not any(padding):
        out = moved(moved(g, "reshape", (*lead, rows, 1, columns, 1)), "broadcast", (*lead, rows, tall, columns, wide))
        out = moved(out, "reshape", (*lead, rows * tall, columns * wide))
        rest = (0, height - rows * tall, 0, width - columns * wide)
        return scaled(moved(out, "pad", rest) if any(rest) else out, factor)
    above, below, left, right = padding
    out = moved(moved(g, "reshape", (*g.shape, 1, 1)), "broadcast", (*g.shape, tall, wide))
    return scaled(inside(folded(out, window, above + height + below, left + width + right), padding, x.shape), factor)


def _max(x: Value, window: Window, padding: Padding) -> tuple[Value, Value | None]:
    """The maximum of every window, of products before they are truncated; the bits (window, places) say which it was."""
    if any(padding):  # the padding is below everything that can be encoded
        least = 1.0 - 2.0 ** (31 - x.party.frac_bits)
        outside = least * (1.0 - windows.pad(np.ones(x.shape[-2:]), padding))
        x = add(moved(x, "pad", padding), outside)  # type: ignore[assignment]
    seen = prepared(x).move("unfold", tuple(window))
    *places, tall, wide = seen.shape
    n = len(places)
    columns = seen.transpose((n, n + 1, *range(n))).reshape((tall * wide, math.prod(places)))
    top, bits = order.maximum(x.party.protocol, columns)
    assert bits is not None
    return Value(x.party, top.reshape(tuple(places))), Value(x.party, bits)


def _max_gradient(g: Any, bits: Value, x: Value, window: Window, padding: Padding) -> Operand:
    """g where the maximum was: g is opened once for its whole window."""
    columns, places = bits.shape
    wide = moved(moved(g, "reshape", (1, places)), "broadcast", (columns, places))
    parts = product(bits, wide, False) if isinstance(wide, Value) else mul(bits, wide.copy())
    n = len(g.shape)
    parts = moved(parts, "reshape", (window.height, window.width, *g.shape))
    parts = moved(parts, "transpose", (*range(2, n + 2), 0, 1))
    above, below, left, right = padding
    return inside(folded(parts, window, above + x.shape[-2] + below, left + x.shape[-1] + right), padding, x.shape)


SUM_POOL = Op("sum_pool", _sums, (_spread,))
MAX_POOL = Op("max_pool", _max, (_max_gradient,))


def _window(
    axes: int, x: Any, what: str, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Any, Window, Padding]:
    """The images, the window and the padding. Raises ConfigError, ShapeError, NotSupported."""
    if ceil_mode:
        raise NotSupported(f"{what}: ceil_mode=True is not supported; pad the input instead")
    size = sizes(kernel, axes, "kernel_size")
    window = window_of(size, sizes(kernel if stride is None else stride, axes, "stride"), sizes(dilation, axes, "dilation"))
    around = sizes(padding, axes, "padding", 0)
    if any(2 * p > k for p, k in zip(around, size, strict=True)):
        raise ConfigError(f"{what}: padding {around} for a window of {size}; want at most half of it")
    down, right = (0, *around) if axes == 1 else around
    widths = (down, down, right, right)
    images = two_axes(x, axes, what)
    check_fits(images.shape, window, widths, what)
    return images, window, widths


def _average(
    axes: int, x: SecretTensor, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, include: bool, divisor: Any
) -> SecretTensor:
    images, window, widths = _window(axes, x, f"avg_pool{axes}d", kernel, stride, padding, 1, ceil_mode)
    if divisor is not None and not divisor:
        raise ConfigError("avg_pool2d: divisor_override=0; want another number or None")
    area = window.height * window.width if divisor is None else divisor
    if include or divisor is not None or not any(widths):
        return as_given(SUM_POOL(images, window, widths, 1.0 / area), x, axes)
    counts = windows.sums(windows.pad(np.ones(images.shape[-2:]), widths), window)
    return as_given(MUL(SUM_POOL(images, window, widths, 1.0 / area), area / counts), x, axes)


def avg_pool1d(
    input: SecretTensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> SecretTensor:
    """Means over windows of (N, C, L) or (C, L); see `avg_pool2d`."""
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: SecretTensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> SecretTensor:
    """Means over windows of (N, C, H, W) or (C, H, W), as torch's. Local; the division is part of a later truncation, free
    when the window's size is a power of two. Raises ConfigError, ShapeError, NotSupported for ceil_mode."""
    return _average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_avg_pool2d(input: SecretTensor, output_size: Any) -> SecretTensor:
    """Means over equal windows such that ``output_size`` of them are left (None: as many as there are now). Local.

    Raises NotSupported where the size of the input is no multiple of the size of the output.
    """
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    have = input.shape[-2:]
    if input.ndim not in (3, 4) or len(given) != 2:
        raise ShapeError(f"adaptive_avg_pool2d: {output_size!r} of shape {tuple(input.shape)}; want 3 or 4 axes and 2 sizes")
    want = sizes(tuple(h if n is None else n for n, h in zip(given, have, strict=True)), 2, "output_size")
    if any(h % n for h, n in zip(have, want, strict=True)):
        raise NotSupported(f"adaptive_avg_pool2d from {have} to {want}; want sizes that divide the input's")
    return avg_pool2d(input, (have[0] // want[0], have[1] // want[1]))


def _maximum(
    axes: int, x: SecretTensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: bool
) -> SecretTensor:
    name = f"max_pool{axes}d"
    if indices:
        raise NotSupported(f"{name}: return_indices=True is not supported")
    images, window, widths = _window(axes, x, name, kernel, stride, padding, dilation, ceil_mode)
    return as_given(MAX_POOL(images, window, widths), x, axes)


def max_pool1d(
    input: SecretTensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> SecretTensor:
    """Maxima over windows of (N, C, L) or (C, L); see `max_pool2d`."""
    return _maximum(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: SecretTensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> SecretTensor:
    """Maxima over windows of (N, C, H, W) or (C, H, W), as torch's; exact. Rounds: opening and 4 for windows of up to 5
    elements, see `SecretTensor.max` for larger ones; what is pending is truncated after the maximum. The gradient opens
    one word per window. A ReLU is cheaper behind it than before it, and gives the same.

    Raises ConfigError, ShapeError, NotSupported for ceil_mode and return_indices.
    """
    return _maximum(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
