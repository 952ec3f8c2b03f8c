"""Small models and data for the tests of federated training. torch runs on one thread: its own would wait for each other."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.federated import Client, splits

torch = pytest.importorskip("torch", reason="torch (the extra 'torch') trains the clients' models")
torch.set_num_threads(1)


def net() -> Any:
    """4-6-3."""
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))


def normed() -> Any:
    """The same with a batch norm: floating buffers that are averaged, and a count that is not."""
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 3))


def records(count: int = 240, seed: int = 3) -> tuple[Any, Any]:
    """Three well separated classes in four dimensions."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    centres = np.array([[2, 0, 0, 1], [0, 2, 0, -1], [0, 0, 2, 0]])
    return (centres[y] + rng.normal(scale=0.6, size=(count, 4))).astype(np.float32), y


def clients(count: int = 5, seed: int = 3, records_each: int = 48) -> list[Client]:
    """Non-IID and of different sizes."""
    x, y = records(count * records_each, seed)
    rows = splits.dirichlet(y, count, alpha=0.5, at_least=4, seed=seed)
    return [Client(x[r], y[r], f"client {k}") for k, r in enumerate(rows)]


def state(module: Any) -> dict[str, Any]:
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
