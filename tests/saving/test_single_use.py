"""No mask and no correction is ever used twice: not within a session, and not across the kills and resumes of a program.

Real processes; every key that any of them derives and every use of a stream is recorded (`tests.saving.recorder`), while
parties and the dealer are killed at random moments and the same command is started again until it finishes.
"""
from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.preprocessing import base

PARTIES = 3
MASKS = {value for name, value in vars(base).items() if name == "BIT" or name.startswith("MASK")}
RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(24, 4)), RNG.integers(0, 3, size=24)


def program() -> Any:
    """A training with every kind of opening: products, squares, truncations, comparisons, selections, tables, reveals."""
    with mpc.session() as s:
        s.manual_seed(1)
        x, y = mpc.share(X, 0), mpc.share(np.eye(3)[Y], 1)
        model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
        optimizer = mpc.optim.Adam(model.parameters(), lr=0.05)
        state = {"model": model, "optimizer": optimizer}
        steps = 0
        for xb, yb in mpc.data.batches(x, y, size=8, epochs=3, checkpoint=state, checkpoint_every=2):
            out = model(xb)
            loss = nn.functional.cross_entropy(out, yb) + (out.sigmoid() ** 2).mean() + 0.01 * (out.tanh() == 0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            (out.detach().amax(1) / (1 + out.detach().abs().sum(1))).reveal(reason="scores")
            steps += 1
        return steps, float((model(x).argmax(1) == mpc.share(Y, 0)).mean().reveal())


class Process:
    """What one process did."""

    def __init__(self, path: Path) -> None:
        self.rank = int(path.name)
        self.lines = [line.split() for line in path.read_text().splitlines()]
        self.keys = {name: purpose for kind, purpose, name in self._of("key")}
        self.streams = [(name, int(op), int(tensor)) for _, name, op, tensor, _ in self._of("stream")]
        self.dealt = [(int(op), int(tensor)) for _, op, tensor in self._of("dealt")]

    def _of(self, kind: str) -> list[list[str]]:
        return [line for line in self.lines if line[0] == kind]


def check_session(processes: list[Process], finished: bool) -> None:
    """What must hold within one session. Raises AssertionError."""
    parties = [p for p in processes if p.rank < PARTIES]
    corrected = {name for p in processes if p.rank == PARTIES for name in p.dealt}
    for p in processes:
        twice = [name for name, count in Counter(p.dealt).items() if count > 1]
        assert not twice, f"the dealer answered (operation, tensor) {twice} more than once"
    for p in parties:
        zeros = Counter(stream for stream in p.streams if p.keys.get(stream[0]) == "zero")
        twice = [stream for stream, count in zeros.items() if count > 1]
        assert not twice, f"party {p.rank} added the zero shares {twice} to more than one thing"
        fresh = opened = 0
        seen: set[tuple[str, int, int]] = set()
        for line in p.lines:
            if line[0] == "opened":
                opened += int(line[1])
                assert opened <= fresh, f"party {p.rank} opened {opened - fresh} words under masks that were used before"
            elif line[0] == "stream" and p.keys.get(line[1]) == "dealt" and int(line[3]) in MASKS:
                name = line[1], int(line[2]), int(line[3])
                assert name[1:] not in corrected, f"operation, tensor {name[1:]} is a mask and a share of a correction"
                fresh += 0 if name in seen else int(line[4])
                seen.add(name)
        assert not finished or opened == fresh > 1000, f"{opened} words opened, {fresh} words of masks expanded"


def check_all(sessions: list[list[Process]]) -> None:
    """No key of one session is one of another. Raises AssertionError."""
    seen: dict[str, int] = {}
    for number, processes in enumerate(sessions):
        for name in {name for p in processes for name in [*p.keys, *(stream[0] for stream in p.streams)]}:
            assert seen.setdefault(name, number) == number, f"sessions {seen[name]} and {number} share the key {name}"


def record(folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, kill: str = "", broken: str = "") -> Any:
    """One start of the command: its results (None: it was killed), and what its processes did."""
    site, log = folder / "site", folder / "log"
    shutil.rmtree(log, ignore_errors=True)
    for directory in (site, log):
        directory.mkdir(exist_ok=True, parents=True)
    shutil.copy(Path(__file__).with_name("recorder.py"), site / "sitecustomize.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))
    monkeypatch.setenv("MPC_TEST_RECORD", str(log))
    monkeypatch.setenv("MPC_TEST_KILL", kill or "-1:0")
    monkeypatch.setenv("MPC_TEST_BROKEN", broken)
    results = None
    try:
        results = mpc.local(program, parties=PARTIES, checkpoint=checkpoint)
    except mpc.PartyLost:
        if not kill:
            raise
    processes = [Process(path) for path in log.iterdir()]
    assert len(processes) == PARTIES + 1 or kill, "every process must have been recorded"
    return results, processes


def test_nothing_is_used_twice_across_kills_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    choose = random.Random(seed)
    whole, first = record(tmp_path, tmp_path / "whole", monkeypatch)
    check_session(first, True)
    moments = {p.rank: len(p.lines) for p in first}
    sessions, killed = [first], 0
    for times, unlucky in enumerate((*choose.sample(range(PARTIES + 1), PARTIES + 1), choose.randrange(PARTIES + 1))):
        kill = f"{unlucky}:{choose.randrange(1, moments[unlucky] // (2 + 2 * times))}"  # what is left gets shorter
        results, processes = record(tmp_path, tmp_path / "run", monkeypatch, kill)
        killed += results is None
        check_session(processes, False)
        sessions.append(processes)
    assert killed >= 3, "most of the runs were to be killed"
    results, processes = record(tmp_path, tmp_path / "run", monkeypatch)
    check_session(processes, False)
    sessions.append(processes)
    check_all(sessions)
    purposes = {purpose for processes in sessions for p in processes for purpose in p.keys.values()}
    assert {"dealt", "zero", "private"} <= purposes
    assert results[0][0] <= 9 and whole[0][0] == 9
    assert abs(results[0][1] - whole[0][1]) < 0.1


def test_equal_secrets_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself: with the entropy of the handshake fixed, two sessions have the same keys."""
    sessions = [record(tmp_path, tmp_path / name, monkeypatch, broken="secrets")[1] for name in "ab"]
    with pytest.raises(AssertionError, match="sessions 0 and 1 share the key"):
        check_all(sessions)


def test_a_mask_used_again_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself: nothing else would notice, all numbers are right."""
    results, processes = record(tmp_path, tmp_path / "run", monkeypatch, broken="masks")
    assert results[0][0] == 9
    with pytest.raises(AssertionError, match="words under masks that were used before"):
        check_session(processes, True)


def test_a_correction_given_again_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself: parties that take five numbers again, and a dealer that does not mind."""
    _, processes = record(tmp_path, tmp_path / "run", monkeypatch, broken="corrections")
    with pytest.raises(AssertionError, match="the dealer answered"):
        check_session([p for p in processes if p.rank == PARTIES], True)
    with pytest.raises(AssertionError, match="used before|more than one thing|share of a correction"):
        check_session([p for p in processes if p.rank < PARTIES], True)
