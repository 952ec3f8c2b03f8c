"""`mpc preprocess`: learn in a dry run what a program needs of the dealer, and deal it ahead of time."""
from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import msgspec
import typer

from mpc import identity, launch, runfile
from mpc.config import MAX_PARTIES, MIN_PARTIES
from mpc.errors import ConfigError
from mpc.parties.commands.common import failing, seat
from mpc.parties.member import run_member
from mpc.preprocessing import plan as plans
from mpc.preprocessing import production
from mpc.preprocessing.plan import Plan
from mpc.preprocessing.production import Recipient
from mpc.preprocessing.stored import name_of
from mpc.report import amount
from mpc.runfile import RunFile
from mpc.supervision.signals import terminated

GIB = 1 << 30


def preprocess(
    args: Annotated[list[str] | None, typer.Argument(help="Behind --: what goes to the program's sys.argv.")] = None,
    program: Annotated[str | None, typer.Option(metavar="train.py", help="The program, as `mpc run` runs it.")] = None,
    parties: Annotated[int, typer.Option("-n", "--parties", min=MIN_PARTIES, max=MAX_PARTIES)] = 3,
    frac_bits: Annotated[int, typer.Option(help="Fraction bits of fixed-point numbers.")] = 16,
    plan: Annotated[str | None, typer.Option(metavar="FILE", help="The plan: written with --program, read without.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Deal, and write every party's store there.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many runs to deal for; each uses one dealing up.")] = 1,
    config: Annotated[str | None, typer.Option(metavar="run.toml", help="Between machines: who takes part.")] = None,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="With --program: which party this is.")] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="Secret key [NAME.key beside run.toml, or $MPC_KEY].")] = None,
    checkpoint: Annotated[str | None, typer.Option(metavar="DIR", help="As the run to come will have it.")] = None,
    memory: Annotated[float, typer.Option(help="Most GiB that one request may need while dealing.")] = 4.0,
) -> None:
    """Deal correlated randomness before the run: `mpc run --store` then needs no dealer.

    A dry run of the program comes first. It runs as it is, but without data and without openings: owners' arrays become
    zeros where they are shared, only their shapes travel, and everything revealed is zeros. Branches on revealed values
    therefore follow zeros, and what the program writes to files it writes. The *plan* holds what the program asked for.

    On one machine, for three runs:

        mpc preprocess -n 3 --program train.py --out stores --runs 3 -- --epochs 5

        mpc run -n 3 --store stores train.py --epochs 5

    Between machines every party takes part in the dry run, beside its data; the dealer gets one of the (equal) plans and
    makes a store for each party, which only that party's key opens and which can travel by any means:

        mpc preprocess --program train.py --config run.toml --as st-marys --plan train.plan

        mpc preprocess --plan train.plan --config run.toml --out stores --runs 3

        mpc run --config run.toml --as st-marys --store st-marys.store train.py

    A dealing serves one run, finished or not: the store notes it on disk before the first message. Never copy an older
    store back. A run that goes on from a checkpoint asks for other things than one from the start: give both commands
    the same --checkpoint. Without --out, or with --plan alone, the plan is shown.
    """
    signal.signal(signal.SIGTERM, terminated)
    if program is not None:
        print("mpc: a dry run without data: what the program prints now comes of zeros", file=sys.stderr)
    if program is None and plan is None:
        raise typer.BadParameter("say for which program (--program train.py) or from which plan (--plan FILE)")
    if program is not None and config is not None:
        if name is None or plan is None or out is not None:
            raise typer.BadParameter("--program with --config needs --as NAME and --plan FILE; the dealer makes the stores")
        with failing():
            code = _rehearse_here(program, args or [], config, name, key, plan, checkpoint)
        if code:
            raise typer.Exit(code)
    elif program is not None:
        with failing():
            ready = _rehearse(program, args or [], parties, frac_bits, plan, checkpoint)
        if isinstance(ready, int):
            raise typer.Exit(ready)
        with failing():
            _show(ready)
            _deal(ready, None, None, out, runs, memory)
        return
    with failing():
        assert plan is not None
        ready = plans.read(Path(plan))
        _show(ready)
        _deal(ready, config, key, out, runs, memory)


def _rehearse(
    program: str, args: list[str], parties: int, frac_bits: int, plan: str | None, checkpoint: str | None
) -> Plan | int:
    """The dry run on this machine: its plan, or the exit code of what failed."""
    with tempfile.TemporaryDirectory(prefix="mpc-plan-") as directory:
        path = os.path.join(directory, "plan")  # not where an earlier program's may be
        code = launch.run_script(program, args, parties, frac_bits=frac_bits, plan=path, checkpoint=checkpoint)
        if code:
            return code
        if not os.path.exists(path):
            raise ConfigError(f"{program} opened no session: there is nothing to plan")
        ready = plans.read(Path(path))
        if plan is not None:
            ready.write(Path(plan))
        return ready


def _rehearse_here(
    program: str, args: list[str], config: str, name: str, key: str | None, plan: str, checkpoint: str | None
) -> int:
    """This party's part of a dry run between machines; the exit code."""
    _, place = seat(config, name, key)
    dry = msgspec.structs.replace(place.config, preprocessing="plan")
    place = msgspec.structs.replace(
        place, config=dry, plan=os.path.abspath(plan), checkpoint=launch.directory(checkpoint)
    )
    return run_member(place, program, args)


def _deal(plan: Plan, config: str | None, key: str | None, out: str | None, runs: int, memory: float) -> None:
    """Write the stores, with a bar on the terminal."""
    if out is None:
        return
    file, path = (None, Path()) if config is None else (runfile.read(Path(config)), Path(config))
    recipients, own, secret = _parties(plan, file, path, key)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("dealing"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    started = perf_counter()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("dealing", total=runs * plan.correction_bytes)
        paths = production.produce(
            plan, recipients, secret, Path(out), runs, int(memory * GIB), lambda nbytes: bar.advance(task, nbytes), own
        )
    seconds = perf_counter() - started
    speed = runs * plan.correction_bytes / 1e6 / seconds
    print(f"\ndealt for {runs} run{'s' if runs > 1 else ''} in {seconds:.2f} s ({speed:.0f} MB/s)")
    for recipient, written in zip(recipients, paths, strict=True):
        print(f"  {written}  {amount(os.path.getsize(written))}, for {recipient.name} alone")
    if own:
        print(f"The keys lie beside the stores: {out} is for runs on this machine")


def _parties(
    plan: Plan, file: RunFile | None, path: Path, key: str | None
) -> tuple[list[Recipient], list[identity.Identity], str]:
    """Whom the stores are for, keys to leave beside them, and the dealer's secret key. Raises ConfigError."""
    if file is None:
        recipients, own = production.local_recipients([name_of(rank) for rank in range(plan.world_size)])
        return recipients, own, identity.create("dealer").secret_key
    for what, want in (("protocol", file.protocol), ("frac_bits", file.frac_bits), ("world_size", len(file.party))):
        got = getattr(plan, what)
        if got != want:
            raise ConfigError(f"the plan was made for {what} {got!r}; {path} says {want!r}: make the plan again")
    if file.insecure_plaintext:
        recipients, own = production.local_recipients([member.name for member in file.party])
        return recipients, own, identity.create("dealer").secret_key
    if file.dealer is None:
        raise ConfigError(f"{path} names no [dealer]; the stores are sealed with its key")
    dealer = runfile.key_of(file, path, file.dealer.name, key)
    assert dealer is not None
    file.launch(len(file.party), dealer)  # checks that this is the dealer's key
    return [Recipient(m.name, m.public_key) for m in file.party], [], dealer.secret_key


def _show(plan: Plan) -> None:
    """The plan as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("correlation", title=f"Plan {plan.digest.hex()[:12]}: {plan.world_size} parties", title_justify="left")
    table.add_column("number", justify="right")
    table.add_column("MB", justify="right")
    for kind, needed in sorted(plan.by_kind.items(), key=lambda entry: -entry[1].bytes):
        table.add_row(kind, str(needed.times), f"{needed.bytes / 1e6:.3f}")
    total = sum(needed.times for needed in plan.by_kind.values())
    table.add_row("all of a run", str(total), f"{plan.correction_bytes / 1e6:.3f}", style="bold")
    Console().print(table)
