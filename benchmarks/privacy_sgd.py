"""DP-SGD: one step on shares (rows of `mpc bench noise`), and `mpc bench privacy-sgd`: what it does to membership inference.

A perceptron learns diabetes progression (above the median or not) by heart, another one digits of which a fifth have random
labels. The model without privacy is trained until it knows its records; the private one for a fixed number of steps with noise
multiplier 1 and clipping to 1. Nothing is tuned, so no test record chose a setting. Half of the records are members, the other
half is what accuracy is measured on.
"""
from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from mpc.benchmarks import machine
from mpc.benchmarks.harness import Workload
from mpc.benchmarks.training import Step1
from mpc.party import Party
from mpc.privacy import DPSGD, audit

COINS: Final = {"dpsgd-step": 1024, "dpsgd-step-256": 256}
DELTA: Final = 1e-5
CASES: Final = ("diabetes", "digits")
HIDDEN: Final = 256
LEARNED: Final = 200  # full-batch steps of Adam: all training records are right then
EPOCHS: Final = 30
BATCH: Final = 64


class PrivateStep(Step1):
    """The step of ``mlp-1`` with every example clipped to 1 and noise of multiplier 1.1 on shares."""

    def __init__(self, name: str, party: Party, quick: bool) -> None:
        self.coins = COINS[name]
        super().__init__(party, quick)

    def chosen(self, parameters: Any) -> Any:
        return DPSGD(parameters, lr=0.125, max_grad_norm=1.0, noise_multiplier=1.1, coins=self.coins)

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        one = self.optimizer.released(next(iter(self.optimizer.releases)))
        found = one.epsilon(DELTA)
        return f"synthetic data; a step costs epsilon {found:.3g} at delta {DELTA:g}", {"epsilon": found}


WORKLOADS: Final[dict[str, Callable[[Party, bool], Workload]]] = {name: partial(PrivateStep, name) for name in COINS}


def main(argv: list[str] | None = None) -> int:
    """Run the membership audits; the exit code."""
    parser = argparse.ArgumentParser(prog="mpc bench privacy-sgd", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="repetitions with other halves and weights (3)")
    parser.add_argument("--json", metavar="FILE")
    wanted = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    result: dict[str, Any] = {"machine": machine.describe(), "delta": DELTA, "cases": {}}
    for case in CASES:
        started = time.monotonic()
        rows = [{kind: audited(case, kind == "private", seed) for kind in ("bare", "private")} for seed in range(wanted.seeds)]
        result["cases"][case] = {"seeds": rows, "seconds": round(time.monotonic() - started, 1)}
        for kind in ("bare", "private"):
            mean = {key: float(np.mean([row[kind][key] for row in rows])) for key in rows[0][kind]}
            print(f"{case:<9} {kind:<8} " + "  ".join(f"{key} {value:.3f}" for key, value in mean.items()))
    if wanted.json:
        Path(wanted.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


def records(case: str, seed: int) -> tuple[Any, Any, Any]:
    """(features, labels to train on, true labels), shuffled."""
    from sklearn.datasets import load_diabetes, load_digits

    rng = np.random.default_rng(seed)
    if case == "diabetes":
        data = load_diabetes()
        x, true = data.data / data.data.std(0), (data.target > np.median(data.target)).astype(np.int64)
        labels = true
    else:
        data = load_digits()
        x, true = data.data / 16, data.target.astype(np.int64)
        wrong = rng.random(len(true)) < 0.2
        labels = np.where(wrong, rng.integers(0, 10, len(true)), true)
    order = rng.permutation(len(true))
    return x[order].astype(np.float32), labels[order], true[order]


def audited(case: str, private: bool, seed: int) -> dict[str, float]:
    """Leak by the threshold attack, its interval, accuracy on the other half's true labels, and the guarantee's bound."""
    import torch

    x, labels, true = records(case, seed)
    half = len(x) // 2
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, int(labels.max()) + 1)
    )
    xs, ys = torch.from_numpy(x[:half]), torch.from_numpy(labels[:half])
    loss = torch.nn.functional.cross_entropy
    epsilon = None
    if private:
        optimizer = DPSGD(model.parameters(), lr=0.5, max_grad_norm=1.0, noise_multiplier=1.0)
        for xb, yb in optimizer.batches(xs, ys, size=BATCH, epochs=EPOCHS):
            optimizer.zero_grad()
            loss(model(xb), yb).backward()
            optimizer.step()
        epsilon = optimizer.epsilon(DELTA)
    else:
        adam = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(LEARNED):
            adam.zero_grad()
            loss(model(xs), ys).backward()
            adam.step()

    def answers(rows: Any) -> Any:
        with torch.no_grad():
            return torch.softmax(model(torch.as_tensor(np.asarray(rows, np.float32))), 1).numpy()

    members, others = (x[:half], labels[:half]), (x[half:], labels[half:])
    report = audit.membership_inference(
        answers, members, others, epsilon=epsilon, delta=DELTA if private else 0.0, seed=seed
    )
    right = float((answers(x[half:]).argmax(1) == true[half:]).mean())
    found = {"leak": report.leak.value, "low": report.leak.low, "high": report.leak.high, "accuracy": right}
    return found if epsilon is None else {**found, "epsilon": epsilon, "bound": report.bound or 1.0}
