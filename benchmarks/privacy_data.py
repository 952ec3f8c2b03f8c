"""Public data sets for the experiments on leaks: features, a task to keep, an attribute to hide, and who is who."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """``splits``: (train, validation, test) as masks; several of them are folds whose tests do not overlap.

    The encoder and the attackers have train (and validation too when settings are chosen); test is touched once.
    """

    title: str
    x: npt.NDArray[Any]
    task: npt.NDArray[Any]
    private: npt.NDArray[Any]
    groups: npt.NDArray[Any] | None
    splits: tuple[tuple[Mask, Mask, Mask], ...]
    fixed: dict[str, Any]  # settings of the encoder that are not searched
    attackers: tuple[str, ...] = ("logistic", "neighbours", "boosting", "mlp")


def digits(folder: Path) -> Case:
    """scikit-learn's 8x8 digits in three folds: parity stays; whether it is one of 0 1 4 5 8 9 (independent) hides."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    fold = np.random.default_rng(0).permutation(len(y)) % 9
    splits = tuple((~np.isin(fold, range(3 * i, 3 * i + 3)) & (fold != (3 * i + 3) % 9), fold == (3 * i + 3) % 9,
                    np.isin(fold, range(3 * i, 3 * i + 3))) for i in range(3))  # fmt: skip
    hidden = np.isin(y, (0, 1, 4, 5, 8, 9)).astype(int)
    return Case("digits; parity / {0,1,4,5,8,9}", x, y % 2, hidden, None, splits, {"epochs": 100, "batch_size": 128})


def _motion(folder: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(folder / "assistant" / "motionsense" / "motionsense_windows128.npz", allow_pickle=False) as file:
        return {name: file[name] for name in ("X_feat", "activity", "gender", "subject", "trial", "start")}


def _trials(m: dict[str, npt.NDArray[Any]]) -> tuple[Mask, Mask, Mask]:
    """Long trials for training, short ones for the test. Validation: the second long trial of an activity, or the last
    40 % of the only one."""
    test = m["trial"] > 10
    validation = np.isin(m["trial"], (2, 4, 8))
    for trial in (5, 6, 9):
        for person in np.unique(m["subject"]):
            rows = np.flatnonzero((m["trial"] == trial) & (m["subject"] == person))
            validation[rows[m["start"][rows] >= np.quantile(m["start"][rows], 0.6)]] = True
    return ~test & ~validation, validation, test


def motion_trials(folder: Path) -> Case:
    """MotionSense, new trials of known people: activity stays, gender hides."""
    m = _motion(folder)
    title = "MotionSense, new trials; activity / gender"
    return Case(title, m["X_feat"], m["activity"], m["gender"], m["subject"], (_trials(m),), {"epochs": 40})


def motion_identity(folder: Path) -> Case:
    """MotionSense, new trials: activity stays, the person (one of 24) hides."""
    m = _motion(folder)
    title = "MotionSense, new trials; activity / person"
    return Case(title, m["X_feat"], m["activity"], m["subject"], m["subject"], (_trials(m),), {"epochs": 40},
                ("logistic", "neighbours", "mlp"))  # fmt: skip


def motion_people(folder: Path) -> Case:
    """MotionSense, new people in four folds: activity stays, gender hides."""
    m = _motion(folder)
    people, rng = np.unique(m["subject"]), np.random.default_rng(0)
    gender = np.array([m["gender"][m["subject"] == p][0] for p in people])
    fold = np.empty(len(people), int)
    order = np.concatenate([rng.permutation(np.flatnonzero(gender == g)) for g in (0, 1)])
    fold[order] = np.arange(len(people)) % 4
    of = fold[np.searchsorted(people, m["subject"])]
    splits = tuple((~np.isin(of, (i, (i + 1) % 4)), of == (i + 1) % 4, of == i) for i in range(4))
    title = "MotionSense, new people; activity / gender"
    return Case(title, m["X_feat"], m["activity"], m["gender"], m["subject"], splits, {"epochs": 40})


def adult(folder: Path) -> Case:
    """Adult: income stays, sex hides (its own column is left out). 12,000 + 4,000 rows of adult.data; adult.test."""
    rows: list[list[str]] = []
    counts = []
    for name in ("adult.data", "adult.test"):
        lines = (folder / "adult" / name).read_text().splitlines()
        rows += [line.rstrip(".").split(", ") for line in lines if line and not line.startswith("|")]
        counts.append(len(rows))
    table = np.array(rows)
    numbers = table[:, [0, 4, 10, 11, 12]].astype(float)
    numbers[:, 2:4] = np.log1p(numbers[:, 2:4])
    hot = [(table[:, [c]] == np.unique(table[:, c])).astype(float) for c in (1, 3, 5, 6, 7, 8, 13)]
    place = np.random.default_rng(0).permutation(counts[0])
    train, validation, test = (np.zeros(len(table), bool) for _ in range(3))
    train[place[:12000]], validation[place[12000:16000]], test[counts[0] :] = True, True, True
    x = np.hstack([numbers, *hot])
    return Case("Adult; income / sex", x, table[:, 14], table[:, 9], None, ((train, validation, test),), {"epochs": 20})


def clinc(folder: Path) -> Case:
    """CLINC150 utterances: the domain (10) stays, the intent (150) hides. TF-IDF, 128 components."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    base = folder / "assistant" / "clinc150"
    parts = json.loads((base / "data_full.json").read_text())
    domain = {intent: d for d, intents in json.loads((base / "domains.json").read_text()).items() for intent in intents}
    names = ("train", "val", "test")
    texts = [text for name in names for text, _ in parts[name]]
    intents = np.array([intent for name in names for _, intent in parts[name]])
    split = np.repeat(np.arange(3), [len(parts[name]) for name in names])
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, min_df=3)
    features = make_union(words, letters)
    known = features.fit_transform([t for t, s in zip(texts, split, strict=True) if s == 0])
    svd = TruncatedSVD(128, random_state=0).fit(known)
    x = svd.transform(features.transform(texts))
    domains = np.array([domain[i] for i in intents])
    masks = (split == 0, split == 1, split == 2)
    light = ("logistic", "neighbours", "mlp")  # boosting grows one tree per class and step
    return Case("CLINC150; domain / intent", x, domains, intents, None, (masks,), {"epochs": 60}, light)


CASES = {
    "digits": digits,
    "motion-trials": motion_trials,
    "motion-people": motion_people,
    "motion-identity": motion_identity,
    "adult": adult,
    "clinc": clinc,
}
