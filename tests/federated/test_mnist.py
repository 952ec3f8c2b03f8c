"""Non-IID MNIST under every aggregator ends where plain averaging does; a hundred clients take part in turn."""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

import mpc
from mpc.federated import FedAvg, History, PaillierAggregator, splits
from tests.federated.models import torch
from tests.federated.paillier_keys import PRIVATE, PUBLIC

CLIENTS, IMAGES = 10, 10_000


def net() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


@cache
def trained(aggregator: str, folder: Path, clients: int = CLIENTS, rounds: int = 4, fraction: float = 1.0) -> History:
    x, y, test_x, test_y = mpc.data.mnist(folder)
    x, y, test_x = x[:IMAGES].reshape(-1, 784), y[:IMAGES], test_x.reshape(-1, 784)
    made: Any = aggregator
    if aggregator == "paillier":  # a short key: the arithmetic on values is the same, and a test is not a measurement
        made = PaillierAggregator(PUBLIC, PRIVATE, max_clients=clients, max_weight=1000)
    fed = FedAvg(net, made, lr=0.2, batch_size=20, fraction=fraction, seed=0)
    fed.fit([(x[r], y[r]) for r in splits.by_label(y, clients, seed=0)], rounds, evaluate=(test_x, test_y))
    return fed.history


@pytest.mark.parametrize("aggregator", ["shares", "paillier"])
def test_within_a_fifth_of_a_point_of_plain_averaging(aggregator: str, data_folder: Path) -> None:
    plain, other = (trained(name, data_folder / "mnist") for name in ("plain", aggregator))
    assert plain[-1].accuracy is not None and plain[-1].accuracy > 0.6
    for a, b in zip(plain, other, strict=True):
        assert len(b.accepted) == CLIENTS and b.weight == a.weight == IMAGES
    assert abs(other[-1].accuracy - plain[-1].accuracy) <= 0.002  # type: ignore[operator]
    assert other[-1].loss != plain[-1].loss  # it did pass through fixed point


def test_a_hundred_clients(data_folder: Path) -> None:
    history = trained("shares", data_folder / "mnist", clients=100, rounds=3, fraction=0.2)
    assert [len(entry.accepted) for entry in history] == [20] * 3
    assert len({name for entry in history for name in entry.accepted}) > 40
    assert history[-1].loss < history[0].loss  # type: ignore[operator]
