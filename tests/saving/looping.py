"""A training program that says nothing of saving but what its loop changes, and how tests interrupt it."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from tests.saving.programs import run

RNG = np.random.default_rng(17)
X = RNG.normal(size=(60, 6))
Y = (X @ RNG.normal(size=(6, 1)) + 0.2 * RNG.normal(size=(60, 1)) > 0).astype(float)
EPOCHS, SIZE = 6, 16  # 4 batches an epoch, the last one smaller


class Interrupted(Exception):
    """Stands for whatever ends a process."""


def train(s: Any, stop_at: int | None = None, every: int | None = 3, epochs: int = EPOCHS) -> Any:
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
