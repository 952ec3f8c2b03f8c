"""`mpc run`: a script as N parties on this machine, or as one party of a run between machines."""
from __future__ import annotations

import os
import signal
from typing import Annotated, Any

import msgspec
import typer
from typer.core import TyperCommand

from mpc import launch
from mpc.config import MAX_PARTIES, MIN_PARTIES, PROTOCOLS
from mpc.parties.commands.common import choice, failing, seat
from mpc.parties.member import run_member
from mpc.supervision.signals import terminated


class RunCommand(TyperCommand):
    """`--report` may be followed by the page to write: FILE.html."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        takes_value = {name for p in self.params if not getattr(p, "is_flag", True) for name in p.opts}
        out: list[str] = []
        rest = list(args)
        while rest and rest[0].startswith("-"):  # up to the script; what follows is its own
            word = rest.pop(0)
            if word == "--report" and rest and rest[0].lower().endswith((".html", ".htm")):
                word = f"--report={rest.pop(0)}"
            out.append(word.replace("--report=", "--report-page=", 1))
            if word in takes_value and rest:
                out.append(rest.pop(0))
        return super().parse_args(ctx, [*out, *rest])


def run(
    context: typer.Context,
    script: Annotated[str, typer.Argument(help="The program: the same file for every party.", show_default=False)],
    args: Annotated[list[str] | None, typer.Argument(help="What follows goes to the script's sys.argv.")] = None,
    parties: Annotated[int, typer.Option("-n", "--parties", min=MIN_PARTIES, max=MAX_PARTIES)] = 3,
    protocol: Annotated[str, typer.Option(help="additive (secret shares) or clear (no secrecy, for debugging).")] = "additive",
    transport: Annotated[str, typer.Option(help="ipc (sockets in a private directory) or tcp (127.0.0.1).")] = "ipc",
    deadline: Annotated[float, typer.Option(help="Seconds that a party waits for another.")] = 60.0,
    frac_bits: Annotated[int, typer.Option(help="Fraction bits of fixed-point numbers.")] = 16,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Print costs and everything revealed at the end; --report FILE.html also writes them as a page."
        ),
    ] = False,
    page: Annotated[str | None, typer.Option("--report-page", hidden=True)] = None,
    config: Annotated[
        str | None, typer.Option(metavar="run.toml", help="Between machines: who takes part, and where; with --as.")
    ] = None,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Which party of run.toml this process is.")] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="Secret key [NAME.key beside run.toml, or $MPC_KEY].")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where loops with a checkpoint save, and go on when the same command runs again."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Stored correlations instead of a dealer (`mpc preprocess`): a directory or file."),
    ] = None,
    all_output: Annotated[bool, typer.Option("--all-output", help="Show every party's output, marked [rank].")] = False,
) -> None:
    """Run a script as N parties and a dealer on this machine, one process each; with --config as one party among machines.

    The script opens `with mpc.session() as s:` and is the same at every party; `s.rank` says which one it is.
    On one machine rank 0 prints as usual, the others are silent. Between machines every organisation starts its own
    party, and somebody without data `mpc dealer` (see `mpc keygen --help` and `mpc check --help`).

        mpc run -n 3 train.py

        mpc run -n 2 --report train.py --epochs 20

        mpc run -n 2 --report costs.html train.py

        mpc run -n 2 --checkpoint saved train.py

        mpc run -n 3 --store stores train.py

        mpc run --config run.toml --as st-marys train.py

    **Exit codes**: 0 every party finished; 1 the script raised an error of its own; 2 the command line is wrong; 3 a
    party or the dealer was lost: killed, silent, cut off; 4 the parties ran different programs, versions or settings;
    5 bad input: a number, shape or type the engine refuses; 6 a setting or an installation that cannot work; 7 a peer
    could not prove who it is; 8 a damaged message, or saved material that fails its check; 9 preprocessing is used
    up; 10 another error of the engine; 129 ended by SIGHUP: its terminal went; 130 interrupted (Ctrl-C); 143 ended by
    SIGTERM. `sys.exit(code)` in the script ends the run with that code.
    """
    choice("--protocol", PROTOCOLS, protocol)
    choice("--transport", ("ipc", "tcp"), transport)
    signal.signal(signal.SIGTERM, terminated)
    if config is not None:
        _refuse(context, ("parties", "protocol", "transport", "deadline", "frac_bits", "all_output"))
        if name is None:
            raise typer.BadParameter("--config needs --as NAME: which party is this?", param_hint="--as")
        with failing():
            _, place = seat(config, name, key)
            place = msgspec.structs.replace(place, checkpoint=launch.directory(checkpoint))
            if store is not None:
                settings = msgspec.structs.replace(place.config, preprocessing="store")
                place = msgspec.structs.replace(place, config=settings, store=os.path.abspath(store))
            code = run_member(place, script, args or [], report, page)
        raise typer.Exit(code)
    if name is not None or key is not None:
        raise typer.BadParameter("--as and --key say who this process is in a run between machines; add --config run.toml")
    code = launch.run_script(
        script,
        args or [],
        parties=parties,
        protocol=protocol,
        transport=transport,
        frac_bits=frac_bits,
        deadline=deadline,
        all_output=all_output,
        report=report,
        page=page,
        checkpoint=checkpoint,
        store=store,
    )
    raise typer.Exit(code)


def _refuse(context: typer.Context, names: tuple[str, ...]) -> None:
    """These options are run.toml's business."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise typer.BadParameter(f"--{option} is for runs on one machine; here run.toml says it", param_hint=f"--{option}")
