"""Everything here needs root and network namespaces, and must leave none behind."""
from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.hosts import why_not


def namespaces() -> list[str]:
    """Those of our emulators, whoever started them."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.startswith("mpcnet-")]


def parent(process: int) -> int:
    """Its parent's number; 1 for an orphan, 0 for what does not live."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def another_workers(name: str) -> bool:
    """Does it belong to a living process that another one than this started? Its name has that process's number."""
    above = parent(int(name.split("-")[1]))
    if above <= 1:
        return False  # nobody's, or an orphan's: left behind by somebody
    while above > 1 and above != os.getpid():
        above = parent(above)
    return above != os.getpid()


@pytest.fixture(autouse=True)
def no_namespace_left() -> Iterator[None]:
    missing = why_not()
    if missing is not None:
        pytest.skip(missing)
    before = set(namespaces())
    yield
    until = time.monotonic() + 30  # others' emulators end, or begin
    while (left := {n for n in set(namespaces()) - before if not another_workers(n)}) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left, f"namespaces left behind: {left}"
