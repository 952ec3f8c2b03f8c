"""Everything here needs root and network namespaces, and must leave none behind."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.network.hosts import why_not


def namespaces() -> list[str]:
    """Those of our emulators, whoever started them."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.startswith("mpcnet-")]


@pytest.fixture(autouse=True)
def no_namespace_left() -> Iterator[None]:
    missing = why_not()
    if missing is not None:
        pytest.skip(missing)
    before = set(namespaces())
    yield
    left = set(namespaces()) - before
    assert not left, f"namespaces left behind: {left}"
