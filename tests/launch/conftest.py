"""Every test here runs in a temporary directory of its own and must leave no process and no file in it."""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def processes_with(variable: str, value: str) -> list[int]:
    """Processes other than this one that have this in their environment."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended, or is somebody else's
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh TMPDIR; afterwards it is empty, and no process of the test lives (waiting a little for orphans)."""
    usual = tmp_path_factory.getbasetemp()
    directory = tempfile.mkdtemp(prefix="t-", dir="/tmp")
    monkeypatch.setenv("TMPDIR", directory)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(usual / "torch"))  # a folder that torch makes with an optimiser
    yield Path(directory)
    until = time.monotonic() + 30
    while (processes_with("TMPDIR", directory) or os.listdir(directory)) and time.monotonic() < until:
        time.sleep(0.05)
    left, files = processes_with("TMPDIR", directory), os.listdir(directory)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)  # so that one test's failure does not slow the next
    shutil.rmtree(directory)
    assert not left, f"processes left behind: {left}"
    assert not files, f"files left behind: {files}"
