"""The result on the terminal."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpc.benchmarks.catalog import PEERS, PEERS_NOTE
from mpc.benchmarks.rows import Line
from mpc.report import amount

CAPTION = (
    "seconds: median over runs, first party's start to last party's end, the dealer's work included. best: the fastest. "
    "online: the same with every correction fetched before the clock starts. dealer: those corrections alone, computed "
    "and delivered while nothing else runs; in a whole run both overlap. wait: inside the whole run, what the receiving "
    "party spends on receiving corrections. sent: payload per party to the other parties; dealt: corrections received "
    "from the dealer. Columns in brackets: " + PEERS_NOTE + "."
)


def print_result(lines: Sequence[Line], machine: dict[str, Any], parties: int, quick: bool) -> None:
    """Two tables: kernels; workloads of several parties."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=170)
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {machine['isa']}; commit {machine['commit']}; "
                  f"load before {machine['load']}", highlight=False)
    if quick:
        console.print("[bold]--quick: small sizes, one run; these are no measurements[/bold]")
    kernels = [line for line in lines if line.group == "kernels"]
    if kernels:
        table = Table("name", "variant", title="Kernels, one thread", title_justify="left")
        for head in ("median", "best", "unit", "to reach"):
            table.add_column(head, justify="left" if head == "unit" else "right")
        table.add_column("")
        for line in kernels:
            best = (max if line.more_is_better else min)(line.runs)
            table.add_row(line.name, line.variant, _number(line.value), _number(best), line.unit, _goal(line), line.note)
        console.print(table)
    workloads = [line for line in lines if line.group != "kernels"]
    if workloads:
        console.print(_workloads(workloads, parties))
    for line in lines:
        if line.error:
            console.print(f"{line.name} failed: {line.error}", style="red", markup=False, highlight=False)


def _workloads(lines: Sequence[Line], parties: int) -> Any:
    from rich.table import Table

    title = f"{parties} parties and the dealer, processes on this machine (ipc)"
    table = Table(title=title, caption=CAPTION, title_justify="left", caption_justify="left")
    table.add_column("workload", overflow="fold")
    heads = ("seconds", "best", "online", "dealer", "wait", "rounds", "sent", "dealt", "to reach")
    for head in (*heads, *(f"({peer})" for peer in PEERS)):
        table.add_column(head, justify="right")
    for line in lines:
        data = line.to_dict()
        title = f"{line.name}: {line.title}" + (f" [dim]{line.note}[/dim]" if line.note else "")
        counts = ["" if line.rounds is None else str(line.rounds), _amount(line.bytes_sent), _amount(line.offline_bytes)]
        if line.goal_bytes is not None and (line.bytes_sent or 0) > line.goal_bytes:
            counts[1] += f" > {_amount(int(line.goal_bytes))}"
        times = [_number(data[key]) for key in ("value", "best", "online", "offline", "dealer_wait")]
        peers = [_number(line.peers.get(peer)) for peer in PEERS]
        table.add_row(title, *times, *counts, _goal(line), *peers)
    return table


def _goal(line: Line) -> str:
    if line.goal is None:
        return ""
    return f"[red]{line.goal:g} missed[/red]" if line.misses() else f"{line.goal:g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _amount(nbytes: int | None) -> str:
    return "" if nbytes is None else amount(nbytes)
