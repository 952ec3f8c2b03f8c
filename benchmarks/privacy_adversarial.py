"""`python -m mpc.benchmarks.privacy_adversarial`: how much an adversarial encoder hides, on public data.

For every case: settings are chosen on validation data (the largest reduction among those that lose at most 2 points of task
accuracy), then the encoder is trained by five seeds, and fresh attackers are measured once on the untouched test.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from mpc.benchmarks import machine
from mpc.benchmarks.privacy_data import CASES, Case, Mask
from mpc.privacy.adversarial import AdversarialEncoder
from mpc.privacy.audit import AttributeReport, attribute_inference, combine, pool

GRID: Final = [{"noise": n, "strength": s} for n in (0.4, 0.6, 0.8) for s in (1.0, 3.0)]
CURVE: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5)
CURVE_CASE: Final = "motion-trials"
MOST_LOST: Final = 0.02  # on validation, so that the test may lose a point more


def main(argv: list[str] | None = None) -> int:
    """Run the cases; the exit code."""
    parser = argparse.ArgumentParser(prog="privacy_adversarial", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} [all]")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of adult/ and assistant/ (MPC_TEST_DATA)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write everything measured here, after every case")
    wanted = parser.parse_args(argv)
    if unknown := [name for name in wanted.cases if name not in CASES]:
        parser.error(f"got {unknown[0]}; want some of {', '.join(CASES)}")
    import torch

    torch.set_num_threads(1)
    result: dict[str, Any] = {"machine": machine.describe(), "seeds": wanted.seeds, "cases": {}}
    for name in wanted.cases or CASES:
        started = time.monotonic()
        case = CASES[name](Path(wanted.data))
        found = measure(case, wanted.seeds)
        if name == CURVE_CASE:
            found["curve"] = curve(case, found["settings"][0])
        found["seconds"] = round(time.monotonic() - started, 1)
        result["cases"][name] = found
        print(table(result["cases"]), file=sys.stderr, flush=True)
        if wanted.json:
            Path(wanted.json).write_text(json.dumps(result, indent=1) + "\n")
    print(table(result["cases"]))
    return 0


def measure(case: Case, seeds: int) -> dict[str, Any]:
    """Choose settings per fold on validation, then train by every seed and measure on the test; with and without noise."""
    chosen, tried = zip(*(choose(case, split) for split in case.splits), strict=True)
    raw: list[AttributeReport | None] = [None] * len(case.splits)
    out: dict[str, Any] = {"title": case.title, "settings": chosen, "tried": tried, "attackers": case.attackers}
    for what, change in (("protected", {}), ("without_noise", {"noise": 0.0})):
        reports = []
        for seed in range(seeds):
            folds = []
            for i, (train, validation, test) in enumerate(case.splits):
                settings = {**case.fixed, **chosen[i], **change, "seed": seed}
                report = audit(case, settings, train | validation, test, raw[i])
                raw[i] = raw[i] or report
                folds.append(report)
            reports.append(pool(folds))
        whole = combine(reports)
        out[what] = {**whole.to_dict(), "reductions": [round(r.reduction.value, 4) for r in reports]}
    return out


def choose(case: Case, split: tuple[Mask, Mask, Mask]) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The best of GRID on validation, and what each of it gave."""
    tried: list[dict[str, Any]] = []
    raw: AttributeReport | None = None
    for settings in GRID:
        report = audit(case, {**case.fixed, **settings, "seed": 100}, split[0], split[1], raw, queries=())
        raw = raw or report
        lost = report.task_loss
        assert lost is not None
        tried.append({**settings, "reduction": round(report.reduction.value, 4), "task_loss": round(lost.value, 4)})
    kept = [t for t in tried if t["task_loss"] <= MOST_LOST]
    best = max(kept, key=lambda t: t["reduction"]) if kept else min(tried, key=lambda t: t["task_loss"])
    return {"noise": best["noise"], "strength": best["strength"]}, tried


def curve(case: Case, settings: dict[str, float]) -> list[dict[str, Any]]:
    """The trade-off: one seed trained for each noise. A picture on the test split; nothing is chosen by it."""
    train, validation, test = case.splits[0]
    rows, raw = [], None
    for noise in CURVE:
        report = audit(case, {**case.fixed, **settings, "noise": noise, "seed": 0}, train | validation, test, raw)
        raw = raw or report
        rows.append({"noise": noise, **{k: v for k, v in report.to_dict().items() if k != "by_attacker"}})
    return rows


def audit(
    case: Case, settings: dict[str, Any], owned: Mask, other: Mask, raw: AttributeReport | None,
    queries: tuple[int, ...] = (10,),
) -> AttributeReport:  # fmt: skip
    """Train on the owned records, and attack the others from them."""
    encoder = AdversarialEncoder(**settings)
    encoder.fit(case.x[owned], task=case.task[owned], private=case.private[owned])
    used = owned | other
    groups = None if case.groups is None else case.groups[used]
    return attribute_inference(
        encoder, raw=case.x[used], private=case.private[used], groups=groups, task=case.task[used], attacker=owned[used],
        queries=queries, seed=int(settings["seed"]), baseline=raw, attackers=case.attackers,
    )  # fmt: skip


def table(cases: dict[str, Any]) -> str:
    """A Markdown table."""
    columns = ("data; task / private", "A0", "no noise", "protected", "R [95 %]", "excess R", "floor", "null", "10 queries",
               "person", "task", "R >= .9 said")  # fmt: skip
    head = "| " + " | ".join(columns) + " |"
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for found in cases.values():
        p, n = found["protected"], found["without_noise"]

        def one(value: Any) -> str:
            return "-" if value is None else f"{value[0]:.3f}"

        r, task = p["reduction"], p["task_accuracy"]
        cells = [
            found["title"], one(p["raw_leak"]), one(n["leak"]), one(p["leak"]), f"{r[0]:.3f} [{r[1]:.3f}, {r[2]:.3f}]",
            one(p["excess_reduction"]), one(p["floor"]), one(p["null"]), one(p["queries"]["10"]), one(p["person"]),
            f"{task[0][0]:.3f} -> {task[1][0]:.3f}", "yes" if p["at_least_90"] else "no",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
