"""Reals as ring elements (protocols.md, section 2): x -> round(x * 2^scale) as two's complement modulo 2^64.

Encoding refuses NaN, infinities and |x| >= 2^(31 - frac_bits): the square of anything it accepts stays inside the
truncation range -2^62 <= z < 2^62.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.errors import FixedPointRangeError, NotSupported

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]


def as_array(value: Any) -> npt.NDArray[Any]:
    """A public operand (number, sequence, NumPy array, torch tensor) as a real NumPy array.

    Raises NotSupported for object, complex, string and ragged input.
    """
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()  # NumPy has no bfloat16
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise NotSupported("got a masked array: its missing entries would count as data; fill or drop them first")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise NotSupported(f"got a ragged sequence ({error}); want a rectangular array of real numbers") from None
    if array.dtype.kind not in "biuf":
        raise NotSupported(
            f"got an array of dtype {array.dtype}; want real numbers (bool, integer or float): convert it first"
        )
    return array


def bound(frac_bits: int) -> float:
    """Encoded values are below this in magnitude: 2^(31 - frac_bits)."""
    return float(2.0 ** (31 - frac_bits))


def encode(value: Any, frac_bits: int, scale: int | None = None) -> Words:
    """Ring words of a real array: round(x * 2^scale) modulo 2^64, ties to even. Shape: the input's.

    ``scale`` defaults to ``frac_bits``; the admitted range is |x| < 2^(31 - frac_bits) whatever the scale.
    Error at most 2^-(scale + 1). Raises FixedPointRangeError naming the first offending index and value.
    """
    array = as_array(value)
    scale = frac_bits if scale is None else scale
    limit = bound(frac_bits)
    real = array.astype(np.float64, copy=False)
    bad = ~(np.abs(real) < limit)  # NaN compares false
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0]) if array.ndim else ()
        got = real[where] if where else float(real)
        raise FixedPointRangeError(
            f"value {got!r} at index {where}: want finite numbers with |x| < 2^{31 - frac_bits} = {limit:g} "
            f"at {frac_bits} fraction bits; scale the column by its owner before sharing it"
        )
    return np.asarray(np.rint(np.ldexp(real, scale)), np.int64, order="C").view(np.uint64)


def decode(words: Words, scale: int) -> Floats:
    """Reals of ring words: the signed word times 2^-scale."""
    return np.ldexp(words.view(np.int64).astype(np.float64), -scale)


def check_decoded(words: Words, scale: int, frac_bits: int) -> None:
    """Refuse revealed words beyond the encoding bound: something left the range on the way.

    Raises FixedPointRangeError.
    """
    limit = 1 << min(62, 31 - frac_bits + scale)
    signed = words.view(np.int64)
    if signed.size and (int(signed.max()) >= limit or int(signed.min()) <= -limit):
        worst = float(np.abs(decode(words, scale)).max())
        raise FixedPointRangeError(
            f"a revealed value has magnitude {worst:g}, beyond the encoding bound {bound(frac_bits):g}: "
            "an intermediate result left the fixed-point range. Run the program under protocol='clear' to see where, "
            "scale the inputs, or pass check_range=False if large values are expected"
        )
