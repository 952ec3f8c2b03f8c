"""`mpc check`: can all members of a run reach and trust each other, do they agree, and how fast are the links?"""
from __future__ import annotations

import logging
import signal
import sys
from typing import Annotated, Any, NamedTuple

import typer

from mpc import survey
from mpc.config import VERSION, WIRE_VERSION, Launch
from mpc.errors import AuthenticationError, MPCError, PartyLost, ProgramMismatch
from mpc.failures import exit_code
from mpc.greeting import CHECK, difference
from mpc.meeting import Meeting
from mpc.parties.commands.common import failing, seat
from mpc.runfile import RunFile
from mpc.supervision.signals import terminated
from mpc.survey import Link
from mpc.transport.zmq import ZmqTransport


class Finding(NamedTuple):
    """One member, as seen from here."""

    rank: int
    name: str
    reached: bool = False
    difference: str = ""  # of its settings or release
    link: Link | None = None
    error: MPCError | None = None


def check(
    config: Annotated[str, typer.Option(metavar="run.toml", help="The file that everybody has.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Who you are in it.")],
    key: Annotated[str | None, typer.Option(metavar="FILE", help="Secret key [NAME.key beside run.toml, or $MPC_KEY].")] = None,
    timeout: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds to wait for the others.")] = 30.0,
) -> None:
    """Try the links before the first run: all parties start this at about the same time, and the dealer `mpc dealer`.

    Shows for every member whether it was reached on both ports and proved its key, whether its release and settings are
    the same, the round trip and the bandwidth towards it. Nothing secret is sent.

        mpc check --config run.toml --as st-marys

    **Exit codes**: 0 all well; 3 somebody was not reached; 4 other settings or another release; 6 a setting that cannot
    work; 7 a key was refused.
    """
    logging.basicConfig(format="mpc check: %(message)s", level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, terminated)
    with failing():
        file, launch = seat(config, name, key)
        found = examine(file, launch, timeout)
    _show(file, launch, found)
    raise typer.Exit(_verdict(found))


def examine(file: RunFile, launch: Launch, timeout: float) -> list[Finding]:
    """Meet whoever is there and measure the links to them. Raises ProgramMismatch where somebody came to run."""
    transport = ZmqTransport.of(launch)
    meeting = Meeting(transport, launch.config, CHECK)
    try:
        meeting.hold(timeout)
        failed = transport.protect(meeting.secrets(), timeout)
        links = survey.links(transport, set(meeting.hellos) - set(failed), timeout)
        found = []
        for rank in meeting.peers:
            name, hello = file.members[rank].name, meeting.hellos.get(rank)
            if hello is None:
                error = meeting.refusals.get(rank) or transport.trouble(rank)
                found.append(Finding(rank, name, error=error or PartyLost(f"was not heard within {timeout:g} s")))
                continue
            link = links.get(rank)
            lost = failed.get(rank) or (PartyLost(link.trouble) if link is not None and link.trouble else None)
            found.append(Finding(rank, name, True, difference(launch.config, hello), link, lost))
        return found
    except MPCError as error:
        meeting.tell(error)
        raise
    finally:
        transport.close(1.0)


def _verdict(found: list[Finding]) -> int:
    errors = [f.error for f in found if f.error is not None]
    errors += [ProgramMismatch(f.difference) for f in found if f.difference]
    order = (AuthenticationError, ProgramMismatch, PartyLost)
    first = min(errors, key=lambda e: next((i for i, kind in enumerate(order) if isinstance(e, kind)), 9), default=None)
    return 0 if first is None else exit_code(first)


def _show(file: RunFile, launch: Launch, found: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    digest = launch.config.digest().hex()[:12]
    me = file.members[launch.rank].name
    console.print(f"{me}: rank {launch.rank}, mpc {VERSION} (wire {WIRE_VERSION}), configuration {digest}")
    table = Table("rank", "name", "reached", "key", "settings", "round trip", "Mbit/s to it")
    for column in table.columns[5:]:
        column.justify = "right"
    for f in found:
        table.add_row(*_cells(f, file, launch))
    console.print(table)
    for f in found:
        if f.error is not None:
            where = f" ({address})" if (address := file.members[f.rank].address) else ""
            console.print(f"{f.name}{where}: {f.error}", markup=False, soft_wrap=True)
        if f.difference:
            console.print(f"{f.name}: {f.difference}", markup=False, soft_wrap=True)


def _cells(f: Finding, file: RunFile, launch: Launch) -> list[Any]:
    rank = "dealer" if f.rank == launch.config.world_size else str(f.rank)
    key = "[red]none (plaintext)[/]" if file.insecure_plaintext else "[green]proved[/]"
    reached = "[green]yes[/]" if f.error is None else "[yellow]first port[/]" if f.reached else "[red]no[/]"
    if not f.reached:
        return [rank, f.name, reached, "", "", "", ""]
    settings = "[red]differ[/]" if f.difference else "[green]same[/]"
    trip = f"{f.link.round_trip * 1e3:.2f} ms" if f.link and f.link.round_trip is not None else ""
    speed = f"{f.link.bandwidth * 8 / 1e6:,.0f}" if f.link and f.link.bandwidth is not None else ""
    return [rank, f.name, reached, key, settings, trip, speed]
