"""What `mpc demo privacy` found: a table, or on a narrow terminal a paragraph for each tool."""
from __future__ import annotations

import textwrap
from typing import Final, NamedTuple

WIDE: Final = 170  # of the table where no terminal has a width
LEAST: Final = 126  # below it the table would cut words off
WORDS: Final = """\
Guarantees hold against every attack, also those that nobody has tried; a measured leak says what these attackers found, and \
better ones may come. Every further noisy count costs as much again (privacy.Budget adds up); the attacks and \
accuracies themselves looked at real records, which no epsilon covers; everybody ran on this machine. The README says what \
each tool does not protect against."""


class Found(NamedTuple):
    """One line: what is handed out by which tool, the attack's advantage without and with it, what it is worth, the promise."""

    tool: str
    attack: str
    before: float
    after: float
    worth: tuple[str, str]
    promise: str


def show(found: list[Found]) -> None:
    """Print it."""
    from rich.console import Console
    from rich.table import Table

    screen = Console()
    console = screen if screen.is_terminal else Console(width=WIDE)
    title = "\nAdvantage of an attack: 0 is guessing, 1 is knowing"
    if console.width < LEAST:
        print(title)
        for line in found:
            print(f"\n{line.tool}\n  {line.attack}: {line.before:.2f} without, {line.after:.2f} with\n"
                  f"  worth: {line.worth[0]} without, {line.worth[1]} with\n  promised: {line.promise}")  # fmt: skip
        print()
    else:
        table = Table(title=title, title_justify="left", title_style="bold")
        for k, head in enumerate(("tool", "attack", "without", "with", "worth without", "worth with", "what is promised")):
            table.add_column(head, justify="right" if k in (2, 3) else "left")
        for line in found:
            table.add_row(line.tool, line.attack, f"{line.before:.2f}", f"{line.after:.2f}", *line.worth, line.promise)
        console.print(table)
    print(textwrap.fill(WORDS, min(100, console.width)))
