"""`mpc.local`: real processes over ipc and tcp, and what it says when a party fails."""
from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

import mpc
from mpc import errors
from mpc.parties import child
from mpc.pipes import Failure, Task
from mpc.supervision.run import _kept_ports


class OwnError(Exception):
    """An exception class of the test's own, with a constructor that pickle cannot call."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def product(a: list[float], b: list[float]) -> tuple[int, list[float]]:
    with mpc.session() as s:
        x = mpc.share(np.array(a) if s.rank == 0 else None, owner=0)
        y = mpc.share(np.array(b) if s.rank == 1 else None, owner=1)
        return s.rank, (x * y).reveal(reason="the product").tolist()


def failing(what: str, notes: str = "") -> Any:
    """Party 1 does something bad between two barriers; the others write down how they end."""
    started = time.monotonic()
    try:
        with mpc.session() as s:
            x = mpc.share(np.ones(3) if s.rank == 0 else None, owner=0)
            s.barrier()
            if s.rank == 1:
                if what == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if what == "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)
                if what == "exit":
                    os._exit(9)
                if what == "raise":
                    raise KeyError("a mistake of party 1")
                if what == "own":
                    raise OwnError("this", "that")
                if what == "program":
                    x = x + x * x
                if what == "hang":
                    time.sleep(60)
            if what == "nan":
                mpc.share(np.array([1.0, np.nan]) if s.rank == 1 else None, owner=1)
            x.reveal(reason="the end")
    except errors.MPCError as error:
        if notes:
            line = f"{s.rank} {type(error).__name__} {time.monotonic() - started:.2f}"
            Path(notes, str(s.rank)).write_text(line)
        raise
    return None


def unpicklable(rank: int) -> Any:
    with mpc.session() as s:
        return threading.Lock() if s.rank == rank else s.rank


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path


def ends(notes: Path) -> dict[int, tuple[str, float]]:
    """How each party ended: its exception and after how many seconds."""
    lines = [path.read_text().split() for path in notes.iterdir()]
    return {int(rank): (name, float(seconds)) for rank, name, seconds in lines}


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.parametrize("parties", [2, 3])
def test_results_by_rank(parties: int, transport: str) -> None:
    results = mpc.local(product, parties=parties, args=([1.5, -2.0], [4.0, 0.5]), transport=transport)
    assert results == [(rank, [6.0, -1.0]) for rank in range(parties)]


def test_nobody_else_gets_the_ports_of_a_run() -> None:
    """Neither before a party listens there nor between two sessions."""
    ports = _kept_ports(50)
    assert len({kept.getsockname() for kept in ports}) == 50
    for kept in ports:
        port = kept.getsockname()[1]
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        for _ in range(2):
            with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
                router.bind(f"tcp://127.0.0.1:{port}")
        kept.close()


def test_threads() -> None:
    assert mpc.local(product, parties=3, args=([3.0], [-2.0]), threads=True) == [(r, [-6.0]) for r in range(3)]


def test_clear_needs_no_dealer() -> None:
    assert mpc.local(product, parties=2, args=([3.0], [-2.0]), protocol="clear") == [(r, [-6.0]) for r in range(2)]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_killed_party(notes: Path, transport: str) -> None:
    started = time.monotonic()
    with pytest.raises(errors.PartyLost, match="party 1 was killed by SIGKILL"):
        mpc.local(failing, args=("kill", str(notes)), transport=transport)
    assert time.monotonic() - started < 30, "noticed at once, not at the deadline"
    found = ends(notes)
    assert found.keys() == {0, 2}
    assert {name for name, _ in found.values()} == {"PartyLost"}


def test_a_silent_party(notes: Path) -> None:
    with pytest.raises(errors.PartyLost, match="party 1 sent nothing for 3 s"):
        mpc.local(failing, args=("stop", str(notes)), deadline=3)
    assert {name for name, _ in ends(notes).values()} == {"PartyLost"}


def test_a_party_that_exits() -> None:
    with pytest.raises(errors.PartyLost, match="party 1 ended with exit code 9"):
        mpc.local(failing, args=("exit",))


@pytest.mark.parametrize("threads", [False, True])
def test_a_party_that_raises(notes: Path, threads: bool) -> None:
    with pytest.raises(KeyError, match="a mistake of party 1") as caught:
        mpc.local(failing, args=("raise", str(notes)), threads=threads)
    assert any("party 1 of 3" in note for note in caught.value.__notes__)
    if not threads:
        assert 'raise KeyError("a mistake of party 1")' in str(caught.value.__cause__), "the remote traceback"
    assert {rank: name for rank, (name, _) in ends(notes).items()} == {0: "PartyLost", 2: "PartyLost"}


def test_an_exception_that_cannot_travel() -> None:
    with pytest.raises(errors.PartyLost, match="party 1 of 3 stopped with OwnError: this and that"):
        mpc.local(failing, args=("own",))


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("parties", [2, 3])
def test_another_program(notes: Path, parties: int, threads: bool) -> None:
    with pytest.raises(errors.ProgramMismatch, match="operation"):
        mpc.local(failing, parties=parties, args=("program", str(notes)), threads=threads)
    found = ends(notes)
    assert {rank: name for rank, (name, _) in found.items()} == dict.fromkeys(range(parties), "ProgramMismatch")


@pytest.mark.parametrize("threads", [False, True])
def test_nan_at_its_owner(notes: Path, threads: bool) -> None:
    with pytest.raises(errors.FixedPointRangeError, match="nan") as caught:
        mpc.local(failing, args=("nan", str(notes)), threads=threads)
    assert any("party 1 of 3" in note for note in caught.value.__notes__)
    assert {rank: name for rank, (name, _) in ends(notes).items()} == dict.fromkeys(range(3), "FixedPointRangeError")


def test_a_result_that_cannot_travel() -> None:
    with pytest.raises(errors.NotSupported, match="party 1 returned a lock"):
        mpc.local(unpicklable, args=(1,))


def test_an_argument_that_cannot_travel() -> None:
    with pytest.raises(errors.NotSupported, match="unpicklable"):
        mpc.local(unpicklable, args=(threading.Lock(),))


def test_timeout() -> None:
    started = time.monotonic()
    with pytest.raises(errors.PartyLost, match="party 1 had not finished after timeout=2 s|timeout=2 s"):
        mpc.local(failing, args=("hang",), timeout=2)
    assert time.monotonic() - started < 30, "party 1 goes on for longer"


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"parties": 1}, "1 parties"),
        ({"protocol": "magic"}, "magic"),
        ({"transport": "udp"}, "udp"),
        ({"deadline": 0}, "deadline"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(errors.ConfigError, match=match):
        mpc.local(product, args=([1.0], [1.0]), **settings)


def test_a_party_refuses_another_installation() -> None:
    message = child._outcome(Task(directory="", package="/somewhere/else/mpc"))
    assert isinstance(message, Failure)
    assert message.kind == "ConfigError"
    assert "/somewhere/else/mpc" in message.message


def test_processes_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(errors.ConfigError, match="could not start"):
        mpc.local(product, args=([1.0], [1.0]))


def test_the_common_process_is_killed(tmp_path: Path) -> None:
    with pytest.raises(errors.PartyLost, match="forked from was killed by signal 9"):
        mpc.local(kill_the_parent, parties=2)


def kill_the_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)


def large(block: Any) -> Any:
    return block + 1


def test_large_arguments_and_results() -> None:
    block = np.arange(3_000_000)
    first, second = mpc.local(large, parties=2, args=(block,))
    assert np.array_equal(first, block + 1)
    assert np.array_equal(second, block + 1)


def test_the_main_program_dies(nothing_left_behind: Path, tmp_path: Path) -> None:
    """Its children notice and clean up; the fixture checks it."""
    import subprocess

    script = tmp_path / "main.py"
    ready = tmp_path / "ready"
    script.write_text(
        "import pathlib, time, mpc\n"
        "def wait(path):\n"
        "    with mpc.session() as s:\n"
        "        s.barrier()\n"
        "        pathlib.Path(path + str(s.rank)).touch()\n"
        "        time.sleep(60)\n"
        f"mpc.local(wait, parties=2, args=({str(ready)!r},))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)])
    until = time.monotonic() + 60
    while not all(Path(f"{ready}{rank}").exists() for rank in range(2)):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    assert list(nothing_left_behind.iterdir()), "the private directory is here"
    assert oct(next(nothing_left_behind.iterdir()).stat().st_mode)[-3:] == "700"
    process.kill()
    process.wait()
