"""Eight parties and the dealer, as processes on one machine: the most there can be."""
from __future__ import annotations

from typing import Any

import numpy as np

import mpc

RNG = np.random.default_rng(8)
PARTIES, ROWS = 8, 12  # rows of each party
X = RNG.normal(size=(PARTIES * ROWS, 4))
Y = (X @ np.array([[1.0], [-2.0], [0.5], [1.5]]) > 0).astype(float)


def train() -> Any:
    """Every party brings its own rows; a network is trained on all of them."""
    with mpc.session() as s:
        s.manual_seed(3)
        mine = slice(s.rank * ROWS, (s.rank + 1) * ROWS)
        rows = [mpc.share(X[mine] if s.rank == owner else None, owner) for owner in range(PARTIES)]
        labels = [mpc.share(Y[mine] if s.rank == owner else None, owner) for owner in range(PARTIES)]
        x, y = mpc.cat(rows), mpc.cat(labels)
        model = mpc.nn.Sequential(mpc.nn.Linear(4, 6), mpc.nn.Tanh(), mpc.nn.Linear(6, 1))
        start = model.reveal()
        optimizer = mpc.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        for xb, yb in mpc.data.batches(x, y, size=32, epochs=5):
            loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total = x.relu().sum(0).reveal(reason="column sums")
        right = ((model(x) > 0) == y).mean().reveal(reason="accuracy")
        to_last = y.sum().reveal(to=PARTIES - 1, reason="for the last party")
        return start, model.reveal(), total, float(right), None if to_last is None else float(to_last)


def plaintext(start: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The same training in the clear protocol: same rows, same batches."""
    found = mpc.local(train, parties=PARTIES, protocol="clear", threads=True, deadline=30)[0]
    for name, value in start.items():
        np.testing.assert_array_equal(found[0][name], value)
    return found[1], found[3]


def test_eight_parties_train_a_network() -> None:
    found = mpc.local(train, parties=PARTIES, deadline=30)
    assert len(found) == PARTIES
    start, model, _, right, _ = found[0]
    want, accuracy = plaintext(start)
    for rank, (_, same, sums, again, to_last) in enumerate(found):
        np.testing.assert_allclose(sums, np.maximum(X, 0).sum(axis=0), atol=PARTIES * ROWS * 2**-17)
        assert again == right and to_last == (Y.sum() if rank == PARTIES - 1 else None)
        for name, value in model.items():
            np.testing.assert_array_equal(same[name], value, err_msg=f"{name} at party {rank}")
            np.testing.assert_allclose(value, want[name], atol=0.005, err_msg=name)
            assert "bias" in name or np.abs(value - start[name]).max() > 0.2, "it has been trained"
    assert right > 0.9 and abs(right - accuracy) <= 0.02
