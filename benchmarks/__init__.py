"""`mpc bench` (= ``python -m mpc.benchmarks``): kernels, protocols and training, measured on this machine.

What each number means stands in `mpc.benchmarks.harness`; the figures to reach and those of other systems in `catalog`.
"""
from mpc.benchmarks.command import main

__all__ = ["main"]
