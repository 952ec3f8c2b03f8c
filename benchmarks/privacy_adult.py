"""The Adult table of `mpc bench privacy-synthesis`: a GAN, and counts of pairs of columns, in clear and on shares.

Ranges and categories count as public: the description of the data has them.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import mpc
from mpc.privacy import MarginalSynthesizer
from mpc.privacy.synthesis import GAN, quality

Array = npt.NDArray[Any]
Table = dict[str, Array]
NAMES: Final = ("age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
                "capital-loss hours-per-week native-country income").split()  # fmt: skip
NUMBERS: Final = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
RANGES: Final = {"age": (17, 90), "fnlwgt": (10_000, 1_500_000), "education-num": (1, 16), "capital-gain": (0, 100_000),
                 "capital-loss": (0, 4_500), "hours-per-week": (1, 99)}  # fmt: skip
EDGES: Final = {"capital-gain": (0, 1, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000),
                "capital-loss": (0, 1, 500, 1000, 1500, 2000, 2500, 3000, 4500)}  # fmt: skip
LARGE, SCALE = ("fnlwgt", "capital-gain"), 64.0  # shared as multiples of it: the engine's numbers end at 2^15
CLASSES: Final = ["<=50K", ">50K"]
DELTA: Final = 1e-5
RUNS: Final = 5


def plain(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """adult.data trains the GAN, but for 5,000 rows that settings are chosen on; adult.test tests."""
    train, validation, test = _adult(folder)
    gan = GAN(epochs=epochs or 30, batch_size=500, hidden=(128, 128), lr=5e-4)
    found.update(settings=settings_of(gan))
    made = gan.fit(train, label="income").sample(len(train["age"]))
    for part, real in (("validation", validation), ("test", test)):
        found[part] = {n: u._asdict() for n, u in _worth(train, made, real).items()}
    found["marginals"] = {n: round(v, 4) for n, v in quality.marginals(test, made).items()}
    found["pairs"] = quality.pairs(test, made)
    features = _features(train)
    found["nearness"] = quality.nearness(features(train), features(validation), features(made)[:5000])._asdict()


def private(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """The same with epsilon 3, nothing chosen. Ranges and categories count as public (the data's description has them)."""
    train, _, test = _adult(folder)
    public = _public(train, RANGES)
    gan = GAN(epochs=epochs or 10, batch_size=500, hidden=(128, 128), lr=1e-3, average=0.99, epsilon=3.0)
    found.update(settings=settings_of(gan))
    made = gan.fit(train, label="income", columns=public, classes=CLASSES).sample(len(train["age"]))
    found.update(test={n: u._asdict() for n, u in _worth(train, made, test).items()})
    found["most frequent"] = float((test["income"] == "<=50K").mean())


def marginals(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """Counts of all pairs of columns, each epsilon five times (its noise differs), nothing chosen; gains and losses in ranges
    by 1, 2, 5 (EDGES)."""
    train, _, test = _adult(folder)
    public = _public(train, {**RANGES, **EDGES})
    for epsilon in (None, 10.0, 3.0, 1.0, 0.3):
        runs, seconds = [], 0.0
        for seed in range(RUNS):
            maker, begun = MarginalSynthesizer(epsilon, DELTA, seed=seed), time.monotonic()
            maker.fit(train, label="income", columns=public, classes=CLASSES)
            seconds += time.monotonic() - begun
            made = maker.sample(len(train["age"]))
            runs.append(_worth(train, made, test))
        found[f"epsilon {epsilon}"] = {
            "test": {n: {"real": runs[0][n].real, "synthetic": [round(r[n].synthetic, 4) for r in runs]} for n in runs[0]},
            "largest distance of a marginal": max(quality.marginals(test, made).values()), "pairs": quality.pairs(test, made),
            "seconds to fit": round(seconds / RUNS, 3), "guarantee": maker.guarantee_ and maker.guarantee_.epsilon(DELTA),
        }  # fmt: skip
        write()
    features = _features(train)
    held_out = {n: v[:5000] for n, v in test.items()}
    found["nearness, epsilon 0.3"] = quality.nearness(features(train), features(held_out), features(made)[:5000])._asdict()


def shares(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """The same at epsilon 3 where one party has the census columns and another gains, losses and income. Processes."""
    train, _, test = _adult(folder)
    public = _public(train, {**RANGES, **EDGES})
    public |= {n: tuple(v / SCALE for v in public[n]) for n in LARGE}
    columns = {n: train[n] if n in NUMBERS else np.searchsorted(public[n], train[n]) for n in NAMES[:-1]}
    columns |= {n: train[n] / SCALE for n in LARGE}
    labels = (train["income"] == CLASSES[1]).astype(float)
    maker, cost = mpc.local(_fitted, parties=2, args=(columns, labels, public))[0]
    made = maker.sample(len(labels))
    made.update({n: np.floor(made[n] * SCALE) for n in LARGE})
    found.update(fit=cost, test={n: u._asdict() for n, u in _worth(train, made, test).items()})
    write()


def _fitted(columns: Table, labels: Array, public: dict[str, Any]) -> tuple[MarginalSynthesizer, dict[str, Any]]:
    """Runs at every party."""
    with mpc.session() as s:
        owner = {n: int(n.startswith("capital")) for n in columns}
        x = {n: mpc.share(v if s.rank == owner[n] else None, owner=owner[n]) for n, v in columns.items()}
        y = mpc.share(labels if s.rank == 1 else None, owner=1)
        s.barrier()
        started = time.monotonic()
        maker = MarginalSynthesizer(3.0, DELTA).fit({**x, "income": y}, label="income", columns=public, classes=CLASSES)
        report = s.report().to_dict()
        cost = {"seconds": round(time.monotonic() - started, 2), "rows": len(labels)}
        cost |= {name: report[name] for name in ("rounds", "bytes_sent", "offline_bytes")}
        return maker, cost | {"ledger": [f"{line.reason} {tuple(line.shape)}" for line in s.ledger]}


def settings_of(gan: GAN) -> dict[str, Any]:
    return {**vars(gan.settings), "components": gan.components}


def _public(train: Table, ranges: dict[str, Any]) -> dict[str, Any]:
    return {n: ranges[n] if n in ranges else np.unique(train[n]).tolist() for n in NAMES[:-1]}


def _adult(folder: Path) -> tuple[Table, ...]:
    """Training, validation and test rows."""
    rows, test = (_table(folder / "adult" / name) for name in ("adult.data", "adult.test"))
    place = np.random.default_rng(0).permutation(len(rows["age"]))
    return *({n: v[part] for n, v in rows.items()} for part in (place[5000:], place[:5000])), test


def _features(train: Table) -> Callable[[Table], Array]:
    known = {n: np.unique(train[n]) for n in NAMES[:-1] if n not in NUMBERS}
    offset, scale = _numbers(train).mean(0), _numbers(train).std(0)

    def features(t: Table) -> Array:
        hot = [(t[n][:, None] == values).astype(float) for n, values in known.items()]
        return np.hstack([(_numbers(t) - offset) / scale, *hot])

    return features


def _worth(train: Table, made: Table, real: Table) -> dict[str, quality.Utility]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    features = _features(train)
    sets = [(features(t), t["income"]) for t in (train, made, real)]
    models = {"logistic": LogisticRegression(max_iter=500), "boosting": HistGradientBoostingClassifier(random_state=0)}
    return {name: quality.utility(model, *sets) for name, model in models.items()}


def _numbers(t: Table) -> Array:
    return np.stack([np.log1p(t[n]) if n.startswith("capital") else t[n] for n in NUMBERS], 1).astype(float)


def _table(path: Path) -> Table:
    lines = [line.rstrip(".").split(", ") for line in path.read_text().splitlines() if line and not line.startswith("|")]
    return {n: np.array(c, float if n in NUMBERS else str) for n, c in zip(NAMES, zip(*lines, strict=True), strict=True)}
