"""`mpc budget`: what a privacy budget's file says."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mpc.errors import ConfigError
from mpc.parties.commands.common import failing
from mpc.privacy.dp import budget_format
from mpc.privacy.dp.budget_format import Content


def budget(
    file: Annotated[Path, typer.Argument(help="Of `privacy.Budget(..., file=FILE)`.", show_default=False)],
) -> None:
    """Show what a privacy budget has been spent on, and what is left.

    `privacy.Budget(epsilon=2, delta=1e-5, file="study.json")` keeps one: every party has its own file, study.rank0.json and
    so on, and all say the same. Each line's epsilon is what one such release costs by itself; together they cost less than
    the sum.

        mpc budget study.rank0.json
    """
    with failing():
        if not file.is_file():
            raise ConfigError(f"there is no budget {file}")
        content = budget_format.read(file.read_bytes(), file)
        _print(content, file)


def _print(content: Content, path: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    used = 0.0 if content.total is None else budget_format.unpacked(content.total).epsilon(content.delta)
    table = Table(title=f"{path}: epsilon {used:.4g} of {content.epsilon:g} used at delta {content.delta:g}")
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("what")
    table.add_column("reason")
    for name in ("releases", "epsilon of each"):
        table.add_column(name, justify="right")
    for line in content.releases:
        what = re.sub(r" step (\d+)$", lambda found: f" steps from {found[1]}", line.what) if line.times > 1 else line.what
        cost = "infinite" if line.epsilon is None else f"{line.epsilon:.4g}"
        table.add_row(line.when[:16].replace("T", " "), what, line.reason, str(line.times), cost)
    Console().print(table)

