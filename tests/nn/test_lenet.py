"""LeNet-5 learns on real images of MNIST: a short part of what `mpc bench mnist` trains to the end."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.benchmarks.networks import lenet

STEPS, BATCH, TESTS = 30, 64, 250


def test_lenet_learns_digits(data_folder: Path) -> None:
    images, labels, test_images, test_labels = mpc.data.mnist(data_folder / "mnist")
    x, y = images[: STEPS * BATCH, None], np.eye(10)[labels[: STEPS * BATCH]]
    test_x, test_y = test_images[:TESTS, None], test_labels[:TESTS]

    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(0)
            net = lenet(mpc.nn, "MaxPool2d")
            start = net.reveal(reason="the same start in plaintext")
            optimizer = mpc.optim.Adam(net.parameters(), lr=3e-3)
            losses = []
            xs, ys = mpc.share(x if s.rank == 0 else None, 0), mpc.share(y if s.rank == 1 else None, 1)
            for xb, yb in mpc.data.batches(xs, ys, size=BATCH, shuffle=False):
                loss = mpc.nn.functional.cross_entropy(net(xb), yb)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.reveal(reason="loss")))
            with mpc.no_grad():
                answers = net(mpc.share(test_x if s.rank == 0 else None, 0)).argmax(1).reveal(reason="answers")
            return start, losses, answers

    start, losses, answers = mpc.local(program, parties=2, threads=True)[0]
    right = (answers == test_y).mean()
    assert losses[0] > 2.2 and np.mean(losses[-5:]) < 0.8
    assert right > 0.65

    torch = pytest.importorskip("torch", reason="torch (the extra 'torch') is the plaintext training")
    net = lenet(torch.nn, "MaxPool2d")
    net.load_state_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in start.items()})
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    beside = []
    for k in range(0, len(x), BATCH):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x[k : k + BATCH])), torch.tensor(labels[k : k + BATCH]))
        loss.backward()
        optimizer.step()
        beside.append(loss.item())
    assert np.abs(np.subtract(losses, beside)).mean() < 0.05
    with torch.no_grad():
        wanted = (net(torch.tensor(test_x)).argmax(1).numpy() == test_y).mean()
    assert abs(right - wanted) < 0.06
