"""What a report counts is what the transport counted, once, at the place of the program that caused it."""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.report import LAN, WAN, Books, Row, Scope, joined, predict
from mpc.transport.frames import HEADER_BYTES
from tests.report.virtual_time import VirtualTime


def run(program: Any, parties: int = 2, protocol: str = "additive") -> list[Any]:
    def main() -> Any:
        with mpc.session() as s:
            mpc.manual_seed(1)
            return program(s)

    return mpc.local(main, parties=parties, protocol=protocol, threads=True, deadline=20)


def training(s: Any, steps: int = 2) -> nn.Sequential:
    """A little of everything: inputs, layers both ways, an optimiser, comparisons, reveals."""
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = mpc.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, y = mpc.share(np.ones((8, 4)), 0), mpc.share(np.zeros((8, 1)), 1)
    for step in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.reveal(reason=f"loss of step {step}")
    (net(x) > 0).reveal(to=1, reason="signs")
    return net


@pytest.mark.parametrize("parties", [2, 3])
def test_bytes_are_those_of_the_transport_headers_included(parties: int) -> None:
    def program(s: Any) -> Any:
        greeted = s.report().offline_bytes  # READY may come twice where somebody was late, and to one party alone
        training(s)
        report, meter = s.report(), s.transport.meter
        sent = sum(meter.bytes_sent[p] for p in s.peers)
        payload = sum(meter.payload_sent(p) for p in s.peers)
        frames = sum(meter.frames_sent[p] for p in s.peers)
        assert report.bytes_sent == sent == payload + frames * HEADER_BYTES
        assert report.rounds == s.total.rounds > 20
        requests = meter.frames_sent[s.world_size] - 2  # but the greeting and the ready
        rows = [(row.label, row.offline_bytes - greeted * (row.label == "program"), row.rounds) for row in report.rows]
        return report, requests, meter.bytes_received[s.world_size], greeted, rows

    results = run(program, parties)
    *others, (last, requests, received, greeted, wanted) = results
    assert (last.total.requests, last.offline_bytes) == (requests, received), "counted at the receiver's socket"
    for report, none, _, greetings, rows in others:
        assert none == 0
        assert (report.total.requests, report.offline_bytes - greetings) == (requests, received - greeted), (
            "known from the structure"
        )
        assert rows == wanted


def test_the_twin_counts_its_broadcasts_and_no_dealer() -> None:
    def program(s: Any) -> Any:
        training(s)
        assert s.report().bytes_sent == sum(s.transport.meter.bytes_sent[p] for p in s.peers)
        return s.report().total

    for row in run(program, protocol="clear"):
        assert row.requests == row.offline_bytes == 0 and row.dealer_wait == 0.0


def test_every_second_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("mpc.report.books.perf_counter", lambda: now[0])
    books = Books(2, 0, "additive", 16)
    now[0] += 1
    for inside in (4, 32):
        with Scope(books, "outer", False):
            now[0] += 2
            with Scope(books, "inner", False):
                now[0] += inside
            now[0] += 8
    now[0] += 16
    report = books.report()
    assert {row.label: row.seconds for row in report.rows} == {"program": 17, "outer": 20, "outer/inner": 36}
    assert report.seconds == now[0] - 100


def test_a_scope_ends_with_its_exception() -> None:
    def program(s: Any) -> Any:
        with pytest.raises(ZeroDivisionError), s.scope("fails"):
            raise ZeroDivisionError
        with pytest.raises(mpc.ShapeError):
            training(s)(mpc.share(np.ones((2, 3)), 0))
        assert s.books.account is s.books.root
        return {row.label: row.calls for row in s.report().rows}

    assert run(program)[0]["fails"] == 1


def test_waiting_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    time = VirtualTime(monkeypatch)
    time.between(LAN)

    def program(s: Any) -> Any:
        s.barrier()
        with s.scope("together"):
            time.passes(0.2 if s.rank == 1 else 0.1)
            s.barrier()
        x, y = mpc.share(np.ones(50_000), 0), mpc.share(np.ones(50_000), 1)
        with s.scope("products"):
            (x * y).relu().reveal()
        return s.report()

    first, second = run(program)
    rows = {row.label: row for row in first.rows}
    assert rows["together"].peer_wait == pytest.approx(0.1, abs=0.01) and rows["together"].compute == pytest.approx(0.1)
    late = {row.label: row for row in second.rows}["together"]
    assert late.peer_wait < 0.01 and late.compute == pytest.approx(0.2)
    assert first.total.dealer_wait == 0.0 < second.total.dealer_wait, "only the last party waits for the dealer"
    whole = joined([first, second])
    assert whole.seconds == pytest.approx(first.seconds)
    assert 0.0 < whole.total.dealer_wait <= second.total.dealer_wait + 1e-9
    assert whole.total.compute == pytest.approx(first.total.compute)


def test_predictions_follow_the_formula() -> None:
    row = Row("x", rounds=10, bytes_sent=1_000_000, requests=4, offline_bytes=3_000_000, seconds=1.0, peer_wait=0.25,
              dealer_wait=0.15)
    lan, wan = predict(row, LAN), predict(row, WAN)
    assert lan.online == pytest.approx(0.6 + 10 * 0.25e-3 + 8e6 / 1e9)
    assert lan.offline == pytest.approx(4 * 0.25e-3 + 24e6 / 1e9)
    assert wan.online == pytest.approx(0.6 + 10 * 20e-3 + 8e6 / 100e6)
    assert (wan.compute, wan.latency, wan.transfer) == pytest.approx((0.6, 0.2, 0.08))
    assert wan.offline == pytest.approx(4 * 20e-3 + 24e6 / 100e6)


# --- where costs go
@pytest.mark.parametrize("protocol", ["additive", "clear"])
def test_backward_costs_go_to_their_layers(protocol: str) -> None:
    def program(s: Any) -> Any:
        training(s, steps=3)
        return s.report()

    report = run(program, protocol=protocol)[0]
    calls = {(r.layer, r.backward): r.calls for r in report.rows if r.operation == "matmul"}
    assert calls["Sequential/0:Linear", False] == calls["Sequential/2:Linear", False] == 4
    assert calls["Sequential/0:Linear", True] == 3, "dW alone: the input wants no gradient"
    assert calls["Sequential/2:Linear", True] == 6, "dW and dX"
    layers = {(r.label, r.backward): r for r in report.by_layer()}
    assert layers["Sequential/1:ReLU", True].calls == 3 and layers["Sequential/1:ReLU", False].calls == 4
    assert {"share", "SGD", "reveal", "outside layers"} <= {label for label, _ in layers}
    if protocol == "additive":
        assert layers["Sequential/1:ReLU", False].rounds == 4 * 4
        assert layers["Sequential/2:Linear", True].rounds > 0
    for view in (report.by_layer(), report.by_operation()):
        for name in ("rounds", "bytes_sent", "offline_bytes", "requests"):
            assert sum(getattr(row, name) for row in view) == getattr(report.total, name)
        assert sum(row.seconds for row in view) == pytest.approx(report.seconds)


def test_layers_of_phases_stay_apart() -> None:
    def program(s: Any) -> Any:
        net = nn.Linear(2, 2)
        x = mpc.share(np.ones((3, 2)), 0)
        for phase in ("fit", "check"):
            with s.scope(phase):
                out = net(x).sum()
        out.backward()
        return [(r.label, r.backward) for r in s.report().by_layer()]

    names = run(program)[0]
    assert ("fit/Linear", False) in names and ("check/Linear", False) in names
    assert ("check/Linear", True) in names and ("fit/Linear", True) not in names, "where it was recorded"


# --- profile, curves, plain data
def test_profile_is_the_block_alone() -> None:
    def program(s: Any) -> Any:
        x = mpc.share(np.ones(5), 0)
        x.reveal(reason="before")
        with mpc.profile() as outer:
            before = s.total.rounds
            with mpc.profile() as p:
                (x * x).reveal(reason="inside")
                rounds = s.total.rounds - before
                assert p.report.rounds == rounds
            s.log("later", 1.0)
            x.reveal(reason="behind")
        x.reveal(reason="after")
        assert p.report.rounds == rounds < outer.report.rounds
        assert {row.label for row in p.report.rows} == {"program", "square", "truncate", "reveal"}
        assert [point.name for point in outer.report.points] == ["later"] and not p.report.points
        assert outer.report.seconds >= p.report.seconds > 0
        return [line.reason for line in p.report.ledger], [line.reason for line in outer.report.ledger]

    assert run(program)[0] == (["inside"], ["inside", "behind"])
    with pytest.raises(mpc.SessionError, match="session"), mpc.profile():
        pass


def test_curves_are_public_numbers() -> None:
    def program(s: Any) -> Any:
        x = mpc.share(np.array([0.5]), 0)
        s.log("accuracy", 0.25)
        s.log("accuracy", np.float64(0.5))
        s.log("rate", np.array([0.1]), step=7)
        for wrong in (x, "high", np.ones(3), None):
            with pytest.raises(mpc.NotSupported, match="one public number"):
                s.log("x", wrong)
        x.reveal(reason="validation Loss, epoch 3")
        x.reveal(to=1, reason="loss 5")
        x.reveal(reason="no such thing")
        mpc.share(np.ones(2), 0).reveal(reason="loss of two")
        return [(p.name, p.step, p.value) for p in s.report().points]

    first, second = run(program)
    assert first[:3] == [("accuracy", 1.0, 0.25), ("accuracy", 2.0, 0.5), ("rate", 7.0, 0.1)]
    assert first[3:] == [("validation Loss, epoch", 3.0, 0.5)]
    assert second == [*first, ("loss", 5.0, 0.5)], "only who received it"


def test_plain_data() -> None:
    def program(s: Any) -> Any:
        training(s)
        return s.report()

    for protocol in ("additive", "clear"):
        report = run(program, protocol=protocol)[0]
        plain = json.loads(json.dumps(report.to_dict()))
        assert plain["rounds"] == report.rounds and len(plain["rows"]) == len(report.rows)
        assert plain["predicted"]["WAN"]["online"] == pytest.approx(predict(report.total, WAN).online)
        assert [row["label"] for row in plain["by_operation"]] == [row.label for row in report.by_operation()]
        assert bool(plain["headroom"]) == (protocol == "clear")
