"""Class labels: public or secret, as values or as one-hot rows."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.tensor import SecretTensor, stack

Classes = Union[int, Sequence[Any], npt.NDArray[Any], None]


class Labels(NamedTuple):
    """Class labels: the public values they may have, and one row of bits for each label (secret, or public integers)."""

    classes: npt.NDArray[Any]
    one_hot: Any

    def column(self) -> Any:
        """1 for the second of two classes, (rows,)."""
        return self.one_hot[:, 1]


def labels(y: Any, rows: int, classes: Classes = None) -> Labels:
    """y as `Labels`: public labels of any kind, secret labels (rows,) or (rows, 1), or secret one-hot rows.

    ``classes``: the values that labels may have, or their number K for 0..K-1. By default those found in public labels,
    0..columns-1 for one-hot rows, and 0 and 1 for secret labels. A secret label that is none of them cannot be noticed:
    its row counts as no class (of two classes 0 and 1, labels are taken as they are). Secret labels of other classes
    cost one equality per row and class. Raises ConfigError, ShapeError.
    """
    known = None
    if classes is not None:
        known = np.arange(classes) if isinstance(classes, (int, np.integer)) else np.asarray(classes)
        if known.ndim != 1 or len(known) < 2 or len(np.unique(known)) != len(known):
            raise ConfigError(f"classes={classes!r}; want a number of at least 2, or the distinct values of labels")
    shape = tuple(y.shape) if isinstance(y, SecretTensor) else np.shape(y)
    if not shape or shape[0] != rows or len(shape) > 2:
        raise ShapeError(f"got y of shape {shape} for {rows} rows of X; want labels (rows,) or one-hot rows")
    if not isinstance(y, SecretTensor):
        return _public_labels(np.asarray(y), known)
    y = y.detach()
    if len(shape) == 2 and shape[1] > 1:
        known = np.arange(shape[1]) if known is None else known
        if len(known) != shape[1]:
            raise ShapeError(f"got one-hot rows of {shape[1]} columns for {len(known)} classes")
        return Labels(known, y)
    if known is None:
        known = np.arange(2)
    y = y.reshape(rows)
    if list(known) == [0, 1]:
        return Labels(known, stack([1 - y, y], 1))
    if known.dtype.kind not in "biuf":
        raise ConfigError(f"classes={classes!r} for secret labels; want numbers")
    return Labels(known, y.unsqueeze(1) == known)


def _public_labels(y: npt.NDArray[Any], known: npt.NDArray[Any] | None) -> Labels:
    if y.ndim == 2 and y.shape[1] > 1:
        if not np.isin(y, (0, 1)).all() or (known is not None and len(known) != y.shape[1]):
            raise ShapeError(f"got y of shape {y.shape}; want labels (rows,), or one-hot rows with a column per class")
        return Labels(np.arange(y.shape[1]) if known is None else known, y.astype(np.int64))
    y = y.reshape(-1)
    known = np.unique(y) if known is None else known
    if len(known) < 2 or not np.isin(y, known).all():
        raise ConfigError(f"got public labels {np.unique(y).tolist()[:9]}; want two classes or more, of {known.tolist()}")
    return Labels(known, (y[:, None] == known).astype(np.int64))
