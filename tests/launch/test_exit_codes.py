"""The table of exit codes is the same in `mpc run --help`, the README and the module, and says what the code does."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mpc import errors, failures

assert failures.__doc__ is not None
TABLE = {int(code): meaning.strip() for code, meaning in re.findall(r"^(\d+) +(.+)$", failures.__doc__, re.MULTILINE)}


def codes_in(text: str) -> dict[int, str]:
    """What a running text lists behind the words "Exit codes": "0 this; 1 that. "."""
    plain = " ".join(re.sub(r"[│|╭╮╰╯─*]", " ", text).split())
    listed = plain[plain.index("Exit codes") :].partition(":")[2]
    listed = re.split(r"\. (?!\d)", listed)[0]
    return {int(code): meaning for code, meaning in (part.strip().split(" ", 1) for part in listed.split("; "))}


def test_the_readme_lists_them() -> None:
    assert codes_in((Path(__file__).parents[2] / "README.md").read_text()) == TABLE


def test_the_help_lists_them() -> None:
    command = [sys.executable, "-P", "-m", "mpc.parties", "run", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert codes_in(done.stdout) == TABLE


@pytest.mark.parametrize("name", sorted(n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, Exception)))
def test_every_exception_has_one(name: str) -> None:
    code = failures.exit_code(vars(errors)[name]())
    assert code in TABLE and code not in (0, 1, 2)
    assert (code == 10) == (name in ("MPCError", "SessionError")), "the rest says its cause"
