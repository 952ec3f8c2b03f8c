"""Who a process is to the others: a CURVE key pair (Curve25519) with a name, and its file.

The secret half is 32 bytes of the operating system's randomness. Public keys are compared out of band (by telephone, on
paper) and stand in everybody's run.toml; a secret key never leaves the machine it was made on.
"""
from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path
from typing import Any, Final

import msgspec
import zmq
from zmq.utils import z85

from mpc.errors import ConfigError

KEY_VARIABLE: Final = "MPC_KEY"
MAX_BYTES: Final = 4096  # of a key file
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name and its key pair, both halves in Z85 (40 characters). Never printed."""

    name: str
    public_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Identity({self.name}, {self.public_key})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("public_key", self.public_key)]

    def write(self, path: Path) -> None:
        """Write the key file, readable by its owner only. Raises ConfigError where it exists: a key is never replaced."""
        text = (
            f"# The secret key of {self.name}: it stays on this machine. Its public half belongs into run.toml.\n"
            f'name = "{self.name}"\npublic_key = "{self.public_key}"\nsecret_key = "{self.secret_key}"\n'
        )
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except FileExistsError:
            raise ConfigError(f"{path} exists; keys are not replaced: move it away first, or take another name") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
        try:
            with open(handle, "w") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)  # half a key would be in the way of the whole one
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def create(name: str) -> Identity:
    """A new key pair. ``name``: letters, digits, dots, dashes and underscores. Raises ConfigError."""
    checked_name(name)
    secret = z85.encode(os.urandom(32))
    return Identity(name, zmq.curve_public(secret).decode(), secret.decode())


def load(path: Path) -> Identity:
    """The identity in a key file. Raises ConfigError where it is missing, damaged, or readable by group or others.

    A symbolic link is followed: secrets are often mounted so. What it leads to is what counts.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe that nobody writes to is not waited for
        with open(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            data = file.read(MAX_BYTES + 1) if stat.S_ISREG(mode) and not mode & 0o077 else b""
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"the key file {path} is no regular file")
    if mode & 0o077:
        raise ConfigError(
            f"the secret key {path} has mode {stat.S_IMODE(mode):04o}: others may read it. `chmod 600 {path}` if nobody did; "
            "otherwise make a new key with `mpc keygen` and give everybody its public half"
        )
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is no key file of `mpc keygen`: it has more than {MAX_BYTES} bytes")
    try:
        identity = msgspec.toml.decode(data, type=Identity)
        public = zmq.curve_public(identity.secret_key.encode("ascii")).decode()
    except (msgspec.MsgspecError, ValueError, zmq.ZMQError) as error:  # none of their messages quotes the key
        what = "its secret_key is none" if isinstance(error, zmq.ZMQError) else _plain(error)
        raise ConfigError(f"{path} is no key file of `mpc keygen`: {what}") from None
    if public != identity.public_key:
        raise ConfigError(f"{path}: its public and secret keys do not belong together")
    return identity


def _plain(error: Exception) -> str:
    """What is wrong with a key file, without a part of it."""
    return "it is no text" if isinstance(error, UnicodeError) else str(error)


def checked_name(name: str) -> str:
    """``name``, if it can be one. Raises ConfigError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"got name {name!r}; want 1 to 63 letters, digits, dots, dashes or underscores, as in 'st-marys'")
    return name


def checked_public_key(key: str, whose: str) -> str:
    """``key``, if it can be a public key. Raises ConfigError."""
    try:
        fine = len(key) == 40 and len(z85.decode(key)) == 32
    except (ValueError, KeyError, IndexError, struct.error):  # the last: five characters beyond 2^32
        fine = False
    if not fine:
        raise ConfigError(f"{whose}: got public_key {key!r}; want the 40 characters that `mpc keygen` printed")
    return key
