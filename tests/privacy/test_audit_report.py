"""The report: every number side by side, a page that needs nothing else, and warnings where a claim is wrong."""
from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError
from mpc.privacy import audit
from mpc.privacy.audit.inversion_report import InversionReport
from mpc.privacy.audit.roc import Scores
from mpc.privacy.audit.wire_report import WireReport, WireView

RNG = np.random.default_rng(0)
HOSTILE = '<script>alert("x")</script> & "name"'


def membership(apart: float, **options: Any) -> audit.MembershipReport:
    attacks = ("threshold", "likelihood ratio")
    scores = {name: Scores.of(RNG.normal(size=200) + apart, RNG.normal(size=200)) for name in attacks}
    accuracy = audit.Estimate(0.99, 0.97, 1.0), audit.Estimate(0.8, 0.75, 0.85)
    return audit.MembershipReport(scores, accuracy=accuracy, **options)


def attribute() -> audit.AttributeReport:
    private = np.arange(200) % 2
    raw = np.c_[private + RNG.normal(size=200) / 3, RNG.normal(size=200)]
    return audit.attribute_inference(
        lambda x: x[:, 1:], raw=raw, private=private, task=raw[:, 1] > 0, queries=(), attackers=("logistic",)
    )  # fmt: skip


def inversion() -> InversionReport:
    return InversionReport(tuple(RNG.uniform(0.8, 1, (10, 4))), tuple(RNG.uniform(0, 0.5, (10, 4))))


def wire(p: float = 0.4, twin: float = 0.97) -> WireReport:
    def seen(value: float, p: float) -> dict[str, WireView]:
        return {"party 1": WireView(audit.Estimate(value, value - 0.1, value + 0.01), p, 12)}

    return WireReport(seen(0.02, p), seen(twin, 1e-9), 100)


@pytest.fixture
def report() -> audit.AuditReport:
    cost = mpc.Report(3, 0, "additive", rows=[])
    return audit.audit(
        audit.Exposure("model", membership(1.5), cost=12.5),
        audit.Exposure(HOSTILE, membership(0.1, epsilon=1.0, delta=1e-5), quality=0.75, cost="much"),
        audit.Exposure("representation", attribute(), inversion(), cost=cost),
        audit.Exposure("wire", wire()),
        title=f"Audit of {HOSTILE}",
    )  # fmt: skip


class Page(HTMLParser):
    """What a browser would build; fails on tags that do not match."""

    VOID = ("meta", "br", "line", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.outside += [str(v) for k, v in attrs if k in ("src", "href") or k.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_one_page_with_all_of_it_and_nothing_from_elsewhere(report: audit.AuditReport, tmp_path: Path) -> None:
    report.to_html(tmp_path / "audit.html")
    source = (tmp_path / "audit.html").read_text()
    page = Page()
    page.feed(source)
    assert not page.open and "script" not in page.tags and not page.outside
    assert not re.search(r"url\(|@import|https?://", source)
    assert page.tags.count("svg") == 2 * 3  # threshold, likelihood ratio, inversion: linear and logarithmic
    shown = page.text.replace("\u00a0", " ").replace("\u2011", "-")
    assert shown.count(HOSTILE) >= 4
    for line in report.lines:
        assert str(line.leak) in shown and line.attack in shown
    # who hears the page: heads of columns, exposures as heads of their lines, words for every picture
    assert re.findall(r'<th scope="rowgroup"(?: rowspan="(\d)")?>', source) == ["2", "2", "2", ""]
    assert source.count('<th scope="col"') >= 8 and "<caption>" in source
    assert source.count('role="img" aria-label="') == len(report.lines) + 6
    assert f"; ε 1, δ 1e-05: at most {audit.bound(1.0, 1e-5):.3f}; chance: " in source
    for text in (f"{audit.bound(1.0, 1e-5):.3f} (ε 1, δ 1e-05)", "12.5 s", "much", "0.800 [0.750, 0.850]", "Different numbers"):
        assert text in shown, text


def test_curves_are_drawn_where_the_rates_are(report: audit.AuditReport, tmp_path: Path) -> None:
    report.to_html(tmp_path / "audit.html")
    drawn = re.findall(r'<polyline style="stroke:var\(--(\w)\)" points="([^"]+)"', (tmp_path / "audit.html").read_text())
    points: dict[str, list[Any]] = {}
    for colour, text in drawn[:4]:  # threshold: linear then logarithmic, the first exposure's on top, so last
        points.setdefault(colour, []).append(np.array([[float(v) for v in p.split(",")] for p in text.split()]))
    for colour, line in zip("ab", [x for x in report.lines if x.attack == "membership, threshold"], strict=True):
        linear, logarithmic = points[colour]
        assert line.scores is not None
        area = np.trapezoid(100 - linear[:, 1], linear[:, 0]) / 1e4
        assert area == pytest.approx(line.scores.auc.value, abs=2e-3)
        assert logarithmic.min() >= 0 and logarithmic.max() <= 100 and logarithmic[-1].tolist() == [100, 0]
        false = 0.1025  # between two records, where no step is; the axis begins at 1 in 1,000
        at = np.interp(100 * (np.log10(false) + 3) / 3, logarithmic[:, 0], 100 - logarithmic[:, 1])
        true = np.interp(false, *np.array(line.scores.curve()).T)
        assert at == pytest.approx(100 * (np.log10(true) + 3) / 3, abs=1.5)


def test_table_and_dictionary_say_the_same(report: audit.AuditReport) -> None:
    table, plain = report.to_table(), json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(table.splitlines()) == 1 + len(report.lines) + 1 and "a measured leak is no guarantee" in table
    assert [e["name"] for e in plain["exposures"]] == ["model", HOSTILE, "representation", "wire"]
    assert [f["attack"] for e in plain["exposures"] for f in e["found"]] == [
        "membership", "membership", "attribute", "inversion", "wire",
    ]  # fmt: skip
    assert plain["exposures"][1]["quality"] == [0.75, 0.75, 0.75] and plain["exposures"][0]["quality"] == [0.8, 0.75, 0.85]
    assert plain["exposures"][2]["quality"][0] > 0.9 and plain["warnings"] == []
    assert str(report).startswith(f"Audit of {HOSTILE}\n") and "0.750" in table and "much" in table


def test_wrong_claims_and_audits_that_could_not_fail_are_said(tmp_path: Path) -> None:
    bad = audit.audit(
        audit.Exposure("model", membership(2.0, epsilon=0.1)), audit.Exposure("blind", wire(twin=0.1)),
        audit.Exposure("open", wire(p=1e-6)),
    )  # fmt: skip
    assert len(bad.warnings) == 3
    for warning, text in zip(bad.warnings, ("does not hold", "plaintext twin", "party 1 something"), strict=True):
        assert text in warning and f"! {warning}" in bad.to_table()
    bad.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count('class="alert"') == 3


def test_a_wrong_call_is_refused() -> None:
    with pytest.raises(ConfigError, match="got exposures \\[\\]"):
        audit.audit()
    with pytest.raises(ConfigError, match="different names"):
        audit.audit(audit.Exposure("a", wire()), audit.Exposure("a", wire()))
    with pytest.raises(ConfigError, match="different names"):
        audit.audit(audit.Exposure("a"))
    with pytest.raises(ConfigError, match="got float"):
        audit.Exposure("a", 0.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no findings and no quality"):
        audit.Measured("nothing")
    with pytest.raises(ConfigError, match="each with an attack"):
        audit.audit(audit.Exposure("a", audit.Measured("utility", quality=0.5)))
