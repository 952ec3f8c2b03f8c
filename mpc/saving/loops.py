"""Checkpoints of the loops of a program, in the directory that the session was given (``mpc run --checkpoint DIR``).

A program names what its loop changes; each loop has one file per rank, by its place in the program: the third loop with a
checkpoint that party 1 comes to is "loop3.rank1.shares". A program that is started again comes to the same loops in the
same order, skips what it finished and goes on in the one that was interrupted.
"""
from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from mpc.errors import ConfigError, IntegrityError, ShapeError
from mpc.exchange import publish
from mpc.party import Party
from mpc.report import Point
from mpc.saving import files, placing, tree
from mpc.saving.checkpoint import Found, fetch, path_of, store
from mpc.transport.frames import Kind

KEYS: Final = ["loop", "position", "checkpoint"]  # of what is saved


class _Program:
    """What this process has done of its program: loops so far, and the last one's last save."""

    def __init__(self) -> None:
        self.loops = 0
        self.last = b""


_PROGRAM: ContextVar[_Program | None] = ContextVar("mpc_program", default=None)


class _Own(msgspec.Struct, forbid_unknown_fields=True):
    """What a party keeps for itself: which program it runs, and the curves it has drawn."""

    program: str
    points: list[tuple[str, float, float]]


class Loop:
    """One loop with a checkpoint: `position` is what was found of it, `save` writes it down."""

    position: Any = None  # the state of the saved position; None: the loop starts

    def __init__(self, party: Party, number: int, program: _Program, objects: Any, what: dict[str, Any]) -> None:
        assert party.checkpoint is not None
        self._party, self._program, self._objects = party, program, objects
        self.number = number
        self._template = Path(party.checkpoint) / f"loop{number}.shares"
        self.path = path_of(self._template, party.rank)
        self._about = {**what, "after": program.last}

    def save(self, position: Any) -> None:
        """Write the objects and ``position`` (public, or with ``state_dict``) down at all parties. Raises as `mpc.save`."""
        own = _Own(_name(), [(p.name, p.step, p.value) for p in self._party.books.points])
        saved = dict(zip(KEYS, (self._about, position, self._objects), strict=True))
        self._program.last = store(self._party, saved, self._template, msgspec.msgpack.encode(own))

    def find(self) -> None:
        """Load what there is into the objects."""
        with self._party.scope("load"):
            found = fetch(self._party, self.path, "common", "loop", self.number)
            if found is None:
                self._start()
            else:
                self._go_on(found)

    def _start(self) -> None:
        """Nobody has a file, or the first save was interrupted: what it left is of no use."""
        for path in (self.path, files.previous(self.path)):
            if path.exists() and not self._party.dry:
                path.unlink()
                self.tell("the first save was interrupted: the loop starts again")

    def _go_on(self, found: Found) -> None:
        node = found.header.tree
        made = tree.rebuild(node, found.words, self._party)
        if not isinstance(node, tree.Mapping) or [key for key, _ in node.items] != KEYS:
            raise ConfigError(f"{self.path} holds no checkpoint of a loop; give the program a directory of its own")
        self._own(found.header.own)
        self._check(made[KEYS[0]])
        placing.refill(dict(node.items)[KEYS[2]], made[KEYS[2]], self._objects)
        self._program.last = found.header.save
        self.position = made[KEYS[1]]
        if found.note:
            self.tell(f"{found.note}; going back to save number {found.header.sequence}")

    def _own(self, data: bytes) -> None:
        try:
            own = msgspec.msgpack.decode(data, type=_Own)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise IntegrityError(f"{self.path} has an unreadable part: {error}") from None
        if own.program != _name():
            raise ConfigError(f"{self.path} is a checkpoint of {own.program}; this is {_name()}. Give --checkpoint another "
                              "directory, or remove the files to start anew")
        self._party.books.restore([Point(*point) for point in own.points])

    def _check(self, saved: dict[str, Any]) -> None:
        """Is it a checkpoint of this loop? Alike at all parties."""
        for name, here in self._about.items():
            got = saved.get(name)
            if got == here:
                continue
            if name == "after":
                raise ConfigError(
                    f"{self.path} goes on from another run of the loops before it; remove the files of loop {self.number} and "
                    "of those after it to start them anew"
                )
            kind = ShapeError if name == "shapes" else ConfigError
            raise kind(f"{self.path} is a checkpoint of a loop with {name} {got}; here it is {here}")

    def tell(self, text: str) -> None:
        """Say it to whoever runs rank 0."""
        if self._party.rank == 0:
            print(f"mpc: checkpoint: loop {self.number}: {text}", file=sys.stderr, flush=True)


def begin(party: Party, objects: Any, every: int, what: dict[str, Any]) -> Loop | None:
    """The program comes to its next loop: load what there is of it into ``objects``. None without a directory.

    ``what``: public facts that must be as they were at the save. Rounds: 1 small one, and that of `mpc.load`. Raises
    NotSupported for objects that cannot be set back, ConfigError where only some parties have a directory, the files are
    of another program or do not belong together, and what `mpc.load` raises.
    """
    placing.refillable(objects)
    program = _PROGRAM.get()
    if program is None:
        program = _Program()
        _PROGRAM.set(program)
    program.loops += 1
    party.note("loop", program.loops, every, placing.outline(objects), sorted(what.items()))
    if not _directory(party):
        return None
    loop = Loop(party, program.loops, program, objects, what)
    loop.find()
    return loop


def _directory(party: Party) -> bool:
    """Whether the session has a directory, the same at every party; it is there afterwards."""
    trouble = ""
    if party.checkpoint is not None:
        try:
            os.makedirs(party.checkpoint, mode=0o700, exist_ok=True)
        except OSError as error:
            trouble = f"{party.checkpoint}: {error.strerror or error}"
    got = publish(party, Kind.SAVED, np.array([party.checkpoint is not None, bool(trouble)], np.uint64))
    having = [rank for rank, g in enumerate(got) if g[0]]
    failed = [rank for rank, g in enumerate(got) if g[1]]
    if failed:
        rank = party.rank if trouble else failed[0]
        refusal = ConfigError(f"party {rank} cannot use its checkpoint directory" + (f" {trouble}" if trouble else ""))
        refusal.echo = None if trouble else rank
        raise refusal
    if having and len(having) < party.world_size:
        raise ConfigError(f"parties {having} have a checkpoint directory, the others have none; want --checkpoint at each")
    return bool(having)


def _name() -> str:
    return os.path.basename(sys.argv[0])
