"""`mpc bench` (= ``python -m mpc.benchmarks``): kernels, protocols and training, measured on this machine.

What each number means stands in `mpc.benchmarks.harness`; the figures to reach and those of other systems in `catalog`.
Nothing is imported here: the processes of a workload load its module, not every benchmark there is.
"""
