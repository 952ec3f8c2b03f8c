"""A small network on features of party 0 and labels of party 1; the predictions go to party 1 alone.

    mpc run -n 3 --report examples/train.py --epochs 10
"""
import argparse

import numpy as np

import mpc

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=10)
epochs = parser.parse_args().epochs

# In earnest party 0 reads its features and party 1 its labels from their own files; here both make them up.
rng = np.random.default_rng(1)
features = rng.normal(size=(400, 8))
labels = ((features[:, :1] * features[:, 1:2] + features[:, 2:3]) > 0).astype(float)

with mpc.session() as s:
    mpc.manual_seed(0)  # public: initial weights and shuffles
    x = mpc.share(features if s.rank == 0 else None, owner=0)
    y = mpc.share(labels if s.rank == 1 else None, owner=1)

    model = mpc.nn.Sequential(mpc.nn.Linear(8, 16), mpc.nn.ReLU(), mpc.nn.Linear(16, 1))
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    for xb, yb in mpc.data.batches(x[:300], y[:300], size=50, epochs=epochs):
        loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with mpc.no_grad():
        right = ((model(x[300:]) > 0) == y[300:]).mean().reveal(reason="test accuracy")
        answers = model(x[300:310]).sigmoid().reveal(to=1, reason="predictions for party 1's customers")
    print(f"test accuracy {right:.2f}")
    assert (answers is not None) == (s.rank == 1), "only party 1 has the predictions"
