"""Reports as text: plain columns, or rich's tables on a terminal."""
from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpc.report.rows import LedgerLine
from mpc.report.views import Table, amount, cost_tables, duration, headroom_tables, ledger_lines, network_name

if TYPE_CHECKING:
    from rich.console import Console

    from mpc.report.report import Report

WIDE = 140  # columns of rich's tables where nobody says how wide the page is
SPARE = ("dealer", "peers", "calls", "from dealer", "computing", "LAN", "limit")
WRAPPED = ("note", "reason")


def plain(report: Report) -> str:
    """The whole report in plain columns."""
    parts = [summary(report)]
    for table in (*cost_tables(report), *headroom_tables(report)):
        lines = [*table.lines, *([table.total] if table.total else [])]
        parts.append(f"{table.title}\n{columns(table.head, lines, table.left)}")
    parts.append(ledger_text(report.ledger, report.world_size))
    return "\n\n".join(parts) + "\n"


def pretty(report: Report, console: Console | None) -> None:
    """The same through rich."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = console or Console(file=sys.stdout)
    if not console.is_terminal:  # a file is as wide as it has to be
        console.width = max(console.width, WIDE)

    def show(table: Table) -> None:
        table = fitted(table, console.width)
        grid = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, show_footer=False)
        for k, name in enumerate(table.head):
            words = k < table.left or name in WRAPPED
            grid.add_column(name, justify="left" if words else "right", no_wrap=name not in WRAPPED, overflow="fold")
        for line in table.lines:
            grid.add_row(*map(Text, line))
        if table.total:
            grid.add_section()
            grid.add_row(*map(Text, table.total), style="bold")
        console.print(grid)

    console.print(Text(summary(report)))
    console.print()
    for table in (*cost_tables(report), *headroom_tables(report)):
        show(table)
    if not report.ledger:
        console.print("Revealed: nothing.")
        return
    lines = [(*line[:4], str(line[4])) for line in ledger_lines(report.ledger, report.world_size)]
    show(Table("Revealed, and nothing else:", ("where", "shape", "to", "reason", "times"), lines, None, 4))


def fitted(table: Table, width: int) -> Table:
    """Without the columns that a narrow terminal has no room for, the least important first."""
    for name in SPARE:
        lines = [table.head, *table.lines, *([table.total] if table.total else [])]
        wide = sum(max(len(line[k]) for line in lines) + 3 for k, head in enumerate(table.head) if head not in WRAPPED) + 2
        if wide <= width or name not in table.head:
            continue
        kept = [k for k, head in enumerate(table.head) if head != name]
        table = table._replace(
            head=tuple(table.head[k] for k in kept),
            lines=[tuple(line[k] for k in kept) for line in table.lines],
            total=tuple(table.total[k] for k in kept) if table.total else None,
        )
    return table


def summary(report: Report) -> str:
    """Who counted, then online and offline apart, then the predictions."""
    row = report.total
    waits = f"{duration(row.compute)} computing, {duration(row.peer_wait)} waiting for other parties"
    rows = [
        ("online", f"{row.rounds} rounds, {amount(row.bytes_sent)} sent (counted at the socket, headers included); {waits}"),
    ]
    if report.protocol != "clear":
        what = f"{amount(row.offline_bytes)} from the dealer to all parties in {row.requests} answers"
        rows.append(("offline", f"{what}; {duration(row.dealer_wait)} waiting for it"))
        rows.extend(
            (
                f"on {p.network.name}",
                f"{duration(p.online)} online: {duration(p.compute)} computing + {duration(p.latency)} latency + "
                f"{duration(p.transfer)} transfer; the dealer adds up to {duration(p.offline)} ({network_name(p.network)})",
            )
            for p in report.predictions()
        )
    head = f"{report.world_size} parties, protocol {report.protocol}, as counted at party {report.rank}"
    width = max(len(name) for name, _ in rows)
    return "\n".join([f"{head}: {duration(report.seconds)}", *(f"  {name.ljust(width)}  {line}" for name, line in rows)])


def ledger_text(ledger: Sequence[LedgerLine], world_size: int) -> str:
    """Everything revealed, one line per call site, shape, recipients and reason; repeats are counted."""
    if not ledger:
        return "Revealed: nothing."
    lines = [
        (*line[:3], f"{line[3]} ({line[4]} times)" if line[4] > 1 else line[3]) for line in ledger_lines(ledger, world_size)
    ]
    return "Revealed, and nothing else:\n" + columns(("where", "shape", "to", "reason"), lines, 4)


def columns(head: tuple[str, ...], lines: Sequence[tuple[str, ...]], left: int = 1) -> str:
    """Aligned columns; the first ``left`` ones and notes to the left."""
    widths = [max(len(line[k]) for line in [head, *lines]) for k in range(len(head))]
    out = io.StringIO()
    for line in [head, *lines]:
        cells = [
            c.ljust(w) if k < left or head[k] == "note" else c.rjust(w)
            for k, (c, w) in enumerate(zip(line, widths, strict=True))
        ]
        out.write("  ".join(cells).rstrip() + "\n")
    return out.getvalue().rstrip("\n")
