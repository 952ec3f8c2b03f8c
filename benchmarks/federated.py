"""Federated averaging under each aggregator: seconds by phase, bytes a client, and how far from plain averaging it ends.

784-128-10 on MNIST (``--data``), 64-32-10 on scikit-learn's digits without. Clients hold two shards of records sorted by
label (McMahan et al. 2017). Same seeds everywhere, so that aggregators differ by their rounding alone. All clients train in
this process, one after the other, with torch on one thread; "train" and "protect" are what one client takes, on average.
"""
from __future__ import annotations

from functools import cache
from statistics import mean, median
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np

import mpc
from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.rows import Line
from mpc.errors import ConfigError
from mpc.federated import FedAvg, History, splits, weights

AGGREGATORS: Final = ("plain", "shares", "paillier")
TO_REACH: Final = 0.2  # points of accuracy between an aggregator and plain averaging
SEED: Final = 0
AT_ONCE: Final = 20  # clients of a round where there are 100


class Data(NamedTuple):
    """Records for training and testing, and the widths of the network for them."""

    x: Any
    y: Any
    test_x: Any
    test_y: Any
    widths: tuple[int, int, int]


@cache
def data(folder: str | None, quick: bool) -> Data:
    """MNIST from a folder, or the digits that come with scikit-learn. Raises ConfigError where neither is there."""
    if folder is not None:
        x, y, test_x, test_y = mpc.data.mnist(folder)
        few = slice(0, 2000 if quick else None)
        return Data(x.reshape(-1, 784)[few], y[few], test_x.reshape(-1, 784)[few], test_y[few], (784, 16 if quick else 128, 10))
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ConfigError('want --data DIR with MNIST, or scikit-learn\'s digits: pip install "mpc[demo]"') from error
    x, y = load_digits(return_X_y=True)
    x, test = (x / 16).astype(np.float32), np.arange(len(x)) % 5 == 0
    return Data(x[~test], y[~test], x[test], y[test], (64, 8 if quick else 32, 10))


class Experiment(NamedTuple):
    """``clients`` in all, of which a ``fraction`` takes part in each of ``rounds``."""

    clients: int
    rounds: int
    fraction: float


def experiment(name: str, quick: bool) -> Experiment:
    """"federated-10-..." or "federated-100-...": rounds and fraction."""
    clients = int(name.split("-")[1])
    return Experiment(clients, 2 if quick else 20, 1.0 if clients <= AT_ONCE else AT_ONCE / clients)


@cache
def trained(aggregator: str, wanted: Experiment, folder: str | None, quick: bool) -> History:
    """One whole training."""
    package = weights.torch()
    from_, threads = data(folder, quick), package.get_num_threads()
    inputs, hidden, outputs = from_.widths

    def network() -> Any:
        nn = package.nn
        return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    rows = splits.by_label(from_.y, wanted.clients, seed=SEED)
    fed = FedAvg(network, aggregator, fraction=wanted.fraction, lr=0.1, batch_size=16, seed=SEED)
    package.set_num_threads(1)
    try:
        fed.fit([(from_.x[r], from_.y[r]) for r in rows], wanted.rounds, evaluate=(from_.test_x, from_.test_y), progress=False)
    finally:
        package.set_num_threads(threads)
    return fed.history


def measure(name: str, quick: bool, folder: str | None) -> list[Line]:
    """The row of one name of the catalog's group "federated": seconds of a round but for the evaluation, one run of each."""
    wanted, aggregator = experiment(name, quick), name.rsplit("-", 1)[1]
    entry, started = BY_NAME[name], perf_counter()
    history = trained(aggregator, wanted, folder, quick)
    wall = perf_counter() - started
    plain = history if aggregator == "plain" else trained("plain", wanted, folder, quick)
    clients = max(len(past.accepted) for past in history)
    each = {phase: mean(past.seconds[phase] for past in history) / clients for phase in ("train", "protect")}
    parts = {part: median(past.combining[part] for past in history) for part in history[-1].combining}
    combine = median(past.seconds["combine"] for past in history)
    found, reference = _accuracy(history), _accuracy(plain)
    points = 100 * abs(found - reference)
    variant = "digits" if folder is None else "mnist"
    extra: dict[str, Any] = {
        "data": variant, "clients": wanted.clients, "per_round": clients,
        "rounds": len(history), "train": each["train"], "protect": each["protect"], "combine": combine, "combining": parts,
        "bytes_per_client": history[-1].bytes_up / clients, "accuracy": found, "plain_accuracy": reference, "points": points,
        "curve": [past.accuracy for past in history], "wall": wall, "refused": sum(len(past.refused) for past in history),
    }  # fmt: skip
    runs = [past.total_seconds - past.seconds["evaluate"] for past in history]
    note = f"{points:.2f} points from plain averaging" if aggregator != "plain" else ""
    if aggregator != "plain" and not quick and points > TO_REACH:
        note += f" > {TO_REACH}: missed"
    return [Line(entry.group, name, variant, entry.title, "s a round", runs, note=note, extra=extra)]


def _accuracy(history: History) -> float:
    found = history[-1].accuracy
    assert found is not None
    return found


def table(lines: list[Line]) -> Any:
    """Seconds by phase, bytes and accuracy side by side, for a terminal."""
    from rich.table import Table

    from mpc.report import amount

    out = Table(title="Federated averaging, non-IID clients in this process", title_justify="left")
    out.add_column("")
    heads = ("s a round", "train", "protect", "combine", "of it decrypt", "bytes up", "rounds", "accuracy", "from plain")
    for head in heads:
        out.add_column(head, justify="right")
    for line in lines:
        x = line.extra
        decrypt = x["combining"].get("decrypt")
        cells = [f"{line.value:.3g}", *(f"{x[phase]:.3g}" for phase in ("train", "protect", "combine"))]
        cells += ["" if decrypt is None else f"{decrypt:.3g}", amount(x["bytes_per_client"]), f"{x['rounds']}"]
        cells += [f"{x['accuracy']:.2%}", "" if line.name.endswith("plain") else f"{x['points']:.2f} points"]
        missed = line.note.endswith("missed")
        out.add_row(f"{line.name} ({line.variant}): {line.title}", *cells, style="red" if missed else None)
    return out


CAPTION: Final = (
    "seconds: the median round, without the evaluation; train, protect (encrypt, or share and seal): of one client; combine: "
    "of a round, at the server or the parties. bytes up: one client's message of one round; down it gets the model in float32. "
    "from plain: the difference in test accuracy to plain averaging with the same seeds; to reach: 0.2 points."
)
