"""Columns too large or too small for fixed-point numbers, divided by public powers of two at their owner."""
from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc import fixed_point
from mpc.errors import FixedPointRangeError, ShapeError

LARGEST: Final = 7  # columns are brought to magnitudes of at most 2^7, so that sums of squares fit too
SMALLEST: Final = -3  # and to at least 2^-3 at their largest
ZEROS: Final = -10000  # stands for "any" in a column of zeros


def scale_by_power_of_two(array: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(array / 2^exponents, exponents) for an array (rows, columns) that its owner is about to share. Local.

    A column whose largest magnitude lies between 1/8 and 128 stays as it is; others are divided by the power of two that
    brings it to (64, 128], or multiplied by the one that brings it to [1/8, 1/4). Exact. The exponents tell the order of
    magnitude of each column's largest value and are to be public: pass them to `StandardScaler` at every party. `by_rows`
    and `by_columns` do all this with ``scale=True``. Raises ShapeError, FixedPointRangeError for NaN and infinities.
    """
    real = fixed_point.as_array(array).astype(np.float64)
    if real.ndim != 2:
        raise ShapeError(f"got shape {real.shape}; want (rows, columns)")
    exponents = exponents_of(real)
    exponents[exponents == ZEROS] = 0
    return apply_exponents(real, exponents), exponents


def exponents_of(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The exponent of each column, `ZEROS` for one of zeros. Raises FixedPointRangeError, ShapeError."""
    if array.ndim != 2:
        raise ShapeError(f"got shape {array.shape}; want (rows, columns)")
    real = np.abs(array.astype(np.float64))
    if not np.isfinite(real).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(real))[0])
        raise FixedPointRangeError(f"value {array[row, column]!r} in row {row}, column {column}; want finite numbers")
    top = real.max(axis=0, initial=0.0)
    mantissa, above = np.frexp(top)  # top = mantissa * 2^above with 1/2 <= mantissa < 1
    ceiling = np.where(mantissa == 0.5, above - 1, above)  # log2(top), rounded up
    out = np.where(top > 2.0**LARGEST, ceiling - LARGEST, np.where(top < 2.0**SMALLEST, above - 1 - SMALLEST, 0))
    return np.where(top == 0, ZEROS, out).astype(np.int64)


def apply_exponents(array: npt.NDArray[Any], exponents: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """array / 2^exponents, column by column."""
    return np.ldexp(array.astype(np.float64), -exponents)
