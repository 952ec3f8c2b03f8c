"""Training that is interrupted and goes on from its checkpoint: every party keeps its own shares, nobody a model.

    python examples/resume.py
"""
import os
import tempfile

import numpy as np

import mpc

rng = np.random.default_rng(4)  # in earnest: each party's own file
features = rng.normal(size=(300, 5))
labels = (features @ rng.normal(size=(5, 1)) > 0).astype(float)


def train(folder: str, stop_at: int | None = None) -> tuple[int, float]:
    """Starts or goes on, whichever it is. Runs at every party; ``stop_at`` plays the power cut."""
    with mpc.session() as s:
        mpc.manual_seed(0)
        x = mpc.share(features if s.rank == 0 else None, owner=0)
        y = mpc.share(labels if s.rank == 1 else None, owner=1)
        model = mpc.nn.Sequential(mpc.nn.Linear(5, 8), mpc.nn.ReLU(), mpc.nn.Linear(8, 1))
        optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
        batches = mpc.data.batches(x, y, size=50, epochs=4)

        path = os.path.join(folder, "train.shares")  # becomes train.rank0.shares, train.rank1.shares
        training = {"model": model, "optimizer": optimizer, "batches": batches}
        found = mpc.load(path, into=training, missing_ok=True)
        step = 0 if found is None else found["step"]
        if s.rank == 0:
            print(f"starting at step {step}")
        for xb, yb in batches:
            loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % 5 == 0:
                mpc.save({**training, "step": step}, path)
            if step == stop_at:
                return step, 0.0
        right = ((model(x) > 0) == y).mean().reveal(reason="accuracy")
        return step, float(right)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        mpc.local(train, parties=2, args=(folder, 13))
        step, accuracy = mpc.local(train, parties=2, args=(folder,))[0]  # new processes, new keys, the same training
        print(f"done after step {step}: accuracy {accuracy:.2f}")
        assert step == 24 and accuracy > 0.9
