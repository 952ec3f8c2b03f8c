"""Training that stops at any step goes on from its checkpoint in a new session and comes to the same result."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from tests.saving.programs import WORLDS, run

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
