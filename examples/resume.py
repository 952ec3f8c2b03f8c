"""A training that survives the death of a party: the same command goes on at the last checkpoint that all parties have.

    python examples/resume.py

With a script of its own it is `mpc run -n 2 --checkpoint saved train.py`, and the same line again after a fault.
"""
import os
import signal
import tempfile

import numpy as np

import mpc

rng = np.random.default_rng(4)  # in earnest: each party's own file
features = rng.normal(size=(300, 5))
labels = (features @ rng.normal(size=(5, 1)) > 0).astype(float)


def train(dies_in: int | None = None) -> tuple[int, float]:
    """Runs at every party. The checkpoint names what the loop's body changes; nothing else is about saving."""
    with mpc.session() as s:
        mpc.manual_seed(0)
        x = mpc.share(features if s.rank == 0 else None, owner=0)
        y = mpc.share(labels if s.rank == 1 else None, owner=1)
        model = mpc.nn.Sequential(mpc.nn.Linear(5, 8), mpc.nn.ReLU(), mpc.nn.Linear(8, 1))
        optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
        schedule = mpc.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
        everything = {"model": model, "optimizer": optimizer, "schedule": schedule}

        steps = 0
        batches = mpc.data.batches(x, y, size=50, epochs=4, checkpoint=everything, checkpoint_every=5)
        for xb, yb in batches:
            loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if batches.batch == batches.per_epoch - 1:
                schedule.step()
            steps += 1
            if steps == dies_in and s.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)  # plays the power cut
        return steps, float(((model(x) > 0) == y).mean().reveal(reason="accuracy"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        try:
            mpc.local(train, parties=2, args=(13,), checkpoint=folder)
        except mpc.PartyLost as fault:
            print("in batch 13 of 24:", str(fault).splitlines()[0])
        steps, accuracy = mpc.local(train, parties=2, checkpoint=folder)[0]  # new processes, new keys, the same training
        print(f"{steps} more batches: accuracy {accuracy:.2f}")
        assert steps == 14 and accuracy > 0.9
