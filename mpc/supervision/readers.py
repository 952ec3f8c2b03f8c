"""What comes out of a child's pipes: its outcome, its output, and what the template process says of it.

Each reader is called with every block that arrived, and with an empty one at the end of the stream.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

import msgspec

from mpc.pipes import Ended, Failure, Message, Paused, unframed
from mpc.supervision.child import Child

STDERR_KEPT: Final = 1 << 16  # bytes of a silent party's stderr kept for its failure


class Inbox:
    """Collects a child's one message."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._data = bytearray()

    def __call__(self, block: bytes) -> None:
        self._data += block
        for data in unframed(self._data):
            child = self.child
            child.message = msgspec.msgpack.decode(data, type=Message)
            child.reported = time.monotonic()
            if isinstance(child.message, Failure):
                child.failed = child.reported


class Relay:
    """Passes a child's output on, line by line and marked where all output is wanted; keeps the end of its stderr."""

    def __init__(self, child: Child, stream: str, marked: bool) -> None:
        self.child = child
        self._marked = marked
        self._shown = marked or child.rank == 0
        self._stream = stream
        self._line = b""

    def __call__(self, block: bytes) -> None:
        if self._stream == "stderr":
            self.child.stderr = (self.child.stderr + block)[-STDERR_KEPT:]
        if not self._shown:
            return
        if self._marked:
            lines = (self._line + block).split(b"\n")
            self._line = b"" if not block else lines.pop()
            label = str(self.child.rank) if self.child.is_party else "dealer"
            text = "".join(f"[{label}] {line.decode(errors='replace')}\n" for line in lines if block or line)
        else:
            text = block.decode(errors="replace")
        target = sys.stdout if self._stream == "stdout" else sys.stderr
        target.write(text)
        target.flush()


class Statuses:
    """Reads what the template process says of its children; ``None`` at its end."""

    def __init__(self, hear: Callable[[Ended | Paused | None], None]) -> None:
        self._hear = hear
        self._data = bytearray()

    def __call__(self, block: bytes) -> None:
        self._data += block
        for data in unframed(self._data):
            self._hear(msgspec.msgpack.decode(data, type=Ended | Paused))
        if not block:
            self._hear(None)
