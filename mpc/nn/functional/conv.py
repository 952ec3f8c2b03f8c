"""Convolution: a matrix product of the kernel with the windows of the image.

Windows are a public linear map of what is open (`mpc.windows`), so each secret is opened once: the image by its own
words, not once per window, and again for nothing: its gradient reuses the kernel's opening, the kernel's gradient the
image's, and the gradient of the output is opened once for both.
"""
from __future__ import annotations

import math
from typing import Any

from mpc import masks
from mpc.autograd import Op, Variable
from mpc.errors import ConfigError, ShapeError
from mpc.masks import Then
from mpc.nn.functional.windowed import Padding, as_given, check_fits, moved, sizes, two_axes, window_of
from mpc.ops.elementwise import operand
from mpc.ops.linalg import product
from mpc.ops.value import Operand, Value
from mpc.tensor import SecretTensor
from mpc.windows import Window


def _ready(x: Operand, y: Operand, fold: bool) -> None:
    """Truncate what has to be before a product, and before a view repeats it."""
    both = isinstance(x, Value) and isinstance(y, Value)
    for v in (x, y):
        if isinstance(v, Value) and both and fold:
            v.shrunk()
    pending = not both or x.share.scale + y.share.scale > 2 * x.party.frac_bits  # type: ignore[union-attr]
    for v in (x, y):
        if isinstance(v, Value) and pending:
            v.factor(fold)


def _windows(x: Operand, window: Window, padding: Padding) -> Any:
    """(N, C, H, W) to (N, C, rows, columns, height, width)."""
    return moved(moved(x, "pad", padding) if any(padding) else x, "unfold", tuple(window))


def _columns(x: Operand, window: Window, padding: Padding, groups: int) -> Any:
    """(N, [G,] C / G * kernel, places): what the kernel is multiplied with."""
    seen = _windows(x, window, padding)
    n, c, rows, columns, tall, wide = seen.shape
    seen = moved(seen, "transpose", (0, 1, 4, 5, 2, 3))
    group = (groups,) if groups > 1 else ()
    return moved(seen, "reshape", (n, *group, c // groups * tall * wide, rows * columns))


def _conv(x: Operand, w: Operand, window: Window, padding: Padding, groups: int) -> Operand:
    """(N, G, O / G, places) = w (G, O / G, C / G * kernel) @ columns of x."""
    _ready(x, w, True)
    above, below, left, right = padding
    rows, columns = window.positions(x.shape[-2] + above + below, x.shape[-1] + left + right)  # type: ignore[union-attr]
    n, out = x.shape[0], w.shape[0]  # type: ignore[union-attr]
    group = (groups,) if groups > 1 else ()
    matrix = moved(w, "reshape", (*group, out // groups, math.prod(w.shape[1:])))  # type: ignore[union-attr]
    got = product(matrix, _columns(x, window, padding, groups))
    return moved(got, "reshape", (n, out, rows, columns))


def _gradient_x(g: Any, _: Any, x: Any, w: Any, window: Window, padding: Padding, groups: int) -> Operand:
    """The windows' gradients, w.T @ g per group, added up at their places: one product whose correction has x's size."""
    _ready(g, w, False)
    above, below, left, right = padding
    n, c, height, width = x.shape
    out, _, tall, wide = w.shape
    rows, columns = g.shape[-2:]
    group = (groups,) if groups > 1 else ()
    matrix = moved(w, "reshape", (*group, out // groups, c // groups * tall * wide))
    matrix = moved(matrix, "transpose", (0, 2, 1) if groups > 1 else (1, 0))
    outputs = moved(moved(g, "transpose", (1, 0, 2, 3)), "reshape", (*group, out // groups, n * rows * columns))
    moves: list[tuple[str, Any]] = [
        ("reshape", (c, tall, wide, n, rows, columns)),
        ("transpose", (3, 0, 4, 5, 1, 2)),
        ("fold", (*window, above + height + below, left + width + right)),
    ]
    if any(padding):
        moves.append(("index", masks.pack_index((..., slice(above, above + height), slice(left, left + width)))))
    return product(matrix, outputs, False, Then(tuple(moves), (n, c, height, width)))


def _gradient_w(g: Any, _: Any, x: Any, w: Any, window: Window, padding: Padding, groups: int) -> Operand:
    """g (O / G, N * places) @ windows of x (N * places, C / G * kernel), per group."""
    _ready(x, g, False)
    n, out, rows, columns = g.shape
    _, per_group, tall, wide = w.shape
    places = n * rows * columns
    left = moved(moved(g, "transpose", (1, 0, 2, 3)), "reshape", (groups, out // groups, places))
    seen = _windows(x, window, padding)
    seen = moved(seen, "reshape", (n, groups, per_group, rows, columns, tall, wide))
    seen = moved(seen, "transpose", (1, 0, 3, 4, 2, 5, 6))
    right = moved(seen, "reshape", (groups, places, per_group * tall * wide))
    return moved(product(left, right, False), "reshape", w.shape)


CONV = Op("conv", _conv, (_gradient_x, _gradient_w))


def _padding(padding: Any, stride: tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Padding:
    """Widths as torch's: a number, one per axis, 'valid' or 'same' (the odd one goes below and to the right)."""
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ConfigError(f"padding='same' with stride {stride}; want a stride of 1")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        before, after = [t // 2 for t in total], [t - t // 2 for t in total]
    elif isinstance(padding, str):
        if padding != "valid":
            raise ConfigError(f"padding={padding!r}; want 'same', 'valid', an integer or one per axis")
        before = after = [0] * len(kernel)
    else:
        before = after = list(sizes(padding, len(kernel), "padding", 0))
    if len(kernel) == 1:
        return (0, 0, before[0], after[0])
    return (before[0], after[0], before[1], after[1])


def _convolved(
    axes: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> SecretTensor:
    name = f"conv{axes}d"
    first: Any = x if isinstance(x, Variable) else weight
    x, weight = operand(first, x), operand(first, weight)
    if len(weight.shape) != axes + 2:
        raise ShapeError(f"{name}: weight of shape {tuple(weight.shape)}; want {axes + 2} axes")
    images = two_axes(x, axes, name)
    out, per_group, *kernel = weight.shape
    if groups < 1 or out % groups or images.shape[1] != per_group * groups:
        raise ShapeError(
            f"{name}: input with {images.shape[1]} channels, weight of shape {tuple(weight.shape)} and {groups} groups; "
            f"want {per_group * groups} channels and a number of outputs that the groups divide"
        )
    steps, gaps = sizes(stride, axes, "stride"), sizes(dilation, axes, "dilation")
    window = window_of(kernel, steps, gaps)
    widths = _padding(padding, steps, tuple(kernel), gaps)
    check_fits(images.shape, window, widths, name)
    kernels = weight.reshape(out, per_group, 1, *kernel) if axes == 1 else weight
    result = CONV(images, kernels, window, widths, groups)
    if bias is not None:
        result = result + bias.reshape(-1, 1, 1)
    return as_given(result, x, axes)


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> SecretTensor:
    """Convolution of (N, C, L) or (C, L) with weight (O, C / groups, K); see `conv2d`."""
    return _convolved(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> SecretTensor:
    """Convolution of (N, C, H, W) or (C, H, W) with weight (O, C / groups, KH, KW), as torch's; input or weight may be public.

    Rounds: one for what is not open yet, of as many words as input and weight have; the truncation is left to what
    follows, in one kernel with a ReLU. Range: every sum of products below 2^30 at 16 fraction bits. Raises ShapeError,
    ConfigError.
    """
    return _convolved(2, input, weight, bias, stride, padding, dilation, groups)
