"""Dealing ahead of time: a plan's corrections for several runs, into one sealed store per party."""
from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from mpc import identity, prg
from mpc.config import VERSION
from mpc.errors import ConfigError
from mpc.identity import Identity
from mpc.preprocessing import sealing
from mpc.preprocessing.dealing import KeyedDealing
from mpc.preprocessing.layout import BODY, Header, dealing_size, sealed_bytes
from mpc.preprocessing.limits import DEFAULT_LIMIT
from mpc.preprocessing.plan import DIGEST_BYTES, Plan
from mpc.preprocessing.stored import SUFFIX
from mpc.preprocessing.writing import Writing, sync_directory
from mpc.transport.frames import HEADER_WORDS

KEY_SUFFIX: Final = ".key"


class Recipient(NamedTuple):
    """A party of the run to come, by rank: what its file is called, and whom only it is for."""

    name: str
    public_key: str  # Z85


def local_recipients(names: Sequence[str]) -> tuple[list[Recipient], list[Identity]]:
    """Fresh key pairs for parties that have none, to be kept beside their stores (``keys`` of `produce`)."""
    own = [identity.create(name) for name in names]
    return [Recipient(i.name, i.public_key) for i in own], own


def produce(
    plan: Plan,
    recipients: Sequence[Recipient],
    dealer_secret: str,
    directory: Path,
    runs: int,
    limit: int = DEFAULT_LIMIT,
    progress: Callable[[int], None] = lambda nbytes: None,
    keys: Sequence[Identity] = (),
) -> list[Path]:
    """Write the parties' stores, all or none; their paths by rank. ``progress`` hears of corrections as they are dealt.

    Every run has keys of its own from the operating system; each party's file holds that party's, the receiver's also the
    corrections. ``dealer_secret`` (Z85) vouches for the files. ``keys``: key files to write beside them.

    Raises ConfigError where files exist already, do not fit onto the disk, or recipients and plan do not fit together;
    CorruptFrame for a plan that cannot be dealt.
    """
    if len(recipients) != plan.world_size:
        raise ConfigError(f"got {len(recipients)} recipients for a plan of {plan.world_size} parties")
    if not plan.requests:
        raise ConfigError("the plan asks for nothing: that program needs no preprocessing")
    if runs < 1:
        raise ConfigError(f"got {runs} runs; want at least 1")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    body = msgspec.msgpack.encode(plan)
    sizes = [0] * (plan.world_size - 1) + [plan.correction_bytes]
    paths = [directory / (r.name + SUFFIX) for r in recipients]
    _check_room(directory, sum(BODY + sealed_bytes(len(body)) + runs * dealing_size(size) for size in sizes))
    store = os.urandom(DIGEST_BYTES)
    with ExitStack() as undo:
        files = []
        for rank, (recipient, path, size) in enumerate(zip(recipients, paths, sizes, strict=True)):
            public = sealing.public_bytes(recipient.public_key)
            ephemeral, writer, secret = sealing.written(public, dealer_secret)
            header = Header(
                VERSION, store, plan.digest, plan.world_size, plan.protocol, plan.frac_bits, runs, len(body), writer,
                rank, recipient.name, size, ephemeral, public,
            )  # fmt: skip
            files.append(Writing(path, header, secret, body))
            undo.callback(files[-1].drop)
        for _ in range(runs):
            _deal(plan, files, limit, progress)
        for own in keys:
            path = directory / (own.name + KEY_SUFFIX)
            own.write(path)
            undo.callback(path.unlink)
        for file, path in zip(files, paths, strict=True):
            file.finish()
            undo.callback(path.unlink)
        sync_directory(directory)
        undo.pop_all()
    return paths


def _deal(plan: Plan, files: Sequence[Writing], limit: int, progress: Callable[[int], None]) -> None:
    """One run's dealing."""
    secrets = [prg.fresh_secret() for _ in files]
    dealing = KeyedDealing([prg.derive(secret, "dealt") for secret in secrets], limit)
    for file, secret in zip(files, secrets, strict=True):
        file.dealing(secret)
    for body in plan.requests:
        for frame in dealing.answer(body):
            payload = frame[HEADER_WORDS:]
            files[-1].write(payload.view("u1").data)
            progress(payload.nbytes)
    for file in files:
        file.end()


def _check_room(directory: Path, need: int) -> None:
    free = shutil.disk_usage(directory).free
    if need > free:
        raise ConfigError(
            f"the stores need {need / 1e6:.1f} MB and {directory} has {free / 1e6:.1f} MB left: fewer --runs need less"
        )
