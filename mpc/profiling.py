"""`profile`: what one block of a program costs."""
from __future__ import annotations

from typing import TYPE_CHECKING

from mpc import party
from mpc.errors import SessionError
from mpc.report import Report

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mpc.report import Observed


class profile:
    """``with mpc.profile() as p: ...; print(p.report)``: a `Report` of the block alone, like the session's `s.report()`.

    Costs, reveals, curves and (under protocol="clear") headroom of what runs inside, in the open session; blocks nest.
    Local: sends and reveals nothing. ``p.report`` inside the block: what it cost so far. Raises SessionError outside a
    session.
    """

    def __init__(self) -> None:
        self._report: Report | None = None
        self._before: Report | None = None

    def __enter__(self) -> Self:
        if self._before is not None:
            raise SessionError("this profile was used already; want a new mpc.profile() for each block")
        self._books = party.current().books
        self._observed: Observed = {}
        self._books.observed.append(self._observed)
        self._before = self._books.report()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._report = self.report
        self._books.observed[:] = [table for table in self._books.observed if table is not self._observed]

    @property
    def report(self) -> Report:
        """What the block cost; inside it: so far."""
        if self._report is not None:
            return self._report
        if self._before is None:
            raise SessionError("p.report before `with mpc.profile() as p:`; there is no block to report on yet")
        return self._books.report(self._observed).since(self._before)
