"""Rows for training and rows for testing, drawn publicly."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpc import fixed_point
from mpc.data import generator
from mpc.errors import ConfigError, ShapeError
from mpc.tensor import SecretTensor


def train_test_split(
    *tensors: Any,
    test_size: float | int | None = None,
    train_size: float | int | None = None,
    random_state: int | None = None,
    shuffle: bool = True,
) -> list[Any]:
    """scikit-learn's: [a_train, a_test, b_train, b_test, ...] of tensors with the same number of rows. Local.

    ``test_size``, ``train_size``: a fraction of the rows, or how many; by default a quarter is for testing. Test rows are
    rounded up, training rows down. ``shuffle``: rows are drawn by the session's public generator (`mpc.manual_seed`), or by
    one seeded with ``random_state``: everybody knows which rows are where, nobody what is in them. ``shuffle=False``:
    the last rows are for testing. Public arrays among ``tensors`` are split alike. There is no ``stratify``: labels are
    secret. What is opened stays open in both parts. Raises ShapeError, ConfigError.
    """
    secret = [t for t in tensors if isinstance(t, SecretTensor)]
    if not secret:
        raise ConfigError("train_test_split: no secret tensors; want train_test_split(x, y)")
    parts = [t if isinstance(t, SecretTensor) else fixed_point.as_array(t) for t in tensors]
    shapes = [tuple(t.shape) for t in parts]
    if any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) != 1:
        raise ShapeError(f"train_test_split of shapes {shapes}; want the same number of rows")
    rows = shapes[0][0]
    train, test = _sizes(rows, test_size, train_size)
    if not shuffle:
        if random_state is not None:
            raise ConfigError(f"train_test_split: random_state={random_state} with shuffle=False; nothing is drawn then")
        first: Any = slice(0, train)
        last: Any = slice(train, train + test)
    else:
        rng = secret[0].party.public_rng if random_state is None else generator.seeded(random_state)
        order = rng.permutation(rows)
        first, last = order[test : test + train], order[:test]
    return [part[chosen] for part in parts for chosen in (first, last)]


def _sizes(rows: int, test_size: float | int | None, train_size: float | int | None) -> tuple[int, int]:
    """(training rows, test rows)."""
    if test_size is None and train_size is None:
        test_size = 0.25
    test = _count("test_size", test_size, rows, math.ceil)
    train = _count("train_size", train_size, rows, math.floor)
    if test is None:
        assert train is not None
        test = rows - train
    elif train is None:
        train = rows - test
    if train < 1 or test < 1 or train + test > rows:
        raise ConfigError(f"train_test_split: {train} training and {test} test rows of {rows}; want at least one of each "
                          f"(test_size={test_size!r}, train_size={train_size!r})")
    return train, test


def _count(name: str, size: float | int | None, rows: int, rounded: Any) -> int | None:
    if size is None:
        return None
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool):
        return int(size)
    if isinstance(size, float) and 0 < size < 1:
        return int(rounded(size * rows))
    raise ConfigError(f"train_test_split: {name}={size!r}; want a fraction between 0 and 1, or a number of rows")
