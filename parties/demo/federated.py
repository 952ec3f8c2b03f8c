"""`mpc demo federated`: one model from ten owners' data under each aggregator, and once into the engine without being seen."""
from __future__ import annotations

import sys
import textwrap
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np

import mpc
from mpc.errors import ConfigError
from mpc.federated import Client, FedAvg, History, Training, splits, weights
from mpc.parties.demo.data import WHERE_MNIST, bundled, mnist, split
from mpc.parties.demo.ending import ended
from mpc.report import amount, ledger_text

CLIENTS: Final = 10
TESTED_SECRETLY: Final = 1000
LEARN: Final = {
    "plain": ("the server sees each", "the server", "the server"),
    "shares": ("nobody, while one of the parties is honest", "the parties, on shares", "the parties"),
    "paillier": ("nobody, while the server and the key's owner stay apart", "nobody can", "the key's owner"),
}


class Settings(NamedTuple):
    """The command line. ``folder``: MNIST instead of scikit-learn's digits; ``rows``: its first images only."""

    parties: int
    rounds: int
    seed: int
    folder: str | None = None
    rows: int | None = None


class Data(NamedTuple):
    """Records with labels as integers, and the network's widths."""

    x: Any
    y: Any
    test_x: Any
    test_y: Any
    widths: tuple[int, int, int]

    def clients(self, seed: int) -> list[Client]:
        """Ten owners, each with two shards of records sorted by digit: most know two or three digits only."""
        rows = splits.by_label(self.y, CLIENTS, seed=seed)
        return [Client(self.x[r], self.y[r], f"client {k}") for k, r in enumerate(rows)]


def main(settings: Settings) -> int:
    """Run the demo; the exit code."""
    try:
        import torch  # noqa: F401  an extra

        data = load(settings)
    except ModuleNotFoundError as missing:
        print(f'mpc demo needs {missing.name}: pip install "mpc[demo,torch]"', file=sys.stderr)
        return 6
    except ConfigError as error:
        print(f"mpc demo: {error}", file=sys.stderr)
        return 2
    return ended(lambda: _run(settings, data))


def load(settings: Settings) -> Data:
    """MNIST from the folder that was named, else the digits that come with scikit-learn. Raises ConfigError."""
    if settings.folder is not None:
        try:
            x, y, test_x, test_y = mnist(settings.folder, settings.rows)
        except ConfigError as error:
            raise ConfigError(f"{error}. {WHERE_MNIST}") from None
        return Data(x.astype(np.float32), y.argmax(1), test_x.astype(np.float32), test_y.argmax(1), (784, 128, 10))
    x, y = bundled("digits")
    x, labels, (train, test) = (x / 16).astype(np.float32), y.argmax(1), split(len(x))
    return Data(x[train], labels[train], x[test], labels[test], (64, 32, 10))


def network(widths: tuple[int, int, int]) -> Any:
    """One hidden layer with ReLU."""
    nn = weights.torch().nn
    return nn.Sequential(nn.Linear(widths[0], widths[1]), nn.ReLU(), nn.Linear(widths[1], widths[2]))


def federation(settings: Settings, data: Data, aggregator: str) -> FedAvg:
    """Each client trains for two passes over its records per round, with momentum."""
    lr, make = (0.1 if settings.folder else 0.2), partial(network, data.widths)
    return FedAvg(make, aggregator, epochs=2, batch_size=16, lr=lr, momentum=0.5, seed=settings.seed)


def _run(settings: Settings, data: Data) -> None:
    from rich.console import Console
    from rich.table import Table

    name = "MNIST" if settings.folder is not None else "scikit-learn's digits"
    widths = "-".join(map(str, data.widths))
    print(f"Federated averaging: {CLIENTS} clients with {len(data.x)} records of {name}, most with two or three digits only.")
    print(f"Network {widths}, {settings.rounds} rounds; clients, server and parties on this machine.\n", flush=True)
    histories: dict[str, History] = {}
    weights.torch().set_num_threads(1)  # small layers: more threads would wait for each other
    for aggregator in LEARN:
        fed = federation(settings, data, aggregator)
        started = perf_counter()
        fed.fit(data.clients(settings.seed), settings.rounds, evaluate=(data.test_x, data.test_y), progress=False)
        histories[aggregator] = fed.history
        print(f"{aggregator}: {fed.history[-1].accuracy:.1%} after {perf_counter() - started:.1f} s", flush=True)
    table = Table(title="One model, three ways to add up what clients learned", title_justify="left", title_style="bold")
    for k, head in enumerate(("aggregator", "accuracy", "train", "protect", "combine", "message")):
        table.add_column(head, justify="left" if k == 0 else "right")
    for head in ("who sees a client's update", "who checks its norm", "who learns the sum"):
        table.add_column(head)
    for aggregator, history in histories.items():
        clients = max(1, len(history[-1].accepted))
        train, protect = (sum(past.seconds[p] for past in history) / settings.rounds / clients for p in ("train", "protect"))
        combine = sum(past.seconds["combine"] for past in history) / settings.rounds
        times = [f"{seconds:.3f} s" for seconds in (train, protect, combine)]
        cells = [f"{history[-1].accuracy:.1%}", *times, amount(history[-1].bytes_up / clients)]
        table.add_row(aggregator, *cells, *LEARN[aggregator])
    console = Console()
    (console if console.is_terminal else Console(width=150)).print(table)
    print("train, protect: one client in one round; combine: one round. message: of one client in one round.")
    print(f"A client on its own: {alone(settings, data):.1%} on average.\n", flush=True)
    _secretly(settings, weights.flatten(fed.model))


def alone(settings: Settings, data: Data) -> float:
    """The mean accuracy of what each client would have without the others, after as much training."""
    fed, package = federation(settings, data, "plain"), weights.torch()
    training = Training(**{**vars(fed.training), "epochs": fed.training.epochs * settings.rounds})
    right = []
    for client in data.clients(settings.seed):
        module = weights.made(fed.model, None)
        client.update(module, training, settings.seed)
        with package.no_grad():
            right.append(float((module(package.from_numpy(data.test_x)).argmax(1).numpy() == data.test_y).mean()))
    return float(np.mean(right))


# --- the model that nobody sees
def secretly(settings: Settings, known: weights.Floats) -> tuple[int, int, Any]:
    """Every party runs this: one more round whose mean stays secret, then predictions for party 1's images. ``known``: the
    model so far, which the clients have; party 0 plays them."""
    with mpc.session() as s:
        data, few = load(settings), slice(0, TESTED_SECRETLY)
        weights.torch().set_num_threads(1)
        fed = federation(settings, data, "shares")
        if s.rank == 0:
            weights.load(fed.model, known)
        model = fed.fit(data.clients(settings.seed) if s.rank == 0 else None, 1, keep_secret=True, progress=False)
        one_hot = np.eye(data.widths[-1])[data.test_y[few]]
        x, y = (mpc.share(a if s.rank == 1 else None, owner=1) for a in (data.test_x[few], one_hot))
        with mpc.no_grad():
            answers = model.eval()(x).argmax(1, one_hot=True)
        right = (answers * y).sum().reveal(reason="number of right answers")
        return round(float(right)), len(one_hot), s.report()


def _secretly(settings: Settings, known: weights.Floats) -> None:
    started = perf_counter()
    right, tested, report = mpc.local(secretly, parties=settings.parties, args=(settings, known))[0]
    seconds = perf_counter() - started
    print(f"keep_secret=True, {settings.parties} parties as processes: one more round, whose mean is never opened.")
    print(f"The secret model has {right} of {tested} test images right ({right / tested:.1%}); {seconds:.1f} s in all.")
    print(ledger_text(report.ledger, report.world_size), end="\n\n")
    print(textwrap.fill(WORDS, 100))


WORDS: Final = """\
What nobody saw under "shares" and "paillier": any client's records or update. What clients see: the model of each round, \
since they train on it; with keep_secret=True not the last one. Limits of a demo: everybody ran on this machine under your \
account, party 0 played all clients, and the key's owner of "paillier" was the same process as the server; in earnest they are \
apart, or the key is shared among several (mpc.paillier.deal). An average can still tell something about who is in it: \
SECURITY.md."""
