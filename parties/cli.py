"""The `mpc` command. Its texts are the first thing many people read: each command's help has an example that runs."""
from __future__ import annotations

import platform
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from mpc import launch, ring
from mpc.config import MAX_PARTIES, MIN_PARTIES, PROTOCOLS

EPILOGUE = "Start with `mpc demo`, then `mpc run --help`."
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(
    help="Several parties compute one program on data that none of them may see.",
    epilog=EPILOGUE,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _choice(name: str, values: tuple[str, ...], got: str) -> str:
    if got not in values:
        raise typer.BadParameter(f"got {got!r}; want one of {', '.join(values)}", param_hint=name)
    return got


class _Run(TyperCommand):
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


@app.command(cls=_Run, context_settings={"allow_interspersed_args": False})
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
    all_output: Annotated[bool, typer.Option("--all-output", help="Show every party's output, marked [rank].")] = False,
) -> None:
    """Run a script as N parties and a dealer on this machine, one process each.

    The script opens `with mpc.session() as s:` and is the same at every party; `s.rank` says which one it is.
    Rank 0 prints as usual, the others are silent.

        mpc run -n 3 train.py

        mpc run -n 2 --report train.py --epochs 20

        mpc run -n 2 --report costs.html train.py

    **Exit codes**: 0 done; 1 the script's own error; 2 wrong command line; 3 a party was lost (killed, silent);
    4 the parties ran different programs; 5 bad input (NaN, out of range, wrong shape); 6 wrong setting or
    installation; 7 a peer that is not who it should be; 8 damaged data; 9 preprocessing used up; 10 another error
    of the engine; 130 interrupted. `sys.exit(code)` in the script ends the run with that code.
    """
    _choice("--protocol", PROTOCOLS, protocol)
    _choice("--transport", ("ipc", "tcp"), transport)
    signal.signal(signal.SIGTERM, _terminated)
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
    )
    raise typer.Exit(code)


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


@app.command()
def demo(
    parties: Annotated[int, typer.Option(min=MIN_PARTIES, max=MAX_PARTIES, help="Computing parties, beside the dealer.")] = 3,
    dataset: Annotated[str, typer.Option(help="breast-cancer, digits, all (these two) or mnist.")] = "all",
    data: Annotated[str | None, typer.Option(metavar="DIR", help="MNIST's four idx files.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first images of MNIST.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data; each model has its own default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the public initial weights, shuffles and splits; never of secrets.")] = 0,
    report: Annotated[str | None, typer.Option(metavar="FILE.html", help="Write costs, loss and ledger as a page.")] = None,
) -> None:
    """Train models on secret shares and compare them with the same training in plaintext.

    Logistic regression on breast cancer records whose columns belong to two parties and whose labels belong to a
    third; and a small network on handwritten digits. With MNIST's files at hand, a network 784-128-128-10 on them.

        mpc demo

        mpc demo --parties 2 --dataset breast-cancer --epochs 5

        mpc demo --parties 2 --dataset mnist --data DIR --report mnist.html
    """
    from mpc.parties.demo import DATASETS, Options, main  # needs the extra `demo`

    _choice("--dataset", (*DATASETS, "all"), dataset)
    signal.signal(signal.SIGTERM, _terminated)
    raise typer.Exit(main(Options(parties, dataset, epochs, seed, data, rows, report)))


@app.command(context_settings=PASS_ON)
def bench(context: typer.Context) -> None:
    """Measure kernels, protocols, functions, layers and training on this machine (`mpc bench --help` for its options)."""
    from mpc.benchmarks import main  # loads much that the other commands do not need

    raise typer.Exit(main(context.args) or 0)


@app.command()
def version() -> None:
    """Versions and the instruction set in use: what to put into a report of a problem."""
    from importlib.metadata import version as installed

    import numpy
    import zmq

    print(f"mpc {installed('mpc')}, kernels: {ring.isa()}")
    print(f"Python {platform.python_version()}, NumPy {numpy.__version__}, ZeroMQ {zmq.zmq_version()}")
    print(f"{platform.system()} {platform.machine()}, {sys.executable}")


def main() -> None:
    """Entry point of the `mpc` command."""
    app(prog_name="mpc")
