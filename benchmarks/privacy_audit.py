"""`python -m mpc.benchmarks.privacy_audit`: what membership inference finds in models trained with and without DP-SGD.

Scikit-learn's diabetes (is the disease further on than the median?) and digits of whose labels one in five is random. Half of
the records are members; networks, epochs and noise are fixed below, none is chosen by looking at a result. Every seed splits
the records anew.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from mpc.benchmarks import machine
from mpc.privacy.audit import AuditReport, Exposure, MembershipReport, audit, membership_inference
from mpc.privacy.dp.sgd import DPSGD

DELTA: Final = 1e-5
HIDDEN: Final = 128
PLAIN_EPOCHS: Final = 150
PRIVATE_EPOCHS: Final = 30
PRIVATE_SIZE: Final = 64  # of a batch, on average
PRIVATE_LR: Final = 0.5
NORM: Final = 1.0  # that gradients are clipped to


class Case(NamedTuple):
    """Records and labels; ``classes``."""

    x: Any
    y: Any
    classes: int


def diabetes(seed: int) -> Case:
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return Case(x / x.std(0), (y > np.median(y)).astype(np.int64), 2)


def digits(seed: int) -> Case:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(1000 + seed)
    return Case(x / 16, np.where(rng.random(len(y)) < 0.2, rng.integers(10, size=len(y)), y).astype(np.int64), 10)


CASES: Final = {"diabetes": diabetes, "digits": digits}


def network(case: Case, seed: int) -> Any:
    import torch

    torch.manual_seed(seed)
    wide = case.x.shape[1]
    return torch.nn.Sequential(torch.nn.Linear(wide, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, case.classes))


def plain(case: Case, x: Any, y: Any, seed: int) -> Any:
    """Adam until the labels are known by heart."""
    import torch

    model = network(case, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    xt, yt = torch.as_tensor(x).float(), torch.as_tensor(y)
    for _ in range(PLAIN_EPOCHS):
        for rows in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(xt[rows]), yt[rows]).backward()
            optimizer.step()
    return model


def private(case: Case, x: Any, y: Any, seed: int, noise: float, spent: list[float]) -> Any:
    """DP-SGD with Poisson batches; the epsilon it cost is added to ``spent``."""
    import torch

    model = network(case, seed)
    optimizer = DPSGD(model, PRIVATE_LR, NORM, noise)
    xt, yt = torch.as_tensor(x).float(), torch.as_tensor(y)
    for xb, yb in optimizer.batches(xt, yt, size=PRIVATE_SIZE, epochs=PRIVATE_EPOCHS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(xb), yb).backward()
        optimizer.step()
    spent.append(optimizer.epsilon(DELTA))
    return model


def measure(name: str, seed: int, noise: float | None, shadows: int) -> tuple[MembershipReport, float]:
    """One model and its audit; seconds of training it."""
    case = CASES[name](seed)
    order = np.random.default_rng(seed).permutation(len(case.y))
    half = len(order) // 2
    members, others = ((case.x[rows], case.y[rows]) for rows in (order[:half], order[half : 2 * half]))
    spent: list[float] = []
    train: Callable[[Any, Any, int], Any] = (
        (lambda x, y, s: plain(case, x, y, s)) if noise is None else (lambda x, y, s: private(case, x, y, s, noise, spent))
    )
    started = time.monotonic()
    model = train(*members, seed)
    seconds = time.monotonic() - started
    epsilon = spent[0] if spent else None
    found = membership_inference(
        model, members, others, output="logits", train=train if shadows else None, shadows=shadows, epsilon=epsilon,
        delta=DELTA, seed=seed,
    )  # fmt: skip
    return found, seconds


def main(argv: list[str] | None = None) -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(prog="privacy_audit", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} [all]")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--shadows", type=int, default=8, metavar="N", help="models of the likelihood ratio; 0: none")
    parser.add_argument("--noise", type=float, default=1.0, metavar="SIGMA", help="DP-SGD's noise multiplier")
    parser.add_argument("--json", metavar="FILE", help="write everything measured here")
    parser.add_argument("--html", metavar="DIR", help="write a page for each case and seed here")
    wanted = parser.parse_args(argv)
    if unknown := [name for name in wanted.cases if name not in CASES]:
        parser.error(f"got {unknown[0]}; want some of {', '.join(CASES)}")
    import torch

    torch.set_num_threads(1)
    result: dict[str, Any] = {"machine": machine.describe(), "delta": DELTA, "noise": wanted.noise, "cases": {}}
    for name in wanted.cases or CASES:
        for seed in range(wanted.seeds):
            report = one(name, seed, wanted.noise, wanted.shadows)
            print(report, "\n", flush=True)
            result["cases"].setdefault(name, []).append(report.to_dict())
            if wanted.html:
                report.to_html(Path(wanted.html) / f"{name}-{seed}.html")
            if wanted.json:
                Path(wanted.json).write_text(json.dumps(result, indent=1) + "\n")
        print(means(name, result["cases"][name]), "\n", flush=True)
    return 0


def one(name: str, seed: int, noise: float, shadows: int) -> AuditReport:
    """The same network trained in both ways, side by side."""
    ways = {"Adam": None, f"DP-SGD, noise {noise:g}": noise}
    exposures = []
    for way, sigma in ways.items():
        found, seconds = measure(name, seed, sigma, shadows)
        exposures.append(Exposure(way, found, cost=f"{seconds:.1f} s of training"))
    return audit(*exposures, title=f"Membership, {name}, split {seed}")


def means(name: str, reports: list[dict[str, Any]]) -> str:
    """Each attack's advantage over the splits."""
    lines = []
    for way, exposure in enumerate(reports[0]["exposures"]):
        for attack in exposure["found"][0]["attacks"]:
            values = [r["exposures"][way]["found"][0]["attacks"][attack]["advantage"][0] for r in reports]
            quality = [r["exposures"][way]["quality"][0] for r in reports]
            spread = f"{np.mean(values):.3f} (splits: {', '.join(f'{v:.3f}' for v in values)})"
            lines.append(f"{name}, {exposure['name']}, {attack}: advantage {spread}, accuracy {np.mean(quality):.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
