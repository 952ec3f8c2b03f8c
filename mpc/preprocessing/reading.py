"""Corrections of one dealing in order, read from disk and decrypted ahead of use by a thread that touches nothing else."""
from __future__ import annotations

import os
import queue
import threading
from typing import Final

from mpc.errors import IntegrityError, PreprocessingExhausted
from mpc.preprocessing.layout import SECRET_SIZE
from mpc.preprocessing.sealing import RECORD_BYTES, TAG_BYTES, Records
from mpc.preprocessing.store import Store

AHEAD: Final = 16  # records that are decrypted and not used yet: 16 MiB
LOOK_SECONDS: Final = 0.2


class Reader:
    """The corrections of dealing ``number`` of a store, which ``records`` opens."""

    def __init__(self, store: Store, number: int, records: Records) -> None:
        self._store = store
        self._records = records
        at, record = store.header.where(number)
        self._at, self._record = at + SECRET_SIZE, record + 1
        self._size = store.header.correction_bytes
        self._left = self._size
        self._present = memoryview(b"")
        self._sealed = memoryview(bytearray(min(RECORD_BYTES, self._size) + TAG_BYTES))  # used again: pages that are there
        self._ready: queue.Queue[bytes | BaseException] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store reader", daemon=True)
        self._thread.start()

    def into(self, out: memoryview) -> None:
        """Fill ``out`` with the next bytes. Raises IntegrityError for altered or unreadable ones."""
        if len(out) > self._left:
            raise PreprocessingExhausted(f"{len(out)} bytes of a dealing that has {self._left} left")
        self._left -= len(out)
        at = 0
        while at < len(out):
            if not self._present:
                got = self._ready.get()
                if isinstance(got, BaseException):
                    self._ready.put(got)  # for whoever asks again
                    raise got
                self._present = memoryview(got)
            n = min(len(self._present), len(out) - at)
            out[at : at + n] = self._present[:n]
            self._present = self._present[n:]
            at += n

    def _run(self) -> None:
        try:
            done = 0
            while done < self._size and not self._stopped.is_set():
                nbytes = min(RECORD_BYTES, self._size - done)
                self._put(self._next(nbytes))
                done += nbytes
        except BaseException as error:  # raised where the bytes are needed
            self._put(error)

    def _next(self, nbytes: int) -> bytes:
        store, sealed = self._store, self._sealed[: nbytes + TAG_BYTES]
        try:
            got = os.preadv(store.fd, [sealed], self._at)
        except OSError as error:
            raise IntegrityError(f"{store.path}: unreadable at byte {self._at} ({error.strerror})") from None
        if got != len(sealed):
            raise IntegrityError(f"{store.path} ends at byte {self._at + got}: it was cut off meanwhile")
        plain = self._records.open(self._record, sealed, str(store.path))
        self._at += nbytes + TAG_BYTES
        self._record += 1
        return plain

    def _put(self, item: bytes | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=LOOK_SECONDS)
                return
            except queue.Full:
                continue

    def close(self) -> None:
        """Stop the thread before the file is closed."""
        self._stopped.set()
        self._thread.join()
