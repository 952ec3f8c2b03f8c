"""`mpc dealer`: the process that deals correlated randomness to parties on other machines."""
from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from mpc import runfile
from mpc.errors import ConfigError, MPCError
from mpc.failures import exit_code
from mpc.parties.commands.common import failing, seat
from mpc.preprocessing.dealer import serve
from mpc.supervision.signals import terminated


def dealer(
    config: Annotated[str, typer.Option(metavar="run.toml", help="The file that everybody has.")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="The dealer's name, if not the file's.")] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="Secret key [NAME.key beside run.toml, or $MPC_KEY].")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the first session, with its exit code, or when all who came are gone.")
    ] = False,
) -> None:
    """Serve one session after another: deal correlated randomness, see no data.

    Run it where none of the parties can look into it: whoever has the dealer's memory and one party's messages learns
    every input. It connects to all parties, listens nowhere, and waits for them as long as it takes. Ctrl-C ends it.

        mpc dealer --config run.toml

        mpc dealer --config run.toml --once --key /run/secrets/broker.key
    """
    logging.basicConfig(format="mpc dealer: %(message)s", level=logging.INFO, stream=sys.stderr)
    signal.signal(signal.SIGTERM, terminated)
    with failing():
        file, launch = seat(config, name or _name(config), key)
        if not launch.is_dealer:
            me = f"{file.members[launch.rank].name} is party {launch.rank} in {config}"
            raise ConfigError(f"{me}, not the dealer; start it with `mpc run --config`")
        if not launch.config.needs_dealer:
            raise ConfigError(f"protocol {launch.config.protocol} needs no dealer")
        started = time.monotonic()

        def told(text: str) -> None:
            print(f"mpc dealer: [{time.monotonic() - started:8.1f} s] {text}", file=sys.stderr, flush=True)

        told(f"{file.members[-1].name} waits for {', '.join(m.name for m in file.party)}")
        error = serve(launch, once=once, told=told)
    if isinstance(error, MPCError):
        raise typer.Exit(exit_code(error))


def _name(config: str) -> str:
    file = runfile.read(Path(config))
    if file.dealer is None:
        raise ConfigError(f"{config} has no [dealer]")
    return file.dealer.name
