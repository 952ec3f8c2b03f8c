"""The books of a running session: a tree of accounts, one of which is charged at any time; the ledger; the curves."""
from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mpc.errors import NotSupported
from mpc.report.report import Report
from mpc.report.rows import PROGRAM, SIGNIFICANT_BITS, Headroom, LedgerLine, Point, Row, without_numbers

if TYPE_CHECKING:
    from types import TracebackType

Observed = dict[tuple[int, str, int, int, int], Headroom]


class Account:
    """One place of the program: its row, and the places inside it by label."""

    __slots__ = ("inside", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.inside: dict[str, Account] = {}

    def enter(self, label: str, layer: bool = False) -> Account:
        """The account of a scope inside this one, made at its first use. The first use says whether it is a layer."""
        found = self.inside.get(label)
        if found is None:
            path = label if self.row.label == PROGRAM else f"{self.row.label}/{label}"
            row = Row(path, "" if layer else label, path if layer else self.row.layer, self.row.backward)
            found = self.inside[label] = Account(row)
        return found

    def backward(self) -> Account:
        """The account of the backward pass of what was recorded here."""
        if self.row.backward:
            return self
        found = self.inside.get("backward")
        if found is None:
            found = self.enter("backward")
            found.row.operation, found.row.backward = "", True
        return found

    def walk(self) -> Iterator[Row]:
        """This row and all below it."""
        yield self.row
        for account in self.inside.values():
            yield from account.walk()


class Scope:
    """``with``: charge what happens inside to a label."""

    __slots__ = ("_books", "_label", "_layer", "_outer")

    def __init__(self, books: Books, label: str, layer: bool) -> None:
        self._books = books
        self._label = label
        self._layer = layer

    def __enter__(self) -> None:
        books = self._books
        self._outer = books.account
        books.charge(self._outer.enter(self._label, self._layer))

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        books = self._books
        books.account.row.calls += 1
        books.charge(self._outer)


class Backward:
    """``with``: a backward pass; `at` charges what follows to the layer that recorded the operation it differentiates."""

    __slots__ = ("_books", "_outer", "_passed")

    def __init__(self, books: Books) -> None:
        self._books = books
        self._passed: set[int] = set()

    def __enter__(self) -> Backward:
        self._outer = self._books.account
        self.at(self._outer)
        return self

    def at(self, account: Account) -> None:
        """From now on: the backward pass of what was recorded in ``account``; one call per pass, however often entered."""
        target = account.backward()
        if target is not self._books.account:
            self._books.charge(target)
            if id(target) not in self._passed:
                self._passed.add(id(target))
                target.row.calls += 1

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._books.charge(self._outer)


class Books:
    """What one party of one session writes down. Seconds go to one account at a time, so nothing is counted twice."""

    def __init__(self, world_size: int, rank: int, protocol: str, frac_bits: int) -> None:
        self.root = self.account = Account(Row(PROGRAM, calls=1))
        self.ledger: list[LedgerLine] = []
        self.points: list[Point] = []
        self.observed: list[Observed] = [{}]  # of the session, then of each profile that is open
        self._empty = Report(world_size, rank, protocol, frac_bits)
        self._steps: Counter[str] = Counter()
        self._mark = perf_counter()

    def charge(self, account: Account) -> None:
        """What follows goes to this account; the time since the last call went to the one before."""
        now = perf_counter()
        self.account.row.seconds += now - self._mark
        self._mark = now
        self.account = account

    def log(self, name: str, value: Any, step: float | None = None) -> None:
        """A public number of the curve ``name``; ``step`` counts from 1 when not given."""
        try:
            number = float(value.item() if hasattr(value, "dtype") else value)
        except (TypeError, ValueError, AttributeError):
            raise NotSupported(
                f"log({name!r}, ...) takes one public number, got {type(value).__name__}; reveal a secret value first: "
                "s.log(name, x.reveal(reason=...))"
            ) from None
        self._steps[name] += 1
        self.points.append(Point(name, float(self._steps[name] if step is None else step), number))

    def restore(self, points: list[Point]) -> None:
        """The curves as they were at a checkpoint; what was drawn since the session's start is among them."""
        self.points = points
        self._steps = Counter(point.name for point in points)

    def revealed(self, line: LedgerLine, value: Any) -> None:
        """A loss that was revealed to this party is a point of a curve."""
        if math.prod(line.shape) == 1 and "loss" in line.reason.lower():
            numbers = re.findall(r"\d+", line.reason)
            self.log(without_numbers(line.reason), value.reshape(()), float(numbers[-1]) if numbers else None)

    def observe(self, what: str, worst: float, scale: int, limit_bits: int, shift: int = 0) -> None:
        """The plaintext twin saw values of magnitude up to ``worst`` in units of the ring. See `Headroom`."""
        row = self.account.row
        key = (id(self.account), what, scale, limit_bits, shift)
        small = 0.0 < worst < math.ldexp(1.0, shift + SIGNIFICANT_BITS - 1) if shift else False
        for table in self.observed:
            seen = table.get(key)
            if seen is None:
                seen = table[key] = Headroom(
                    row.label, row.operation, row.layer, row.backward, what, scale, limit_bits, shift
                )
            seen.calls += 1
            seen.small += small
            if worst > seen.worst:
                seen.worst = worst

    def report(self, observed: Observed | None = None) -> Report:
        """Everything up to now."""
        self.charge(self.account)
        headroom = self.observed[0] if observed is None else observed
        return replace(
            self._empty,
            rows=[replace(row) for row in self.root.walk()],
            ledger=list(self.ledger),
            points=list(self.points),
            headroom=sorted((replace(h) for h in headroom.values()), key=lambda h: h.bits_left),
            created=time.strftime("%Y-%m-%d %H:%M"),
        )
