"""Files of secrets: readable by their owner only, written whole, never replaced, refused where others may read them."""
from __future__ import annotations

import os
import stat
from pathlib import Path

from mpc.errors import ConfigError


def write(path: Path | str, data: bytes) -> None:
    """A new file of mode 0600. Raises ConfigError where it exists (a key is never replaced) or cannot be written."""
    path = Path(path)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists; keys are not replaced: move it away first, or take another name") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)  # half a key would be in the way of the whole one
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def read(path: Path | str, limit: int, what: str, otherwise: str) -> bytes:
    """The bytes of a file. ``what``: what it should be, as "file of a key share"; ``otherwise``: what to do if it was read.

    A symbolic link is followed: secrets are often mounted so. What it leads to is what counts. Raises ConfigError where it
    is missing, no regular file, readable by group or others, or longer than ``limit``.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe that nobody writes to is not waited for
        with open(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            data = file.read(limit + 1) if stat.S_ISREG(mode) and not mode & 0o077 else b""
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"the key file {path} is no regular file")
    if mode & 0o077:
        others = f"has mode {stat.S_IMODE(mode):04o}: others may read it"
        raise ConfigError(f"the {what} {path} {others}. `chmod 600 {path}` if nobody did; {otherwise}")
    if len(data) > limit:
        raise ConfigError(f"{path} is no {what}: it has more than {limit} bytes")
    return data
