"""The public names, and what `import mpc` must not do."""
from __future__ import annotations

import subprocess
import sys

import mpc

NAMES = """
    AuthenticationError ConfigError CorruptFrame DealerLost FixedPointRangeError IntegrityError MPCError NotSupported
    PartyLost PreprocessingExhausted ProgramMismatch Report SecretTensor SessionError ShapeError
    cat constant data errors linear_model load local manual_seed nn neural_network no_grad optim profile reconstruct
    save secret_share session share stack where
""".split()
HEAVY = ("torch", "sklearn", "scipy", "pandas", "matplotlib", "flwr", "opacus", "phe", "rich", "typer", "cloudpickle")


def test_public_names() -> None:
    assert sorted(mpc.__all__) == sorted(NAMES)
    assert all(hasattr(mpc, name) for name in NAMES)


def test_every_public_name_says_what_it_is() -> None:
    assert [name for name in NAMES if not getattr(mpc, name).__doc__] == []


IMPORT = f"""
import os, sys, threading
before = set(os.listdir("/proc/self/fd"))
import mpc
assert threading.active_count() == 1, threading.enumerate()
opened = set(os.listdir("/proc/self/fd")) - before
assert not opened, opened
found = [name for name in {HEAVY!r} if name in sys.modules]
assert not found, found
"""


def test_import_opens_nothing_and_stays_light() -> None:
    """A party starts as quickly as `import mpc` is."""
    done = subprocess.run([sys.executable, "-c", IMPORT, "--nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
