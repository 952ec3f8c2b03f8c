"""The experiments: splits that do not overlap, and one small case through choice, seeds, folds and table."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.benchmarks import privacy_adversarial, privacy_data
from mpc.benchmarks.command import main


def small(folder: Path) -> privacy_data.Case:
    rng = np.random.default_rng(0)
    task, private, fold = rng.integers(2, size=360), rng.integers(2, size=360), np.arange(360) % 4
    x = rng.normal(size=(360, 4)) + 3 * np.c_[task, task, private, private]
    splits = tuple((~np.isin(fold, (i, i + 1)), fold == i + 1, fold == i) for i in (0, 2))
    fixed = {"epochs": 2, "batch_size": 32, "hidden": 16}
    return privacy_data.Case("small; task / private", x, task, private, None, splits, fixed, ("logistic",))


def test_one_case_from_choice_to_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(privacy_adversarial.CASES, "motion-trials", small)
    monkeypatch.setattr(privacy_adversarial, "GRID", privacy_adversarial.GRID[:2])
    monkeypatch.setattr(privacy_adversarial, "CURVE", (0.0, 1.0))
    path = tmp_path / "out.json"
    assert main(["privacy-adversarial", "motion-trials", "--data", str(tmp_path), "--seeds", "2", "--json", str(path)]) == 0
    found = json.loads(path.read_text())["cases"]["motion-trials"]
    assert len(found["settings"]) == 2 and [len(t) for t in found["tried"]] == [2, 2]
    assert found["protected"]["records"] == 180 and found["protected"]["seeds"] == 2  # both folds' tests
    assert found["protected"]["raw_leak"][0] > 0.8 and found["protected_fresh"]["raw_leak"][0] > 0.8
    assert 70 < found["protected_fresh"]["records"] < 110  # the other half
    assert [row["noise"] for row in found["curve"]] == [0.0, 1.0]
    assert "| small; task / private | " in capsys.readouterr().out


def test_unknown_cases_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy-adversarial", "nonsense", "--data", "."]) == 2
    assert "got nonsense; want some of digits" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["digits", "motion_trials", "motion_people", "adult"])
def test_splits_do_not_overlap(name: str, request: pytest.FixtureRequest) -> None:
    folder = Path() if name == "digits" else request.getfixturevalue("data_folder")
    case: Any = getattr(privacy_data, name)(folder)
    assert len(case.x) == len(case.task) == len(case.private) and np.isfinite(case.x).all()
    tested = np.zeros(len(case.x), int)
    for train, validation, test in case.splits:
        assert train.any() and validation.any() and test.any()
        assert not (train & validation).any() and not ((train | validation) & test).any()
        tested += test
    assert tested.max() == 1
    if name == "motion_people":
        assert tested.min() == 1  # all 24 people are tested once, by an encoder that never saw them
        for split in case.splits:
            people = [set(case.groups[part]) for part in split]
            assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
    if name == "adult":
        assert case.x.shape == (48842, 105) and tested.sum() == 16281
