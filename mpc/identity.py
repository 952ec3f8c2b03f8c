"""Who a process is to the others: a CURVE key pair (Curve25519) with a name, and its file.

The secret half is 32 bytes of the operating system's randomness. Public keys are compared out of band (by telephone, on
paper) and stand in everybody's run.toml; a secret key never leaves the machine it was made on.
"""
from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Any, Final

import msgspec
import zmq
from zmq.utils import z85

from mpc import key_file
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
        key_file.write(path, text.encode())


def create(name: str) -> Identity:
    """A new key pair. ``name``: letters, digits, dots, dashes and underscores. Raises ConfigError."""
    checked_name(name)
    secret = z85.encode(os.urandom(32))
    return Identity(name, zmq.curve_public(secret).decode(), secret.decode())


def load(path: Path) -> Identity:
    """The identity in a key file. Raises ConfigError where it is missing, damaged, or readable by group or others."""
    otherwise = "otherwise make a new key with `mpc keygen` and give everybody its public half"
    data = key_file.read(path, MAX_BYTES, "key file of `mpc keygen`", otherwise)
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
