"""Reports as people see them: text, rich's tables, the page."""
from __future__ import annotations

import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import mpc
from mpc.report import LedgerLine, Point, Report, Row, amount, duration
from mpc.report.charts import thinned, ticks
from tests.report.test_counts import run, training

EVIL = "<script>alert('x')</script> & \"quotes\""


def reports(protocol: str = "additive") -> list[Report]:
    def program(s: Any) -> Any:
        with s.scope(EVIL):
            training(s, steps=4)
        s.log(EVIL, 1.0)
        s.log(EVIL, 2.0)
        mpc.share(np.ones((2, 3)), 0).reveal(to=1, reason=f"for {EVIL}")
        return s.report()

    return run(program, protocol=protocol)


class Page(HTMLParser):
    """Tags must close in order; collects texts and attributes."""

    VOID = ("meta", "line", "polyline", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("protocol", ["additive", "clear"])
def test_the_page_is_whole_and_alone(protocol: str, tmp_path: Path) -> None:
    report = reports(protocol)[0]
    path = tmp_path / "page.html"
    report.to_html(path, title=f"A & B {EVIL}")
    text = path.read_text()
    page = Page(text)
    assert page.seen[0] == "html" and text.startswith("<!DOCTYPE html>")
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert not {"script", "img", "link", "iframe", "object"} & set(page.seen)
    assert not {name for name, _ in page.attributes} & {"src", "href", "onclick", "srcset"}
    said = "".join(page.texts)
    assert EVIL in said and f"for {EVIL}" in said and f"A & B {EVIL}" in said
    assert "Sequential/0:Linear" in said and "loss of step 0 ... loss of step 3" in said and "test_counts.py:" in said
    assert "polyline" in page.seen and "prefers-color-scheme: dark" in text
    assert ("Headroom" in said) == ("hid nothing" in said) == (protocol == "clear")
    assert ("On other networks" in said) == (protocol == "additive")
    assert amount(report.bytes_sent) in said and f"{report.rounds:,}" in said


def test_a_page_of_nothing(tmp_path: Path) -> None:
    Report(2, 0, "additive").to_html(tmp_path / "page.html")
    assert "Nothing." in "".join(Page((tmp_path / "page.html").read_text()).texts)


def test_curves_with_odd_numbers(tmp_path: Path) -> None:
    values = [float("nan"), 1.0, float("inf"), 1.0, -2e-9]
    flat = [Point("flat", 1.0, 3.0), Point("flat", 1.0, 3.0)]
    report = Report(2, 0, "additive", points=[*(Point("odd", k, v) for k, v in enumerate(values)), *flat])
    report.to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert page.seen.count("polyline") == 2
    paths = re.findall(r'points="([^"]*)"', text)
    assert all(0 <= float(n) <= 100 for path in paths for n in re.split("[ ,]", path))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.013, 0.63), (-5, 1234), (3, 3), (0, 0), (1e-9, 2e-9), (0, 1e12)])
def test_ticks_are_round_and_around(low: float, high: float) -> None:
    got = ticks(low, high, 5)
    assert 2 <= len(got) <= 8 and got[0] <= low + 1e-9 * abs(low) and got[-1] >= high - 1e-9 * abs(high)
    steps = np.diff(got)
    np.testing.assert_allclose(steps, steps[0])
    assert all(tick.is_integer() for tick in ticks(1, 12, 6, whole=True))


def test_long_curves_keep_their_extremes() -> None:
    points = [Point("x", k, float(k % 7)) for k in range(10_000)]
    points[5_000] = Point("x", 5_000, 99.0)
    points[7_001] = Point("x", 7_001, -99.0)
    got = thinned(points)
    assert len(got) <= 601 and {99.0, -99.0} <= {p.value for p in got}
    assert [p.step for p in got] == sorted(p.step for p in got)


def test_text_says_where_and_what() -> None:
    report = reports()[0]
    lines = str(report).splitlines()
    assert lines[0].startswith("2 parties, protocol additive, as counted at party 0")
    layer = next(line for line in lines if "Sequential/1:ReLU" in line and "backward" in line)
    assert amount(report.bytes_sent) in next(line for line in lines if line.startswith("total"))
    assert re.search(r"backward +4 +\d+ ", layer), "calls, rounds"
    assert "Revealed, and nothing else:" in lines
    assert any("party 1" in line and "2x3" in line and "for <script>" in line for line in lines)
    assert any("loss of step 0 ... loss of step 3 (4 times)" in line for line in lines)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_rich_tables_fit(width: int) -> None:
    out = io.StringIO()
    report = reports()[0]
    report.print(Console(file=out, width=width, force_terminal=True, color_system=None))
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(map(len, text.splitlines())) <= width
    assert "Revealed, and nothing else" in text and "alert('x')" in text.replace("\n", "")
    if width >= 120:
        assert "WAN" in text and "Sequential/0:Linear" in text


def test_a_reason_is_no_markup() -> None:
    out = io.StringIO()
    line = LedgerLine(1, "a.py:1", (), (0, 1), "[bold]loss[/bold] [red]")
    Report(2, 0, "additive", rows=[Row("program")], ledger=[line]).print(Console(file=out, width=200))
    assert "[bold]loss[/bold] [red]" in out.getvalue()


def test_numbers_for_people() -> None:
    assert [duration(s) for s in (0, 12e-6, 1.5e-3, 0.9999, 1, 99.96, 150, 9000)] == [
        "-", "12.0 us", "1.50 ms", "1.00 s", "1.00 s", "100 s", "2.5 min", "2.5 h"
    ]
    assert [amount(n) for n in (0, 999, 1000, 12_345_678)] == ["0 B", "999 B", "1.0 kB", "12.3 MB"]
    assert unescape("&amp;") == "&"
