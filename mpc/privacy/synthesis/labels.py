"""Labels of records, as positions among the classes there are."""
from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError

MOST: Final = 1 << 16


def known(classes: Any) -> npt.NDArray[Any]:
    """The labels 0 .. K - 1, or those listed. Raises ConfigError."""
    if isinstance(classes, (int, np.integer)) and classes > MOST:
        raise ConfigError(f"classes={classes!r}; want at most {MOST}")
    found = np.arange(classes) if isinstance(classes, (int, np.integer)) else listed(classes, "classes")
    if found.ndim != 1 or not len(found) or len(np.unique(found)) != len(found):
        raise ConfigError(f"classes={classes!r}; want a number of at least 1, or the distinct labels")
    return found


def listed(values: Any, what: str) -> npt.NDArray[Any]:
    """Public labels or categories, an array. Raises ConfigError for what cannot be sorted: None, mixed types, ragged lists."""
    try:
        found = np.asarray(values)
        np.unique(found)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: got {values!r}; want values of one type, numbers or texts ({error})") from None
    return found


def numbered(labels: npt.NDArray[Any], classes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Positions of labels among the classes. Raises ConfigError for a label that is none of them."""
    order = np.argsort(classes)
    try:
        place = np.minimum(np.searchsorted(classes, labels, sorter=order), len(classes) - 1)
    except TypeError:  # text among objects, and numbers
        raise ConfigError(f"got labels of type {labels.dtype}; want some of {classes.tolist()}") from None
    out = order[place]
    if not np.array_equal(classes[out], labels):
        raise ConfigError(f"got the label {labels[classes[out] != labels][:1].tolist()[0]!r}; want one of {classes.tolist()}")
    return np.asarray(out, np.int64)


def apart(table: Any, y: Any, label: str | None) -> tuple[Any, Any]:
    """A table without the column ``label``, and that column; the table and ``y`` where none is named. Raises ConfigError."""
    if label is None:
        return table, y
    if y is not None or label not in table:
        also = " and y" if y is not None else ""
        raise ConfigError(f"fit: got label={label!r}{also}; want one of {list(table)}, or y= alone")
    return {name: table[name] for name in table if name != label}, table[label]


def wanted(
    n: int | None, labels: Any, classes: npt.NDArray[Any], frequencies: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The class of every record that `sample` is asked for: ``n`` drawn by their frequencies, or those of ``labels``. Raises
    ConfigError."""
    if (n is None) == (labels is None):
        raise ConfigError(f"sample: got n={n}, labels={labels!r}; want one of the two")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer, type(None))) or (np.size(labels) if n is None else n) < 1:
        raise ConfigError(f"sample: got n={n!r}, {np.size(labels)} labels; want at least 1, a whole number")
    if n is None and np.ndim(labels) != 1:
        raise ConfigError(f"sample: got labels of shape {np.shape(labels)}; want (records,)")
    if labels is None:
        return rng.choice(len(classes), n, p=frequencies)
    return numbered(np.asarray(labels), classes)
