"""scikit-learn's bundled data, split between owners, and the three ways every estimator is run."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import mpc
from mpc.party import current

sklearn = pytest.importorskip("sklearn", reason="scikit-learn (the extra 'demo') is the reference")
Array = npt.NDArray[Any]

WAYS = [("clear", 2), ("additive", 2), ("additive", 3)]
ways = pytest.mark.parametrize("protocol,parties", WAYS)


def run(program: Callable[[], Any], protocol: str = "clear", parties: int = 2, **options: Any) -> Any:
    """What rank 0 returns."""
    return mpc.local(program, parties=parties, protocol=protocol, threads=True, **options)[0]


def load(name: str) -> tuple[Array, Array]:
    """A bundled set as it is: X, y."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return x.astype(float), y


def scaled(name: str) -> tuple[Array, Array]:
    """Columns of mean 0 and variance 1 (constant ones 0)."""
    x, y = load(name)
    return (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1), y


def by_columns(x: Array) -> mpc.SecretTensor:
    """Every party has some features of everybody."""
    party = current()
    got: mpc.SecretTensor = mpc.data.by_columns(np.array_split(x, party.world_size, axis=1)[party.rank])
    return got


def by_rows(x: Array) -> mpc.SecretTensor:
    """Every party has some people."""
    party = current()
    got: mpc.SecretTensor = mpc.data.by_rows(np.array_split(x, party.world_size)[party.rank])
    return got
