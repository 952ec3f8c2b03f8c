"""A model trained in torch at one hospital goes on learning from another's patients; it returns to torch at the first.

    mpc run -n 2 examples/from_torch.py
"""
import numpy as np
import torch
from torch import nn

import mpc


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        return self.out(x + torch.relu(self.second(x)))  # a residual block


def patients(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """In earnest: each hospital's own records."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    return x, (x[:, :1] * x[:, 1:2] + x[:, 2:3] > 0).astype(float)


def accuracy(model: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    with torch.no_grad():
        return float(((model(torch.tensor(x).float()).numpy() > 0) == (y > 0.5)).mean())


with mpc.session() as s:
    model = None
    if s.rank == 0:  # hospital 0: few patients, and a model of its own
        torch.manual_seed(0)
        x, y = patients(60, seed=0)
        model = Classifier()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(torch.tensor(x).float()), torch.tensor(y).float()).backward()
            optimizer.step()
        print(mpc.nn.check(model, (1, 6)))  # can it be imported, and what does a prediction cost?
        print(f"on its own: {accuracy(model, *patients(1000, seed=2)):.3f}")

    secret = mpc.nn.from_torch(model, owner=0)  # hospital 1 learns the architecture, not the weights
    x, y = patients(1500, seed=1) if s.rank == 1 else (None, None)
    x, y = mpc.share(x, owner=1), mpc.share(y, owner=1)
    optimizer = mpc.optim.SGD(secret.parameters(), lr=0.2, momentum=0.9)
    for xb, yb in mpc.data.batches(x, y, size=50, epochs=10):
        optimizer.zero_grad()
        mpc.nn.functional.binary_cross_entropy_with_logits(secret(xb), yb).backward()
        optimizer.step()

    secret.reveal(to=0, into=model, reason="the trained model, for hospital 0")
    if model is not None:
        print(f"with hospital 1's patients: {accuracy(model, *patients(1000, seed=2)):.3f}")
