"""What the launcher and the processes that it starts say to each other over inherited pipes: length, then msgpack.

Pickled functions, results and exceptions travel inside, between a process and its own children only.
"""
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from mpc.config import Launch
from mpc.report import Report

READ_BYTES: Final = 1 << 20
PACKAGE: Final = os.path.dirname(os.path.realpath(__file__))
T = TypeVar("T")


class Task(msgspec.Struct, tag=True):
    """What a child is to do: a pickled (function, args), or a script; neither for the dealer."""

    directory: str  # the private directory, removed by whoever is left when the parent dies
    package: str  # the parent's folder of mpc: a child that found another one refuses
    path: list[str] = []
    call: bytes | None = None
    script: str | None = None
    argv: list[str] = []
    report: bool = False


class Result(msgspec.Struct, tag=True):
    """A party finished; ``value`` is pickled. ``reports``: of its sessions, when asked for. ``left``: the traceback of a
    ``sys.exit(0)`` inside a session, which is no success if the others went on."""

    value: bytes
    reports: list[Report] = []
    left: str = ""


class Failure(msgspec.Struct, tag=True):
    """A party raised. ``exception`` is the pickled exception where that works; ``exit`` the code of a SystemExit;
    ``peer`` whom it missed or found fault with; ``site`` the program's file and line."""

    kind: str
    message: str
    traceback: str = ""
    echo: int | None = None
    exception: bytes | None = None
    exit: int | None = None
    peer: int | None = None
    site: str = ""


class Seat(msgspec.Struct):
    """One child of the template process: its place and its descriptors (-1: the template's own stream)."""

    launch: Launch
    control: int
    results: int
    stdout: int = -1
    stderr: int = -1

    @property
    def descriptors(self) -> list[int]:
        return [fd for fd in (self.control, self.results, self.stdout, self.stderr) if fd >= 0]


class Plan(msgspec.Struct):
    """What the template process is to fork."""

    seats: list[Seat]


class Ended(msgspec.Struct, tag=True):
    """A child of the template process has ended, with this exit code (minus the signal that killed it)."""

    rank: int
    code: int


class Paused(msgspec.Struct, tag=True):
    """A child of the template process was stopped (SIGSTOP), or goes on."""

    rank: int
    paused: bool


Message = Result | Failure


def framed(message: msgspec.Struct) -> bytes:
    """Length and content of one message."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(8, "little") + data


def unframed(data: bytearray) -> Iterator[bytes]:
    """Take the whole messages off the front of ``data``."""
    while len(data) >= 8 and len(data) >= (size := 8 + int.from_bytes(data[:8], "little")):
        content = bytes(memoryview(data)[8:size])
        del data[:size]
        yield content


def write_frame(fd: int, message: msgspec.Struct) -> None:
    """Send one message on a blocking pipe."""
    data = memoryview(framed(message))
    while data:
        data = data[os.write(fd, data) :]


def read_frame(fd: int, kind: type[T]) -> T | None:
    """The next message on a blocking pipe; None when its other end went first."""
    data = bytearray()
    want = 8
    while len(data) < want:
        block = os.read(fd, min(want - len(data), READ_BYTES))
        if not block:
            return None
        data += block
        if len(data) == 8:
            want += int.from_bytes(data, "little")
    return msgspec.msgpack.decode(memoryview(data)[8:], type=kind)
