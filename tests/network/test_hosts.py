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
    until = time.monotonic() + 10
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
    print(hosts.pid, *hosts.namespaces, hosts.popen(0, "sleep", "100").pid, flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize("killed", ["owner", "both"])
def test_nothing_is_left_when_the_owner_is_killed(killed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator ends with its owner; what a killed emulator leaves goes at the next start."""
    monkeypatch.syspath_prepend(HERE)
    from namespaces import started

    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, *names, inside = owner.stdout.readline().split()
    if killed == "both":
        os.kill(int(pid), signal.SIGKILL)
    owner.kill()
    owner.wait()
    owner.stdout.close()  # the process inside has its other end
    if killed == "both":
        until = time.monotonic() + 5
        while started(int(pid)):
            assert time.monotonic() < until, "SIGKILL does not end it"
            time.sleep(0.01)
        assert set(names) <= set(namespaces()) and Path(f"/proc/{inside}").exists()
        with Hosts(1):
            pass
    assert gone(names)
    until = time.monotonic() + 5
    while Path(f"/proc/{inside}").exists():
        assert time.monotonic() < until, "the process inside goes on"
        time.sleep(0.05)
