"""The key of pseudonyms and its file: mode 0600, never replaced, refused where others may read it (as `mpc.identity` does
it)."""
from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from mpc import prg
from mpc.errors import ConfigError

MAX_BYTES: Final = 4096
BYTES: Final = 32


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    masking_key: str

    def __repr__(self) -> str:
        return "a masking key file"


class MaskingKey:
    """32 bytes from which the keys of all columns are derived. Never printed, compared in constant time, not pickled.

    Whoever has it turns reversible pseudonyms back, and tests any guess against the others. Without it a pseudonym tells
    nothing but its format and which values are equal; a plain hash, which needs no key, is undone by hashing every guess.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != BYTES:
            raise ConfigError(f"a masking key of {len(secret)} bytes; want {BYTES}, from MaskingKey.create()")
        self._secret = bytes(secret)

    @classmethod
    def create(cls) -> MaskingKey:
        """A new key, from the operating system."""
        return cls(prg.fresh_secret())

    def derive(self, *purpose: str) -> bytes:
        """32 bytes for this purpose alone: HMAC-SHA-256 of its parts with their lengths."""
        parts = b"".join(len(p).to_bytes(4, "big") + p for p in (part.encode() for part in ("mpc masking v1", *purpose)))
        return hmac.new(self._secret, parts, hashlib.sha256).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskingKey) and hmac.compare_digest(self._secret, other._secret)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "MaskingKey(...)"

    def __reduce__(self) -> str:
        raise TypeError("a masking key is not pickled; write(path) keeps it, readable by its owner only")

    def write(self, path: Path | str) -> None:
        """Write the key file, readable by its owner only. Raises ConfigError where it exists or cannot be written."""
        path = Path(path)
        text = f'# The key of pseudonyms: who reads it turns them back.\nmasking_key = "{self._secret.hex()}"\n'
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

    @classmethod
    def load(cls, path: Path | str) -> MaskingKey:
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
                f"the masking key {path} has mode {stat.S_IMODE(mode):04o}: others may read it. `chmod 600 {path}` if nobody "
                "did; otherwise make a new key and mask again"
            )
        try:
            if len(data) > MAX_BYTES:
                raise ValueError
            return cls(bytes.fromhex(msgspec.toml.decode(data, type=_File).masking_key))
        except (msgspec.MsgspecError, ValueError, ConfigError):  # without their messages: a part of the key could be in them
            raise ConfigError(f"{path} is no file of a masking key") from None
