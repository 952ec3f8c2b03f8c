"""Tables as dictionaries of NumPy columns, whatever they came as."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError

Column = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Table = dict[str, Column]


def as_table(data: Any) -> Table:
    """Columns by name, from a mapping of columns, a structured array, or anything with ``columns`` and ``[name]`` (pandas).

    Columns are one-dimensional: numbers, booleans or text; other objects become their text. Raises ConfigError, ShapeError.
    """
    names: Iterable[Any]
    if isinstance(data, np.ndarray) and data.dtype.names:
        names = data.dtype.names
    elif isinstance(data, Mapping):
        names = data.keys()
    elif hasattr(data, "columns") and hasattr(data, "__getitem__"):
        names = data.columns
    else:
        raise ConfigError(f"a table as {type(data).__name__}; want a dict of columns, a structured array or a data frame")
    table = {str(name): _column(str(name), data[name]) for name in names}
    if not table:
        raise ShapeError("a table without columns; want at least one")
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"columns of unequal length: {lengths}")
    return table


def _column(name: str, values: Any) -> Column:
    column = np.asarray(values)
    if column.ndim != 1:
        raise ShapeError(f"column {name!r} has shape {column.shape}; want one dimension")
    return column if column.dtype.kind in "biufU" else column.astype(str)


def wanted(table: Table, names: Sequence[str], what: str) -> None:
    """Raises ConfigError where a name is no column."""
    if missing := [name for name in names if name not in table]:
        raise ConfigError(f"{what} {missing[0]!r} is no column; there are {', '.join(table)}")


def numbers(name: str, column: Column) -> Floats:
    """The column as float64. Raises ConfigError where it holds text, NaN or infinity: a missing number has no place in an
    order."""
    try:
        out = column.astype(np.float64)
    except ValueError:
        raise ConfigError(f"column {name!r} holds text; want numbers, or a hierarchy for categories (Tree, Suppress)") from None
    if not np.isfinite(out).all():
        raise ConfigError(f"column {name!r} holds {int((~np.isfinite(out)).sum())} values that are NaN or infinite; "
                          "fill them in, or make text of the column and use a hierarchy for categories")
    return out


def joint(codes: Sequence[Ints]) -> Ints:
    """One number from 0 on for each distinct combination of these columns of non-negative codes."""
    key = np.zeros(len(codes[0]), np.int64)
    size = 1
    for column in codes:
        radix = int(column.max(initial=0)) + 1
        if size * radix >= 2**62:
            key = np.unique(key, return_inverse=True)[1].reshape(-1)
            size = int(key.max(initial=0)) + 1
        key, size = key * radix + column, size * radix
    return np.unique(key, return_inverse=True)[1].reshape(-1).astype(np.int64)
