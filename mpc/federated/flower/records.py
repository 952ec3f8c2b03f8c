"""Flower's records and what the aggregators work on: one vector of real numbers, one message of bytes.

In the vector: every floating-point array of an ArrayRecord, in the record's order, as float64. Integer arrays (a batch
norm's count of batches) are no part of it and stay as the server has them.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from mpc.errors import FixedPointRangeError, IntegrityError, ShapeError
from mpc.fixed_point import Floats

INSTRUCTION: Final = "mpc.aggregation"  # ConfigRecord: from the server, what a message must be made for
CONTRIBUTION: Final = "mpc.contribution"  # ArrayRecord: from a client, its message as bytes
_MESSAGE: Final = "message"

Arrays = dict[str, npt.NDArray[np.generic]]


def arrays_of(record: ArrayRecord) -> Arrays:
    """The arrays by name. Raises IntegrityError for bytes that are no array (nothing is unpickled), ShapeError for none."""
    try:
        out: Arrays = {name: array.numpy() for name, array in record.items()}
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise IntegrityError(f"got an ArrayRecord that cannot be read ({type(error).__name__})") from None
    strange = [f"{name} ({array.dtype})" for name, array in out.items() if array.dtype.kind not in "fiub"]
    if strange or not any(array.dtype.kind == "f" for array in out.values()):
        raise ShapeError(f"got arrays that cannot be averaged: {', '.join(strange) or 'no floating-point one'}")
    return out


def length(arrays: Mapping[str, npt.NDArray[np.generic]]) -> int:
    """Values in the vector."""
    return sum(array.size for array in arrays.values() if array.dtype.kind == "f")


def vector(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
    """All floating-point values as one float64 vector, a copy."""
    return np.concatenate([array.ravel().astype(np.float64) for array in arrays.values() if array.dtype.kind == "f"])


def mask(arrays: Mapping[str, npt.NDArray[np.generic]], endings: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which places of the vector belong to arrays whose name ends so."""
    parts = [np.full(a.size, name.endswith(endings)) for name, a in arrays.items() if a.dtype.kind == "f"]
    return np.concatenate(parts)


def difference(new: Mapping[str, npt.NDArray[np.generic]], old: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
    """The vector of ``new`` minus that of ``old``. Raises ShapeError naming the first array that does not fit."""
    if list(new) != list(old):
        odd = sorted(set(new) ^ set(old))
        raise ShapeError(f"the reply's arrays are not those that came: {', '.join(odd[:5]) if odd else 'another order'}")
    for name, array in new.items():
        if array.shape != old[name].shape or array.dtype.kind != old[name].dtype.kind:
            want = f"{old[name].dtype} {old[name].shape}"
            raise ShapeError(f"array {name!r} of the reply is {array.dtype} {array.shape}; want {want}")
    return vector(new) - vector(old)


def written(arrays: Mapping[str, npt.NDArray[np.generic]], values: Floats) -> ArrayRecord:
    """Arrays of the same names, shapes and dtypes that hold a vector's values.

    Raises ShapeError, and FixedPointRangeError naming the first array whose dtype cannot hold them.
    """
    if values.shape != (length(arrays),):
        raise ShapeError(f"got a vector of shape {values.shape} for arrays of {length(arrays)} values")
    out, at = {}, 0
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            part = values[at : at + array.size].reshape(array.shape)
            at += array.size
            with np.errstate(over="ignore"):
                array = part.astype(array.dtype)
            if not np.isfinite(array).all():
                raise FixedPointRangeError(f"the new {name!r} would not be finite as {array.dtype}; want a smaller server step")
        out[name] = Array(np.ascontiguousarray(array).reshape(array.shape))
    return ArrayRecord(out)


def only_arrays(content: RecordDict, whose: str) -> tuple[str, ArrayRecord]:
    """The one ArrayRecord and its key. Raises ShapeError where there is none, or another one."""
    found = list(content.array_records.items())
    if len(found) != 1:
        raise ShapeError(f"{whose} has {len(found)} ArrayRecords; want exactly one, the weights")
    return found[0]


def contribution(message: bytes) -> ArrayRecord:
    """A client's message as a record. An array, since Flower sends large arrays in pieces."""
    return ArrayRecord({_MESSAGE: Array(np.frombuffer(message, np.uint8))})


def message_in(content: RecordDict) -> bytes:
    """The message of a reply. Raises IntegrityError saying what is there instead."""
    record = content.get(CONTRIBUTION)
    if not isinstance(record, ArrayRecord):
        what = "weights in the clear" if content.array_records else "no contribution"
        raise IntegrityError(f"it holds {what}; want a contribution: its ClientApp needs SecureAggregationMod")
    try:
        array = record[_MESSAGE].numpy()
    except (KeyError, ValueError, TypeError, EOFError, OSError) as error:
        raise IntegrityError(f"its contribution cannot be read ({type(error).__name__})") from None
    if array.dtype != np.uint8 or array.ndim != 1:
        raise IntegrityError(f"its contribution is {array.dtype} of {array.ndim} dimensions; want bytes")
    return array.tobytes()


def number_in(record: ConfigRecord, name: str) -> float:
    """A finite or infinite number of an instruction. Raises IntegrityError."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise IntegrityError(f"the instruction's {name!r} is {type(value).__name__}; want a number")
    return value
