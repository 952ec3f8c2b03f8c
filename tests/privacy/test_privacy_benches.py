"""`mpc bench privacy-audit` and `privacy-sgd`, small: a leak where labels are known by heart, none beyond the guarantee."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpc.benchmarks import privacy_audit, privacy_sgd
from mpc.benchmarks.command import main
from mpc.privacy.audit import bound

pytest.importorskip("torch", reason="torch (the extra `privacy`) is what these benches train with")
pytest.importorskip("opacus", reason="opacus (the extra `privacy`) gives per-example gradients")
pytest.importorskip("sklearn", reason="scikit-learn (the extra `demo`) has the records")


pytestmark = pytest.mark.usefixtures("one_thread")


def heart(count: int = 160) -> privacy_audit.Case:
    """Labels that nothing tells: whoever is right about them remembers them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=count)
    return privacy_audit.Case(rng.normal(size=(count, 24)), labels, labels, 2)


def test_labels_known_by_heart_are_found_and_dp_sgd_keeps_to_its_bound() -> None:
    report, single = privacy_audit.audited("heart", heart(), splits=2, noises=[8.0, 8.1, 8.2, 8.3], shadows=4, epochs=12)
    bare, private, *others = report.exposures
    leaks = {line.exposure + ", " + line.attack: line for line in report.lines}
    assert leaks["Adam, membership, threshold"].leak.low > 0.3
    assert leaks["Adam, membership, likelihood ratio"].leak.low > 0.3
    found = private.found[0]
    assert isinstance(found, privacy_audit.MembershipReport) and found.epsilon is not None and found.bound is not None
    assert found.bound == bound(found.epsilon, privacy_audit.DELTA) < 0.9 and not found.contradicts
    # The noise is never seeded: one such leak, of 160 records, is 0.10 with a deviation of 0.055; the mean of four has half.
    private_leak = np.mean([of.found[0].leak.value for of in (private, *others)])
    assert private_leak < 0.3 < leaks["Adam, membership, threshold"].leak.value
    # a record is in either half of either split, and drawn with all it did
    scores = found.attacks["threshold"]
    assert len(scores.positives) == len(scores.negatives) == 160
    assert len(np.union1d(scores.positive_groups, scores.negative_groups)) == 160
    assert bare.measured_quality is not None and bare.measured_quality.low < 0.5 < bare.measured_quality.high + 0.05
    assert [len(v) for v in single["Adam"]["advantage"].values()] == [2, 2]


def test_accuracy_is_that_of_true_labels() -> None:
    case = privacy_audit.digits(None)
    wrong = (case.y != case.true).mean()
    assert wrong == pytest.approx(0.18, abs=0.03)  # one in ten random labels is right
    some = privacy_audit.Case(case.x[:500], case.y[:500], case.true[:500], 10)
    split = privacy_audit.measure(some, 0, None, 0, epochs=15)
    noisy = split.found.accuracy
    assert noisy is not None and split.right.mean() > noisy[1].value + 0.08  # which random labels hold down


def test_the_command_writes_figures_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.json"
    wanted = ["privacy-audit", "diabetes", "--quick", "--splits", "1", "--shadows", "4"]
    assert main([*wanted, "--json", str(path), "--html", str(tmp_path)]) == 0
    case = json.loads(path.read_text())["cases"]["diabetes"]
    assert [e["name"] for e in case["exposures"]] == ["Adam", "DP-SGD, noise 1"]
    found = case["exposures"][1]["found"][0]
    assert found["members"] == found["others"] == 100 and found["shadows"] == 4 and found["bound"] < 1
    low, value, high = (found["attacks"]["threshold"]["advantage"][k] for k in (1, 0, 2))
    assert -1 <= low <= value <= high <= 1
    assert "Membership, diabetes, 1 splits" in (tmp_path / "diabetes.html").read_text()
    said = capsys.readouterr().out
    assert "split by split: threshold" in said and "likelihood ratio" in said


def test_wrong_cases_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["iris"], "got iris; want some of diabetes"), (["adult"], "want --data DIR"), (["--splits", "0"], "got --splits 0"),
    ):  # fmt: skip
        assert main(["privacy-audit", *words]) == 2
        assert told in capsys.readouterr().err


def test_adults_halves_have_both_incomes(data_folder: Path) -> None:
    case = privacy_audit.adult(data_folder)
    assert case.x.shape[0] == len(case.y) == privacy_audit.ADULTS and 0.2 < case.y.mean() < 0.3 and np.isfinite(case.x).all()


def test_privacy_sgd_compares_a_network_with_and_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(privacy_sgd, "CASES", ("diabetes",))
    monkeypatch.setattr(privacy_sgd, "EPOCHS", 3)
    path = tmp_path / "out.json"
    assert main(["privacy-sgd", "--seeds", "1", "--json", str(path)]) == 0
    row = json.loads(path.read_text())["cases"]["diabetes"]["seeds"][0]
    assert row["bare"]["low"] > 0.05 and row["bare"]["leak"] > row["private"]["leak"]  # all training labels are right by then
    assert row["private"]["low"] < row["private"]["bound"] == bound(row["private"]["epsilon"], privacy_sgd.DELTA)
    assert row["private"]["accuracy"] > 0.6
    assert "diabetes  private" in capsys.readouterr().out
