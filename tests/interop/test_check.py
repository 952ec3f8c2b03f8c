"""What `check` says before anybody shares anything: obstacles, costs to the byte, values that do not fit."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from tests.interop.models import CASES, Case
from tests.interop.test_refusals import OBSTACLES, Bad

torch = pytest.importorskip("torch", reason="models come from torch")
nn = torch.nn


def measured(module: Any, x: np.ndarray) -> Any:
    """What the forward pass costs in a session of its own: rounds, bytes, dealt bytes."""
    with mpc.session() as s:
        model = mpc.nn.from_torch(module if s.rank == 0 else None)
        xs = mpc.share(x if s.rank == 1 else None, 1)
        before = s.report()
        model(xs)
        report = s.report().since(before)
        return report.rounds, report.bytes_sent, report.offline_bytes


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("case", CASES[:7], ids=lambda case: case.name)
def test_the_prediction_is_what_processes_measure(case: Case, parties: int) -> None:
    """``check`` has only the shape and runs threads; the session has processes, sockets and values."""
    module = case.module(torch).eval()
    found = mpc.nn.check(module, case.shape if not case.tokens else case.input().shape, parties=parties)
    threads = case.name != "MLP"  # one of them with processes
    results = mpc.local(measured, parties=parties, args=(module, case.input()), threads=threads)
    assert {(rounds, dealt) for rounds, _, dealt in results} == {(found.rounds, found.offline_bytes)}
    assert max(sent for _, sent, _ in results) == found.bytes_sent
    assert found.supported and found.warnings == () and found.rounds > 0 and found.offline_bytes > 0
    assert found.error is not None and found.error < 2 * case.tolerance


def test_text() -> None:
    case = CASES[1]
    found = mpc.nn.check(case.module(torch), case.input(), training=True)
    text = str(found)
    assert "LeNet: forward pass on 2x1x16x16, 2 parties" in text and "LeNet: training step on" in text
    for part in ("features.0:Conv2d", "classifier.2:Linear", "(backward)", "on LAN", "on WAN", "SGD", "difference from torch"):
        assert part in text, part
    step = found.training_step
    assert step is not None and step.rounds > found.rounds and step.bytes_sent > found.bytes_sent
    assert found.forward is not None and {row.layer for row in found.forward.rows} >= {"LeNet/features.3:Conv2d"}


def test_a_training_step_costs_what_it_says() -> None:
    case = CASES[0]
    module = case.module(torch)
    found = mpc.nn.check(module, case.shape, training=True).training_step

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if s.rank == 0 else None)
            x, optimizer = mpc.share(case.input(), 1), mpc.optim.SGD(model.parameters(), lr=0.1)
            before = s.report()
            mpc.nn.functional.mse_loss(model(x), np.ones((5, 3))).backward()
            optimizer.step()
            report = s.report().since(before)
            return report.rounds, report.bytes_sent, report.offline_bytes

    assert found is not None
    got = mpc.local(program, parties=2, threads=True)
    assert {(rounds, dealt) for rounds, _, dealt in got} == {(found.rounds, found.offline_bytes)}
    assert max(sent for _, sent, _ in got) == found.bytes_sent


class Runnable(Bad):
    """The obstacles of `Bad`, with a forward that torch can run."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) if x is None else self._all(x)

    def _all(self, x: Any) -> Any:
        x = self.group(torch.cat([self.conv(x)] * 2, 1))
        x = torch.cumsum(self.pool(x), 1).flatten(1)[:, :4]
        x, _ = self.lstm(self.hooked(x))
        return torch.softmax(x, 1, dtype=torch.float64)


def test_all_obstacles_at_once_and_no_costs() -> None:
    found = mpc.nn.check(Runnable(), torch.zeros(2, 1, 8, 8))
    text = str(found)
    expected = ("Conv2d with padding_mode='circular'", "MaxPool2d with ceil_mode=True", "no layer GroupNorm", "torch.cumsum",
                "Linear with hooks", "no layer LSTM")
    assert [part for part in expected if part not in text] == []
    assert len(found.unsupported) == len(expected) <= len(OBSTACLES) and not found.supported and found.forward is None
    assert "6 obstacles" in text
    for problem in found.unsupported:
        assert problem.where and problem.what and problem.instead
    with pytest.raises(mpc.NotSupported, match="LSTM"):
        _ = found.rounds


def test_what_only_the_example_shows() -> None:
    """A mean over windows that do not divide the image depends on the shape."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.AdaptiveAvgPool2d(3))
    assert mpc.nn.check(net, (1, 1, 6, 6)).supported
    found = mpc.nn.check(net, (1, 1, 7, 7))
    assert not found.supported and "divide" in found.unsupported[0].what and "AdaptiveAvgPool2d" in found.unsupported[0].where


def changed(**values: Any) -> Any:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        for name, value in values.items():
            (net.get_parameter if name[0] == "0" else net.get_buffer)(name.replace("_of_", ".")).fill_(value)
    return net


@pytest.mark.parametrize("values,example,expected", [
    ({"0.weight": 40000.0}, (2, 4), ["0.weight reaches 40000; weights stay below 2^15", "sums 4 products"]),
    ({"0.weight": float("nan")}, (2, 4), ["0.weight reaches nan"]),
    ({"0.weight": 1e-4}, (2, 4), ["0.weight is at most 1.0e-04: fewer than 8 bits"]),
    ({"0.weight": 4000.0}, (2, 4), ["0.weight sums 4 products with weights of 16000 together: inputs above 2 leave"]),
    ({"1.running_var": 1e-4}, (2, 4), ["1.running_var lies in [0.0001, 0.0001]; want [2^-8, 2^13]"]),
    ({}, np.full((2, 4), 3e4), []),
])  # fmt: skip
def test_values_that_do_not_fit(values: Any, example: Any, expected: list[str]) -> None:
    warnings = mpc.nn.check(changed(**values), example).warnings
    assert [part for part in expected if not any(part in text for text in warnings)] == []
    assert bool(expected) == bool(warnings)


def test_the_twin_finds_values_that_leave_the_range_on_the_example() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(100.0)
    found = [mpc.nn.check(net, np.full((1, 4), x)) for x in (2.0**-13, 1.0, 100.0)]
    assert len({check.rounds for check in found}) == 1
    assert [len(check.warnings) for check in found] == [0, 1, 1]
    assert "on this example a revealed value has magnitude 6.4e+07" in found[1].warnings[0]
    assert "on this example a matrix product (layer Sequential/2:Linear" in found[2].warnings[0]


def test_modes_inputs_and_sessions() -> None:
    net = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5)).train()
    net[1].eval()

    def program() -> Any:
        with mpc.session() as s:
            found = mpc.nn.check(net, (3, 4))  # a session is open: check does not touch it
            return found.rounds, s.report().rounds

    rounds, around = mpc.local(program, parties=2, threads=True)[0]
    assert rounds == 1 and around == 0
    assert net.training and net[0].training and not net[1].training

    class Two(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return (x.relu() * y, x)

    found = mpc.nn.check(Two(), [(2, 3), torch.ones(3)])
    assert found.shapes == ((2, 3), (3,)) and found.rounds == 1
    tokens = mpc.nn.check(nn.Embedding(5, 2), np.array([[1, 4]]))
    assert tokens.supported and tokens.error is not None and tokens.error < 1e-4
    for bad, error, text in (((2, 5), mpc.ShapeError, "torch cannot run"), (np.full((2, 4), 1e5), mpc.FixedPointRangeError,
                                                                           "the example")):
        with pytest.raises(error, match=text):
            mpc.nn.check(net, bad)
    with pytest.raises(mpc.ConfigError, match="got str"):
        mpc.nn.check("net", (1,))
