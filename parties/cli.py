"""The `mpc` command. Its texts are the first thing many people read: each command's help has an example that runs."""
from __future__ import annotations

import typer

from mpc.parties.commands import bench, budget, check, dealer, demo, keygen, paillier, preprocess, run, version

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
app.command(cls=run.RunCommand, context_settings={"allow_interspersed_args": False})(run.run)
app.command()(keygen.keygen)
app.command()(check.check)
app.command()(dealer.dealer)
app.command()(preprocess.preprocess)
app.add_typer(paillier.app, name="paillier")
app.command()(budget.budget)
app.command()(demo.demo)
app.command(context_settings=PASS_ON)(bench.bench)
app.command()(version.version)


def main() -> None:
    """Entry point of the `mpc` command."""
    app(prog_name="mpc")
