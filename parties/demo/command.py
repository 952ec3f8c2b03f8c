"""`mpc demo`: choose, run, print."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import mpc
from mpc.errors import ConfigError, MPCError
from mpc.failures import exit_code
from mpc.launch import checked_page
from mpc.parties.demo.data import WHERE_MNIST, bundled
from mpc.parties.demo.ending import ended
from mpc.parties.demo.programs import Model, Outcome, breast_cancer, digits, digits_of_mnist
from mpc.parties.demo.show import closing_words, in_plaintext, show, whole


class Choice(NamedTuple):
    """A name of ``--dataset``."""

    program: Callable[[Model, int], Outcome]
    model: Model
    title: str


DATASETS: Final = {
    "breast-cancer": Choice(breast_cancer, Model((30, 1), epochs=20, size=64, lr=0.1), "logistic regression 30-1"),
    "digits": Choice(digits, Model((64, 64, 10), epochs=12, size=64, lr=0.5), "network 64-64-10"),
    "mnist": Choice(
        digits_of_mnist,
        Model((784, 128, 128, 10), epochs=5, size=128, lr=0.1, classes=True, falling=True),
        "network 784-128-128-10",
    ),
}
BUNDLED: Final = ("breast-cancer", "digits")  # what `--dataset all` means


class Options(NamedTuple):
    """The command line. ``epochs``, ``rows``: None for the model's own and for all; ``report``: a page to write."""

    parties: int
    dataset: str
    epochs: int | None = None
    seed: int = 0
    folder: str | None = None
    rows: int | None = None
    report: str | None = None


def main(options: Options) -> int:
    """Run the demo; the exit code."""
    names = BUNDLED if options.dataset == "all" else (options.dataset,)
    try:
        _check(options)
    except ModuleNotFoundError as missing:
        print(f'mpc demo needs {missing.name}: pip install "mpc[demo]"', file=sys.stderr)
        return 6
    except ConfigError as error:
        print(f"mpc demo: {error}", file=sys.stderr)
        return 2
    except MPCError as error:
        print(f"mpc demo: {error}", file=sys.stderr)
        return exit_code(error)
    print(f"{options.parties} parties and a dealer, {options.parties + 1} processes on this machine.\n", flush=True)

    def run() -> None:
        for name in names:
            _one(name, options)
        print(closing_words())

    return ended(run)


def _check(options: Options) -> None:
    """Everything that can be wrong before processes start."""
    if options.report is not None and options.dataset == "all":
        raise ConfigError("--report writes the page of one session; want it with one --dataset")
    checked_page(options.report)
    if options.dataset != "mnist":
        if options.folder is not None or options.rows is not None:
            raise ConfigError("--data and --rows are for --dataset mnist; the other data sets come with scikit-learn")
        bundled("digits")
        return
    if options.folder is None:
        raise ConfigError(f"--dataset mnist needs --data DIR. {WHERE_MNIST}")
    try:
        mpc.data.mnist(options.folder)
    except ConfigError as error:
        raise ConfigError(f"{error}. {WHERE_MNIST}") from None


def _one(name: str, options: Options) -> None:
    """Train on one data set, on shares and in plaintext, and print both."""
    program, model, title = DATASETS[name]
    model = replace(model, epochs=model.epochs if options.epochs is None else options.epochs)
    model = replace(model, folder=options.folder, rows=options.rows)
    started = time.perf_counter()
    outcomes = mpc.local(program, parties=options.parties, args=(model, options.seed))
    wall = time.perf_counter() - started
    title = f"{name}: {title}, {model.epochs} epochs"
    show(title, outcomes, wall, in_plaintext(name, model, options.seed))
    if options.report is not None:
        whole(outcomes).to_html(options.report, f"mpc demo, {title}")
        print(f"Costs by operation and layer, the loss and the ledger as a page: {options.report}\n")
