"""`mpc bench`: hands its arguments to `mpc.benchmarks`."""
from __future__ import annotations

import typer


def bench(context: typer.Context) -> None:
    """Measure kernels, protocols, functions, layers and training on this machine (`mpc bench --help` for its options)."""
    from mpc.benchmarks.command import main  # loads much that the other commands do not need

    raise typer.Exit(main(context.args) or 0)
