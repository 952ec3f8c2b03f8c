"""Predictions against a network that is emulated: every frame arrives half a round trip and its transfer later."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.report import Network, joined
from mpc.report.network import predict
from tests.report.test_counts import run
from tests.report.virtual_time import VirtualTime

SLOW = Network("slow", 20e6, 30e-3)


def program(s: Any) -> Any:
    net = nn.Sequential(nn.Linear(100, 20), nn.ReLU(), nn.Linear(20, 5))
    x = mpc.share(np.ones((64, 100)), 0)
    s.barrier()
    with mpc.profile() as p:
        net(x).square().sum().backward()
        s.barrier()
    return p.report


@pytest.mark.parametrize("parties", [2, 3])
def test_what_is_predicted_is_what_a_slow_network_takes(parties: int, monkeypatch: pytest.MonkeyPatch) -> None:
    time = VirtualTime(monkeypatch)
    counted = predict(joined(run(program, parties)).total, SLOW)
    time.between(SLOW)
    measured = joined(run(program, parties)).total
    assert counted.latency > 0.1 and counted.transfer > 0.02, "the case says something"
    online = measured.seconds - measured.dealer_wait
    assert online == pytest.approx(counted.online, rel=0.05)
    assert counted.online < measured.seconds < counted.online + counted.offline, "the dealer hides in part"
