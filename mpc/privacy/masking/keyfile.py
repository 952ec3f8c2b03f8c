"""The key of pseudonyms and its file (`mpc.key_file`)."""
from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final

import msgspec

from mpc import key_file, prg
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
        text = f'# The key of pseudonyms: who reads it turns them back.\nmasking_key = "{self._secret.hex()}"\n'
        key_file.write(path, text.encode())

    @classmethod
    def load(cls, path: Path | str) -> MaskingKey:
        """The key in a file. Raises ConfigError where it is missing, damaged, or readable by group or others."""
        data = key_file.read(path, MAX_BYTES, "file of a masking key", "otherwise make a new key and mask again")
        try:
            return cls(bytes.fromhex(msgspec.toml.decode(data, type=_File).masking_key))
        except (msgspec.MsgspecError, ValueError, ConfigError):  # without their messages: a part of the key could be in them
            raise ConfigError(f"{path} is no file of a masking key") from None
