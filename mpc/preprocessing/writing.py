"""A new store: sections of sealed records, written beside its place, synced, and put there in one step."""
from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mpc.errors import ConfigError
from mpc.preprocessing.layout import Header, correction_key, digest, mark
from mpc.preprocessing.sealing import RECORD_BYTES, Keys, Records


class Writing:
    """A new store beside its place; `finish` puts it there, `drop` removes it. Never over an existing one."""

    def __init__(self, path: Path, header: Header, keys: Keys, plan: bytes) -> None:
        self._path = path
        self._new = path.with_name(path.name + ".new")
        area = header.area()
        self._header = digest(area, 32)
        self._own = self._records = Records(keys.records, self._header)
        self._number = 0
        self._buffer = bytearray()
        if path.exists():
            raise ConfigError(f"{path} exists already: stores are never replaced; give another directory, or move it away")
        with contextlib.suppress(FileNotFoundError):
            self._new.unlink()
        handle = os.open(self._new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
        self._file = open(handle, "wb")  # closed by finish or drop
        self._file.write(area + 2 * mark(0, keys.marks))
        self.write(plan)
        self.end()

    def dealing(self, secret: bytes) -> None:
        """The next dealing begins: its secret, and then what only that opens."""
        self._records = self._own
        self.write(secret)
        self.end()
        self._records = Records(correction_key(secret), self._header)

    def write(self, data: bytes | memoryview) -> None:
        """More of the present section."""
        rest = memoryview(data)
        while len(self._buffer) + len(rest) >= RECORD_BYTES:
            room = RECORD_BYTES - len(self._buffer)
            whole = rest[:room] if not self._buffer else bytes(self._buffer) + bytes(rest[:room])
            self._buffer.clear()
            self._seal(whole)
            rest = rest[room:]
        self._buffer += rest

    def end(self) -> None:
        """The section ends: the next one begins with a record of its own."""
        if self._buffer:
            self._seal(bytes(self._buffer))
            self._buffer.clear()

    def _seal(self, plaintext: bytes | memoryview) -> None:
        self._file.write(self._records.seal(self._number, plaintext))
        self._number += 1

    def finish(self) -> None:
        """Durable, then in its place."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.link(self._new, self._path)  # fails where another one came in the meantime
        self._new.unlink()
        sync_directory(self._path.parent)

    def drop(self) -> None:
        """Leave nothing."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._new.unlink()


def sync_directory(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
