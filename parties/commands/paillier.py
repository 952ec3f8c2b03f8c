"""`mpc paillier deal`: a Paillier key that is split among the parties."""
from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Annotated

import typer

from mpc import identity, runfile
from mpc.config import MAX_PARTIES, MIN_PARTIES
from mpc.errors import ConfigError
from mpc.paillier import dealing, public_key_to_bytes, write_key_share
from mpc.parties.commands.common import failing

app = typer.Typer(help="Keys for encrypted aggregation (mpc.paillier).", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def paillier() -> None:
    """Keys for encrypted aggregation (mpc.paillier)."""


@app.command()
def deal(
    parties: Annotated[int, typer.Option("-n", "--parties", min=MIN_PARTIES, max=MAX_PARTIES)] = 3,
    threshold: Annotated[int, typer.Option(min=2, help="How many of the parties can decrypt together.")] = 2,
    bits: Annotated[int, typer.Option(help="2048 or 3072.")] = 2048,
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the files are written.")] = ".",
    config: Annotated[str | None, typer.Option(metavar="run.toml", help="Seal every share for its party.")] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="The dealer's secret key [NAME.key, or $MPC_KEY].")] = None,
) -> None:
    """Deal a Paillier key that nobody holds: one file per party and public.paillier for who encrypts.

    This process knows the whole key until it ends: run it on a machine of somebody whom all trust and who takes no part.

        mpc paillier deal -n 3 --threshold 2 --out keys

    writes keys/party-0.share and so on; every party takes its own and nobody keeps a copy. Between machines, the run's dealer
    seals every share, so that only its party's key opens it:

        mpc paillier deal --threshold 2 --config run.toml --out keys
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with failing():
        names = [f"party-{rank}" for rank in range(parties)]
        keys: list[str | None] = [None] * parties
        writer: identity.Identity | None = None
        if config is not None:
            names, keys, writer = _sealed(Path(config), key)
        folder = Path(out)
        paths = [folder / f"{name}.share" for name in names]
        public = folder / "public.paillier"
        for path in (*paths, public):
            if path.exists():
                raise ConfigError(f"{path} exists; keys are not replaced: move it away first, or take another folder")
        shares = dealing.deal(bits, len(names), threshold, _progress if sys.stderr.isatty() else None)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written: list[Path] = []
        try:
            for share, path, recipient in zip(shares, paths, keys, strict=True):
                write_key_share(share, path, recipient=recipient, writer=None if recipient is None else writer)
                written.append(path)
            with open(os.open(public, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "wb") as file:
                written.append(public)
                file.write(public_key_to_bytes(shares[0].public_key))
        except BaseException:  # some shares of a key are of no use, and would be in the way of the next dealing
            for path in written:
                path.unlink(missing_ok=True)
            raise
    print(f"{public}: for whoever encrypts; its fingerprint is {shares[0].public_key.fingerprint.hex()}")
    for path in paths:
        print(f"{path}: for {path.stem} alone{'' if config is None else ', sealed'}")


def _sealed(path: Path, key: str | None) -> tuple[list[str], list[str | None], identity.Identity]:
    """The parties' names and public keys, and the dealer. Raises ConfigError."""
    file = runfile.read(path)
    if file.dealer is None or file.insecure_plaintext:
        raise ConfigError(f"{path} names no [dealer] with a key; the shares are sealed with it")
    dealer = runfile.key_of(file, path, file.dealer.name, key)
    assert dealer is not None
    file.launch(len(file.party), dealer)  # checks that this is the dealer's key
    return [m.name for m in file.party], [m.public_key for m in file.party], dealer


def _progress(tested: int) -> None:
    print(f"\rlooking for two safe primes: {tested} candidates tested", end="", file=sys.stderr, flush=True)
