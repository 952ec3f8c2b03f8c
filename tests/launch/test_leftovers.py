"""Nothing of a run outlives it, whenever and however it ends; what its surroundings may be."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import errors
from mpc.parties import template
from mpc.supervision import supervisor

START = [sys.executable, "-P", "-m", "mpc.parties", "run", "-n", "2"]
MOMENTS = {
    "handshake": "if rank == 1: mark(); time.sleep(30)\nwith mpc.session() as s: pass",
    "middle": "with mpc.session() as s:\n    s.barrier()\n    mark()\n    while True: s.barrier()",
    "computing": "with mpc.session() as s:\n    mark()\n    sum(range(10**11))",
    "end": "with mpc.session() as s: pass\nmark()\ntime.sleep(30)",
    "deaf": "import signal as g\ng.signal(g.SIGTERM, g.SIG_IGN)\nwith mpc.session() as s:\n    mark()\n    time.sleep(30)",
}
PROLOGUE = """
import json, os, pathlib, sys, time
import mpc
rank = json.loads(os.environ["MPC_LAUNCH"])["rank"]
def mark(): pathlib.Path(sys.argv[1]).touch()
"""


def start(tmp_path: Path, program: str, **options: Any) -> tuple[subprocess.Popen[str], Path]:
    script, ready = tmp_path / "train.py", tmp_path / "ready"
    script.write_text(PROLOGUE + program)
    command = [*START, str(script), str(ready)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **streams, **options), ready  # type: ignore[call-overload]


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "moment, number, code",
    [*((m, signal.SIGINT, 130) for m in MOMENTS), ("middle", signal.SIGTERM, 143), ("middle", signal.SIGHUP, 129)],
)
def test_signals(tmp_path: Path, moment: str, number: signal.Signals, code: int, times: int) -> None:
    process, ready = start(tmp_path, MOMENTS[moment])
    wait_for(ready)
    started = time.monotonic()
    for again in range(times):
        time.sleep(0.05 * again)
        os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (code, f"mpc: interrupted by {number.name}; all parties ended\n")
    assert time.monotonic() - started < 20, "the program goes on for longer"


def test_a_second_signal_while_the_first_ends_the_run() -> None:
    """It comes when nothing is left to end: no traceback, and what is said and returned is not cut off."""
    script = (
        "import os, signal\n"
        "from mpc.supervision.signals import NUMBERS, Deferred, Interrupted, interrupt\n"
        "for while_it_ends in (False, True):\n"
        "    for number in NUMBERS:\n"
        "        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)\n"
        "    try:\n"
        "        with Deferred(interrupt) as signals:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            if not while_it_ends:\n"
        "                signals.deliver()\n"
        "    except Interrupted as stop:\n"
        "        for number in NUMBERS:\n"
        "            os.kill(os.getpid(), number)\n"
        "        print(stop.name)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "SIGTERM\nSIGTERM\n", "")


def test_an_ignored_hangup_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    program = "with mpc.session() as s:\n    mark()\n    time.sleep(0.5)"
    process, ready = start(tmp_path, program, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for(ready)
    os.killpg(process.pid, signal.SIGHUP)
    assert process.communicate(timeout=60)[1] == "" and process.returncode == 0


def test_local_in_a_program_that_is_interrupted(tmp_path: Path) -> None:
    """KeyboardInterrupt where the call stands, when all is ended; the program goes on."""
    script, ready = tmp_path / "main.py", tmp_path / "ready"
    script.write_text(
        "import pathlib, sys, time, mpc\n"
        "def wait(path):\n"
        "    with mpc.session() as s:\n"
        "        s.barrier()\n"
        "        pathlib.Path(path).touch()\n"
        "        time.sleep(60)\n"
        "try:\n"
        f"    mpc.local(wait, parties=2, args=({str(ready)!r},))\n"
        "except KeyboardInterrupt:\n"
        "    print(mpc.local(lambda: 7, parties=2))\n"
    )
    process = subprocess.Popen([sys.executable, "-P", str(script)], stdout=subprocess.PIPE, text=True)
    wait_for(ready)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "[7, 7]\n"


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_what_a_script_starts_ends_with_the_run(tmp_path: Path, apart: bool, killed: bool) -> None:
    """Also in a session of its own, and where the launcher is killed; the fixture looks for what is left."""
    program = (
        "import subprocess\n"
        f"subprocess.Popen(['sh', '-c', 'sleep 60 & sleep 60'], start_new_session={apart})\n"
        "with mpc.session() as s:\n    s.barrier()\n    mark()\n" + ("    time.sleep(60)" if killed else "")
    )
    process, ready = start(tmp_path, program)
    wait_for(ready)
    if killed:
        process.kill()
    process.communicate(timeout=50)  # what the script started goes on for longer
    assert process.returncode == (-signal.SIGKILL if killed else 0)


def stop_oneself() -> None:
    with mpc.session() as s:
        x = mpc.share(np.ones(1) if s.rank == 0 else None, owner=0)
        (x * x).reveal(reason="nobody stops in the handshake: the dealer has answered")
        if s.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        s.barrier()


def test_a_paused_party_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the grace after a failure nor the patience before SIGKILL, which are a minute here."""
    plain = supervisor.Supervisor.wait
    monkeypatch.setattr(supervisor.Supervisor, "wait", lambda self, grace, timeout: plain(self, 60.0, timeout))
    monkeypatch.setattr(supervisor, "PATIENCE", 60.0)
    started = time.monotonic()
    with pytest.raises(errors.PartyLost, match="party 1 sent nothing for 3 s") as caught:
        mpc.local(stop_oneself, parties=2, deadline=3)
    assert any("party 1 was stopped by a signal (SIGSTOP)" in note for note in caught.value.__notes__)
    assert time.monotonic() - started < 50


def leave(how: str) -> Any:
    import json

    rank = json.loads(os.environ["MPC_LAUNCH"])["rank"]
    if (how, rank) == ("no session", 1):
        return None
    with mpc.session() as s:
        x = mpc.share(np.ones(3) if s.rank == 0 else None, owner=0)
        if (how, s.rank) == ("sys.exit", 1):
            sys.exit(0)
        if (how, s.rank) == ("early", 1):
            return None
        return (x * x).sum().reveal(reason="sum").item()


@pytest.mark.parametrize(
    "how, kind, said",
    [
        ("sys.exit", errors.PartyLost, "party 1 left its session through sys.exit(), which is no error by itself"),
        ("early", errors.ProgramMismatch, "has left its session"),
        ("no session", errors.PartyLost, "party 1 finished its program without an error: did it leave out a session"),
    ],
)
def test_one_who_leaves_is_named(how: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as caught:
        mpc.local(leave, parties=3, args=(how,), deadline=4 if how == "no session" else 30)  # there the others wait for it
    text = "\n".join([str(caught.value), *caught.value.__notes__])
    assert said in text and "party 1" in text


def test_all_leave_together() -> None:
    def main() -> None:
        with mpc.session() as s:
            s.barrier()
            sys.exit(0)

    assert mpc.local(main, parties=2) == [None, None]


def dealer_dies_last() -> str:
    """Rank 0 kills the dealer when nobody needs it any more."""
    with mpc.session() as s:
        value = mpc.share(2.0 if s.rank == 0 else None, owner=0).reveal(reason="the end")
        if s.rank == 0:
            os.kill(template_children()[-1], signal.SIGKILL)  # forked last
            time.sleep(0.3)
        s.barrier()
    return str(value)


def template_children() -> list[int]:
    """In the order in which they were forked; their numbers alone may have begun anew in between."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, fields = int(entry.parent.name), entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getppid():
            found.append((int(fields[19]), pid))  # since when it runs
    return [pid for _, pid in sorted(found)]


def test_a_dealer_that_nobody_needs_any_more() -> None:
    assert mpc.local(dealer_dies_last, parties=2) == ["2.0", "2.0"]


def argv() -> list[str]:
    return sys.argv


def test_arguments_of_the_calling_program() -> None:
    assert mpc.local(argv, parties=2) == [sys.argv] * 2


def moved() -> float:
    os.chdir("/")
    with mpc.session() as s:
        return float(mpc.share(2.0 if s.rank == 0 else None, owner=0).reveal())


def test_a_relative_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    monkeypatch.chdir(short.parent)
    monkeypatch.setenv("TMPDIR", short.name)
    try:
        assert mpc.local(moved, parties=2) == [2.0, 2.0]
        assert not os.listdir(short)
    finally:
        short.rmdir()


@pytest.mark.parametrize("name", ["none", "file", "x" * 90])
def test_a_tmpdir_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    assert mpc.local(moved, parties=2) == [2.0, 2.0], "in /tmp instead"


def test_no_place_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, mode: int = 0o777) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(errors.ConfigError, match=r"/tmp: No space left on device.*TMPDIR"):
        mpc.local(moved, parties=2)


@pytest.mark.parametrize("deadline", ["inf", "nan", "-1", "1e300"])
def test_deadlines_that_are_none(tmp_path: Path, deadline: str) -> None:
    script = tmp_path / "train.py"
    script.touch()
    done = subprocess.run([*START, "--deadline", deadline, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 6 and "deadline" in done.stderr and "Traceback" not in done.stderr


def test_a_background_party_may_write_to_its_terminal() -> None:
    """`stty tostop` stops background processes that write; the template ignores that signal for all."""
    assert signal.SIGTTOU in (ignored := mpc.local(ignores, parties=2)[0]), ignored
    assert template.LAST_WORDS < supervisor.PATIENCE, "the launcher waits longer for the template than it for orphans"


def ignores() -> list[int]:
    return [n for n in (signal.SIGTTOU, signal.SIGTERM) if signal.getsignal(n) == signal.SIG_IGN]
