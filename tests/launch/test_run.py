"""`mpc run` as a person meets it: output, messages, exit codes, Ctrl-C."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

SESSION = """
import os, signal, sys, time
import numpy as np
import mpc

with mpc.session() as s:
    x = mpc.share(np.arange(3.0) if s.rank == 0 else None, owner=0)
    {body}
    print("rank", s.rank, "argv", sys.argv[1:], (x + 1).reveal(reason="for the test"), flush=True)
"""


def mpc_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mpc.parties", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def script(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(body: str = "pass", whole: bool = False) -> str:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(body) if whole else SESSION.format(body=body))
        return str(path)

    return write


def test_rank_0_prints_and_arguments_arrive(script) -> None:  # type: ignore[no-untyped-def]
    done = mpc_run("-n", "2", script(), "--epochs", "3", "-n", "7")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "rank 0 argv ['--epochs', '3', '-n', '7'] [1. 2. 3.]\n"


def test_all_output_and_report(script) -> None:  # type: ignore[no-untyped-def]
    done = mpc_run("-n", "2", "--all-output", "--report", "--transport", "tcp", script())
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "[0] rank 0 argv [] [1. 2. 3.]" in lines
    assert "[1] rank 1 argv [] [1. 2. 3.]" in lines
    assert "Revealed, and nothing else:" in lines
    assert any("program.py:9" in line and "everybody" in line and "for the test" in line for line in lines)


@pytest.mark.parametrize("form", ["--report {}", "--report={}"])
def test_report_as_a_page(script, tmp_path: Path, form: str) -> None:  # type: ignore[no-untyped-def]
    page = tmp_path / "costs.html"
    done = mpc_run("-n", "2", *form.format(page).split(), script(), "--report", "mine.html")
    assert done.returncode == 0, done.stderr
    assert "argv ['--report', 'mine.html']" in done.stdout, "what follows the script is its own"
    assert "Revealed, and nothing else:" in done.stdout and str(page) in done.stdout
    text = page.read_text()
    assert "for the test" in text and "program.py:9" in text


def test_a_page_of_each_session(script, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    body = """
        import mpc
        for number in (1, 2):
            with mpc.session() as s:
                mpc.share(1.0, 0).reveal(reason=f"session {number}")
    """
    done = mpc_run("-n", "2", "--report", str(tmp_path / "costs.html"), script(body, whole=True))
    assert done.returncode == 0, done.stderr
    assert "session 1" in (tmp_path / "costs.html").read_text()
    assert "session 2" in (tmp_path / "costs-2.html").read_text()


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("sys.exit(42)", 42, ""),
        ("s.rank == 1 and sys.exit('sorry')", 1, "sorry"),
        ("s.rank == 1 and [][1]", 1, "IndexError: list index out of range"),
        ("s.rank == 1 and os.kill(os.getpid(), signal.SIGKILL)", 3, "party 1 was killed by SIGKILL"),
        ("s.rank == 1 and s.barrier()", 4, "ProgramMismatch"),
        ("mpc.share(np.array([np.inf]) if s.rank == 1 else None, owner=1)", 5, "FixedPointRangeError"),
        ("x @ x @ x", 5, "ShapeError"),
        ("mpc.share(1.0, owner=5)", 6, "owner 5"),
    ],
)
def test_exit_codes(script, body: str, code: int, message: str) -> None:  # type: ignore[no-untyped-def]
    done = mpc_run("-n", "2", script(body))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr
    assert done.stderr.count("Traceback (most recent call last)") <= 1, "the first failure, not its echoes"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.py"], 6, "nowhere.py"),
        (["--report=/no/such/folder/x.html", __file__], 6, "/no/such/folder/x.html"),
        (["-n", "9", "x.py"], 2, "8"),
        (["--protocol", "magic", "x.py"], 2, "magic"),
        ([], 2, "script"),
    ],
)
def test_wrong_command_lines(arguments: list[str], code: int, message: str) -> None:
    done = mpc_run(*arguments)
    assert done.returncode == code
    assert message in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_output_before_a_failure_is_shown(script) -> None:  # type: ignore[no-untyped-def]
    done = mpc_run("-n", "2", script("s.rank == 1 and (print('a hint', file=sys.stderr), 1 / 0)"))
    assert done.returncode == 1
    assert "a hint" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(script, number: signal.Signals, code: int) -> None:  # type: ignore[no-untyped-def]
    """Also while the processes start: the second run is interrupted at once."""
    path = script("s.rank == 0 and print('ready', flush=True); time.sleep(60)")
    for ready in (True, False):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mpc.parties", "run", "-n", "2", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        if ready:
            assert process.stdout.readline() == "ready\n"
        else:
            until = time.monotonic() + 60
            while not os.listdir(os.environ["TMPDIR"]):
                assert time.monotonic() < until
        os.killpg(process.pid, number)
        _, stderr = process.communicate(timeout=50)
        assert process.returncode == code, stderr
        assert "Traceback" not in stderr


def test_help_teaches() -> None:
    done = mpc_run("--help")
    assert "mpc run -n 3 train.py" in done.stdout
    assert "Exit codes" in done.stdout
