"""The file of one party's key share: mode 0600, never replaced; plain, or sealed so that it can travel.

Sealed (`mpc.preprocessing.sealing`: X25519, HKDF, AES-256-GCM) it opens with the recipient's secret key of `mpc keygen` alone,
and nobody but the writer (or the recipient) can have made it.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec
from gmpy2 import mpz

from mpc import key_file
from mpc.errors import AuthenticationError, ConfigError
from mpc.identity import Identity
from mpc.paillier.keys import PublicKey
from mpc.paillier.threshold import KeyShare, ThresholdKey
from mpc.preprocessing import sealing

MAGIC: Final = b"MPCKS1\0\0"
MAX_BYTES: Final = 1 << 16


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rank: int
    parties: int
    threshold: int
    n: str
    h: str
    v: str
    verification: tuple[str, ...]
    secret: str

    def __repr__(self) -> str:
        return "a key share's file"


def write_key_share(share: KeyShare, path: Path | str, *, recipient: str | None = None, writer: Identity | None = None) -> None:
    """Write the share of one party. ``recipient``: its public key of `mpc keygen`, and ``writer`` the identity of who deals:
    the file is then sealed. Raises ConfigError where the file exists or cannot be written."""
    if (recipient is None) != (writer is None):
        raise ConfigError("a sealed key share needs both a recipient and a writer")
    key = share.key
    public = key.public_key
    held = _File(
        share.rank, key.parties, key.threshold, f"{public.n:x}", "" if public.h is None else f"{public.h:x}", f"{key.v:x}",
        tuple(f"{x:x}" for x in key.verification), f"{share.secret:x}",
    )  # fmt: skip
    data = b"# A share of a Paillier key: it stays with its party.\n" + msgspec.toml.encode(held)
    if recipient is not None and writer is not None:
        ephemeral, sender, keys = sealing.written(sealing.public_bytes(recipient), writer.secret_key)
        head = MAGIC + ephemeral + sender
        data = head + sealing.Records(keys.records, hashlib.sha256(head).digest()).seal(0, data)
    key_file.write(path, data)


def load_key_share(
    path: Path | str, *, identity: Identity | None = None, writer: str | None = None, insecure_any_size: bool = False
) -> KeyShare:
    """The share in a file. For a sealed one, ``identity`` is the party's own and ``writer`` the dealing process's public key.

    Raises ConfigError (missing, damaged, readable by others), IntegrityError (altered, for somebody else, or not what was
    dealt), AuthenticationError (sealed by another writer).
    """
    path = Path(path)
    data = key_file.read(path, MAX_BYTES, "file of a Paillier key share", "otherwise deal a new key")
    if data.startswith(MAGIC):
        if identity is None or writer is None:
            raise ConfigError(f"{path} is sealed: want the identity it was sealed for, and the public key of its writer")
        head, sealed = data[: len(MAGIC) + 2 * sealing.KEY_BYTES], data[len(MAGIC) + 2 * sealing.KEY_BYTES :]
        ephemeral, sender = head[len(MAGIC) : -sealing.KEY_BYTES], head[-sealing.KEY_BYTES :]
        if sender != sealing.public_bytes(writer):
            raise AuthenticationError(f"{path} was sealed by another key than {writer}")
        keys = sealing.opened(ephemeral, sender, identity.secret_key)
        data = sealing.Records(keys.records, hashlib.sha256(head).digest()).open(0, sealed, str(path))
    try:
        held = msgspec.toml.decode(data, type=_File)
        n, v, secret = (mpz(text, 16) for text in (held.n, held.v, held.secret))
        h = mpz(held.h, 16) if held.h else None
        verification = [mpz(text, 16) for text in held.verification]
    except (msgspec.MsgspecError, ValueError):  # without their messages: a part of the secret could be in them
        raise ConfigError(f"{path} is no file of a Paillier key share") from None
    public = PublicKey(n, h, insecure_any_size=insecure_any_size)
    return KeyShare(ThresholdKey(public, held.parties, held.threshold, v, verification), held.rank, secret)
