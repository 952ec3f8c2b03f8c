"""`mpc budget`: what a privacy budget's file says."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mpc.errors import ConfigError
from mpc.parties.commands.common import failing
from mpc.privacy.dp.budget_file import load
from mpc.privacy.dp.budget_format import Content, unpacked
from mpc.privacy.extras import needed


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
        content = load(file)
        if content is None:
            raise ConfigError(f"there is no budget {file}")
        _print(content, file)


def _print(content: Content, path: Path) -> None:
    needed("dp_accounting")
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    used = 0.0 if content.total is None else unpacked(content.total).epsilon(content.delta)
    table = Table(title=Text(f"{_shown(str(path))}: epsilon {used:.4g} of {content.epsilon:g} used at delta {content.delta:g}"))
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("what")
    table.add_column("reason")
    for name in ("releases", "epsilon of each"):
        table.add_column(name, justify="right")
    for line in content.releases:
        what = re.sub(r" step (\d+)$", lambda found: f" steps from {found[1]}", line.what) if line.times > 1 else line.what
        cost = "infinite" if line.epsilon is None else f"{line.epsilon:.4g}"
        cells = (line.when[:16].replace("T", " "), what, line.reason, str(line.times), cost)
        table.add_row(*(Text(_shown(cell)) for cell in cells))  # no markup: a reason may have brackets
    Console(width=max(72, Console().width)).print(table)  # wider than a narrow terminal: better wrapped than cut off


def _shown(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

