"""Hosts go when they should: at the end, and when somebody kills their owner."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.network.conftest import namespaces
from tests.network.hosts import Hosts

HERE = Path(__file__).parent


def test_a_command_it_does_not_know() -> None:
    with Hosts(2) as hosts:
        with pytest.raises(ValueError, match="explode"):
            hosts._do("explode")
        assert set(hosts.stats()["links"]) == {"0>1", "1>0"}, "it goes on"


def gone(names: list[str]) -> bool:
    until = time.monotonic() + 30
    while set(names) & set(namespaces()):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_nothing_is_left_when_the_block_ends() -> None:
    with Hosts(3) as hosts:
        assert set(hosts.namespaces) <= set(namespaces())
        sleeper = hosts.popen(1, "sleep", "100")
        assert hosts.run(2, "ip", "-br", "addr", "show", "tun0").stdout.split()[2] == "10.77.0.3/24"
    assert not set(hosts.namespaces) & set(namespaces())
    assert sleeper.returncode == -signal.SIGKILL


OWNER = f"""
import sys, time
sys.path.insert(0, {str(HERE)!r})
from hosts import Hosts
with Hosts(2) as hosts:
    inside = hosts.popen(0, "sh", "-c", "echo; exec sleep 100", stdout=-1)
    inside.stdout.readline()  # it has entered the namespace
    print(hosts.pid, *hosts.namespaces, inside.pid, flush=True)
    time.sleep(100)
"""


def kill(both: bool) -> tuple[int, list[str], int]:
    """Kill an owner of two hosts, and their emulator where ``both`` are to go: its number, what they were called, and a
    process inside."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, *names, inside = owner.stdout.readline().split()
    if both:
        os.kill(int(pid), signal.SIGKILL)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    return int(pid), names, int(inside)


@pytest.mark.parametrize("killed", ["owner", "both"])
def test_nothing_is_left_when_the_owner_is_killed(killed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator ends with its owner; what a killed emulator leaves goes at the next start."""
    monkeypatch.syspath_prepend(HERE)
    from namespaces import started

    def until_it_ends(process: int) -> None:
        until = time.monotonic() + 30
        while started(process):
            assert time.monotonic() < until, "it goes on"
            time.sleep(0.02)

    for _ in range(5):
        pid, names, inside = kill(killed == "both")
        if killed == "owner":
            break
        until_it_ends(pid)
        left = set(names) <= set(namespaces()) and started(inside)
        with Hosts(1):
            pass
        if left:
            break
        # otherwise another worker's emulator has started in between, and removed them
    else:
        raise AssertionError("a killed emulator leaves nothing: what do the others remove?")
    assert gone(names)
    until_it_ends(inside)
