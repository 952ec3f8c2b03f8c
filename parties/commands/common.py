"""What several commands need."""
from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from mpc import runfile
from mpc.config import Launch
from mpc.errors import MPCError
from mpc.failures import exit_code
from mpc.runfile import RunFile


def choice(name: str, values: tuple[str, ...], got: str) -> str:
    """``got`` if it is one of ``values``; otherwise a usage error."""
    if got not in values:
        raise typer.BadParameter(f"got {got!r}; want one of {', '.join(values)}", param_hint=name)
    return got


@contextmanager
def failing() -> Iterator[None]:
    """Errors of the engine and the operating system as one line and an exit code."""
    try:
        yield
    except MPCError as error:
        print(f"mpc: {error}", file=sys.stderr)
        raise typer.Exit(exit_code(error)) from None
    except OSError as error:
        print(f"mpc: {error}", file=sys.stderr)
        raise typer.Exit(6) from None
    except KeyboardInterrupt:
        print("mpc: interrupted", file=sys.stderr)
        raise typer.Exit(130) from None


def seat(config: str, name: str, key: str | None) -> tuple[RunFile, Launch]:
    """What run.toml says of the process ``name``, which holds secrets from now on: a crash leaves no core file.

    Raises ConfigError; warns where the run does without keys."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    path = Path(config)
    file = runfile.read(path)
    rank = file.rank_of(name)
    launch = file.launch(rank, runfile.key_of(file, path, name, key))
    if file.insecure_plaintext:
        print(
            "mpc: WARNING: insecure_plaintext = true: whoever is on the network reads every message and can pose as any "
            "party; with the messages of all links everything can be learned",
            file=sys.stderr,
        )
    return file, launch
