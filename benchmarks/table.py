"""The result on the terminal."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpc.benchmarks import federated
from mpc.benchmarks.catalog import PEERS, PEERS_NOTE
from mpc.benchmarks.rows import Line
from mpc.report import amount

CAPTION = (
    "seconds: median over runs, first party's start to last party's end, the dealer's work included. best: the fastest. "
    "online: the same with every correction fetched before the clock starts. dealer: those corrections alone, computed "
    "and delivered while nothing else runs; in a whole run both overlap. wait: inside the whole run, what the receiving "
    "party spends on receiving corrections. sent: payload per party to the other parties; dealt: corrections received "
    "from the dealer. largest error: of the last run, against float64 of the encoded input (layers: torch's in float64); "
    "exact where it is 0; relative where so marked. Columns in brackets: " + PEERS_NOTE + "."
)

NETWORKS = {"wan": "WAN of 100 Mbit/s and 40 ms round trip", "lan": "LAN of 1 Gbit/s and 0.5 ms round trip"}
NETWORK_CAPTION = (
    "seconds: median over runs, the dealer's work included. first: the first run, on connections that have carried little. "
    "online: with every correction fetched before. predicted: rounds x one way + (sent + dealt) / bandwidth, where sent is "
    "what the busiest party sends to all others. Columns in brackets: peers.md, such a network on another day."
)


def print_result(lines: Sequence[Line], machine: dict[str, Any], parties: int, quick: bool) -> None:
    """A table for kernels, one for workloads of several parties, one for those whose errors are measured."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=170)
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {machine['isa']}; commit {machine['commit']}; "
                  f"load before {machine['load']}", highlight=False)
    if quick:
        console.print("[bold]--quick: small sizes, one run; these are no measurements[/bold]")
    flat = {"kernels": "Kernels, one thread", "links": "Links between two processes", "paillier": "Paillier, 2048 bits"}
    for group, title in flat.items():
        kernels = [line for line in lines if line.group == group]
        if not kernels:
            continue
        table = Table("name", "variant", title=title, title_justify="left")
        for head in ("median", "best", "unit", "to reach"):
            table.add_column(head, justify="left" if head == "unit" else "right")
        table.add_column("")
        for line in kernels:
            best = (max if line.more_is_better else min)(line.runs)
            table.add_row(line.name, line.variant, _number(line.value), _number(best), line.unit, _goal(line), line.note)
        console.print(table)
    workloads = [line for line in lines if line.group not in (*flat, "network", "federated")]
    exact = [line for line in workloads if line.max_error is None]
    if exact:
        console.print(_workloads(exact, parties))
    if len(exact) < len(workloads):
        console.print(_with_errors([line for line in workloads if line.max_error is not None], parties))
    if workloads:
        console.print(CAPTION, style="dim", highlight=False, markup=False)
    between = [line for line in lines if line.group == "network"]
    for name, title in NETWORKS.items():
        if chosen := [line for line in between if line.name.startswith(name)]:
            console.print(_between_hosts(chosen, f"{title}: {parties} parties and the dealer, a host each, encrypted"))
    if between:
        console.print(NETWORK_CAPTION, style="dim", highlight=False, markup=False)
    learned = [line for line in lines if line.group == "federated"]
    if learned:
        console.print(federated.table(learned))
        console.print(federated.CAPTION, style="dim", highlight=False, markup=False)
    for line in lines:
        if line.error:
            console.print(f"{line.name} failed: {line.error}", style="red", markup=False, highlight=False)


def _workloads(lines: Sequence[Line], parties: int) -> Any:
    from rich.table import Table

    table = Table(title=_title(parties), title_justify="left")
    table.add_column("workload", overflow="fold")
    heads = ("seconds", "best", "online", "dealer", "wait", "rounds", "sent", "dealt", "to reach")
    for head in (*heads, *(f"({peer})" for peer in PEERS)):
        table.add_column(head, justify="right")
    for line in lines:
        data = line.to_dict()
        counts = ["" if line.rounds is None else str(line.rounds), _amount(line.bytes_sent), _amount(line.offline_bytes)]
        if line.goal_bytes is not None and (line.bytes_sent or 0) > line.goal_bytes:
            counts[1] += f" > {_amount(int(line.goal_bytes))}"
        times = [_number(data[key]) for key in ("value", "best", "online", "offline", "dealer_wait")]
        table.add_row(_named(line), *times, *counts, _goal(line), *_peers(line.peers))
    return table


def _with_errors(lines: Sequence[Line], parties: int) -> Any:
    """Seconds and errors side by side, ours and others'."""
    from rich.table import Table

    table = Table(title=_title(parties), title_justify="left")
    others = "(" + ", ".join(peer.split()[0] for peer in PEERS) + ")"
    table.add_column("workload", overflow="fold")
    heads = ("seconds", "online", "rounds", "sent", "dealt", "to reach", others, "largest error", "to reach", others)
    for head in heads:
        table.add_column(head, justify="right")
    for line in lines:
        data = line.to_dict()
        costs = [_number(data["value"]), _number(data["online"]), str(line.rounds)]
        cells = [*costs, _amount(line.bytes_sent), _amount(line.offline_bytes), _goal(line), _together(line.peers)]
        error = f"{line.max_error:.1e}" if line.max_error else "exact"
        goal = "" if line.goal_error is None else f"{line.goal_error:g}"
        if line.misses_error():
            goal = f"[red]{goal} missed[/red]"
        cells += [error + (" rel." if line.relative else ""), goal, _together(line.peer_errors)]
        table.add_row(_named(line), *cells)
    return table


def _between_hosts(lines: Sequence[Line], title: str) -> Any:
    """Seconds beside what rounds and bytes alone would take."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("workload", overflow="fold")
    heads = ("seconds", "best", "first", "online", "rounds", "sent", "dealt", "predicted", "ratio")
    for head in (*heads, *(f"({peer})" for peer in PEERS)):
        table.add_column(head, justify="right")
    for line in lines:
        data, predicted = line.to_dict(), line.extra.get("predicted")
        ratio = None if line.value is None or predicted is None else line.value / predicted
        times = [_number(data["value"]), _number(data["best"]), _number(line.extra.get("first")), _number(data["online"])]
        counts = ["" if line.rounds is None else str(line.rounds), _amount(line.bytes_sent), _amount(line.offline_bytes)]
        table.add_row(_named(line), *times, *counts, _number(predicted), _number(ratio), *_peers(line.peers))
    return table


def _title(parties: int) -> str:
    return f"{parties} parties and the dealer, processes on this machine (ipc)"


def _named(line: Line) -> str:
    return f"{line.name}: {line.title}" + (f" [dim]{line.note}[/dim]" if line.note else "")


def _peers(figures: dict[str, float | None]) -> list[str]:
    return [_number(figures.get(peer)) for peer in PEERS]


def _together(figures: dict[str, float | None]) -> str:
    return ", ".join(_peers(figures)) if any(figures.values()) else ""


def _goal(line: Line) -> str:
    if line.goal is None:
        return ""
    return f"[red]{line.goal:g} missed[/red]" if line.misses() else f"{line.goal:g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _amount(nbytes: int | None) -> str:
    return "" if nbytes is None else amount(nbytes)
