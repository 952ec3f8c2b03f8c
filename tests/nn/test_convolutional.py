"""A small convolutional network learns: the same training as in torch, to the same accuracy."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc

sklearn = pytest.importorskip("sklearn", reason="scikit-learn (the extra 'demo') has the digits")
torch = pytest.importorskip("torch", reason="torch (the extra 'torch') is the reference")

BATCH, EPOCHS, RATE = 64, 6, 0.25


def network(nn: Any, pool: str) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), getattr(nn, pool)(2), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 10),
    )  # fmt: skip


def digits() -> Any:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order].reshape(-1, 1, 8, 8) / 16, y[order]
    return x[:1280], y[:1280], x[1280:], y[1280:]


def in_torch(pool: str, start: dict[str, np.ndarray], noise: float) -> np.ndarray:
    """The logits after the same training; ``noise`` is added to every weight at every step."""
    x, y, test, _ = digits()
    net = network(torch.nn, pool).double()
    net.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    rng = np.random.default_rng(3)
    for k in [*range(0, len(x), BATCH)] * EPOCHS:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(torch.tensor(x[k : k + BATCH])), torch.tensor(y[k : k + BATCH])).backward()
        optimizer.step()
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.tensor(rng.uniform(-noise, noise, tuple(p.shape))))
    with torch.no_grad():
        return net(torch.tensor(test)).numpy()


@pytest.mark.parametrize("pool", ["AvgPool2d", "MaxPool2d"])
def test_training_follows_torch(pool: str) -> None:
    x, y, test, answers = digits()

    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(1)
            net = network(mpc.nn, pool)
            start = net.reveal()
            optimizer = mpc.optim.SGD(net.parameters(), lr=RATE)
            for k in [*range(0, len(x), BATCH)] * EPOCHS:
                xb, yb = mpc.share(x[k : k + BATCH], 0), mpc.share(np.eye(10)[y[k : k + BATCH]], 1)
                optimizer.zero_grad()
                mpc.nn.functional.cross_entropy(net(xb), yb).backward()
                optimizer.step()
            with mpc.no_grad():
                return start, net(mpc.share(test, 0)).reveal()

    start, logits = mpc.local(program, parties=2, threads=True)[0]
    exact, rounded = (in_torch(pool, start, noise) for noise in (0.0, 2.0**-17))
    right, wanted = (logits.argmax(1) == answers).mean(), (exact.argmax(1) == answers).mean()
    assert wanted > 0.85 and right > wanted - 0.02
    # training magnifies what is rounded; torch's own rounding of weights to 16 bits is the measure
    assert np.abs(logits - exact).mean() < 4 * np.abs(rounded - exact).mean()
