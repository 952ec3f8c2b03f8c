"""`mpc bench privacy-masking`: what masks cost and what they leave, on public data.

adult: generalisation of 32,561 rows under several requirements, with risk, a linkage attack on every person and utility
(trained on adult.data, tested on adult.test). slurp: redaction in five folds; strength and bias of the tagger are chosen on
another fold, inside the training texts, and the fold's test is touched once. pseudonyms: rates, and attacks without the key.
noise: statements.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from mpc.benchmarks import machine, privacy_pseudonyms
from mpc.errors import ConfigError
from mpc.privacy import masking
from mpc.privacy.masking import Intervals, Requirement, Suppress, Tree
from mpc.privacy.masking.text import PERSONAL, Redactor, Span, Tagger, score

ADULT: Final = ("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
                "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income")  # fmt: skip
MARITAL: Final = {"married": ["Married-civ-spouse", "Married-AF-spouse", "Married-spouse-absent"],
                  "alone": {"was": ["Divorced", "Separated", "Widowed"], "never": ["Never-married"]}}  # fmt: skip
WORK: Final = {"paid": {"government": ["Federal-gov", "Local-gov", "State-gov"], "private": ["Private"],
                        "self": ["Self-emp-inc", "Self-emp-not-inc"]},
               "other": ["Never-worked", "Without-pay", "?"]}  # fmt: skip
RACES: Final = ("White", "Other", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Black")
QUASI: Final = {"age": Intervals(5, 10, 20, 40), "workclass": Tree(WORK), "education-num": Intervals(2, 4, 8),
                "marital-status": Tree(MARITAL), "race": Suppress(RACES), "sex": Suppress(),
                "native-country": Suppress()}  # fmt: skip
CASES: Final[dict[str, dict[str, Any]]] = {
    "mondrian, k=5": {"requirement": Requirement(5)},
    "mondrian, k=20": {"requirement": Requirement(20)},
    "mondrian, k=100": {"requirement": Requirement(100)},
    "mondrian, k=5, l=3": {"requirement": Requirement(5, l=3)},
    "mondrian, k=5, entropy l=3": {"requirement": Requirement(5, entropy_l=3)},
    "mondrian, k=5, t=0.3": {"requirement": Requirement(5, t=0.3)},
    "full domain, k=5, 2 % suppressed": {"requirement": Requirement(5), "method": "full-domain", "suppress": 0.02},
    "full domain, k=5, l=3, 2 % suppressed": {"requirement": Requirement(5, l=3), "method": "full-domain", "suppress": 0.02},
}
FOLDS: Final = 5
STRENGTHS: Final = (1.0, 3.0, 10.0)
BIASES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def main(argv: list[str] | None = None) -> int:
    """Run the parts; the exit code."""
    parser = argparse.ArgumentParser(prog="mpc bench privacy-masking", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} [all]")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of adult/ and assistant/ (MPC_TEST_DATA)")
    parser.add_argument("--quick", action="store_true", help="few rows and cases: does everything work?")
    parser.add_argument("--json", metavar="FILE", help="write everything measured to this file")
    wanted = parser.parse_args(argv)
    if unknown := [name for name in wanted.parts if name not in PARTS]:
        parser.error(f"got {unknown[0]}; want some of {', '.join(PARTS)}")
    result: dict[str, Any] = {"machine": machine.describe(), "quick": wanted.quick}
    for name in wanted.parts or PARTS:
        started = perf_counter()
        result[name], text = PARTS[name](Path(wanted.data), wanted.quick)
        print(f"\n## {name} ({perf_counter() - started:.1f} s)\n\n{text}", flush=True)
        if wanted.json:
            Path(wanted.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


def read_adult(folder: Path, name: str) -> dict[str, Any]:
    """Columns of adult.data or adult.test; numbers as integers."""
    path = folder / "adult" / name
    if not path.exists():
        raise ConfigError(f"{path} is not there; want --data DIR with adult/adult.data and adult/adult.test")
    lines = path.read_text().splitlines()
    rows = np.array([line.rstrip(".").split(", ") for line in lines if line and not line.startswith("|")])
    table = {column: rows[:, i] for i, column in enumerate(ADULT)}
    for column in ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"):
        table[column] = table[column].astype(np.int64)
    return table


def adult(folder: Path, quick: bool) -> tuple[dict[str, Any], str]:
    """Every case: seconds, what it fulfils, the attack, utility. Sensitive: occupation; the classifier's label: income."""
    train, test = read_adult(folder, "adult.data"), read_adult(folder, "adult.test")
    if quick:
        train, test = ({name: column[:3000] for name, column in t.items()} for t in (train, test))
    out: dict[str, Any] = {}
    heads = ("case", "s", "k", "l", "t", "suppressed", "loss", "right links", "alone", "disclosed", "guessed", "accuracy",
             "query error")  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, settings in list(CASES.items())[:: 3 if quick else 1]:
        started = perf_counter()
        released = masking.generalise(train, QUASI, sensitive="occupation", keep=["income"], **settings)
        seconds = perf_counter() - started
        found = masking.report(released, train, sensitive="occupation", label="income", test=test)
        out[name] = {"seconds": seconds, **found.to_dict()}
        if len(out) == 1:
            lines.append(_row("original", None, found.before, found.accuracy and found.accuracy.before, {}, 0.0))
        accuracy = found.accuracy and found.accuracy.after
        lines.append(_row(name, seconds, found.after, accuracy, found.checks, found.queries.median))
    assert found.accuracy is not None
    lines += ["", f"{len(train['age'])} rows, {len(QUASI)} quasi-identifiers. right links: expected share of people linked to "
              "their row; alone: one row fits and it is theirs; disclosed: all rows that fit have their occupation; guessed: "
              f"occupation by the rows that fit (most frequent of all: {found.before[1].baseline:.3f}); accuracy: income on "
              f"adult.test (most frequent: {found.accuracy.most:.3f}); query error: median of {found.queries.count} "
              "counts."]  # fmt: skip
    return out, "\n".join(lines)


def _row(name: str, seconds: float | None, both: Any, accuracy: Any, checks: dict[str, float], error: float) -> str:
    link = both[1]
    cells = [seconds, *(checks.get(key) for key in ("k", "l", "t", "suppressed", "loss")), link.reidentified, link.singled_out,
             link.disclosed, link.guessed, accuracy, error]  # fmt: skip
    return f"| {name} | " + " | ".join("" if v is None else f"{v:.3g}" for v in cells) + " |"


def read_slurp(folder: Path) -> tuple[list[str], list[list[Span]]]:
    """Utterances and their marked entities as character spans; the few whose tokens are not in the sentence are left out."""
    path = folder / "assistant" / "slurp" / "devel.jsonl"
    if not path.exists():
        raise ConfigError(f"{path} is not there; want --data DIR with assistant/slurp/devel.jsonl")
    texts, marked = [], []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        places, at, low = [], 0, entry["sentence"].lower()
        for token in entry["tokens"]:
            start = low.find(token["surface"].lower(), at)
            at = start + len(token["surface"])
            places.append((start, at))
        if all(start >= 0 for start, _ in places):
            texts.append(entry["sentence"])
            marked.append([Span(places[e["span"][0]][0], places[e["span"][-1]][1], e["type"]) for e in entry["entities"]])
    return texts, marked


def slurp(folder: Path, quick: bool) -> tuple[dict[str, Any], str]:
    """Patterns and gazetteers alone; with a tagger, in folds; then what every bias would give (nothing is chosen by it)."""
    texts, marked = read_slurp(folder)
    if quick:
        texts, marked = texts[:300], marked[:300]
    alone = score(texts, marked, Redactor().find(texts), PERSONAL)
    _, sentence = np.unique(texts, return_inverse=True)  # the same sentence twice stays in one fold
    fold = (np.random.default_rng(0).permutation(int(sentence.max()) + 1) % FOLDS)[sentence]
    found: dict[Any, list[list[Span]]] = {name: [[] for _ in texts] for name in ("chosen", "thorough", *BIASES)}
    chosen = []
    for i in range(FOLDS):
        inner = (fold == (i + 1) % FOLDS) & (fold != i)
        strength, bias = _choose(texts, marked, fold != i, inner, quick)
        chosen.append({"strength": strength, "bias": bias})
        tagger = _trained(texts, marked, np.flatnonzero(fold != i), strength)
        held = np.flatnonzero(fold == i)
        for name in found:
            tagger.bias = bias if isinstance(name, str) else name
            redactor = Redactor(tagger, thorough=name == "thorough")
            for row, spans in zip(held, redactor.find([texts[j] for j in held]), strict=True):
                found[name][row] = spans
    tagged = {name: score(texts, marked, spans, PERSONAL) for name, spans in found.items()}
    lines = ["patterns and gazetteers", "", alone.table(), "", f"with the tagger, {FOLDS} folds", "", tagged["chosen"].table(),
             "", "with the tagger and gazetteers (thorough)", "", tagged["thorough"].table(), "",
             "| bias | precision | recall | left readable | others replaced |", "|---:|---|---|---|---|"]  # fmt: skip
    lines += [f"| {b} | {s.exact['precision']} | {s.exact['recall']} | {s.leaked} | {s.touched} |" for b, s in tagged.items()
              if not isinstance(b, str)]  # fmt: skip
    out = {"types": list(PERSONAL), "texts": len(texts), "gazetteers": alone.to_dict(), "settings": chosen,
           "tagger": {str(name): s.to_dict() for name, s in tagged.items()}}  # fmt: skip
    return out, "\n".join(lines)


def _choose(texts: list[str], marked: list[list[Span]], owned: Any, validation: Any, quick: bool) -> tuple[float, float]:
    """The strength and bias of the best F1 on the validation texts."""
    train, held = np.flatnonzero(owned & ~validation), np.flatnonzero(validation)
    best = (-1.0, 0.0, 0.0)
    for strength in STRENGTHS[-1:] if quick else STRENGTHS:
        tagger = _trained(texts, marked, train, strength)
        for bias in BIASES:
            tagger.bias = bias
            spans = Redactor(tagger).find([texts[j] for j in held])
            f1 = _f1([marked[j] for j in held], spans)
            best = max(best, (f1, strength, bias))
    return best[1], best[2]


def _f1(marked: list[list[Span]], found: list[list[Span]]) -> float:
    """Over all texts, exact spans and types."""
    truth = {(i, s) for i, spans in enumerate(marked) for s in spans if s.type in PERSONAL}
    guess = {(i, s) for i, spans in enumerate(found) for s in spans if s.type in PERSONAL}
    return 2 * len(truth & guess) / max(1, len(truth) + len(guess))


def _trained(texts: list[str], marked: list[list[Span]], rows: Any, strength: float) -> Tagger:
    return Tagger(PERSONAL, strength).fit([texts[j] for j in rows], [marked[j] for j in rows])


def pseudonyms(folder: Path, quick: bool) -> tuple[dict[str, Any], str]:
    """Values a second, and what attackers without the key get."""
    train, test = read_adult(folder, "adult.data"), read_adult(folder, "adult.test")
    if quick:
        train = {name: column[:500] for name, column in train.items()}
    return privacy_pseudonyms.measure(train, test, QUASI)


def noise(folder: Path, quick: bool) -> tuple[dict[str, Any], str]:
    """Adult's ages with noise: the statement, and the error of the mean."""
    age = read_adult(folder, "adult.data")["age"][: 1000 if quick else None]
    kinds: list[dict[str, Any]] = [{"bounds": (17, 90), "epsilon": e} for e in (0.5, 1.0, 4.0)]
    kinds += [{"bounds": (17, 90), "noise_multiplier": m} for m in (1.0, 3.0)] + [{"std": 5.0}]
    out, lines = [], ["| noise | std | error of the mean | statement |", "|---|---:|---:|---|"]
    for kind in kinds:
        noisy = masking.add_noise("age", age, **kind)
        error = abs(float(noisy.values.mean() - age.mean()))
        out.append({"settings": kind, "error_of_mean": error, **noisy.statement.to_dict()})
        said = ", ".join(f"{k}={v}" for k, v in kind.items())
        lines.append(f"| {said} | {noisy.statement.std[0]:.4g} | {error:.3g} | {noisy.statement} |")
    return {"ages": len(age), "rows": out}, "\n".join(lines)


PARTS: Final[dict[str, Callable[[Path, bool], tuple[dict[str, Any], str]]]] = {
    "adult": adult, "slurp": slurp, "pseudonyms": pseudonyms, "noise": noise,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
