"""An opened store: checked, locked for this process, and how far it is used up.

A dealing serves one session. Both marks are written and synced before a session sends anything under it, one after the
other, so that at every moment one of them is whole. A file copied back has old marks: the other parties' protect it.
The session that takes a dealing reads its secret and overwrites it: nobody reads that dealing again from this file, nor
its corrections, also not who steals the file and the party's key.
"""
from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from mpc.config import VERSION, SessionConfig
from mpc.errors import ConfigError, IntegrityError
from mpc.preprocessing import plan as plans
from mpc.preprocessing import sealing
from mpc.preprocessing.layout import (
    BODY,
    FORMAT_VERSION,
    HEADER_AREA,
    MAGIC,
    MARK_BYTES,
    MARKS,
    PREFIX,
    SECRET_SIZE,
    Header,
    correction_key,
    digest,
    mark,
    records_of,
)
from mpc.preprocessing.plan import Plan
from mpc.preprocessing.sealing import RECORD_BYTES, TAG_BYTES, Keys, Records


class Store:
    """An opened store, locked for this process. ``used``: dealings that are used up as far as this file knows."""

    def __init__(self, path: Path, secret_key: str, dealer: bytes | None = None) -> None:
        """``dealer``: the public key that must have written it, where that is known.

        Raises ConfigError for a file that is missing, not writable, in use, or of another release; IntegrityError for one
        that is damaged, cut off, somebody else's, or not the dealer's.
        """
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise ConfigError(
                f"the store {path} cannot be opened for reading and writing: {error.strerror}; `mpc preprocess` makes stores"
            ) from None
        try:
            self.header, area = self._read_header()
            keys = self._keys(secret_key, dealer)
            self._lock()
            self._hash = digest(area, 32)
            self._records = Records(keys.records, self._hash)
            self._marks = keys.marks
            self.plan = self._read_plan()
            self.used = self._read_marks()
        except BaseException:
            os.close(self.fd)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"the store {self.path} is in use by another process: two sessions must not share a dealing; "
                "wait for that run to end, or give this one a store of its own"
            ) from None

    def _read_header(self) -> tuple[Header, bytes]:
        area = os.pread(self.fd, HEADER_AREA, 0)
        if len(area) < HEADER_AREA or area[: len(MAGIC)] != MAGIC:
            raise IntegrityError(f"{self.path} is no store, or was cut off ({len(area)} bytes)")
        _, version, length = PREFIX.unpack_from(area)
        if version != FORMAT_VERSION:
            raise ConfigError(f"{self.path} has format version {version}; this release reads {FORMAT_VERSION}")
        try:
            header = msgspec.msgpack.decode(area[PREFIX.size : PREFIX.size + length], type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise IntegrityError(f"{self.path} has an unreadable header: {error}") from None
        if header.package != VERSION:
            raise ConfigError(f"{self.path} was made by release {header.package}; this is {VERSION}: preprocess again")
        end, _ = header.where(header.runs)
        size = os.fstat(self.fd).st_size
        if size != end:
            raise IntegrityError(f"{self.path} has {size} bytes; its header says {end}: it was cut off or not copied whole")
        return header, area

    def _keys(self, secret_key: str, dealer: bytes | None) -> Keys:
        header = self.header
        if sealing.public_of(secret_key) != header.recipient:
            raise IntegrityError(f"{self.path} is sealed for {header.name} (rank {header.rank}), whose key this is not: "
                                 "every party has a store of its own")
        if dealer is not None and dealer != header.dealer:
            raise IntegrityError(f"{self.path} does not come from the dealer in run.toml: whoever made it may know every mask")
        return sealing.opened(header.ephemeral, header.dealer, secret_key)

    def _read_plan(self) -> Plan:
        data = bytearray()
        for number in range(records_of(self.header.plan_bytes)):
            at = BODY + number * (RECORD_BYTES + TAG_BYTES)
            size = min(RECORD_BYTES, self.header.plan_bytes - len(data)) + TAG_BYTES
            data += self._records.open(number, os.pread(self.fd, size, at), str(self.path))
        plan = plans.decode(bytes(data), str(self.path))
        if plan.digest != self.header.plan:
            raise IntegrityError(f"{self.path}: its plan is not the one that its header names")
        return plan

    def _read_marks(self) -> int:
        whole = []
        for at in MARKS:
            found = os.pread(self.fd, MARK_BYTES, at)
            used = int.from_bytes(found[:8], "little")
            if found == mark(used, self._marks):
                whole.append(used)
        if not whole:
            raise IntegrityError(f"{self.path}: both marks of how far it is used up are damaged; preprocess again")
        return max(whole)

    def use(self, used: int) -> None:
        """Note durably that ``used`` dealings are used up. Never fewer than before. Raises ConfigError."""
        if used < self.used:
            raise ValueError(f"{used} dealings used up after {self.used}")
        try:
            for at in MARKS:
                os.pwrite(self.fd, mark(used, self._marks), at)
                os.fsync(self.fd)
        except OSError as error:
            raise ConfigError(f"{self.path}: what is used up cannot be noted ({error.strerror}); nothing was used") from None
        self.used = used

    def take(self, number: int) -> tuple[bytes, Records]:
        """Dealing ``number``'s secret and what opens its corrections, once: from now on zeros stand in its place, and in
        those of all before it. Raises IntegrityError for one that is altered or was taken, ConfigError where the file
        cannot be written."""
        at, record = self.header.where(number)
        secret = self._records.open(record, os.pread(self.fd, SECRET_SIZE, at), str(self.path))
        try:
            for before in range(number + 1):  # a session that was killed, or that others had without this party, took none
                os.pwrite(self.fd, bytes(SECRET_SIZE), self.header.where(before)[0])
            os.fsync(self.fd)
        except OSError as error:
            raise ConfigError(f"{self.path}: a used dealing cannot be overwritten ({error.strerror})") from None
        return secret, Records(correction_key(secret), self._hash)

    def check(self, rank: int, config: SessionConfig) -> None:
        """Raise IntegrityError for another rank's store, ConfigError for one made for other settings."""
        header = self.header
        if header.rank != rank:
            raise IntegrityError(f"{self.path} is the store of rank {header.rank} ({header.name}); this is party {rank}")
        for what in ("world_size", "protocol", "frac_bits"):
            got, want = getattr(header, what), getattr(config, what)
            if got != want:
                raise ConfigError(f"{self.path} was made for {what} {got!r}; this session has {want!r}: preprocess again")
        want = self.plan.correction_bytes if rank == header.world_size - 1 else 0
        if header.correction_bytes != want:
            raise IntegrityError(f"{self.path} has corrections of {header.correction_bytes} bytes; its plan needs {want}")

    def close(self) -> None:
        """Release the lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
