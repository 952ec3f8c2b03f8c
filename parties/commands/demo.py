"""`mpc demo`: models trained on shares, beside the same training in plaintext; models learned by many owners; what leaves."""
from __future__ import annotations

import signal
from typing import Annotated

import typer

from mpc.config import MAX_PARTIES, MIN_PARTIES
from mpc.parties.commands.common import choice
from mpc.supervision.signals import terminated


def demo(
    what: Annotated[str, typer.Argument(metavar="[training|federated|privacy]", help="Which demo.")] = "training",
    parties: Annotated[int, typer.Option(min=MIN_PARTIES, max=MAX_PARTIES, help="Computing parties, beside the dealer.")] = 3,
    dataset: Annotated[str, typer.Option(help="breast-cancer, digits, all (these two) or mnist.")] = "all",
    data: Annotated[str | None, typer.Option(metavar="DIR", help="MNIST's four idx files.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Of `mpc demo federated`.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first images of MNIST.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data; each model has its own default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the public initial weights, shuffles and splits; never of secrets.")] = 0,
    report: Annotated[str | None, typer.Option(metavar="FILE.html", help="Write costs, or the audit, as a page.")] = None,
) -> None:
    """Train models on secret shares and compare them with the same training in plaintext.

    Logistic regression on breast cancer records whose columns belong to two parties and whose labels belong to a
    third; and a small network on handwritten digits. With MNIST's files at hand, a network 784-128-128-10 on them.

        mpc demo

        mpc demo --parties 2 --dataset breast-cancer --epochs 5

        mpc demo --parties 2 --dataset mnist --data DIR --report mnist.html

    `mpc demo federated`: ten owners who do not take part in the computation train one network, each on its own records;
    what they learned is added up in the clear, on secret shares and under encryption, and who learns what is said beside.

        mpc demo federated

        mpc demo federated --data DIR --rows 10000

    `mpc demo privacy`: what leaves the engine with and without each tool (noise, DP-SGD, synthetic records, masking,
    anonymised representations, secure aggregation), attacked, and what it is still worth.

        mpc demo privacy --report audit.html
    """
    choice("demo", ("training", "federated", "privacy"), what)
    signal.signal(signal.SIGTERM, terminated)
    if what == "privacy":
        if dataset != "all" or (epochs, data, rows, rounds) != (None,) * 4:
            typer.echo("mpc demo privacy takes --parties, --seed and --report", err=True)
            raise typer.Exit(2)
        from mpc.parties.demo import privacy

        raise typer.Exit(privacy.main(privacy.Settings(parties, seed, report)))
    if what == "federated":
        if dataset != "all" or epochs is not None or report is not None:
            typer.echo("mpc demo federated takes --parties, --data, --rows, --rounds and --seed", err=True)
            raise typer.Exit(2)
        if rows is not None and data is None:
            typer.echo("mpc demo federated: --rows is for --data DIR; scikit-learn's digits are few", err=True)
            raise typer.Exit(2)
        from mpc.parties.demo import federated

        raise typer.Exit(federated.main(federated.Settings(parties, rounds or (10 if data is None else 5), seed, data, rows)))
    if rounds is not None:
        typer.echo("mpc demo: --rounds is for `mpc demo federated`; want --epochs", err=True)
        raise typer.Exit(2)
    from mpc.parties.demo import DATASETS, Options, main  # needs the extra `demo`

    choice("--dataset", (*DATASETS, "all"), dataset)
    raise typer.Exit(main(Options(parties, dataset, epochs, seed, data, rows, report)))
