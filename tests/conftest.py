"""For all tests: where test data is, and hypothesis without a clock on a busy machine."""
from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("mpc", deadline=None)
settings.load_profile("mpc")

# A shell's background jobs ignore these, and so would everything that a test starts and then interrupts.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that MPC_TEST_DATA names; the test is skipped without it."""
    folder = os.environ.get("MPC_TEST_DATA")
    if not folder:
        pytest.skip("MPC_TEST_DATA names no folder of test data")
    return Path(folder)
