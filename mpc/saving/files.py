"""One party's file of shares: its format, its integrity check, and how it is replaced. No parties, no network.

::

    8 bytes    magic
    8 bytes    format version, little-endian
    8 bytes    length of the header
    header     msgpack of `Header`: what the session was, which save this is, and the structure (see `mpc.saving.tree`)
    words      the shares of all tensors in the order of the structure, little-endian
    32 bytes   BLAKE2b of everything before

There is no pickle in it, and nothing of it is executed. The digest finds damage; it has no key, so it does not stop
whoever can write the file: a party can always change its own shares.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np

from mpc.errors import ConfigError, IntegrityError
from mpc.fixed_point import Words
from mpc.saving.tree import Node, words_of

MAGIC: Final = b"MPCSHARE"
FORMAT_VERSION: Final = 1
ID_BYTES: Final = 16
_NUMBERS: Final = slice(8, 24)
_PREFIX: Final = 24
_DIGEST: Final = 32


class Header(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What stands before the words. All but ``rank`` and ``own`` is public, and the same at every party."""

    package: str  # release that wrote it; told in messages, not compared
    world_size: int
    rank: int
    frac_bits: int
    protocol: str
    save: bytes  # random, made by all parties together: the shares of one save belong together
    sequence: Annotated[int, msgspec.Meta(ge=0, lt=2**62)]  # saves at this path so far
    tree: Node
    own: bytes = b""  # what this party alone keeps beside it; nobody else sees or compares it

    def common(self) -> bytes:
        """16 bytes that are the same at all parties of one save."""
        same = msgspec.structs.replace(self, rank=0, own=b"")
        return hashlib.blake2b(msgspec.msgpack.encode(same), digest_size=16, person=b"mpc-saved-v1").digest()


def encode(header: Header, words: Words) -> bytes:
    """The whole file."""
    head = msgspec.msgpack.encode(header)
    numbers = FORMAT_VERSION.to_bytes(8, "little") + len(head).to_bytes(8, "little")
    body = b"".join((MAGIC, numbers, head, np.ascontiguousarray(words, "<u8").tobytes()))
    return body + hashlib.blake2b(body, digest_size=_DIGEST).digest()


_DECODER: Final = msgspec.msgpack.Decoder(Header)  # made here: several threads at their first decoding of a type crash


def decode(data: bytes, path: Path) -> tuple[Header, Words]:
    """(header, words) of a file. Raises IntegrityError for a damaged or foreign one, ConfigError for another version."""
    if len(data) < _PREFIX + _DIGEST or data[: len(MAGIC)] != MAGIC:
        raise IntegrityError(f"{path} is no file of shares, or was cut off ({len(data)} bytes)")
    numbers = data[_NUMBERS]
    version, length = int.from_bytes(numbers[:8], "little"), int.from_bytes(numbers[8:], "little")
    body, digest = memoryview(data)[:-_DIGEST], data[-_DIGEST:]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise IntegrityError(f"{path} is damaged: its contents do not fit its checksum")
    if version != FORMAT_VERSION:
        raise ConfigError(f"{path} has format version {version}; this release reads {FORMAT_VERSION}")
    try:
        header = _DECODER.decode(body[_PREFIX : _PREFIX + length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"{path} has an unreadable header: {error}") from None
    rest = len(body) - _PREFIX - length
    if len(header.save) != ID_BYTES or rest != 8 * words_of(header.tree):
        raise IntegrityError(f"{path} holds {rest} bytes of shares; its header says {8 * words_of(header.tree)}")
    return header, np.frombuffer(body, "<u8", offset=_PREFIX + length).astype(np.uint64)


def read(path: Path) -> tuple[Header, Words]:
    """What a file holds. Raises FileNotFoundError, OSError, IntegrityError, ConfigError."""
    return decode(path.read_bytes(), path)


def previous(path: Path) -> Path:
    """Where the generation before ``path`` is kept."""
    return path.with_name(path.name + ".previous")


class Writing:
    """A new file beside ``path``, durable but not in its place yet: `finish` puts it there, `drop` removes it.

    The name is always the same, so a process that was killed leaves at most one, which the next save overwrites.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._new = path.with_name(path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            self._new.unlink()
        try:
            handle = os.open(self._new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with open(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self.drop()
            raise

    def finish(self, keep: bool) -> None:
        """Replace ``path`` in one step. ``keep``: what stood there becomes the previous generation."""
        if keep:
            old, spare = previous(self._path), self._path.with_name(self._path.name + ".old")
            with contextlib.suppress(FileNotFoundError):
                spare.unlink()
            try:
                os.link(self._path, spare)  # at every moment there is a whole file at `path`
                os.replace(spare, old)
            except OSError:  # a file system without links: for a moment the previous one is all there is
                os.replace(self._path, old)
            with contextlib.suppress(FileNotFoundError):
                spare.unlink()  # where both were the same file already, replacing did nothing
        os.replace(self._new, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self) -> None:
        """Leave everything as it was."""
        with contextlib.suppress(FileNotFoundError):
            self._new.unlink()
