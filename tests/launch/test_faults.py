"""The fault list, with real processes: one misbehaves at one moment, all others end in time with the right exception.

Each case is a run of `mpc run -n 3`. The fixture of this folder checks that no process and no socket file stays.
"""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

AT_ONCE, WAITING = 40.0, 3.0  # deadlines, of what is noticed before them and of what is not
DEALER = 3
PROGRAM = """
import json, os, sys, time
import numpy as np
import mpc

launch = json.loads(os.environ["MPC_LAUNCH"])
faulty, fault, moment = os.environ["MPC_TEST_FAULT"].split()
notes = os.environ["MPC_TEST_NOTES"]
def now(what, when):
    "Is this the moment to do that? Note it."
    if (str(launch["rank"]), fault, moment) != (faulty, what, when):
        return False
    with open(os.path.join(notes, "moment"), "w") as file:
        file.write(str(time.monotonic()))
    return True

try:
    with mpc.session() as s:
        x = mpc.share(np.linspace(-1, 1, 64) if s.rank == 0 else None, owner=0)
        y = mpc.share(np.linspace(2, 1, 64) if s.rank == 1 else None, owner=1)
        for step in range(3):
            z = (x * y).relu()
            if step == 1 and now("program", "training"):
                z = z + z * x
            if step == 1 and now("shapes", "training"):
                x, y, z = x[1:], y[1:], z[1:]
            x = z * 0.5
        if now("program", "reveal"):
            x = x + 1
        if now("shapes", "reveal"):
            x = x[:5]
        x.reveal(reason="the end")
        if now("program", "close"):
            s.barrier()
except BaseException as error:
    seconds = time.monotonic()
    with open(os.path.join(notes, f"rank{launch['rank']}"), "w") as file:
        json.dump([type(error).__name__, str(error), seconds], file)
    raise
"""
LOST, MISMATCH, CORRUPT = "PartyLost", "ProgramMismatch", "CorruptFrame"
# fault -> what the others raise, the run's exit code, what the launcher says
FAULTS = {
    "SIGKILL": (LOST, 3, "{who} was killed by SIGKILL"),
    "SIGSTOP": (LOST, 3, "{who} was stopped by a signal (SIGSTOP)"),
    "exits": (LOST, 3, "{who} ended with exit code 9"),
    "raises": (LOST, 1, "KeyError: 'a mistake at one rank'"),
    "garbage": (CORRUPT, 8, "{who} sent what is no"),
    "program": (MISMATCH, 4, "does not run the same program"),
    "shapes": (MISMATCH, 4, "does not run the same program"),
    "frac_bits": (MISMATCH, 4, "frac_bits 16 at party|frac_bits 20 at party"),
    "deadline": (MISMATCH, 4, f"deadline {AT_ONCE} at party|deadline 2.5 at party"),
    "version": (MISMATCH, 4, "9.9"),
}
OWN = ("SIGKILL", "SIGSTOP", "exits", "raises")


class Run(NamedTuple):
    """What came of one run: exit code, stderr, and by rank (exception, message, seconds after the fault)."""

    code: int
    stderr: str
    ends: dict[int, tuple[str, str, float]]


def deadline_of(fault: str, rank: int, moment: str) -> float:
    """Long where nobody waits for it: who is merely slow is not to be missed. For the dealer a part of it is waited."""
    if fault == "SIGSTOP" and rank == DEALER:
        return 2 * WAITING
    silent = fault in OWN or (fault, rank) == ("garbage", DEALER)  # before the session: who has gone may come again
    return WAITING if fault == "SIGSTOP" or (silent and moment == "handshake") else AT_ONCE


def run(tmp_path: Path, rank: int, fault: str, moment: str) -> Run:
    program, notes = tmp_path / "train.py", tmp_path / "notes"
    program.write_text(PROGRAM)
    notes.mkdir()
    injected = os.pathsep.join([str(Path(__file__).parent / "injected"), os.environ.get("PYTHONPATH", "")])
    what = {"MPC_TEST_FAULT": f"{rank} {fault} {moment}", "MPC_TEST_NOTES": str(notes)}
    environment = os.environ | {"PYTHONPATH": injected} | what
    deadline = str(deadline_of(fault, rank, moment))
    command = [sys.executable, "-P", "-m", "mpc.parties", "run", "-n", "3", "--deadline", deadline, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    at = float((notes / "moment").read_text())
    ends = {}
    for path in notes.glob("rank?"):
        name, message, seconds = json.loads(path.read_text())
        ends[int(path.name[-1])] = (name, message, seconds - at)
    return Run(done.returncode, done.stderr, ends)


def cases() -> list[Any]:
    """Every fault at every rank and moment where it can be. Always: each fault at rank 1 at each moment, and in the midst of
    a training processes that end at every rank; the rest when asked for."""
    found = []
    for fault in FAULTS:
        moments = ["handshake", "training", "reveal", "close"]
        if fault in ("program", "shapes"):
            moments = moments[1 : 4 if fault == "program" else 3]
        elif fault in ("frac_bits", "deadline", "version"):
            moments = moments[:1]
        for moment in moments:
            for rank in (0, 1, 2, DEALER):
                if rank == DEALER and (fault in ("program", "shapes") or moment in ("reveal", "close")):
                    continue
                often = rank == 1 or (moment == "training" and fault in OWN)
                where = "dealing" if (rank, moment) == (DEALER, "training") else moment
                marks = () if often else (pytest.mark.slow,)
                name = "dealer" if rank == DEALER else f"rank{rank}"
                found.append(pytest.param(fault, rank, where, marks=marks, id=f"{name}-{fault}-{moment}"))
    return found


@pytest.mark.parametrize("fault, rank, moment", cases())
def test_fault(tmp_path: Path, fault: str, rank: int, moment: str) -> None:
    kind, code, said = FAULTS[fault]
    unknown = (fault, moment) == ("garbage", "handshake")  # who sent it is not told on, by an abort before the session
    if unknown and rank == DEALER:
        kind, code = LOST, 3  # what comes before a greeting over a connection that nobody knows is dropped
    who = "the dealer" if rank == DEALER else f"party {rank}"
    if rank == DEALER and kind == LOST:
        kind = "DealerLost"
    found = run(tmp_path, rank, fault, moment)
    deadline = deadline_of(fault, rank, moment)
    limit = deadline / 2 if deadline == AT_ONCE else deadline + 10
    others = {0, 1, 2} - ({rank} if fault in OWN else set())
    assert found.ends.keys() - {rank} == others - {rank}, found.stderr
    for other in others & found.ends.keys():
        name, message, seconds = found.ends[other]
        assert name == kind, f"party {other}: {name}: {message}"
        waited = fault == "SIGSTOP" and "sent nothing for" in message  # for one that waited for who is stopped
        assert other == rank or unknown or waited or who in message, f"party {other}: {message}"
        if moment != "handshake":
            assert re.search(r"operation \d+", message) and "train.py:" in message, f"party {other}: {message}"
        assert seconds < limit, f"party {other} took {seconds:.1f} s: {message}"
    assert found.code == code, found.stderr
    assert unknown or any(text.format(who=who) in found.stderr for text in said.split("|")), found.stderr
    assert found.stderr.count("Traceback (most recent call last)") <= 1, "the first failure, not its echoes"
