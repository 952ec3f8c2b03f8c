"""`mpc demo`: two models trained on data that no party may see, beside the same training in plaintext.

`breast_cancer` and `digits` are programs as a user writes them: every party runs the same function, gives what it owns
and None for the rest. The remainder of the file measures and prints.
"""
from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mpc
from mpc.errors import MPCError
from mpc.failures import exit_code
from mpc.parties import plaintext
from mpc.report import LedgerLine, amount, ledger_text

Floats = NDArray[np.float64]
TEST_SHARE = 5  # every fifth record is a test record: the split is public, by index


@dataclass
class Model:
    """What is public about a model and its training."""

    widths: tuple[int, ...]
    epochs: int
    size: int
    lr: float
    momentum: float = 0.9


@dataclass
class Outcome:
    """What one party brings home: the only revealed number, and what each phase cost it."""

    correct: int = 0
    costs: dict[str, tuple[float, int, int, int]] = field(default_factory=dict)  # seconds, rounds, sent, from the dealer
    ledger: list[LedgerLine] = field(default_factory=list)


# --- two programs
def breast_cancer(model: Model, seed: int) -> Outcome:
    """Two hospitals hold different columns of the same patients, a registry holds the diagnoses (with N = 2, party 1 does)."""
    outcome = Outcome()
    with mpc.session() as s:
        mpc.manual_seed(seed)
        registry = min(2, s.world_size - 1)
        columns, diagnosis = load("breast-cancer")  # a real party reads its own file and has no more than that
        train, test = split(len(columns))
        with phase(s, outcome, "share"):
            first = mpc.share(standardised(columns[:, :15], train) if s.rank == 0 else None, owner=0)
            second = mpc.share(standardised(columns[:, 15:], train) if s.rank == 1 else None, owner=1)
            y = mpc.share(diagnosis if s.rank == registry else None, owner=registry)
            x = mpc.cat([first, second], 1)
        with phase(s, outcome, "train"):
            inputs, outputs = model.widths
            net = mpc.nn.Linear(inputs, outputs)
            fit(net, x[train], y[train], model)
        with phase(s, outcome, "predict"):
            with mpc.no_grad():
                right = (net(x[test]) > 0) == y[test]
            outcome.correct = round(float(right.sum().reveal(reason="number of correct test predictions")))
        outcome.ledger = s.report().ledger
    return outcome


def digits(model: Model, seed: int) -> Outcome:
    """Party 0 holds the images, the last party knows which digits they show."""
    outcome = Outcome()
    with mpc.session() as s:
        mpc.manual_seed(seed)
        teacher = s.world_size - 1
        images, one_hot = load("digits")
        train, test = split(len(images))
        with phase(s, outcome, "share"):
            x = mpc.share(standardised(images, train) if s.rank == 0 else None, owner=0)
            y = mpc.share(one_hot if s.rank == teacher else None, owner=teacher)
        with phase(s, outcome, "train"):
            inputs, hidden, classes = model.widths
            net = mpc.nn.Sequential(mpc.nn.Linear(inputs, hidden), mpc.nn.ReLU(), mpc.nn.Linear(hidden, classes))
            fit(net, x[train], y[train], model)
        with phase(s, outcome, "predict"):
            with mpc.no_grad():
                scores = net(x[test])
                of_truth = (scores * y[test]).sum(1).reshape(-1, 1)
                right = (scores > of_truth).sum(1) == 0  # no class scores above the true one
            outcome.correct = round(float(right.sum().reveal(reason="number of correct test predictions")))
        outcome.ledger = s.report().ledger
    return outcome


def fit(net: Any, x: Any, y: Any, model: Model) -> None:
    """Train in place on secret rows x and secret targets y."""
    optimizer = mpc.optim.SGD(net.parameters(), lr=model.lr, momentum=model.momentum)
    for xb, yb in mpc.data.batches(x, y, size=model.size, epochs=model.epochs, progress=True):
        loss = mpc.nn.functional.binary_cross_entropy_with_logits(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# --- data: bundled with scikit-learn
def load(dataset: str) -> tuple[Floats, Floats]:
    """Features and targets (a column of 0 and 1, or one-hot rows)."""
    from sklearn import datasets

    if dataset == "breast-cancer":
        features, labels = datasets.load_breast_cancer(return_X_y=True)
        return features, labels[:, None].astype(np.float64)
    features, labels = datasets.load_digits(return_X_y=True)
    return features, np.eye(10)[labels]


def split(records: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers for training and for testing."""
    rows = np.arange(records)
    return rows[rows % TEST_SHARE != 0], rows[rows % TEST_SHARE == 0]


def standardised(columns: Floats, train: NDArray[np.int64]) -> Floats:
    """Mean 0 and deviation 1 on the training rows: each owner does this to its own columns, alone."""
    deviation = columns[train].std(0)
    return (columns - columns[train].mean(0)) / np.where(deviation > 1e-6, deviation, 1.0)


DATASETS: dict[str, tuple[Callable[[Model, int], Outcome], Model, str]] = {
    "breast-cancer": (breast_cancer, Model((30, 1), epochs=20, size=64, lr=0.1), "logistic regression 30-1"),
    "digits": (digits, Model((64, 64, 10), epochs=12, size=64, lr=0.5), "network 64-64-10"),
}


# --- measuring and printing
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


def in_plaintext(dataset: str, model: Model, seed: int) -> tuple[int, int, float]:
    """The same training by somebody who sees everything: correct test predictions, test records, seconds."""
    x, y = load(dataset)
    train, test = split(len(x))
    x = standardised(x, train)
    started = time.perf_counter()
    layers = plaintext.train(
        x[train], y[train], model.widths, epochs=model.epochs, size=model.size, lr=model.lr, momentum=model.momentum, seed=seed
    )
    seconds = time.perf_counter() - started
    scores = plaintext.logits(layers, x[test])
    if y.shape[1] == 1:
        right = (scores[:, 0] > 0) == y[test][:, 0]
    else:
        right = (scores <= (scores * y[test]).sum(1, keepdims=True)).all(1)
    return int(right.sum()), len(test), seconds


def show(title: str, outcomes: list[Outcome], wall: float, plain: tuple[int, int, float], parties: int) -> None:
    """One table per data set: accuracy, then what each phase cost all parties together; then the ledger."""
    from rich.console import Console
    from rich.table import Table

    correct, records, seconds = plain
    table = Table(title=title, title_justify="left", title_style="bold")
    for k, head in enumerate(("", "seconds", "rounds", "party to party", "from the dealer")):
        table.add_column(head, justify="left" if k == 0 else "right")
    for name in outcomes[0].costs:
        took, rounds, sent, dealt = zip(*(o.costs[name] for o in outcomes), strict=True)
        table.add_row(name, f"{max(took):.2f}", f"{max(rounds)}", amount(sum(sent)), amount(max(dealt)))
    table.add_section()
    table.add_row("all, with starting up", f"{wall:.2f}", "", "", "")
    table.add_row("trained in plaintext", f"{seconds:.2f}", "", "", "")
    Console().print(table)
    secret = outcomes[0].correct
    print(f"Test accuracy: {secret / records:.1%} on secret shares ({secret} of {records} records right),")
    print(f"               {correct / records:.1%} in plaintext, trained alike ({correct} of {records})")
    print(ledger_text(outcomes[0].ledger, parties), end="\n\n")


NOBODY_SAW = """\
What nobody saw: another party's columns, images or labels, the trained weights, any single prediction. Every process held \
random-looking shares; the dealer held no data at all. What everybody knows: the program, the shapes, the split, the \
initial weights and shuffles, and the lines listed as revealed. Two limits of a demo: all processes ran on this machine \
under your account, and each loaded the public data set and used only its own part of it. The promise holds for parties \
that follow the program, and a dealer that works with none of them (SECURITY.md)."""


def main(parties: int, names: list[str], epochs: int | None, seed: int) -> int:
    """Run the demo; the exit code."""
    try:
        load(names[0])
    except ModuleNotFoundError as missing:
        print(f'mpc demo needs {missing.name}: pip install "mpc[demo]"', file=sys.stderr)
        return 6
    print(f"{parties} parties and a dealer, {parties + 1} processes on this machine.\n", flush=True)
    try:
        for name in names:
            program, model, title = DATASETS[name]
            if epochs is not None:
                model = Model(model.widths, epochs, model.size, model.lr, model.momentum)
            started = time.perf_counter()
            outcomes = mpc.local(program, parties=parties, args=(model, seed))
            wall = time.perf_counter() - started
            show(f"{name}: {title}, {model.epochs} epochs", outcomes, wall, in_plaintext(name, model, seed), parties)
    except KeyboardInterrupt:
        print("mpc: interrupted; all parties ended", file=sys.stderr)
        return 130
    except MPCError as error:
        print(f"mpc: {error}", file=sys.stderr)
        return exit_code(error)
    print(textwrap.fill(NOBODY_SAW, min(100, shutil.get_terminal_size().columns)))
    return 0
