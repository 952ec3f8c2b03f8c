"""`mpc demo`: models trained on shares, beside the same training in plaintext."""
from __future__ import annotations

import signal
from typing import Annotated

import typer

from mpc.config import MAX_PARTIES, MIN_PARTIES
from mpc.parties.commands.common import choice, terminated


def demo(
    parties: Annotated[int, typer.Option(min=MIN_PARTIES, max=MAX_PARTIES, help="Computing parties, beside the dealer.")] = 3,
    dataset: Annotated[str, typer.Option(help="breast-cancer, digits, all (these two) or mnist.")] = "all",
    data: Annotated[str | None, typer.Option(metavar="DIR", help="MNIST's four idx files.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first images of MNIST.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data; each model has its own default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the public initial weights, shuffles and splits; never of secrets.")] = 0,
    report: Annotated[str | None, typer.Option(metavar="FILE.html", help="Write costs, loss and ledger as a page.")] = None,
) -> None:
    """Train models on secret shares and compare them with the same training in plaintext.

    Logistic regression on breast cancer records whose columns belong to two parties and whose labels belong to a
    third; and a small network on handwritten digits. With MNIST's files at hand, a network 784-128-128-10 on them.

        mpc demo

        mpc demo --parties 2 --dataset breast-cancer --epochs 5

        mpc demo --parties 2 --dataset mnist --data DIR --report mnist.html
    """
    from mpc.parties.demo import DATASETS, Options, main  # needs the extra `demo`

    choice("--dataset", (*DATASETS, "all"), dataset)
    signal.signal(signal.SIGTERM, terminated)
    raise typer.Exit(main(Options(parties, dataset, epochs, seed, data, rows, report)))
