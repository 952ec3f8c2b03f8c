"""Which form a comparison takes, and that both forms are right where one gives way to the other."""
from __future__ import annotations

import numpy as np
import pytest

import mpc
from mpc.masks import Mask
from mpc.network import LOOPBACK, Network
from mpc.preprocessing.base import ByteTables, Merges, Tables
from mpc.protocols import costs
from mpc.protocols.choice import BYTES, MERGE_EXTRA, NIBBLES, TABLE_EXTRA, variant
from mpc.sharing import Share
from tests.protocols import programs
from tests.protocols.programs import FAR, PARTIES, SHARINGS, run, shares_of, signed, words

WAN = Network(one_way=20e-3, bandwidth=12.5e6)
LAN = Network(one_way=0.25e-3, bandwidth=125e6)
EXTREMES = [0, 1, -1, 127, 128, -128, -129, 255, 256, (1 << 56) - 1, -(1 << 56), (1 << 62) - 1, -(1 << 62)]


def threshold(network: Network) -> int:
    """The most elements that are compared in two rounds."""
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if variant(network, middle, middle) is BYTES else (low, middle - 1)
    return low


def test_the_extra_bytes_are_what_is_dealt() -> None:
    n = 1 << 16
    dealt = [
        sum(part.words * 8 for item in (form.tables(1, Mask(0, 0, (n,)), n), Merges(2, n, form.tree))
        for part in item.parts()) / n for form in (NIBBLES, BYTES)
    ]  # fmt: skip
    assert dealt == [41.125, 285.875]
    assert TABLE_EXTRA + MERGE_EXTRA == dealt[1] - dealt[0]


def test_a_round_is_weighed_against_bytes() -> None:
    assert 900 <= threshold(WAN) <= 1_100
    assert 100 <= threshold(LAN) <= 130
    assert threshold(LOOPBACK) == 0 and variant(LOOPBACK, 0, 0) is NIBBLES
    assert threshold(Network(WAN.one_way, WAN.bandwidth, stored=True)) > 100_000
    assert 1_000 <= threshold(Network(LAN.one_way, LAN.bandwidth, stored=True)) <= 5_000
    assert variant(Network(5e-5, 1e9, stored=True), 1, 1) is NIBBLES


@pytest.mark.parametrize("network", [WAN, LAN])
def test_twice_the_delay_or_bandwidth_is_worth_twice_the_elements(network: Network) -> None:
    least = threshold(network)
    assert threshold(Network(2 * network.one_way, network.bandwidth)) == pytest.approx(2 * least, rel=0.02)
    assert threshold(Network(network.one_way, 2 * network.bandwidth)) == pytest.approx(2 * least, rel=0.1)
    assert variant(network, least, 4 * least) is NIBBLES and variant(network, least // 2, 2 * (least // 2)) is BYTES


@pytest.mark.parametrize(("one_way", "bandwidth"), [(0, 1e9), (-1, 1e9), (1, 0), (float("nan"), 1e9), (1, float("inf"))])
def test_a_network_has_a_delay_and_a_bandwidth(one_way: float, bandwidth: float) -> None:
    with pytest.raises(ValueError, match="want both above 0"):
        Network(one_way, bandwidth)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("n", PARTIES)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 1000])
def test_every_size_and_sharing(n: int, size: int) -> None:
    x = np.random.default_rng(size).integers(-(1 << 62), 1 << 62, size)
    x[: len(EXTREMES)] = EXTREMES[:size]
    x = words(np.where(np.arange(size) % 3 == 2, x >> 50, x))

    def program(s, a):
        k = s.protocol
        out = [k.negative(a), k.is_zero(a), *k.relu(a), k.truncate(a, 9, exact=True), *k.at_least(a, [0, 300])]
        return [part.words for part in out]

    v = signed(x)
    want = [v < 0, v == 0, np.maximum(v, 0), v >= 0, v >> 9, v >= 0, v >= 300]
    for sharing in SHARINGS:
        parts = run(program, n, shares_of(x, n, sharing, seed=size))
        for k, right in enumerate(want):
            np.testing.assert_array_equal(signed(sum(p[k] for p in parts)), right, f"{sharing}, result {k}")


@pytest.mark.parametrize("network", [LAN, WAN])
def test_rounds_fall_and_bytes_rise_exactly_at_the_threshold(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "network", network)
    least = threshold(network)
    for size, form in [(least, BYTES), (least + 1, NIBBLES)]:
        x = words(np.arange(size) - size // 2)

        def main(s, a):
            before = s.total.rounds, s.transport.meter.payload_sent(s.peers[0])
            bit = s.protocol.negative(a)
            spent = s.total.rounds - before[0], s.transport.meter.payload_sent(s.peers[0]) - before[1]
            return bit.words, spent, s.total.offline_bytes

        parts = run(main, 3, shares_of(x, 3))
        np.testing.assert_array_equal(sum(p[0] for p in parts), signed(x) < 0)
        assert {p[1] for p in parts} == {costs.comparison(size, size, form)}
        items = [form.tables(1, Mask(0, 0, (size,)), size), Merges(2, size, form.tree)]
        dealt = 8 * sum(part.words for item in items for part in item.parts()) + 8 * size  # and the bit's words
        assert parts[2][2] == dealt


def test_many_comparisons_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thresholds deal more than one: they leave the small form at fewer elements."""
    monkeypatch.setattr(programs, "network", LAN)
    asked = []

    def main(s, a):
        ask = s.protocol.ask
        monkeypatch.setattr(s.protocol, "ask", lambda items: asked.append(type(items[0])) or ask(items))
        rounds = s.total.rounds
        s.protocol.at_least(a, [0])
        one = s.total.rounds - rounds
        s.protocol.at_least(Share(a.words, 0), list(range(10)))
        return one, s.total.rounds - rounds - one

    assert run(main, 2, shares_of(words(np.arange(100)), 2)) == [(3, 4)] * 2
    assert set(asked[:2]) == {ByteTables} and set(asked[-2:]) == {Tables}


def test_parties_that_believe_in_different_networks_are_told() -> None:
    def main():
        with mpc.session() as s:
            s.network = FAR if s.rank else LOOPBACK
            s.protocol.negative(Share(words(np.arange(9)), 0))

    with pytest.raises(mpc.ProgramMismatch, match="does not run the same program"):
        mpc.local(main, parties=2, threads=True, deadline=10)
