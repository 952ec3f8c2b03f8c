"""`mpc keygen`: a key pair for one member of a run between machines."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpc import identity
from mpc.parties.commands.common import failing


def keygen(
    name: Annotated[str, typer.Argument(help="Of your organisation, as it shall stand in run.toml.", show_default=False)],
    out: Annotated[str, typer.Option(metavar="DIR", help="Where NAME.key is written.")] = ".",
) -> None:
    """Make a key pair: NAME.key (secret, for your eyes only) and the lines for everybody's run.toml.

    Everybody makes a key of their own and sends the printed lines to the others over a channel on which they cannot be
    changed (compare the public keys by telephone). One file, the same for all, then says who takes part:

        mpc keygen st-marys

        protocol = "additive"      # optional, like frac_bits = 16 and deadline = 60.0 (seconds)

        [[party]]                  # rank 0; the order of the parties is the order of their ranks

        name = "st-marys"

        address = "10.0.0.5:7700"  # bulk data on the next port, unless bulk = "host:port"

        public_key = "..."

        [dealer]                   # a process of somebody who holds no data; it needs no address

        name = "broker"

        public_key = "..."

    `mpc check --config run.toml --as st-marys` then tells whether all can reach each other. A key is replaced by a new one
    under the same name and a new run.toml; there is nothing else to revoke.
    """
    with failing():
        own = identity.create(name)
        folder = Path(out)
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
        path = folder / f"{name}.key"
        own.write(path)
    print(f"{path}: the secret key; keep it on this machine, readable by you alone\n\nFor everybody's run.toml:\n")
    print(f'[[party]]\nname = "{name}"\naddress = "HOST:7700"\npublic_key = "{own.public_key}"')
    print(f'\nor, for the dealer:\n\n[dealer]\nname = "{name}"\npublic_key = "{own.public_key}"')
