"""``python -m mpc.benchmarks``."""
from mpc.benchmarks.command import main

raise SystemExit(main())
