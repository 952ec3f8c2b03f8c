"""Predictions against a network that is emulated: every frame arrives half a round trip and its transfer later."""
from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.report import Network, joined
from mpc.report.network import predict
from mpc.transport.memory import MemoryTransport
from tests.report.test_counts import run

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
    counted = predict(joined(run(program, parties)).total, SLOW)
    free: dict[int, float] = {}  # when each process's link has sent what it has to

    def send(self: Any, peer: int, frame: Any) -> None:
        data = frame if isinstance(frame, bytes) else memoryview(frame.tobytes())
        self.meter.sent(peer, len(data))
        free[id(self)] = max(time.monotonic(), free.get(id(self), 0.0)) + len(data) * 8 / SLOW.bandwidth
        self._out[peer].put((free[id(self)] + SLOW.round_trip / 2, data))

    def news(self: Any, peer: int, timeout: float) -> Any:
        arrives, data = self._in[peer].get(timeout > 0, timeout)
        time.sleep(max(0.0, arrives - time.monotonic()))
        if not self.is_news(peer, data):
            return None
        self.meter.received(peer, len(data))
        return data

    monkeypatch.setattr(MemoryTransport, "send", send)
    monkeypatch.setattr(MemoryTransport, "_news", news)
    measured = joined(run(program, parties)).total
    assert counted.latency > 0.1 and counted.transfer > 0.02, "the case says something"
    online = measured.seconds - measured.dealer_wait
    assert 0.7 * counted.online < online < 1.4 * counted.online + 0.3
    assert counted.online < measured.seconds + 0.1 < counted.online + counted.offline + 0.6, "the dealer hides in part"
