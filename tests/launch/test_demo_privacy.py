"""`mpc demo privacy` as a person meets it: every attack succeeds without its tool and fails with it."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mpc.parties.demo import privacy
from mpc.parties.demo.comparison import Found, show
from mpc.privacy import audit

for package, extra in (("torch", "torch"), ("sklearn", "demo"), ("opacus", "privacy"), ("dp_accounting", "privacy")):
    pytest.importorskip(package, reason=f"{package} (the extra '{extra}') is a part of the demo")

HERE = privacy.Settings(2, 0)


def mpc_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mpc.parties", "demo", "privacy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_the_whole_demo_and_its_page(tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    done = mpc_demo("--parties", "2", "--report", str(page))
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert sum("epsilon" in row for row in rows) == 3 and "nobody sees one update" in done.stdout
    assert len(re.findall(r"│ +\d\.\d\d │ +-?\d\.\d\d │", done.stdout)) == 6
    assert all(name in page.read_text() for name in ("network by DP-SGD", "table, 10-anonymous", "synthetic records"))
    assert "Cost" in page.read_text() and page.read_text().count("attacks included") == 5


def test_the_page_shows_tables_and_synthetic_records(tmp_path: Path) -> None:
    seen = [exposure for part in (privacy.masked, privacy.synthetic) for exposure in part(HERE)[1]]
    audit.audit(*seen, title="parts").to_html(tmp_path / "page.html")
    leaks = {line.exposure: line.leak.value for line in reversed(audit.audit(*seen, title="parts").lines)}
    assert list(leaks) == ["synthetic records", "table, 10-anonymous", "table"]
    assert leaks["table"] > 0.99 and leaks["table, 10-anonymous"] < 0.2 and abs(leaks["synthetic records"]) < 0.3
    assert "table, 10-anonymous" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("part", [privacy.noisy_counts, privacy.synthetic, privacy.masked, privacy.updates])
def test_an_attack_succeeds_without_the_tool_and_fails_with_it(part: object) -> None:
    found, _ = part(HERE)  # type: ignore[operator]
    assert found.before >= 0.99 and abs(found.after) < 0.75, found  # noise differs from run to run: 5 deviations away


@pytest.mark.parametrize("arguments", [("--epochs", "3"), ("--rounds", "3"), ("--dataset", "digits")])
def test_a_wrong_command_line_says_what_it_wants(arguments: tuple[str, ...]) -> None:
    done = mpc_demo(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and "--report" in done.stderr


@pytest.mark.parametrize("arguments", [("--report", "/no/such/page.html"), ("--report", "/"), ("--seed", "-1")])
def test_what_would_fail_at_the_end_is_refused_at_once(arguments: tuple[str, ...]) -> None:
    done = mpc_demo(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and arguments[1] in done.stderr and "Traceback" not in done.stderr


def test_without_opacus_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "opacus", None)
    assert privacy.main(HERE) == 6  # an installation that cannot work
    assert 'pip install "mpc[demo,privacy]"' in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 80, 126, 200])
def test_no_word_is_cut_off_on_a_narrow_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any output for a terminal
    monkeypatch.setenv("COLUMNS", str(width))
    found = Found("noise in the engine, reveal(dp=Laplace)", "membership in the training set", 1.0, 0.25,
                  ("98% right", "off by 1.8 of 212"), "epsilon 4.4, delta 1e-05")  # fmt: skip
    show([found, found._replace(tool="representation, AdversarialEncoder")])
    printed = capsys.readouterr().out
    assert "…" not in printed and "AdversarialEncoder" in printed and "0.25" in printed and "212" in printed
