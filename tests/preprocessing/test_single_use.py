"""No stored dealing serves two sessions: real processes, killed at chosen and at random moments, every key and stream recorded.

The recorder and the checks are those of checkpoints (`tests/saving`): a key that two sessions derive or expand is an error,
so is a mask that two openings of one session use.
"""
from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import mpc
from mpc import identity
from mpc.preprocessing.store import Store
from tests.preprocessing.stores import compare, perceptron, stored
from tests.saving.test_single_use import Process, check_all, check_session

PARTIES = 3
RECORDER = Path(__file__).parent.parent / "saving" / "recorder.py"  # not to be imported here: it replaces functions
KILLER = '''

def _killing(plain):
    count = 0
    def pwrite(fd, data, at):
        nonlocal count
        rank, _, step = os.environ["MPC_TEST_STEP"].partition(":")
        mine = json.loads(os.environ["MPC_LAUNCH"])["rank"] == int(rank)
        if mine and step == f"before mark {count}":
            os.kill(os.getpid(), signal.SIGKILL)
        done = plain(fd, data, at)
        if mine and step == f"after mark {count}":
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return done
    return pwrite

if "MPC_TEST_STEP" in os.environ:
    os.pwrite = _killing(os.pwrite)
'''


class Runs:
    """`mpc run --store` again and again, with what its processes did."""

    def __init__(self, folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.store = folder, store
        self._environment = monkeypatch
        self.sessions: list[list[Process]] = []
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(RECORDER.read_text() + KILLER)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), *filter(None, sys.path)]))

    def start(self, program: Any, line: str = "-1:0", step: str = "-1:") -> list[Any] | None:
        """One run. ``line``, ``step``: the process and moment of a SIGKILL. None where somebody was killed."""
        log = self.folder / f"log{len(self.sessions)}"
        log.mkdir()
        self._environment.setenv("MPC_TEST_RECORD", str(log))
        self._environment.setenv("MPC_TEST_KILL", line)
        self._environment.setenv("MPC_TEST_STEP", step)
        results = None
        try:
            results = mpc.local(main, PARTIES, (program,), deadline=10, store=self.store)
        except mpc.PartyLost:
            assert (line, step) != ("-1:0", "-1:"), "nobody was to be killed"
        self.sessions.append([Process(path) for path in log.iterdir()])
        return results

    def used(self) -> list[int]:
        found = []
        for rank in range(PARTIES):
            store = Store(self.store / f"rank-{rank}.store", identity.load(self.store / f"rank-{rank}.key").secret_key)
            found.append(store.used)
            store.close()
        return found


def main(program: Any) -> Any:
    with mpc.session() as s:
        return program(s)


def dealt(session: list[Process]) -> set[str]:
    return {name for process in session for name, purpose in process.keys.items() if purpose == "dealt"}


def test_killed_anywhere_a_dealing_is_never_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    choose = random.Random(seed)
    runs = Runs(tmp_path, stored(perceptron, tmp_path, PARTIES, runs=8), monkeypatch)
    whole = runs.start(perceptron)
    assert whole is not None and runs.used() == [1] * PARTIES
    check_session(runs.sessions[0], True)
    assert len(dealt(runs.sessions[0])) == PARTIES
    moments = {p.rank: len(p.lines) for p in runs.sessions[0]}
    killed = 0
    for unlucky in (0, 1, 2, 0, 1):
        if unlucky == 2:  # its older file comes back
            shutil.copy(tmp_path / "old", runs.store / "rank-2.store")
        shutil.copy(runs.store / "rank-2.store", tmp_path / "old")
        killed += runs.start(perceptron, line=f"{unlucky}:{choose.randrange(1, moments[unlucky])}") is None
        check_session(runs.sessions[-1], False)
    assert killed == 5
    assert runs.start(perceptron) is not None
    check_session(runs.sessions[-1], True)
    check_all(runs.sessions)
    assert max(runs.used()) <= 7


def test_killed_while_the_use_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, between and after the two marks, at both kinds of party: every session that came to open anything had its own."""
    steps = ["before mark 0", "after mark 0", "before mark 1", "after mark 1"]
    runs = Runs(tmp_path, stored(compare, tmp_path, PARTIES, runs=2 + 2 * len(steps)), monkeypatch)
    for rank in (0, PARTIES - 1):  # who holds a key, and who holds the corrections
        for step in steps:
            before = runs.used()
            assert runs.start(compare, step=f"{rank}:{step}") is None
            after = runs.used()
            assert max(before) <= max(after) <= max(before) + 1
            assert after[rank] == (before[rank] if step == "before mark 0" else max(before) + 1)
            # who died while noting it kept the others at the line: nobody has opened anything, or derived the key
            assert not any(line[0] == "opened" for p in runs.sessions[-1] for line in p.lines)
            assert not dealt(runs.sessions[-1])
    assert runs.start(compare) is not None
    assert len(set(runs.used())) == 1
    check_all(runs.sessions)


def test_all_files_copied_back_are_seen_by_the_check_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be prevented, and that these tests would notice it."""
    runs = Runs(tmp_path, stored(compare, tmp_path, PARTIES, runs=2), monkeypatch)
    shutil.copytree(runs.store, tmp_path / "old")
    runs.start(compare)
    shutil.rmtree(runs.store)
    shutil.copytree(tmp_path / "old", runs.store)
    runs.start(compare)
    with pytest.raises(AssertionError, match="sessions 0 and 1 share the key"):
        check_all(runs.sessions)
