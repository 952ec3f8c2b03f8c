"""Argument checks of the twin: the same refusals as the compiled kernels, got and want in every message."""

import numpy as np

WORD = np.uint64


def flat(name, array, size=None, dtype=WORD):
    """Refuse everything but a C-contiguous 1-D array of `dtype` (and of `size`, if given)."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: got {type(array).__name__}; want a numpy array")
    if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: got {array.dtype} of shape {array.shape}, contiguous={array.flags.c_contiguous}; "
            f"want contiguous {np.dtype(dtype)} of one dimension"
        )
    if size is not None and array.size != size:
        raise ValueError(f"{name}: got {array.size} words; want {size}")
    return array


def words(lanes):
    """W: 64-bit words in one plane of `lanes` lanes."""
    return (lanes + 63) // 64


def planes_of(name, array, planes):
    """W of a buffer of `planes` planes; refuses a size that is no multiple."""
    flat(name, array)
    if array.size % planes:
        raise ValueError(f"{name}: got {array.size} words; want a multiple of {planes} (planes)")
    return array.size // planes


def choice(name, value, allowed):
    """Refuse a value outside `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}: got {value!r}; want one of {tuple(allowed)}")
    return value


def shift_range(shift):
    """Refuse a truncation by less than 1 or more than 62 bits."""
    if not 1 <= shift <= 62:
        raise ValueError(f"shift: got {shift}; want 1..62")
    return int(shift)
