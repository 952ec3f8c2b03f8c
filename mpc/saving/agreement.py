"""What each party holds at a path, and what all of them together can load. Pure but for `look`, which reads a file.

Every party sends one record per generation and gets all records, so all of them decide the same from the same facts.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mpc.config import SessionConfig
from mpc.errors import ConfigError, IntegrityError, MPCError
from mpc.fixed_point import Words
from mpc.saving import files

RECORD_WORDS: Final = 6


class Status(IntEnum):
    """Why a file cannot be loaded here."""

    FINE = 0
    MISSING = 1
    UNREADABLE = 2
    DAMAGED = 3
    VERSION = 4
    RANK = 5
    WORLD_SIZE = 6
    FRAC_BITS = 7
    PROTOCOL = 8


# what the other parties are told, and the class that all of them raise
_MEANING: Final[dict[Status, tuple[str, type[MPCError]]]] = {
    Status.MISSING: ("has no file", ConfigError),
    Status.UNREADABLE: ("may not read its file", ConfigError),
    Status.DAMAGED: ("has a damaged file", IntegrityError),
    Status.VERSION: ("has a file of another format version", ConfigError),
    Status.RANK: ("has the file of another rank", IntegrityError),
    Status.WORLD_SIZE: ("has a file of another number of parties", ConfigError),
    Status.FRAC_BITS: ("has a file with other fraction bits", ConfigError),
    Status.PROTOCOL: ("has a file of another protocol", ConfigError),
}


class Record(NamedTuple):
    """What the other parties learn of one file: status, save identifier, place in the sequence, common digest."""

    status: Status
    save: bytes = bytes(files.ID_BYTES)
    sequence: int = 0
    common: bytes = bytes(16)

    def pack(self) -> Words:
        return np.frombuffer(
            self.status.to_bytes(8, "little") + self.save + self.sequence.to_bytes(8, "little") + self.common, np.uint64
        )


def unpack(words: Words) -> Record:
    """The inverse of `Record.pack`. Raises IntegrityError for what is none."""
    data = words.tobytes()
    try:
        status = Status(int.from_bytes(data[:8], "little"))
    except ValueError as error:
        raise IntegrityError(f"a party describes its file by {error}; want the same release everywhere") from None
    return Record(status, data[8:24], int.from_bytes(data[24:32], "little"), data[32:48])


@dataclass
class Held:
    """What `look` found: the record for the others, and what only this party needs."""

    record: Record
    trouble: str = ""
    header: files.Header | None = None
    words: Words | None = None


def look(path: Path, rank: int, config: SessionConfig) -> Held:
    """Read and check one file; never raises for what it finds."""
    try:
        header, words = files.read(path)
    except FileNotFoundError:
        return Held(Record(Status.MISSING), f"there is no file {path}")
    except OSError as error:
        return Held(Record(Status.UNREADABLE), f"{path}: {error.strerror or error}")
    except IntegrityError as error:
        return Held(Record(Status.DAMAGED), str(error))
    except ConfigError as error:
        return Held(Record(Status.VERSION), str(error))
    for status, got, want, name in (
        (Status.WORLD_SIZE, header.world_size, config.world_size, "parties"),
        (Status.RANK, header.rank, rank, "rank"),
        (Status.FRAC_BITS, header.frac_bits, config.frac_bits, "frac_bits"),
        (Status.PROTOCOL, header.protocol, config.protocol, "protocol"),
    ):
        if got != want:
            return Held(Record(status), f"{path} was saved with {name} {got!r} (release {header.package}); here it is {want!r}")
    return Held(Record(Status.FINE, header.save, header.sequence, header.common()), "", header, words)


class Choice(NamedTuple):
    """Which generation each party loads (0 newest, 1 previous); ``note`` says why it is not the newest."""

    generation: list[int]
    note: str = ""


Pairs = Sequence[tuple[Record, Record]]


def last_common(pairs: Pairs, but: bytes = b"") -> bytes | None:
    """The latest save, other than ``but``, that every party holds intact in one of its two files."""
    held = [{r.save: (r.sequence, r.common) for r in pair if r.status == Status.FINE and r.save != but} for pair in pairs]
    everywhere = set.intersection(*(set(h) for h in held))
    alike = [(held[0][s][0], s) for s in everywhere if len({h[s] for h in held}) == 1]
    return max(alike)[1] if alike else None


def choose(pairs: Pairs, generation: str, mine: int, trouble: Sequence[str]) -> Choice | None:
    """What to load, from every party's (newest, previous) records; None when nobody has any file.

    "newest": the newest files, which must be of one save; where a crash came between two parties' replacements, the
    last save that all hold. "previous": the last complete save before the newest. "common": as "newest", but also where
    a newest file is damaged or gone, the last save that all hold; None where the very first save was interrupted.
    ``mine``, ``trouble``: this party's rank and what is wrong with its files, for the message. Raises IntegrityError,
    ConfigError: the same class at every party.
    """
    newest = [pair[0] for pair in pairs]
    if all(r.status == Status.MISSING for pair in pairs for r in pair):
        return None
    if generation == "common" and _first_interrupted(pairs):
        return None
    complete = len({(r.save, r.common) for r in newest}) == 1 and all(r.status == Status.FINE for r in newest)
    if generation == "previous":
        common = last_common(pairs, newest[0].save if complete else b"")
        if common is None:
            raise _refusal(pairs, 1, mine, trouble, "no save before the newest is intact at every party")
        return _of(pairs, common)
    if complete:
        return Choice([0] * len(pairs))
    common = last_common(pairs)
    # an interrupted save leaves whole files of two neighbouring saves, or at worst none under the newest name
    torn = all(r.status == Status.FINE or (r.status, pair[1].status) == (Status.MISSING, Status.FINE)
               for pair in pairs for r in pair[:1])
    if torn and common is not None:
        chosen = _of(pairs, common)
        return Choice(chosen.generation, "the last save was interrupted and is not complete at every party")
    lost = [rank for rank, r in enumerate(newest) if r.status in (Status.MISSING, Status.DAMAGED)]
    if generation == "common" and common is not None and lost and len(lost) == sum(r.status != Status.FINE for r in newest):
        told = _MEANING[newest[lost[0]].status][0]
        return _of(pairs, common)._replace(note=f"party {lost[0]} {told} where the last save should be")
    hint = "; an earlier save is complete: load it with generation='previous'" if common is not None else ""
    raise _refusal(pairs, 0, mine, trouble, "the parties' files come from different saves", hint)


def _first_interrupted(pairs: Pairs) -> bool:
    """Some parties have a first save and nothing before it, the others nothing at all."""
    first = all(r.status == Status.MISSING or (r.status, r.sequence) == (Status.FINE, 1) for r, _ in pairs)
    return first and all(p.status == Status.MISSING for _, p in pairs) and any(r.status == Status.MISSING for r, _ in pairs)


def _of(pairs: Pairs, save: bytes) -> Choice:
    return Choice([0 if (p[0].status, p[0].save) == (Status.FINE, save) else 1 for p in pairs])


def _refusal(
    pairs: Pairs, generation: int, mine: int, trouble: Sequence[str], otherwise: str, hint: str = ""
) -> MPCError:
    """The error: its class and text from the lowest rank whose file is not fine, and this party's own trouble in full."""
    for rank, pair in enumerate(pairs):
        status = pair[generation].status
        if status != Status.FINE:
            told, kind = _MEANING[status]
            own = trouble[generation]
            text = own if rank == mine else f"party {rank} {told}; " + (f"here {own}" if own else "its own output says more")
            error = kind(f"load: {text}{hint}")
            error.echo = None if own else rank
            return error
    return IntegrityError(f"load: {otherwise}: shares of one save belong together{hint}")
