"""A privacy budget's file: what was spent outlives the process, and is on disk before it is released.

While a budget is open its file is locked: two runs that charge one budget at the same time would each overlook the other's
releases. Parties compare their files when a budget is first charged, and all go on from the one that knows most.
"""
from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from mpc.byte_exchange import gather
from mpc.config import VERSION
from mpc.errors import ConfigError, IntegrityError
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.budget_format import Content, Release, count, encode, furthest, packed, read
from mpc.saving.files import Writing

if TYPE_CHECKING:
    from mpc.party import Party

MOST_BYTES: Final = 1 << 28


class BudgetFile:
    """The file at ``path`` of a budget with this limit. It need not exist yet; its directory must."""

    def __init__(self, path: str | os.PathLike[str], epsilon: float, delta: float) -> None:
        self.path = Path(os.path.realpath(path))  # a link stays one: what it names is replaced; `chdir` changes nothing
        self._limit = (epsilon, delta)
        self._lock = self._locker = -1
        self._depth = 0
        self._content = Content(*self._limit)

    def read(self) -> Content:
        """What was spent so far. Raises ConfigError, also for another limit, IntegrityError."""
        found = load(self.path)
        if found is None:
            self._content = Content(*self._limit)
            return self._content
        if (found.epsilon, found.delta) != self._limit:
            raise ConfigError(f"{self.path} is of a budget with epsilon {found.epsilon:g}, delta {found.delta:g}, got epsilon "
                              f"{self._limit[0]:g}, delta {self._limit[1]:g}; a limit is not changed afterwards")
        self._content = found
        return found

    def add(self, charges: list[Release], trainings: dict[str, int], total: Guarantee) -> None:
        """More releases than were read, on disk when this returns. Raises ConfigError: they must then not be released."""
        lines = list(self._content.releases)
        for charge in charges:
            if charge.training is not None and lines and lines[-1].training == charge.training:
                lines[-1] = replace(lines[-1], times=lines[-1].times + 1)
            else:
                lines.append(charge)
        self._write(replace(self._content, mpc=VERSION, releases=lines, trainings=trainings, total=packed(total)))

    def agree(self, party: Party) -> Content:
        """The parties' files compared: all have what any of them had. One round. Raises ConfigError alike at all parties where
        they are of different budgets."""
        if party.dry:
            party.note("gather", MOST_BYTES)
            party.next_op()
            return self._content
        everybodys = [read(data, Path(f"party {rank}'s file")) for rank, data in
                      enumerate(gather(party, encode(self._content), MOST_BYTES))]  # fmt: skip
        whole = furthest(everybodys)
        if count(whole) != count(self._content):
            self._write(whole)
        return whole

    def _write(self, content: Content) -> None:
        data = encode(content)
        if len(data) > MOST_BYTES:
            raise ConfigError(f"the budget {self.path} would have {len(data)} bytes; want at most {MOST_BYTES}; nothing was "
                              "released. Release more values at a time")
        try:
            Writing(self.path, data).finish(keep=False)
        except OSError as error:
            raise ConfigError(f"the budget {self.path} cannot be written ({error.strerror}); nothing was released") from None
        self._content = content

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Nobody else charges it meanwhile; may be entered again inside. Yields whether this is the first entry.

        Raises ConfigError where another process, or another `Budget`, has it."""
        first = not self._depth
        if first:
            self._lock, self._locker = _locked(self.path), os.getpid()
        self._depth += 1
        try:
            yield first
        finally:
            self._depth -= 1
            if first:
                if self._locker == os.getpid():  # also for children forked meanwhile, which would hold it after this
                    fcntl.flock(self._lock, fcntl.LOCK_UN)
                os.close(self._lock)


def load(path: Path) -> Content | None:
    """What a budget's file says, None where there is none. Raises ConfigError, IntegrityError."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ConfigError(f"the budget {path} cannot be read: it is no file")
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"the budget {path} cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise IntegrityError(f"{path} has more than {MOST_BYTES} bytes, and is no budget")
    return read(data, path)


def _locked(path: Path) -> int:
    beside = path.with_name(path.name + ".lock")  # not the file itself, which every charge replaces
    handle = -1
    try:
        handle = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConfigError(f"the budget {path} is open elsewhere: in another process, or twice in this one; charge it from one "
                          "place at a time") from None
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise ConfigError(f"the budget {path} cannot be locked: {beside}: {error.strerror}") from None
    return handle
