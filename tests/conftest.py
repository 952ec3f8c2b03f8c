"""For all tests: where test data is, public random numbers that are the same in every run, hypothesis without a clock."""
from __future__ import annotations

import copy
import os
import random
import signal
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # several workers share the cores: theirs would wait for each other

SLOW_PART = 9  # one in so many runs by itself

# The same examples in every run, however slow the machine; `--hypothesis-profile=search` looks for others.
anywhere = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", anywhere)
settings.register_profile("mpc", anywhere, derandomize=True)
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


START: dict[ModuleType, dict[str, Any]] = {}  # of a test module's own generators, as its import left them


def _begin_alike(item: pytest.Item) -> None:
    """Public random numbers do not depend on which tests this process ran before; what is secret comes from elsewhere."""
    module = getattr(item, "module", None)
    if module is not None:
        found = {k: v for k, v in vars(module).items() if isinstance(v, np.random.Generator)}
        states = START.setdefault(module, {k: copy.deepcopy(v.bit_generator.state) for k, v in found.items()})
        for name, state in states.items():
            found[name].bit_generator.state = state
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _begin_alike(item)  # for what wider fixtures draw


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _begin_alike(item)  # whether or not a wider fixture was made for this very test


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that MPC_TEST_DATA names; the test is skipped without it."""
    folder = os.environ.get("MPC_TEST_DATA")
    if not folder:
        pytest.skip("MPC_TEST_DATA names no folder of test data")
    return Path(folder)
