"""`mpc version`."""
from __future__ import annotations

import platform
import sys

from mpc import ring


def version() -> None:
    """Versions and the instruction set in use: what to put into a report of a problem."""
    from importlib.metadata import version as installed

    import numpy
    import zmq

    print(f"mpc {installed('mpc')}, kernels: {ring.isa()}")
    print(f"Python {platform.python_version()}, NumPy {numpy.__version__}, ZeroMQ {zmq.zmq_version()}")
    print(f"{platform.system()} {platform.machine()}, {sys.executable}")
