"""Clients whose own code does harm: to their module, or with values beyond the bound."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.federated import Client, FedAvg, Training, weights
from tests.federated.models import clients, net, records, torch


def test_what_a_client_does_to_its_module_is_nobody_else_s_fault() -> None:
    class Vandal(Client):
        def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
            module[0].weight = torch.nn.Parameter(torch.zeros(2, 2))
            module[0].register_forward_hook(lambda *args: 1 / 0)
            raise RuntimeError("gone")

    x, y = records(40, seed=5)
    fed = FedAvg(net, seed=1)
    fed.fit([Client(x, y, "first"), Vandal(x, y, "vandal"), *clients(3)], rounds=2)
    assert fed.history[1].refused == {"vandal": "RuntimeError: gone"} and len(fed.history[1].accepted) == 4


@pytest.mark.parametrize("aggregator", ["plain", "shares", "paillier"])
def test_a_given_bound_holds_under_every_aggregator(aggregator: str) -> None:
    class Large(Client):
        def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
            update = np.zeros(weights.flatten(module).size)
            update[3] = 0.3
            return update

    x, y = records(40, seed=5)
    fed = FedAvg(net, aggregator, bound=0.25, lr=0.01, seed=1)
    fed.fit([*clients(3), Large(x, y, "large")], rounds=1)
    assert list(fed.history[0].refused) == ["large"] and "0.25" in fed.history[0].refused["large"]
