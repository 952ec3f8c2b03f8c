"""The programs of the demo, as a user writes them: every party runs the same function, gives what it owns and None for
the rest. The remainder of the file measures."""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mpc
from mpc.parties.demo.data import bundled, mnist, split, standardised
from mpc.report import Report

AT_ONCE = 1000  # test records of one prediction


@dataclass
class Model:
    """What is public about a model, its training and its data. ``classes``: softmax cross-entropy, and the loss of each
    epoch's last batch is revealed; otherwise binary cross-entropy. ``falling``: the rate goes down linearly, epoch by epoch."""

    widths: tuple[int, ...]
    epochs: int
    size: int
    lr: float
    momentum: float = 0.9
    classes: bool = False
    falling: bool = False
    folder: str | None = None
    rows: int | None = None

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch as a part of ``lr``."""
        return 1 - epoch / self.epochs if self.falling else 1.0


@dataclass
class Outcome:
    """What one party brings home: the only revealed number that the demo is about, and what each phase cost it."""

    correct: int = 0
    steps: int = 0
    costs: dict[str, tuple[float, int, int, int]] = field(default_factory=dict)  # seconds, rounds, sent, from the dealer
    report: Report | None = None


# --- the programs
def breast_cancer(model: Model, seed: int) -> Outcome:
    """Two hospitals hold different columns of the same patients, a registry holds the diagnoses (with N = 2, party 1 does)."""
    outcome = Outcome()
    with mpc.session() as s:
        mpc.manual_seed(seed)
        registry = min(2, s.world_size - 1)
        columns, diagnosis = bundled("breast-cancer")  # a real party reads its own file and has no more than that
        train, test = split(len(columns))
        with phase(s, outcome, "share"):
            first = mpc.share(standardised(columns[:, :15], train) if s.rank == 0 else None, owner=0)
            second = mpc.share(standardised(columns[:, 15:], train) if s.rank == 1 else None, owner=1)
            y = mpc.share(diagnosis if s.rank == registry else None, owner=registry)
            x = mpc.cat([first, second], 1)
        with phase(s, outcome, "train"):
            net = network(model)
            outcome.steps = fit(net, x[train], y[train], model)
        with phase(s, outcome, "predict"):
            with mpc.no_grad():
                right = (net(x[test]) > 0) == y[test]
            outcome.correct = round(float(right.sum().reveal(reason="number of correct test predictions")))
        outcome.report = s.report()
    return outcome


def digits(model: Model, seed: int) -> Outcome:
    """Party 0 holds the images, the last party knows which digits they show."""
    outcome = Outcome()
    with mpc.session() as s:
        mpc.manual_seed(seed)
        teacher = s.world_size - 1
        images, one_hot = bundled("digits")
        train, test = split(len(images))
        with phase(s, outcome, "share"):
            x = mpc.share(standardised(images, train) if s.rank == 0 else None, owner=0)
            y = mpc.share(one_hot if s.rank == teacher else None, owner=teacher)
        with phase(s, outcome, "train"):
            net = network(model)
            outcome.steps = fit(net, x[train], y[train], model)
        with phase(s, outcome, "predict"):
            with mpc.no_grad():
                scores = net(x[test])
                of_truth = (scores * y[test]).sum(1).reshape(-1, 1)
                right = (scores > of_truth).sum(1) == 0  # no class scores above the true one
            outcome.correct = round(float(right.sum().reveal(reason="number of correct test predictions")))
        outcome.report = s.report()
    return outcome


def digits_of_mnist(model: Model, seed: int) -> Outcome:
    """Party 0 holds the images of MNIST, party 1 knows which digits they show."""
    outcome = Outcome()
    with mpc.session() as s:
        mpc.manual_seed(seed)
        owner = s.rank < 2  # in earnest each owner has its own file and no more than that
        images, labels, test_images, test_labels = mnist(str(model.folder), model.rows) if owner else (None,) * 4
        with phase(s, outcome, "share"):
            x, test_x = (mpc.share(a if s.rank == 0 else None, owner=0) for a in (images, test_images))
            y, test_y = (mpc.share(a if s.rank == 1 else None, owner=1) for a in (labels, test_labels))
        with phase(s, outcome, "train"):
            net = network(model)
            outcome.steps = fit(net, x, y, model)
        with phase(s, outcome, "predict"):
            right: Any = mpc.constant(0.0)
            with mpc.no_grad():
                for k in range(0, test_x.shape[0], AT_ONCE):
                    answer = net(test_x[k : k + AT_ONCE]).argmax(1, one_hot=True)
                    right = right + (answer * test_y[k : k + AT_ONCE]).sum()
            outcome.correct = round(float(right.reveal(reason="number of correct test predictions")))
        outcome.report = s.report()
    return outcome


def network(model: Model) -> Any:
    """Linear layers of the model's widths with ReLU between them."""
    layers: list[mpc.nn.Module] = []
    for inputs, outputs in zip(model.widths, model.widths[1:], strict=False):
        layers += [mpc.nn.Linear(inputs, outputs), mpc.nn.ReLU()]
    return mpc.nn.Sequential(*layers[:-1])


def fit(net: Any, x: Any, y: Any, model: Model) -> int:
    """Train in place on secret rows x and secret targets y; the number of steps."""
    functional = mpc.nn.functional
    measure = functional.cross_entropy if model.classes else functional.binary_cross_entropy_with_logits
    optimizer = mpc.optim.SGD(net.parameters(), lr=model.lr, momentum=model.momentum)
    schedule = mpc.optim.lr_scheduler.LambdaLR(optimizer, model.rate)
    batches = mpc.data.batches(x, y, size=model.size, epochs=model.epochs, progress=True)
    for xb, yb in batches:
        loss = measure(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if batches.batch == batches.per_epoch - 1:
            schedule.step()
            if model.classes:
                loss.reveal(reason=f"loss of epoch {batches.epoch + 1}")
    return len(batches)


# --- measuring
@contextmanager
def phase(s: Any, outcome: Outcome, name: str) -> Iterator[None]:
    """Note seconds, rounds and bytes of what happens inside."""
    s.barrier()
    before, started = s.report(), time.perf_counter()
    yield
    s.barrier()
    seconds, after = time.perf_counter() - started, s.report()
    outcome.costs[name] = (
        seconds,
        after.rounds - before.rounds,
        after.bytes_sent - before.bytes_sent,
        after.offline_bytes - before.offline_bytes,
    )
