"""The digits of `mpc bench privacy-synthesis`: moments beside a GAN, with and without differential privacy, and attacks.

An attacker who has the synthetic records, and for *likelier* real records from where the others come from, calls a record a
member if a synthetic one is near, or *nearer* than those other real records are (after van Breugel et al., "Membership
inference attacks against synthetic data through overfitting detection", 2023). Advantage: 2 AUC - 1.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import mpc
from mpc.privacy.synthesis import GAN, MomentSynthesizer, quality

Array = npt.NDArray[Any]
Split = tuple[Array, Array]
EPSILONS: Final = (None, 10.0, 3.0, 1.0)
DELTA: Final = 1e-5
GRID: Final = tuple({"max_norm": a, "max_residual": b, "weights": w} for a, b in ((3.5, 1.8), (4.0, 2.4))
                    for w in ((0.1, 0.8, 0.6), (0.15, 0.85, 0.5)))  # fmt: skip
GANS: Final = ({"average": 0.99, "noise_dim": 32, "components": 32, "hidden": (128,), "batch_size": 64, "epochs": 100,
                "lr": 1e-3},)  # fmt: skip
_BARE: Final = {"start": 0.0, "average": 0.98, "noise_dim": 8, "components": 16, "hidden": (64,), "batch_size": 128,
                "epochs": 60, "lr": 5e-3}  # fmt: skip
_BEGUN: Final = {"average": 0.99, "noise_dim": 32, "components": 64, "hidden": (128,), "batch_size": 128, "lr": 1e-3}
PRIVATE_GANS: Final = (_BARE, *({**_BEGUN, "start": a, "epochs": e} for a in (0.75, 0.9) for e in (30, 60)))
SEEDS: Final = 5


def moments(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """Moments of scikit-learn's 8x8 digits."""

    def made(x: Array, y: Array, settings: dict[str, Any], epsilon: float | None, seed: int) -> Split:
        synthesiser = MomentSynthesizer(epsilon, DELTA, low=0, high=16, centre=0, seed=seed, **settings)
        return synthesiser.fit(x, y, classes=10).sample(4000)

    for epsilon in EPSILONS:
        kinds = ("class", "pooled") if epsilon is None or epsilon > 5 else ("pooled",)
        tried = [{**g, "covariance": k} for k in kinds for g in (GRID if epsilon else ({},))]
        _digits(made, tried, epsilon, found.setdefault(f"epsilon {epsilon}", {}))
        write()


def shares(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """The same moments of images that one party has and labels that another has, epsilon 3; three splits. Threads."""

    def made(x: Array, y: Array, settings: dict[str, Any], epsilon: float | None, seed: int) -> Split:
        def program() -> Split:
            with mpc.session() as s:
                images, labels = mpc.share(x if s.rank == 0 else None, owner=0), mpc.share(y if s.rank == 1 else None, owner=1)
                synthesiser = MomentSynthesizer(epsilon, DELTA, low=0, high=16, centre=0, seed=seed, **settings)
                started = time.monotonic()
                synthesiser.fit(images, labels, classes=10)
                report = s.report().to_dict()
                found["cost"] = {"seconds": round(time.monotonic() - started, 2), "rows": len(x)} | {
                    name: report[name] for name in ("rounds", "bytes_sent", "offline_bytes")}
                found["ledger"] = [f"{line.reason} {tuple(line.shape)}" for line in s.ledger]
                return synthesiser.sample(4000)

        out: Split = mpc.local(program, parties=2, threads=True)[0]
        return out

    _digits(made, [{"max_norm": 4.0, "max_residual": 2.4, "weights": (0.1, 0.8, 0.6)}], 3.0, found, 3)


def gan(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """A GAN of the same digits."""

    def made(x: Array, y: Array, settings: dict[str, Any], epsilon: float | None, seed: int) -> Split:
        network = GAN(epsilon=epsilon, delta=DELTA, seed=seed, **settings)
        images, labels = network.fit(x.reshape(-1, 8, 8), y, low=0, high=16, classes=10).sample(4000)
        return images.reshape(len(images), -1), labels

    for epsilon in EPSILONS:
        _digits(made, list(GANS if epsilon is None else PRIVATE_GANS), epsilon, found.setdefault(f"epsilon {epsilon}", {}))
        write()


def _digits(made: Callable[..., Split], tried: list[dict[str, Any]], epsilon: float | None, cell: dict[str, Any],
            seeds: int | None = None) -> None:  # fmt: skip
    """1,437 train, 360 test; seeds of split, noise and samples. Settings are those that are best on 287 of the training records
    in the first split."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    x, y = load_digits(return_X_y=True)
    model = SVC(C=10.0)
    cell.update(synthetic=[], real=[])
    for seed in range(seeds or SEEDS):
        place = np.random.default_rng(seed).permutation(len(y))
        test, validation, inner, outer = place[:360], place[360:647], place[647:], place[360:]
        if seed == 0:
            scores = [model.fit(*made(x[inner], y[inner], t, epsilon, 100)).score(x[validation], y[validation]) for t in tried]
            cell.update(settings=tried[int(np.argmax(scores))], tried=[round(float(s), 4) for s in scores])
        records = made(x[outer], y[outer], cell["settings"], epsilon, seed)
        u = quality.utility(model, (x[outer], y[outer]), records, (x[test], y[test]))
        cell["synthetic"].append(round(u.synthetic, 4))
        cell["real"].append(round(u.real, 4))
        cell["mean"] = round(float(np.mean(cell["synthetic"])), 4)
        for name, advantage in attacks(x[outer], x[test], records[0]).items():
            cell.setdefault(name, []).append(round(advantage, 4))
        print(seed, epsilon, cell, file=sys.stderr, flush=True)


def attacks(members: Array, others: Array, made: Array) -> dict[str, float]:
    """Advantages; half of ``others`` are what the second attacker has, the rest is to be told from members."""
    known, strangers = others[::2], others[1::2]
    near = [-_nearest(rows, made) for rows in (members, strangers)]
    likelier = [n + _nearest(rows, known) for n, rows in zip(near, (members, strangers), strict=True)]
    copies = quality.nearness(members, others, made).copies
    return {"near": _advantage(*near), "likelier": _advantage(*likelier), "copies": copies}


def _nearest(rows: Array, among: Array) -> Array:
    squares = (rows**2).sum(1)[:, None] + (among**2).sum(1) - 2 * rows @ among.T
    return np.sqrt(np.maximum(squares.min(1), 0))


def _advantage(members: Array, others: Array) -> float:
    order = np.sort(others)
    places = np.searchsorted(order, members, "left") + np.searchsorted(order, members, "right")
    return float(places.mean() / len(order) - 1)
