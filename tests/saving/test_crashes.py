"""Faults of real processes under `mpc run --checkpoint`: the same command goes on, at most one interval is lost."""
from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpc.saving import files

EVERY, BATCHES = 3, 40
SCRIPT = '''
import os, signal, sys, time
import numpy as np
import mpc

rng = np.random.default_rng(4)
X = rng.normal(size=(300, 6))
Y = (X @ rng.normal(size=(6, 1)) > 0).astype(float)
folder = sys.argv[1]
die = os.environ.get("DIE", "").split(":")  # rank, function, how many calls of it

def dies(plain, count):
    def call(*args, **kwargs):
        nonlocal count
        count -= 1
        if not count:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*args, **kwargs)
    return call

def fill(path, leave):
    """Take all space of a small disk but ``leave`` bytes."""
    disk = os.statvfs(path)
    with open(os.path.join(path, "filler"), "wb") as file:
        file.write(bytes(disk.f_bavail * disk.f_frsize - leave))

def in_turn(plain, other):
    """Open a new file when the other party's is whole: as large as the one that it replaces."""
    def call(path, *args, **kwargs):
        if str(path).endswith(".new"):
            while not os.path.exists(other + ".new") or os.path.getsize(other + ".new") < os.path.getsize(other):
                time.sleep(0.002)
        return plain(path, *args, **kwargs)
    return call

def train(s):
    mpc.manual_seed(0)
    tally = os.open(f"{folder}/done.{s.rank}", os.O_CREAT | os.O_WRONLY)
    with open(f"{folder}/pid.{s.rank}", "w") as file:
        file.write(str(os.getpid()))
    if die[0] == str(s.rank):
        setattr(os, die[1], dies(getattr(os, die[1]), int(die[2])))
    x, y = mpc.share(X, 0), mpc.share(Y, 1)
    model = mpc.nn.Sequential(mpc.nn.Linear(6, 100), mpc.nn.ReLU(), mpc.nn.Linear(100, 1))
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    batches = mpc.data.batches(
        x, y, size=75, epochs=10, checkpoint={"model": model, "optimizer": optimizer}, checkpoint_every=EVERY
    )
    for xb, yb in batches:
        loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done = batches.epoch * batches.per_epoch + batches.batch + 1
        os.pwrite(tally, b"%d" % done, 0)  # in one step: it is read while this process may be killed
        while "HOLD" in os.environ and done == BATCHES - 1:  # whoever kills it may come late
            s.barrier()
            time.sleep(0.01)
        if "FILL" in os.environ and done == 7:
            if s.rank == 0:
                fill(s.checkpoint, int(os.environ["FILL"]))
            elif "TURN" in os.environ:
                os.open = in_turn(os.open, f"{s.checkpoint}/loop1.rank0.shares")
    right = float(((model(x) > 0) == y).mean().reveal(reason="accuracy"))
    if s.rank == 0:
        print(f"accuracy {right:.3f}")

with mpc.session() as s:
    try:
        train(s)
    except mpc.MPCError as error:
        with open(f"{folder}/error.{s.rank}", "w") as file:
            file.write(f"{type(error).__name__}: {error}")
        raise
'''.replace("EVERY", str(EVERY)).replace("BATCHES", str(BATCHES))


class Runs:
    """One command, started again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.checkpoint = folder, folder / "saved"
        self.script = folder / "train.py"
        self.script.write_text(SCRIPT)

    def start(self, deadline: float = 60, **environment: str) -> subprocess.Popen[str]:
        for path in [path for kind in ("pid", "done", "error") for path in self.folder.glob(f"{kind}.*")]:
            path.unlink()
        options = ["--all-output", "-n", "2", "--deadline", str(deadline), "--checkpoint", str(self.checkpoint)]
        command = [sys.executable, "-P", "-m", "mpc.parties", "run", *options, str(self.script), str(self.folder)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment, process_group=0
        )

    def finished(self, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(**environment)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def until(self, batches: int) -> dict[str, int]:
        """Wait until party 0 has done that many; everybody's process by name."""
        end = time.monotonic() + 120
        while self.done(0) < batches or not (self.folder / "pid.1").exists():
            assert time.monotonic() < end, "the training did not start"
            time.sleep(0.002)
        pids = {f"party {rank}": int((self.folder / f"pid.{rank}").read_text()) for rank in range(2)}
        template = parent(pids["party 0"])
        (dealer,) = [pid for pid in children(template) if pid not in pids.values()]
        return {**pids, "the dealer": dealer, "template": template}

    def done(self, rank: int) -> int:
        try:
            return int((self.folder / f"done.{rank}").read_text() or 0)
        except FileNotFoundError:
            return 0

    def sequences(self) -> list[int]:
        return [files.read(self.checkpoint / f"loop1.rank{rank}.shares")[0].sequence for rank in range(2)]

    def goes_on(self, done: int, before: int = 0) -> tuple[int, float | None]:
        """Start it again: it must continue within an interval of ``done``. (where it went on, the accuracy)"""
        again = self.finished()
        assert again.returncode == 0, again.stderr
        told = re.search(r"loop 1: going on after batch (\d+) of 40", again.stderr)
        at = int(told[1]) if told else 0  # from the beginning: killed before the first save was whole
        assert done - EVERY <= at <= done and at % EVERY == 0 and at >= before, (at, done)
        found = re.search(r"accuracy (\d\.\d+)", again.stdout)
        return at, float(found[1]) if found else None


def stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent(pid: int) -> int:
    return int(stat(pid)[1])


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if parent(int(entry.name)) == pid:
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended meanwhile
    return found


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    yield Runs(tmp_path)
    until = time.monotonic() + 30
    while (left := [pid for pid in processes() if str(tmp_path).encode() in command_line(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left, f"processes left behind: {left}"


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The accuracy of a training that nothing happens to."""
    whole = Runs(tmp_path_factory.mktemp("whole")).finished()
    assert whole.returncode == 0, whole.stderr
    return float(whole.stdout.split("accuracy ")[1])


@pytest.mark.parametrize("unlucky", ["party 0", "party 1", "the dealer", "everybody"])
def test_killed_at_any_moment(unlucky: str, runs: Runs, undisturbed: float) -> None:
    process = runs.start(HOLD="")
    pids = runs.until(random.SystemRandom().randrange(EVERY, BATCHES - 10))
    if unlucky == "everybody":  # as a machine that restarts
        for pid in (process.pid, *pids.values()):
            with contextlib.suppress(ProcessLookupError):  # ended already, because the one before had
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)
        done = runs.done(0)
    else:
        os.kill(pids[unlucky], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        done = runs.done(0)
        assert process.returncode == 3, err
        assert f"{unlucky} was killed by SIGKILL" in err, err
    _, accuracy = runs.goes_on(done)
    assert accuracy is not None and abs(accuracy - undisturbed) < 0.02 and accuracy > 0.9


@pytest.mark.parametrize("where", ["0:fsync:3", "1:link:2", "0:replace:2", "1:replace:3"])
def test_killed_inside_a_save(where: str, runs: Runs, undisturbed: float) -> None:
    """While it writes, between the generations, before and after the new file is in its place."""
    killed = runs.finished(DIE=where)
    unlucky = where[0]
    assert killed.returncode == 3 and f"party {unlucky} was killed by SIGKILL" in killed.stderr, killed.stderr
    done = runs.done(0)
    assert done in (6, 9), "within the second or third save"
    at, accuracy = runs.goes_on(done)
    assert accuracy is not None and abs(accuracy - undisturbed) < 0.02
    assert runs.sequences()[0] == runs.sequences()[1] > at // EVERY


def test_a_stopped_party(runs: Runs, undisturbed: float) -> None:
    """SIGSTOP: the others wait for the deadline and no longer, and end it."""
    process = runs.start(deadline=3, HOLD="")
    pids = runs.until(8)
    os.kill(pids["party 1"], signal.SIGSTOP)
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and time.monotonic() - started < 3 + 15, err
    assert "PartyLost" in err and "party 1" in err
    assert not Path(f"/proc/{pids['party 1']}").exists()
    _, accuracy = runs.goes_on(runs.done(0))
    assert accuracy is not None and abs(accuracy - undisturbed) < 0.02


@pytest.fixture
def small_disk(runs: Runs) -> Iterator[Path]:
    runs.checkpoint.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(runs.checkpoint)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        pytest.skip("a small disk is mounted by root alone" if done is None else f"mount: {done.stderr.strip()}")
    yield runs.checkpoint
    subprocess.run(["umount", str(runs.checkpoint)], check=True)


@pytest.mark.parametrize("unlucky", ["1", "01"], ids=["of-one-party", "of-both"])
def test_a_full_disk(runs: Runs, small_disk: Path, undisturbed: float, unlucky: str) -> None:
    """Room for one party's file, or for none: both parties end, everybody hears why, and the saves before stand."""
    size = {"1": 24, "01": 8}[unlucky] * 1024
    full = runs.finished(FILL=str(size), **({"TURN": ""} if unlucky == "1" else {}))
    one = (small_disk / "loop1.rank0.shares").stat().st_size
    assert 8 * 1024 < one < 24 * 1024 < 2 * one, one
    assert full.returncode == 6, full.stderr
    errors = [(runs.folder / f"error.{rank}").read_text() for rank in range(2)]
    for rank, error in enumerate(errors):
        at = str(rank) if str(rank) in unlucky else unlucky[0]  # who has no trouble of its own hears of the other one's
        assert error.startswith(f"ConfigError: save: party {at} cannot write its file "), errors
        assert f"loop1.rank{at}.shares" in error and "what was saved before is as it was" in error
        assert ("No space left on device" in error) == (str(rank) in unlucky)
    assert any(f"party {rank} of 2 failed" in full.stderr for rank in unlucky) and "No space left on device" in full.stderr
    assert runs.sequences() == [2, 2] and sorted(p.name for p in small_disk.iterdir()) == [
        "filler", *(f"loop1.rank{rank}.shares{end}" for rank in range(2) for end in ("", ".previous"))
    ]
    again = runs.finished()
    assert again.returncode == 6 and runs.sequences() == [2, 2], "the disk is full still"
    (small_disk / "filler").unlink()
    at, accuracy = runs.goes_on(9)
    assert at == 6 and accuracy is not None and abs(accuracy - undisturbed) < 0.02
