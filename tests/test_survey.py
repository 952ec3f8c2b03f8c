"""Measuring links: what is found is what there is, the same at all parties; who does not answer is said to."""
from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

import mpc
from mpc import report, survey
from mpc.exchange import abort_frame
from mpc.network import Network
from mpc.party import current
from mpc.transport.memory import Hub, MemoryTransport
from tests.report.virtual_time import VirtualTime

ONE_WAY, BANDWIDTH = 0.02, 4e6  # seconds, bytes per second


def slow_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process's frames leave one after the other at `BANDWIDTH` and arrive `ONE_WAY` later."""
    free: dict[int, float] = {}

    def send(self: Any, peer: int, frame: Any) -> None:
        data = frame if isinstance(frame, bytes) else memoryview(frame.tobytes())
        free[id(self)] = max(time.monotonic(), free.get(id(self), 0.0)) + len(data) / BANDWIDTH
        self._out[peer].put((free[id(self)] + ONE_WAY, data))

    def news(self: Any, peer: int, timeout: float) -> Any:
        arrives, data = self._in[peer].get(timeout > 0, timeout)
        time.sleep(max(0.0, arrives - time.monotonic()))
        return data if self.is_news(peer, data) else None

    monkeypatch.setattr(MemoryTransport, "send", send)
    monkeypatch.setattr(MemoryTransport, "_news", news)


def measure() -> Network:
    with mpc.session():
        return survey.agreed(current())


@pytest.mark.parametrize("parties", [2, 3])
def test_parties_agree_on_the_slowest_link(parties: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualTime(monkeypatch)
    clock.between(report.Network("slow", 8 * BANDWIDTH, 2 * ONE_WAY))
    monkeypatch.setattr(survey, "time", SimpleNamespace(perf_counter=clock.now))
    got = mpc.local(measure, parties=parties, threads=True)
    assert len(set(got)) == 1, "choices that depend on it must be the same everywhere"
    assert ONE_WAY <= got[0].one_way < 1.01 * ONE_WAY
    assert got[0].bandwidth == pytest.approx(BANDWIDTH, rel=0.01)


def test_who_comes_late_does_not_make_the_way_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A different party in every exchange, as on a busy machine: then each finds at times that it waited for nobody."""
    slow_links(monkeypatch)

    class Late:
        """Before a clock reading that begins a measurement, in turns."""

        def __init__(self) -> None:
            self.readings = [0, 0]

        def perf_counter(self) -> float:
            rank = current().rank
            exchange, ends = divmod(self.readings[rank], 2)
            self.readings[rank] += 1
            if not ends and exchange % 2 == rank:
                time.sleep(1.5 * ONE_WAY)
            return time.perf_counter()

    monkeypatch.setattr(survey, "time", Late())
    first, second = mpc.local(measure, parties=2, threads=True)
    assert first == second and first.one_way >= ONE_WAY


def test_near_links_are_fast() -> None:
    found = (mpc.local(measure, parties=2, threads=True)[0] for _ in range(30))  # the machine may be busy, but not always
    assert any(got.one_way < 0.01 and got.bandwidth > 5 * BANDWIDTH for got in found)


def start(links: list[MemoryTransport], ranks: list[int], seconds: float) -> list[Future[dict[int, survey.Link]]]:
    pool = ThreadPoolExecutor(len(ranks))
    return [pool.submit(survey.links, links[rank], {0, 1, 2} - {rank}, seconds) for rank in ranks]


def test_each_link_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_links(monkeypatch)
    hub = Hub(2)
    for found in [job.result(60) for job in start([hub.join(rank) for rank in range(3)], [0, 1, 2], 10)]:
        for link in found.values():
            assert link.trouble == "" and link.round_trip is not None and link.bandwidth is not None
            half_a_load = survey.LOAD_BYTES / BANDWIDTH / 2
            assert 2 * ONE_WAY <= link.round_trip < 2 * ONE_WAY + half_a_load, "it waited behind what measures bandwidth"
            assert 0.25 * BANDWIDTH < link.bandwidth < 1.2 * BANDWIDTH, "two peers share it"


def test_who_is_silent_is_named_and_the_others_are_measured() -> None:
    hub = Hub(2)
    links = [hub.join(rank) for rank in range(3)]
    for found in [job.result(60) for job in start(links, [0, 1], 3)]:
        assert found[2].trouble == "the dealer did not answer within 3 s" and found[2].round_trip is None
        (other,) = found.keys() - {2}
        assert found[other].trouble == "" and found[other].round_trip is not None


def test_who_stops_says_so() -> None:
    hub = Hub(2)
    links = [hub.join(rank) for rank in range(3)]
    links[2].send(0, abort_frame(mpc.ConfigError("x"), 2, 0, ""))
    links[2].send(1, abort_frame(mpc.ConfigError("x"), 2, 0, ""))
    started = time.monotonic()
    for found in [job.result(60) for job in start(links, [0, 1], 60)]:
        assert "the dealer stopped before the session began with ConfigError" in found[2].trouble
    assert time.monotonic() - started < 15, "nobody waits for it any longer"
