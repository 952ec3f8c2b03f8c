"""Every measuring result of `mpc.privacy` is a row of one page: features, representation, model, masked and synthetic data."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mpc.privacy import audit, masking, quality
from mpc.privacy.audit.intervals import known
from mpc.privacy.masking.text.scoring import score
from mpc.privacy.masking.text.spans import Span
from mpc.report.views import duration
from tests.privacy.masked import QUASI, people

RNG = np.random.default_rng(0)


def attribute() -> audit.AttributeReport:
    """Forty people of ten records; the private bit is plain in the features, hidden in the representation."""
    person = np.repeat(np.arange(40), 10)
    private, task = person % 2, RNG.integers(2, size=400)
    raw = np.c_[private + RNG.normal(size=400) / 5, task + RNG.normal(size=400) / 5]
    return audit.attribute_inference(
        lambda x: np.c_[x[:, 1], x[:, 0] + 2 * RNG.normal(size=len(x))], raw=raw, private=private, task=task, groups=person,
        queries=(20,), attackers=("logistic",),
    )  # fmt: skip


def member() -> audit.MembershipReport:
    class Model(NamedTuple):
        predict_proba: Any

    x, y = RNG.normal(size=(240, 60)), RNG.integers(2, size=240)
    w = 4 * np.linalg.solve(x[:120].T @ x[:120] + np.eye(60), x[:120].T @ (2 * y[:120] - 1))
    one = lambda rows: 1 / (1 + np.exp(-(rows @ w)))  # noqa: E731
    model = Model(lambda rows: np.c_[1 - one(rows), one(rows)])
    return audit.membership_inference(model, (x[:120], y[:120]), (x[120:], y[120:]), epsilon=3.0, delta=1e-5)


def test_what_travels_the_representation_and_the_model_stand_side_by_side(tmp_path: Path) -> None:
    hides = attribute()
    report = audit.audit(
        audit.Exposure("what travels", hides.raw, cost="nothing"), audit.Exposure("the representation", hides, cost=3.5),
        audit.Exposure("the model", member(), cost=12.0),
    )
    table = report.to_table()
    head, *lines = table.splitlines()
    assert head.split()[:3] == ["exposure", "attack", "leak"] and "quality" in head and "cost" in head
    first = {line.split("  ")[0]: line for line in reversed(lines)}
    assert hides.task_accuracy is not None
    before, after = hides.task_accuracy
    assert str(hides.raw_leak) in first["what travels"] and str(before) in first["what travels"]
    assert str(hides.leak) in first["the representation"] and str(after) in first["the representation"]
    assert duration(3.5) in first["the representation"] and duration(12.0) in first["the model"]
    assert f"{audit.bound(3.0, 1e-5):.3f} (ε 3" in first["the model"]
    # the definition asks for more than one leak: per person, and with answers averaged
    assert hides.person is not None
    assert str(hides.person) in table and str(hides.queries[20]) in table and f"reduced by {hides.reduction}" in table
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count('class="axis"') == len(report.lines) == 5
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [e["quality"][0] for e in plain["exposures"][:2]] == [round(before.value, 5), round(after.value, 5)]


def test_a_masked_table_and_its_original_are_rows() -> None:
    table = people(200)
    out = masking.generalise(table, QUASI, 5, sensitive="ill")
    found = masking.report(out, table, sensitive="ill")
    report = audit.audit(audit.Exposure("the table", found.raw), audit.Exposure("5-anonymous", found, quality=0.9))
    by_name = {(line.exposure, line.attack): line.leak for line in report.lines}
    before, after = (by_name[name, "linkage, a person's row"] for name in ("the table", "5-anonymous"))
    assert after == known(found.after[1].reidentified) and before.value > 2 * after.value
    linked = found.after[1]
    assert linked.guessed is not None and linked.baseline is not None
    want = (linked.guessed - linked.baseline) / (1 - linked.baseline)
    assert by_name["5-anonymous", "linkage, sensitive value"].value == pytest.approx(want)
    assert by_name["5-anonymous", "re-identification, worst row"].value == found.after[0].prosecutor <= 0.2
    assert "caveat" in report.to_dict()["exposures"][1]["found"][0]
    assert audit.Exposure("alone", masking.risk(out), masking.linkage(out, table)).lines


def test_synthetic_records_are_rows_with_a_curve() -> None:
    train, held, fresh = RNG.normal(size=(3, 150, 4))
    copied = quality.nearest_record(train, held, train + 1e-3 * RNG.normal(size=train.shape))
    drawn = quality.nearest_record(train, held, fresh)
    near = quality.nearness(train, held, fresh)
    report = audit.audit(
        audit.Exposure("copies", copied, quality.Utility(0.9, 0.88)), audit.Exposure("drawn", drawn, quality=0.7),
        audit.Exposure("nearness alone", near),
    )  # fmt: skip
    leaks = [line.leak for line in report.lines]
    assert leaks[0].low > 0.9 and leaks[1].low < 0 < leaks[1].high and leaks[2] == known(2 * near.auc - 1)
    scores = report.lines[1].scores
    assert scores is not None and scores.auc.value == pytest.approx(near.auc)
    assert [e.measured_quality for e in report.exposures] == [known(0.88), known(0.7), None]
    assert report.to_dict()["exposures"][2]["found"][0]["copies"] == near.copies


def test_redacted_text_is_a_row() -> None:
    texts = ["call mom now", "tell dad", "no names"]
    marked = [[Span(5, 8, "RELATION")], [Span(5, 8, "RELATION")], []]
    found = score(texts, marked, [marked[0], [], []], ("RELATION",))
    line, measured = audit.audit(audit.Exposure("redacted", found)).lines[0], found.measured()
    assert line.leak == found.leaked and line.leak.value == pytest.approx(0.5)
    assert measured.estimate is not None and measured.estimate.value == 1


def test_anything_that_says_its_leak_is_a_row() -> None:
    class Own:
        def measured(self) -> audit.Measured:
            return audit.Measured("own", (audit.Finding("by hand", known(0.25), note="counted"),), 0.5, ("look twice.",))

    scored = audit.scored("distance", RNG.normal(size=50) + 3, RNG.normal(size=50), note="of two clouds")
    report = audit.audit(audit.Exposure("mine", Own()), audit.Exposure("scores", scored))
    assert report.warnings == ["mine: look twice."] and "0.250" in report.to_table()
    plain = report.to_dict()["exposures"]
    assert plain[0]["found"][0]["findings"][0]["leak"] == [0.25, 0.25, 0.25]
    assert plain[1]["found"][0]["findings"][0]["auc"][0] > 0.9 and "of two clouds" in report.to_table()
