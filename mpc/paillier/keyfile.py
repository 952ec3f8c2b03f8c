"""The private key's file (`mpc.key_file`)."""
from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from mpc import key_file
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
    h = key.public_key.h
    text = (
        f"# The private key of {key.public_key.fingerprint.hex()}: who reads it reads all that is encrypted under it.\n"
        f'paillier_p = "{key.p:x}"\npaillier_q = "{key.q:x}"\n' + ("" if h is None else f'paillier_h = "{h:x}"\n')
    )
    key_file.write(path, text.encode())


def load_private_key(path: Path | str, *, insecure_any_size: bool = False) -> PrivateKey:
    """The key in a file. Raises ConfigError where it is missing, damaged, or readable by group or others."""
    otherwise = "otherwise make a new key and give everybody its public half"
    data = key_file.read(path, MAX_BYTES, "file of a Paillier private key", otherwise)
    try:
        found = msgspec.toml.decode(data, type=_File)
        p, q, h = (int(text, 16) if text else None for text in (found.paillier_p, found.paillier_q, found.paillier_h))
        if p is None or q is None:
            raise ValueError
    except (msgspec.MsgspecError, ValueError):  # without their messages: a part of the key could be in them
        raise ConfigError(f"{path} is no file of a Paillier private key") from None
    return PrivateKey(p, q, h, insecure_any_size=insecure_any_size)
