"""``mpc.data.batches(checkpoint=...)``: a program that ends anywhere goes on there when it is started again."""
from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.saving import files, loops
from tests.saving.programs import WORLDS, run

RNG = np.random.default_rng(17)
X = RNG.normal(size=(60, 6))
Y = (X @ RNG.normal(size=(6, 1)) + 0.2 * RNG.normal(size=(60, 1)) > 0).astype(float)
EPOCHS, SIZE = 6, 16  # 4 batches an epoch, the last one smaller


class Interrupted(Exception):
    """Stands for whatever ends a process."""


def train(s: Any, stop_at: int | None = None, every: int | None = 3, epochs: int = EPOCHS, stop_in_save: int = 0) -> Any:
    """The whole program, which says nothing of saving but what its loop changes; ``stop_at``: batches until the fault."""
    s.manual_seed(11)
    x, y = mpc.share(X if s.rank == 0 else None, 0), mpc.share(Y if s.rank == 1 else None, 1)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    schedule = mpc.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    history: list[Any] = []
    everything = {"model": model, "training": [optimizer, schedule], "history": history}
    batches = mpc.data.batches(x, y, size=SIZE, epochs=epochs, checkpoint=everything, checkpoint_every=every)
    done = []
    for xb, yb in batches:
        mask = s.public_rng.random(8) < 0.9  # as a dropout layer would draw
        loss = nn.functional.binary_cross_entropy_with_logits(model[2](model[1](model[0](xb)) * mask), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done.append((batches.epoch, batches.batch, xb.shape[0], mask.tolist(), optimizer.param_groups[0]["lr"]))
        if batches.batch == batches.per_epoch - 1:
            schedule.step()
            history.append([batches.epoch, schedule.get_last_lr()[0]])
            s.log("rate", schedule.get_last_lr()[0])
        if len(done) == stop_at:
            s.barrier()  # or the others wait out their deadlines
            raise Interrupted
    rows = next(iter(mpc.data.batches(x, size=60)))  # the public generator stands where it would
    with mpc.no_grad():
        right = ((model(x) > 0) == (y > 0.5)).mean()
    points = [(p.name, p.step, p.value) for p in s.report().points]
    return done, model.reveal(), float(right.reveal()), history, points, rows.reveal()


def interrupted(folder: Path, stop_at: int, parties: int = 2, protocol: str = "additive", **options: Any) -> None:
    with pytest.raises(Interrupted):
        run(lambda s: train(s, stop_at, **options), parties, protocol, checkpoint=folder)


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_the_same_command_comes_to_the_same_end(
    protocol: str, parties: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped within an epoch, at its end, right after a save: the same rows, draws, rates and curves, the same model."""
    whole = run(lambda s: train(s), parties, protocol)
    folder = tmp_path / "made" / "here"
    for stop_at in (7, 6, 6):  # within batches 7, 12 and 15: saved are 6, 9 and 12
        interrupted(folder, stop_at, parties, protocol)
    assert (folder.stat().st_mode & 0o777) == 0o700
    resumed = run(lambda s: train(s), parties, protocol, checkpoint=folder)
    told = capsys.readouterr().err.splitlines()
    assert told == [f"mpc: checkpoint: loop 1: going on after batch {n} of 24 (epoch {n // 4 + 1} of 6)" for n in (6, 9, 12)]
    for (done, model, right, *rest), (again, same, reached, *others) in zip(whole, resumed, strict=True):
        assert again == done[12:] and len(done) == 24
        assert others[:2] == rest[:2] and len(rest[0]) == 6
        np.testing.assert_array_equal(others[2], rest[2])
        assert reached == pytest.approx(right, abs=0.02) and right > 0.9
        for name, value in model.items():
            np.testing.assert_allclose(same[name], value, atol=0 if protocol == "clear" else 0.02, err_msg=name)
    after = run(lambda s: train(s), parties, protocol, checkpoint=folder)
    assert "loop 1: finished already (24 batches)" in capsys.readouterr().err
    for (_, same, _, *others), (done, model, _, *rest) in zip(resumed, after, strict=True):
        assert done == [] and rest[:2] == others[:2]
        np.testing.assert_array_equal(rest[2], others[2])
        for name, value in model.items():
            np.testing.assert_array_equal(same[name], value, err_msg=name)
