"""Optimisers against torch, step by step; mini-batches; training that converges."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from tests.tensor.recorder import Recorder

RNG = np.random.default_rng(11)
X = RNG.normal(size=(40, 6))
Y = (X @ RNG.normal(size=(6, 1)) + 0.1 * RNG.normal(size=(40, 1)) > 0).astype(float)


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


OPTIONS = [
    {"lr": 0.5},
    {"lr": 0.3, "momentum": 0.9},
    {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.01},
    {"lr": 0.2, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    {"lr": 1e-4},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("protocol,parties", [("clear", 2), ("additive", 2), ("additive", 3)])
def test_sgd_follows_torch(protocol: str, parties: int, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")
    steps = 12

    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(3)
            x, y = mpc.share(X, 0), mpc.share(Y, 1)
            model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))
            start = model.reveal()
            optimizer = mpc.optim.SGD(model.parameters(), **options)
            for step in range(steps):
                optimizer.zero_grad()
                nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
                if step == 6:
                    optimizer.param_groups[0]["lr"] = options["lr"] / 2
                optimizer.step()
            return start, model.reveal()

    start, end = run(program, parties, protocol)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).double()
    model.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
    optimizer = torch.optim.SGD(model.parameters(), **options)
    for step in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(torch.tensor(X)), torch.tensor(Y)).backward()
        if step == 6:
            optimizer.param_groups[0]["lr"] = options["lr"] / 2
        optimizer.step()
    for name, p in model.named_parameters():
        error = np.abs(end[name] - p.detach().numpy())
        assert error.mean() < 1e-3 and error.max() < 2e-2  # rounding may move one record across a ReLU's edge


def test_one_truncation_per_step_also_for_small_steps() -> None:
    def program() -> Any:
        with mpc.session() as s:
            x, y = mpc.share(X, 0), mpc.share(Y, 1)
            seen = []
            for lr in (0.5, 1e-2):
                model = nn.Linear(6, 1)
                optimizer = mpc.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=0.1, nesterov=True)
                nn.functional.mse_loss(model(x), y).backward()
                recorder = Recorder(s)
                optimizer.step()
                seen.append(recorder.counts())
            return seen

    assert run(program) == [{"truncate": 1}] * 2


def test_gradient_accumulation_is_one_large_batch() -> None:
    def program() -> Any:
        with mpc.session() as s:
            x, y = mpc.share(X, 0), mpc.share(Y, 1)
            out = []
            for parts in (1, 4):
                s.manual_seed(1)
                model = nn.Linear(6, 1)
                optimizer = mpc.optim.SGD(model.parameters(), lr=0.5)
                for k in range(parts):
                    rows = slice(k * 40 // parts, (k + 1) * 40 // parts)
                    (nn.functional.mse_loss(model(x[rows]), y[rows]) / parts).backward()
                optimizer.step()
                out.append(model.reveal()["weight"])
            return out

    whole, parts = run(program, 2, "additive")
    np.testing.assert_allclose(whole, parts, atol=1e-4)


def test_optimizer_refuses() -> None:
    def program() -> None:
        with mpc.session():
            p = nn.Linear(2, 1).weight
            for arguments, text in [
                (([],), "no parameters"),
                (([p, p],), "twice"),
                (([p * 2],), "leaf"),
                (([p.detach()],), "requires_grad"),
                (([p], -1.0), "lr"),
                (([p], 0.1, 1.0), "momentum"),
                (([p], 0.1, 0.0, 0.0, True), "nesterov"),
                (([{"params": [p], "beta": 1}],), "beta"),
            ]:
                with pytest.raises(mpc.ConfigError, match=text):
                    mpc.optim.SGD(*arguments)

    run(program)


@pytest.mark.parametrize("protocol,parties", [("clear", 2), ("additive", 3)])
def test_training_converges(protocol: str, parties: int) -> None:
    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(0)
            x, y = mpc.share(X, 0), mpc.share(Y, 1)
            model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
            optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
            for xb, yb in mpc.data.batches(x, y, size=10, epochs=25):
                loss = nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            right = ((model(x) > 0) == (y > 0.5)).mean()
            return float(right.reveal()), float(nn.functional.binary_cross_entropy_with_logits(model(x), y).reveal())

    accuracy, loss = run(program, parties, protocol)
    assert accuracy == pytest.approx(1.0, abs=1e-4) and loss < 0.05


def test_batches() -> None:
    rows = np.arange(10.0)

    def program() -> Any:
        with mpc.session() as s:
            recorder = Recorder(s)
            x, y = mpc.share(rows[:, None], 0), mpc.share(rows, 1)
            s.manual_seed(4)
            whole = mpc.data.batches(x, y, size=4, epochs=2)
            assert len(whole) == 6 and whole.per_epoch == 3
            shuffled = [(a.reveal()[:, 0].tolist(), b.reveal().tolist()) for a, b in whole]
            assert recorder.counts()["open"] == 1
            ordered = [a.reveal()[:, 0].tolist() for a in mpc.data.batches(x, size=4, shuffle=False, drop_last=True)]
            for arguments, error in [
                (((), 2), mpc.ConfigError),
                (((x, y[:5]), 2), mpc.ShapeError),
                (((x,), 0), mpc.ConfigError),
            ]:
                with pytest.raises(error):
                    mpc.data.batches(*arguments[0], size=arguments[1])
            with pytest.raises(mpc.ConfigError, match="drop_last"):
                mpc.data.batches(x, size=11, drop_last=True)
            return shuffled, ordered

    shuffled, ordered = run(program, 2, "additive")
    assert all(a == b for a, b in shuffled)
    epochs = [[row for a, _ in shuffled[k : k + 3] for row in a] for k in (0, 3)]
    assert [sorted(e) for e in epochs] == [rows.tolist()] * 2 and epochs[0] != epochs[1]
    assert [len(a) for a, _ in shuffled] == [4, 4, 2] * 2
    assert ordered == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_progress_shows_at_rank_zero_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> None:
        with mpc.session() as s:
            x = mpc.share(np.ones((4, 1)), 0)
            for _ in mpc.data.batches(x, size=2, epochs=2, progress=s.rank == 0):
                pass

    run(program)
    assert "epoch 2/2" in capsys.readouterr().out
