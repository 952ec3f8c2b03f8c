"""Whole trainings on MNIST: on secret shares, and in float32 by torch with the same initial weights and batches.

Party 0 has the images, party 1 the labels. The rate falls linearly, epoch by epoch. Revealed: the initial weights, which
are public anyway, and the number of test images that the trained model has right.
"""
from __future__ import annotations

from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

import mpc
from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.harness import begun
from mpc.benchmarks.networks import CLASSES, lenet, perceptron
from mpc.benchmarks.rows import Line
from mpc.errors import MPCError
from mpc.nn.functional import cross_entropy

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
BATCH: Final = 128
AT_ONCE: Final = 1000  # test images of one inference
ORDER: Final = 7  # public seed of the shuffles


class Recipe(NamedTuple):
    """``images``: the network takes 1x28x28 instead of 784."""

    network: Any
    images: bool
    optimizer: Any
    epochs: int


def _sgd(rate: float, optim: Any, parameters: Any) -> Any:
    return optim.SGD(parameters, lr=rate, momentum=0.9)


def _adam(rate: float, optim: Any, parameters: Any) -> Any:
    return optim.Adam(parameters, lr=rate)


RECIPES: Final = {
    "mnist-sgd": Recipe(perceptron, False, partial(_sgd, 0.1), 5),
    "mnist-adam": Recipe(perceptron, False, partial(_adam, 2e-3), 5),
    "mnist-lenet-avg": Recipe(partial(lenet, pool="AvgPool2d"), True, partial(_sgd, 0.1), 3),
    "mnist-lenet-max": Recipe(partial(lenet, pool="MaxPool2d"), True, partial(_sgd, 0.05), 2),
}


def _falling(epochs: int, epoch: int) -> float:
    return 1 - epoch / epochs


def images_and_labels(folder: str, recipe: Recipe, quick: bool) -> tuple[Floats, Labels, Floats, Labels]:
    """Training and test images in the network's shape; a few hundred when quick."""
    x, y, test_x, test_y = mpc.data.mnist(folder)
    if quick:
        x, y, test_x, test_y = x[:512], y[:512], test_x[:200], test_y[:200]
    shape = (-1, 1, 28, 28) if recipe.images else (-1, 784)
    return x.reshape(shape), y, test_x.reshape(shape), test_y


def on_shares(recipe: Recipe, folder: str, quick: bool) -> dict[str, Any]:
    """In every party: train, then count how many test images are right."""
    x, y, test_x, test_y = images_and_labels(folder, recipe, quick)
    with mpc.session() as s:
        s.manual_seed(0)
        net = recipe.network(mpc.nn)
        start = net.reveal(to=0, reason="the same start in plaintext")
        first, second = s.rank == 0, s.rank == 1
        images = mpc.share(x if first else None, 0)
        labels = mpc.share(np.eye(CLASSES)[y] if second else None, 1)
        test_images = mpc.share(test_x if first else None, 0)
        test_labels = mpc.share(np.eye(CLASSES)[test_y] if second else None, 1)
        optimizer = recipe.optimizer(mpc.optim, net.parameters())
        epochs = 1 if quick else recipe.epochs
        schedule = mpc.optim.lr_scheduler.LambdaLR(optimizer, partial(_falling, epochs))
        s.manual_seed(ORDER)
        batches = mpc.data.batches(images, labels, size=BATCH, epochs=epochs)
        s.barrier()
        before, started = s.report(), perf_counter()
        steps = [started]
        for xb, yb in batches:
            optimizer.zero_grad()
            cross_entropy(net(xb), yb).backward()
            optimizer.step()
            steps.append(perf_counter())
            if batches.batch == batches.per_epoch - 1:
                schedule.step()
        s.barrier()
        ended, cost = perf_counter(), s.report().since(before)
        right: Any = mpc.constant(0.0)
        with mpc.no_grad():
            for k in range(0, len(test_x), AT_ONCE):
                one_hot = net(test_images[k : k + AT_ONCE]).argmax(1, one_hot=True)
                right = right + (one_hot * test_labels[k : k + AT_ONCE]).sum()
        tested = perf_counter()
        correct = round(float(right.reveal(reason="number of test images that the model has right")))
        counts = {"rounds": cost.rounds, "bytes_sent": cost.bytes_sent, "offline_bytes": cost.offline_bytes}
        every = {"steps": len(batches), "step": median(np.diff(steps)), "test": len(test_y), "right": correct}
        return {**every, **counts, "started": started, "ended": ended, "test_seconds": tested - ended, "start": start}


def in_float32(recipe: Recipe, folder: str, quick: bool, start: dict[str, Any]) -> tuple[int, float]:
    """The same training by somebody who sees everything: test images right, seconds. Raises ImportError without torch."""
    import torch

    x, y, test_x, test_y = (torch.tensor(a) for a in images_and_labels(folder, recipe, quick))
    net = recipe.network(torch.nn)
    net.load_state_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in start.items()})
    optimizer = recipe.optimizer(torch.optim, net.parameters())
    epochs = 1 if quick else recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_falling, epochs))
    shuffles = np.random.Generator(np.random.PCG64(ORDER))  # as `mpc.manual_seed` makes it
    started = perf_counter()
    for _ in range(epochs):
        order = torch.tensor(shuffles.permutation(len(x)))
        for chosen in order.split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
        schedule.step()
    seconds = perf_counter() - started
    with torch.no_grad():
        return int((net(test_x).argmax(1) == test_y).sum()), seconds


def measure(name: str, parties: int, quick: bool, folder: str) -> Line:
    """The row of one training, run once: its value is the seconds of all steps."""
    recipe, line = RECIPES[name], begun(BY_NAME[name], parties == 2 and not quick)
    try:
        ranks = mpc.local(on_shares, parties, (recipe, folder, quick))
    except MPCError as error:
        line.error = f"{type(error).__name__}: {error}"
        return line
    first = ranks[0]
    start = first.pop("start")
    line.runs = [max(got["ended"] for got in ranks) - min(got["started"] for got in ranks)]
    line.rounds, line.bytes_sent = first["rounds"], max(got["bytes_sent"] for got in ranks)
    line.offline_bytes = max(got["offline_bytes"] for got in ranks)  # each party's report counts the whole session's
    line.extra = dict(first)
    said = f"{first['right'] / first['test']:.2%} of {first['test']} test images right"
    try:
        line.extra["float32_right"], line.extra["float32_seconds"] = in_float32(recipe, folder, quick, start)
        said += f", {line.extra['float32_right'] / first['test']:.2%} in float32"
    except ImportError:
        said += " (torch, for the same in float32, is not installed)"
    line.note = f"{'quick: 1 epoch of 512; ' if quick else ''}{said}; {first['steps']} steps, median {first['step']:.3f} s"
    return line
