"""`mpc run`: a script as N parties on this machine."""
from __future__ import annotations

import signal
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mpc import launch
from mpc.config import MAX_PARTIES, MIN_PARTIES, PROTOCOLS
from mpc.parties.commands.common import choice, terminated


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
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where loops with a checkpoint save, and go on when the same command runs again."),
    ] = None,
    all_output: Annotated[bool, typer.Option("--all-output", help="Show every party's output, marked [rank].")] = False,
) -> None:
    """Run a script as N parties and a dealer on this machine, one process each.

    The script opens `with mpc.session() as s:` and is the same at every party; `s.rank` says which one it is.
    Rank 0 prints as usual, the others are silent.

        mpc run -n 3 train.py

        mpc run -n 2 --report train.py --epochs 20

        mpc run -n 2 --report costs.html train.py

        mpc run -n 2 --checkpoint saved train.py

    **Exit codes**: 0 done; 1 the script's own error; 2 wrong command line; 3 a party was lost (killed, silent);
    4 the parties ran different programs; 5 bad input (NaN, out of range, wrong shape); 6 wrong setting or
    installation; 7 a peer that is not who it should be; 8 damaged data; 9 preprocessing used up; 10 another error
    of the engine; 130 interrupted. `sys.exit(code)` in the script ends the run with that code.
    """
    choice("--protocol", PROTOCOLS, protocol)
    choice("--transport", ("ipc", "tcp"), transport)
    signal.signal(signal.SIGTERM, terminated)
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
    )
    raise typer.Exit(code)
