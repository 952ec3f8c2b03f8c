"""`mpc bench privacy-audit`: what membership inference finds in networks trained by Adam and by DP-SGD.

Scikit-learn's diabetes (is the disease further on than the median?), digits of whose labels one in five is random, and with
--data 2,000 records of Adult (income). Half of the records are members, the others are what accuracy, on true labels, is
measured on; every split halves them anew. Networks, epochs and noise are fixed below, none is chosen by looking at a result.
Figures are over all splits, intervals draw records (with their answers in each split); single splits show how far trainings
differ.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from mpc.benchmarks import machine, privacy_data
from mpc.privacy.audit import AuditReport, Estimate, Exposure, MembershipReport, audit, membership_inference
from mpc.privacy.audit.rates import share
from mpc.privacy.audit.roc import Scores
from mpc.privacy.dp.sgd import DPSGD

DELTA: Final = 1e-5
HIDDEN: Final = 128
PLAIN_EPOCHS: Final = 150
PRIVATE_EPOCHS: Final = 30
PRIVATE_SIZE: Final = 64  # of a batch, on average
PRIVATE_LR: Final = 0.5
NORM: Final = 1.0  # that gradients are clipped to
ADULTS: Final = 2000
WRONG: Final = 0.2  # of digits' labels


class Case(NamedTuple):
    """Records, the labels to train on, the true ones; ``classes``."""

    x: Any
    y: Any
    true: Any
    classes: int


def diabetes(folder: Path | None) -> Case:
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    further = (y > np.median(y)).astype(np.int64)
    return Case(x / x.std(0), further, further, 2)


def digits(folder: Path | None) -> Case:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(1000)
    random = np.where(rng.random(len(y)) < WRONG, rng.integers(10, size=len(y)), y)
    return Case(x / 16, random.astype(np.int64), y.astype(np.int64), 10)


def adult(folder: Path | None) -> Case:
    if folder is None:
        raise ValueError("adult is no data set of scikit-learn's; want --data DIR with adult/")
    found = privacy_data.adult(folder)
    rows = np.random.default_rng(1000).permutation(len(found.x))[:ADULTS]
    x = found.x[rows]
    rich = np.char.find(found.task[rows].astype(str), ">") >= 0
    return Case(x / np.maximum(x.std(0), 1e-9), rich.astype(np.int64), rich.astype(np.int64), 2)


CASES: Final = {"diabetes": diabetes, "digits": digits, "adult": adult}


class Split(NamedTuple):
    """One model and its audit: ``records`` of members and of others; right answers to ``others`` by true labels; seconds that
    training the model took."""

    found: MembershipReport
    records: tuple[Any, Any]
    right: Any
    seconds: float


def network(case: Case, seed: int) -> Any:
    import torch

    torch.manual_seed(seed)
    wide = case.x.shape[1]
    return torch.nn.Sequential(torch.nn.Linear(wide, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, case.classes))


def plain(case: Case, x: Any, y: Any, seed: int, epochs: int) -> Any:
    """Adam until the labels are known by heart."""
    import torch

    model = network(case, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    xt, yt = torch.as_tensor(x).float(), torch.as_tensor(y)
    for _ in range(epochs):
        for rows in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(xt[rows]), yt[rows]).backward()
            optimizer.step()
    return model


def private(case: Case, x: Any, y: Any, seed: int, epochs: int, noise: float, spent: list[float]) -> Any:
    """DP-SGD with Poisson batches; the epsilon it cost is added to ``spent``."""
    import torch

    model = network(case, seed)
    optimizer = DPSGD(model, PRIVATE_LR, NORM, noise)
    xt, yt = torch.as_tensor(x).float(), torch.as_tensor(y)
    for xb, yb in optimizer.batches(xt, yt, size=PRIVATE_SIZE, epochs=epochs):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(xb), yb).backward()
        optimizer.step()
    spent.append(optimizer.epsilon(DELTA))
    return model


def measure(case: Case, seed: int, noise: float | None, shadows: int, epochs: int | None = None) -> Split:
    """One split, one model and its audit. ``noise``: DP-SGD's multiplier; None: Adam."""
    import torch

    order = np.random.default_rng(seed).permutation(len(case.y))
    half = len(order) // 2
    inside, outside = order[:half], order[half : 2 * half]
    members, others = ((case.x[rows], case.y[rows]) for rows in (inside, outside))
    spent: list[float] = []
    train: Callable[[Any, Any, int], Any] = (
        (lambda x, y, s: plain(case, x, y, s, epochs or PLAIN_EPOCHS)) if noise is None
        else (lambda x, y, s: private(case, x, y, s, epochs or PRIVATE_EPOCHS, noise, spent))
    )  # fmt: skip
    started = time.monotonic()
    model = train(*members, seed)
    seconds = time.monotonic() - started
    epsilon = spent[0] if spent else None
    found = membership_inference(
        model, members, others, output="logits", train=train if shadows else None, shadows=shadows, groups=(inside, outside),
        epsilon=epsilon, delta=DELTA if spent else 0.0, seed=seed,
    )  # fmt: skip
    with torch.no_grad():
        answers = model(torch.as_tensor(others[0]).float()).argmax(1).numpy()
    return Split(found, (inside, outside), answers == case.true[outside], seconds)


def together(splits: Sequence[Split]) -> tuple[MembershipReport, Estimate]:
    """One report of all splits, and the accuracy on true labels; whatever a record did in several splits is drawn together."""
    inside, outside = (np.concatenate([s.records[k] for s in splits]) for k in (0, 1))
    attacks = {}
    for name in splits[0].found.attacks:
        parts = [s.found.attacks[name] for s in splits]
        attacks[name] = Scores.of(
            np.concatenate([p.positives for p in parts]), np.concatenate([p.negatives for p in parts]), inside, outside
        )
    first = splits[0].found
    of = np.unique(outside, return_inverse=True)[1]
    right, asked = np.bincount(of, np.concatenate([s.right for s in splits])), np.bincount(of)
    quality = share(right.astype(np.float64), asked.astype(np.float64))
    epsilon = None if first.epsilon is None else max(s.found.epsilon or 0.0 for s in splits)
    return MembershipReport(attacks, epsilon, first.delta, None, first.shadows), quality


def audited(
    name: str, case: Case, splits: int, noises: Sequence[float], shadows: int, epochs: int | None = None
) -> tuple[AuditReport, dict[str, Any]]:
    """The same network trained in each way, side by side; and what single splits gave."""
    exposures, single = [], {}
    ways: dict[str, float | None] = {"Adam": None, **{f"DP-SGD, noise {noise:g}": noise for noise in noises}}
    for way, sigma in ways.items():
        rows = [measure(case, seed, sigma, shadows, epochs) for seed in range(splits)]
        found, quality = together(rows)
        seconds = float(np.mean([row.seconds for row in rows]))
        exposures.append(Exposure(way, found, quality=quality, cost=f"{seconds:.1f} s of training"))
        single[way] = {
            "advantage": {a: [round(row.found.advantage(a).value, 4) for row in rows] for a in found.attacks},
            "accuracy": [round(float(row.right.mean()), 4) for row in rows], "seconds": round(seconds, 2),
        }  # fmt: skip
    return audit(*exposures, title=f"Membership, {name}, {splits} splits"), single


def main(argv: list[str] | None = None) -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(prog="mpc bench privacy-audit", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} [the first two; all with --data]")
    parser.add_argument("--splits", type=int, default=3, metavar="N")
    parser.add_argument("--shadows", type=int, default=8, metavar="N", help="models of the likelihood ratio; 0: none (8)")
    parser.add_argument("--noise", type=float, nargs="+", default=[1.0], metavar="SIGMA", help="DP-SGD's noise multipliers (1)")
    parser.add_argument("--quick", action="store_true", help="one epoch and 200 records: does everything work?")
    parser.add_argument("--data", metavar="DIR", help="folder of adult/ (MPC_TEST_DATA)")
    parser.add_argument("--json", metavar="FILE", help="write everything measured here")
    parser.add_argument("--html", metavar="DIR", help="write a page for each case here")
    wanted = parser.parse_args(argv)
    if unknown := [name for name in wanted.cases if name not in CASES]:
        parser.error(f"got {unknown[0]}; want some of {', '.join(CASES)}")
    if wanted.splits < 1:
        parser.error(f"got --splits {wanted.splits}; want at least 1")
    import torch

    torch.set_num_threads(1)
    folder = Path(wanted.data) if wanted.data else None
    result: dict[str, Any] = {"machine": machine.describe(), "delta": DELTA, "noise": wanted.noise, "cases": {}}
    for name in wanted.cases or (CASES if folder else ("diabetes", "digits")):
        started = time.monotonic()
        case = CASES[name](folder)
        if wanted.quick:
            case = Case(case.x[:200], case.y[:200], case.true[:200], case.classes)
        report, single = audited(name, case, wanted.splits, wanted.noise, wanted.shadows, 1 if wanted.quick else None)
        seconds = round(time.monotonic() - started, 1)
        print(report, *(told(way, found) for way, found in single.items()), f"{seconds} s\n", sep="\n", flush=True)
        result["cases"][name] = {**report.to_dict(), "splits": single, "seconds": seconds}
        if wanted.html:
            report.to_html(Path(wanted.html) / f"{name}.html")
        if wanted.json:
            Path(wanted.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


def told(way: str, found: dict[str, Any]) -> str:
    """Each split's advantages."""
    parts = [f"{a} {' '.join(f'{v:.3f}' for v in values)}" for a, values in found["advantage"].items()]
    return f"{way}, split by split: {'; '.join(parts)}; accuracy {' '.join(f'{v:.3f}' for v in found['accuracy'])}"


if __name__ == "__main__":
    sys.exit(main())
