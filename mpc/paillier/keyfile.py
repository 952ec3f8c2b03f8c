"""The private key's file: mode 0600, never replaced, refused where others may read it (as `mpc.identity` does it)."""
from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from mpc.errors import ConfigError
from mpc.paillier.keys import PrivateKey

MAX_BYTES: Final = 1 << 14


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    paillier_p: str
    paillier_q: str
    paillier_h: str = ""

    def __repr__(self) -> str:
        return "a Paillier key file"


def write_private_key(key: PrivateKey, path: Path | str) -> None:
    """Write the key file, readable by its owner only. Raises ConfigError where it exists or cannot be written."""
    path = Path(path)
    h = key.public_key.h
    text = (
        f"# The private key of {key.public_key.fingerprint.hex()}: who reads it reads all that is encrypted under it.\n"
        f'paillier_p = "{key.p:x}"\npaillier_q = "{key.q:x}"\n' + ("" if h is None else f'paillier_h = "{h:x}"\n')
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


def load_private_key(path: Path | str, *, insecure_any_size: bool = False) -> PrivateKey:
    """The key in a file. Raises ConfigError where it is missing, damaged, or readable by group or others."""
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
            f"the private key {path} has mode {stat.S_IMODE(mode):04o}: others may read it. `chmod 600 {path}` if nobody did; "
            "otherwise make a new key and give everybody its public half"
        )
    try:
        if len(data) > MAX_BYTES:
            raise ValueError
        found = msgspec.toml.decode(data, type=_File)
        p, q, h = (int(text, 16) if text else None for text in (found.paillier_p, found.paillier_q, found.paillier_h))
        if p is None or q is None:
            raise ValueError
    except (msgspec.MsgspecError, ValueError):  # without their messages: a part of the key could be in them
        raise ConfigError(f"{path} is no file of a Paillier private key") from None
    return PrivateKey(p, q, h, insecure_any_size=insecure_any_size)
