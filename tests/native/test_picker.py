"""The picker: instruction sets by name, the twin by environment, and errors that say what to do."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mpc.ring as ring
from mpc._native import core, twin


def child(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_every_instruction_set_by_name():
    before = core.isa()
    assert core.available_isas()[0] == "portable" and before in core.available_isas()
    for name in core.available_isas():
        core.set_isa(name)
        assert core.isa() == name
    core.set_isa(before)
    with pytest.raises(ValueError, match="sse9.*portable"):
        core.set_isa("sse9")


def test_environment():
    show = "import mpc.ring as r; print(r.isa())"
    assert child(show, MPC_ISA="portable", MPC_NATIVE="").stdout.strip() == "portable"
    assert child(show, MPC_NATIVE="0").stdout.strip() == "twin"
    refused = child(show, MPC_ISA="sse9", MPC_NATIVE="")
    assert refused.returncode and "ImportError: MPC_ISA" in refused.stderr and "'portable'" in refused.stderr


def test_missing_extension_says_what_to_run():
    hide = "import sys; sys.modules['mpc._native.core'] = None; import mpc.ring"
    refused = child(hide, MPC_NATIVE="")
    assert refused.returncode
    assert "pip install -e ." in refused.stderr and "MPC_NATIVE=0" in refused.stderr


def test_ring_has_every_kernel_of_both():
    for name in twin.__all__:
        assert callable(getattr(core, name)) and callable(getattr(ring, name)), name


def test_freed_arrays_come_back_without_page_faults():
    """512 pages per array of 2 MB: filling ten more after the first touches none of them anew."""
    code = (
        "import resource, numpy as np, mpc.ring as r\n"
        "print(r.tune_allocator())\n"
        "np.empty(1 << 20, np.uint64).fill(1)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(10): np.empty(1 << 20, np.uint64).fill(1)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    tuned, faults = child(code, MPC_NATIVE="").stdout.split()
    assert tuned == "False" or int(faults) < 100


def test_planes_words():
    assert [ring.planes_words(n) for n in (0, 1, 64, 65)] == [0, 1, 1, 2]
    assert ring.WORD is np.uint64
