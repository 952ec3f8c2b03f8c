"""The average of numbers that stay at home: one per party.

    mpc run -n 5 examples/average.py
"""
import sys

import mpc

with mpc.session() as s:
    mine = float(sys.argv[1 + s.rank]) if len(sys.argv) > 1 else 2500.0 + 400.0 * s.rank  # each party knows its own
    salaries = mpc.stack([mpc.share(mine if s.rank == owner else None, owner=owner) for owner in range(s.world_size)])

    average = salaries.mean().reveal(reason="the average")
    above = (salaries > salaries.mean()).sum().reveal(reason="how many are above it")
    print(f"average {average:.2f}, {above:.0f} of {s.world_size} above it")
