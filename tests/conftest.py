"""For all tests: where test data is, and hypothesis without a clock on a busy machine."""
from __future__ import annotations

import os
import signal
import zlib
from pathlib import Path

import pytest
from hypothesis import settings

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # several workers share the cores: theirs would wait for each other

SLOW_PART = 9  # one in so many runs by itself

settings.register_profile("mpc", deadline=None)
settings.load_profile("mpc")

# A shell's background jobs ignore these, and so would everything that a test starts and then interrupts.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_addoption(parser: pytest.Parser) -> None:
    which = ("none", "part", "all")
    parser.addoption("--slow", choices=which, default="part", help="which tests marked slow run (part: 1 in 9)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A part of the slow tests is the same everywhere, whatever else is chosen; tests named on the command line all run."""
    wanted = config.getoption("--slow")
    if wanted == "all" or any("::" in str(arg) for arg in config.args):
        return
    left_out = [
        item
        for item in items
        if item.get_closest_marker("slow") and (wanted == "none" or zlib.crc32(item.nodeid.encode()) % SLOW_PART)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that MPC_TEST_DATA names; the test is skipped without it."""
    folder = os.environ.get("MPC_TEST_DATA")
    if not folder:
        pytest.skip("MPC_TEST_DATA names no folder of test data")
    return Path(folder)
