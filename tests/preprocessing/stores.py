"""What the tests of stored preprocessing share: programs, plans, stores, and what every party raised."""
from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import mpc
from mpc import identity, nn
from mpc.party import Party
from mpc.preprocessing import plan as plans
from mpc.preprocessing import production
from mpc.preprocessing.plan import Plan
from mpc.preprocessing.store import Store

Program = Callable[[Party], Any]
RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(24, 4)), RNG.integers(0, 3, size=24)


def run(program: Program, parties: int = 2, **options: Any) -> list[Any]:
    """``program`` in a session of threads; its results by rank."""

    def main() -> Any:
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, threads=True, deadline=10, **options)


def failures(program: Program, parties: int = 2, **options: Any) -> list[mpc.MPCError]:
    """What each party raised, by rank: every one of them must."""

    def main() -> mpc.MPCError:
        try:
            with mpc.session() as s:
                program(s)
        except mpc.MPCError as error:
            return copy.copy(error)
        raise AssertionError("a party went on")

    return mpc.local(main, parties=parties, threads=True, deadline=10, **options)


def planned(program: Program, folder: Path, parties: int = 2, **options: Any) -> Plan:
    run(program, parties, plan=folder / "the.plan", **options)
    return plans.read(folder / "the.plan")


def stored(program: Program, folder: Path, parties: int = 2, runs: int = 1, seed: int | None = None) -> Path:
    """A fresh directory of stores for the program, with their keys. ``seed``: of the plan, by default a random one."""

    def seeded(s: Party) -> Any:
        if seed is not None:
            s.manual_seed(seed)
        return program(s)

    plan = planned(seeded, folder, parties)
    if seed is not None:
        plan = msgspec.structs.replace(plan, seed=seed)
    recipients, keys = production.local_recipients([f"rank-{rank}" for rank in range(parties)])
    out = folder / "stores"
    shutil.rmtree(out, ignore_errors=True)
    production.produce(plan, recipients, identity.create("dealer").secret_key, out, runs, keys=keys)
    return out


def compare(s: Party) -> Any:
    """A small program with products and comparisons of two owners' data."""
    x, y = mpc.share(X, 0), mpc.share(X[::-1].copy(), 1)
    return (x * y > 0).reveal()


def product(s: Party) -> Any:
    return (mpc.share(X, 0) * mpc.share(X + 1, 1)).reveal()


def perceptron(s: Party) -> Any:
    """A training whose batches are shuffled, with three layers and momentum."""
    x, y = mpc.share(X, 0), mpc.share(np.eye(3)[Y], 1)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.125, momentum=0.5)
    for xb, yb in mpc.data.batches(x, y, size=8, epochs=2):
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.reveal(reason="loss")
    return model(x).reveal()


def functions(s: Party) -> Any:
    """Every function kernel, on secrets of two owners."""
    x = mpc.share(np.abs(X) + 0.5, 0) + mpc.share(np.zeros_like(X), 1)
    out = [
        x.exp(), x.log(), x.sigmoid(), x.tanh(), x.erf(), x.gelu(), x.sqrt(), x.rsqrt(), x.reciprocal(), x.softmax(1),
        x.amax(1), x.argmax(1), x.abs(), x**3, x == 1, x / (x + 1), x.topk(2, 0)[0], x.sort(0)[0], x.median(), x.relu(),
    ]  # fmt: skip
    return [v.reveal() for v in out]


def estimators(s: Party) -> Any:
    """Fits behind the estimators, with a column's scaling."""
    x = mpc.share(X, 0)
    labels = mpc.share((X[:, 0] > 0).astype(float) if s.rank == 1 else None, 1)
    logistic = mpc.linear_model.LogisticRegression(max_iter=3).fit(x, labels)
    ridge = mpc.linear_model.Ridge().fit(x, mpc.share(X @ np.arange(4.0), 1))
    return logistic.predict_proba(x).reveal(), ridge.predict(x).reveal()


def opened(folder: Path, rank: int, key: int | None = None) -> Store:
    """A rank's store, with its own key or another rank's."""
    secret = identity.load(folder / f"rank-{rank if key is None else key}.key").secret_key
    return Store(folder / f"rank-{rank}.store", secret)
