"""Five hospitals train one network without showing their patients; two parties go on with it although nobody has seen it.

    mpc run -n 2 examples/federated.py
"""
import numpy as np
from torch import nn

import mpc
from mpc import federated


def patients(n: int, seed: int, centre: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """In earnest: each hospital's own records."""
    x = np.random.default_rng(seed).normal(loc=centre, size=(n, 6)).astype(np.float32)
    return x, (x[:, :1] * x[:, 1:2] + x[:, 2:3] > 0).astype(np.float32)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))


with mpc.session() as s:
    hospitals = None
    if s.rank == 0:  # plays the hospitals here; elsewhere only their sealed messages come to it
        hospitals = [federated.Client(*patients(300, k, k / 10 - 0.2), f"hospital {k}") for k in range(5)]

    fed = federated.FedAvg(
        network, aggregator="shares", weights="samples", max_norm=10.0, min_clients=3,
        epochs=4, lr=0.1, momentum=0.9, loss="binary_cross_entropy_with_logits", seed=0,
    )  # fmt: skip
    model = fed.fit(hospitals, rounds=3, keep_secret=True, evaluate=patients(1000, seed=9))
    if s.rank == 0:
        print(fed.history)  # the last round has no loss: nobody has that model

    x, y = (mpc.share(a if s.rank == 1 else None, owner=1) for a in patients(400, seed=7))  # party 1's own patients
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for xb, yb in mpc.data.batches(x, y, size=50, epochs=2):
        optimizer.zero_grad()
        mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb).backward()
        optimizer.step()

    test_x, test_y = patients(1000, seed=9)
    with mpc.no_grad():
        right = ((model(test_x) > 0) == test_y).mean().reveal(reason="accuracy")
    if s.rank == 0:
        print(f"the model that nobody has seen: {float(right):.3f}")
