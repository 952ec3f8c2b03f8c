"""Training that stops at any step goes on from its checkpoint in a new session and comes to the same result."""
from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.saving import files
from tests.saving.programs import WORLDS, at, run

RNG = np.random.default_rng(17)
X = RNG.normal(size=(60, 6))
Y = (X @ RNG.normal(size=(6, 1)) + 0.2 * RNG.normal(size=(60, 1)) > 0).astype(float)
EPOCHS, SIZE = 6, 16  # 4 batches an epoch, the last one smaller


class Interrupted(Exception):
    """Stands for whatever ends a process."""


def train(s: Any, path: Path, stop_at: int | None, every: int = 3, seed: int = 0) -> Any:
    """The whole training program: it starts or goes on, saves every few steps, and may be interrupted."""
    s.manual_seed(seed)
    x, y = mpc.share(X if s.rank == 0 else None, 0), mpc.share(Y if s.rank == 1 else None, 1)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    batches = mpc.data.batches(x, y, size=SIZE, epochs=EPOCHS)
    objects = {"model": model, "optimizer": optimizer, "batches": batches}
    found = mpc.load(path, into=objects, missing_ok=True)
    steps = 0 if found is None else found["steps"]
    order = []
    for xb, yb in batches:
        mask = s.public_rng.random(8) < 0.9  # as a dropout layer would draw
        loss = nn.functional.binary_cross_entropy_with_logits(model[2](model[1](model[0](xb)) * mask), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
        order.append((steps, xb.shape[0], batches.epoch, batches.batch, mask.tolist()))
        if steps % every == 0:
            mpc.save({**objects, "steps": steps}, path)
        if steps == stop_at:
            s.barrier()  # or the others wait out their deadlines
            raise Interrupted
    with mpc.no_grad():
        right = ((model(x) > 0) == (y > 0.5)).mean()
    return order, model.reveal(), float(right.reveal())


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_interrupted_training_comes_to_the_same_model(protocol: str, parties: int, tmp_path: Path) -> None:
    whole = run(lambda s: train(s, tmp_path / "whole.shares", None), parties, protocol)
    for stop_at in (7, 13, 20):  # each goes on from the step before that was saved: within, at the end of an epoch
        with pytest.raises(Interrupted):
            run(lambda s, stop_at=stop_at: train(s, tmp_path / "run.shares", stop_at, seed=stop_at % 7), parties, protocol)
    resumed = run(lambda s: train(s, tmp_path / "run.shares", None, seed=99), parties, protocol)
    for (order, model, accuracy), (part, again, reached) in zip(whole, resumed, strict=True):
        assert part == order[18:] and len(order) == 24, "the same batches and public draws as without interruption"
        assert reached == pytest.approx(accuracy, abs=0.02) and accuracy > 0.9
        for name, value in model.items():
            np.testing.assert_allclose(again[name], value, atol=0 if protocol == "clear" else 0.02, err_msg=name)


def killed_while_saving(path: str, unlucky: int, step: int) -> Any:
    """Training in a process of its own; the unlucky party dies by SIGKILL within its save after that step."""
    finish, count = files.Writing.finish, 0

    def dies(self: files.Writing, keep: bool) -> None:
        nonlocal count
        count += 3
        if f"rank{unlucky}" in self._path.name and count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        finish(self, keep)

    files.Writing.finish = dies  # type: ignore[method-assign]
    with mpc.session() as s:
        return train(s, Path(path), None)


def resumed(path: str) -> Any:
    with warnings.catch_warnings(record=True) as seen, mpc.session() as s:
        warnings.simplefilter("always")
        order, _, accuracy = train(s, Path(path), None)
        return order[0][0], order[-1][0], accuracy, [str(w.message) for w in seen if "interrupted" in str(w.message)]


@pytest.mark.parametrize("unlucky", [0, 1])
def test_a_process_killed_while_saving(unlucky: int, tmp_path: Path) -> None:
    """Real processes. The other party has replaced its file, the dead one has not: both go on from the save before."""
    path = str(tmp_path / "run.shares")
    with pytest.raises(mpc.PartyLost, match=f"party {unlucky} was killed"):
        mpc.local(killed_while_saving, parties=2, args=(path, unlucky, 12))
    sequences = [files.read(at(tmp_path, rank, "run"))[0].sequence for rank in range(2)]
    assert sequences[unlucky] == 3 and sequences[1 - unlucky] in (3, 4)  # 3: it heard of the death before it replaced its file
    said = "load: the last save was interrupted and is not complete at every party; loaded save number 3"
    for first, last, accuracy, told in mpc.local(resumed, parties=2, args=(path,)):
        assert (first, last) == (10, 24) and accuracy > 0.9
        assert told == ([said] if 4 in sequences else [])


def test_adam_schedules_and_running_means(tmp_path: Path) -> None:
    """Second moments at their own scale, step counters, rates and buffers come back as they were: to the bit in the twin."""

    def build(s: Any, seed: int) -> tuple[Any, ...]:
        s.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
        optimizer = mpc.optim.Adam(model.parameters(), lr=0.05, betas=(0.8, 0.99))
        return model, optimizer, mpc.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def steps(parts: tuple[Any, ...], count: int) -> Any:
        model, optimizer, schedule = parts
        x, y = mpc.share(X, 0), mpc.share(Y, 1)
        for _ in range(count):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
            optimizer.step()
            schedule.step()
        return model.reveal(), schedule.get_last_lr(), [state["step"] for state in optimizer.state.values()]

    def program(s: Any) -> Any:
        parts = build(s, 1)
        steps(parts, 3)
        mpc.save(dict(enumerate(parts)), tmp_path / "a.shares")
        want = steps(parts, 2)
        fresh = build(s, 2)
        mpc.load(tmp_path / "a.shares", into=dict(enumerate(fresh)))
        return want, steps(fresh, 2)

    for protocol, tolerance in (("clear", 0.0), ("additive", 2e-3)):
        for want, got in run(program, protocol=protocol):
            assert got[1:] == want[1:] and want[2] == [5] * 5
            assert "1.running_mean" in want[0]
            for name, value in want[0].items():
                np.testing.assert_allclose(got[0][name], value, atol=tolerance, err_msg=name)


def seen(s: Any, state: dict[str, Any] | None = None, stop: int | None = None, **options: Any) -> Any:
    """The rows of each batch, and the state after ``stop`` batches."""
    batches = mpc.data.batches(mpc.share(np.arange(10.0), 0), **{"size": 4, "epochs": 3, **options})
    if state is not None:
        batches.resume(state)
        assert batches.state() == state
    rows = []
    for batch in batches:
        rows.append(batch.reveal().tolist())
        s.public_rng.random()
        if len(rows) == stop:
            break
    return rows, batches.state()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_every_position(shuffle: bool, drop_last: bool) -> None:
    options = {"shuffle": shuffle, "drop_last": drop_last}

    def program(s: Any) -> Any:
        s.manual_seed(8)
        whole, end = seen(s, **options)
        out = [whole]
        for stop in range(1, len(whole) + 1):
            s.manual_seed(8)
            first, state = seen(s, stop=stop, **options)
            s.manual_seed(1)
            rest, last = seen(s, state, **options)
            assert last == end
            out.append(first + rest)
        longer = seen(s, end, epochs=4, **options)[0]
        assert len(longer) == len(whole) // 3
        again = mpc.data.batches(mpc.share(np.arange(10.0), 0), size=4, **options)
        assert len(list(again)) == len(list(again)) == len(again), "a second pass starts over"
        return out

    for out in run(program, protocol="clear"):
        assert all(other == out[0] for other in out)


def test_a_state_of_other_data_is_refused() -> None:
    def program(s: Any) -> None:
        state = seen(s, stop=2)[1]
        for options, text in [({"size": 5}, "size=4"), ({"shuffle": False}, "shuffle"), ({"drop_last": True}, "per_epoch")]:
            with pytest.raises(mpc.ConfigError, match=text):
                seen(s, state, **options)
        for broken in ({**state, "now": "12:x"}, {**state, "now": None}, {"rows": 10}):
            with pytest.raises(mpc.ConfigError):
                seen(s, broken)

    run(program, protocol="clear")
