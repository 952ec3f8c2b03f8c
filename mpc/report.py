"""What a session cost, by operation, and everything it revealed."""
from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from mpc.party import Party

COLUMNS = ("operation", "calls", "rounds", "sent", "from dealer", "seconds")


@dataclass(slots=True)
class Row:
    """Costs under one label; nested labels are joined with '/', and seconds include what is nested.

    ``bytes_sent``: payload this party sent to other parties. ``offline_bytes``: corrections it received from the dealer.
    """

    label: str
    calls: int = 0
    rounds: int = 0
    bytes_sent: int = 0
    offline_bytes: int = 0
    seconds: float = 0.0


class Scope:
    """Attributes rounds, bytes and seconds to a label; nested labels join with '/'."""

    __slots__ = ("_label", "_outer", "_party", "_started")

    def __init__(self, party: Party, label: str) -> None:
        self._party = party
        self._label = label

    def __enter__(self) -> None:
        party = self._party
        self._outer = party.row
        path = f"{self._outer.label}/{self._label}" if self._outer.label else self._label
        row = party.rows.get(path)
        if row is None:
            row = party.rows[path] = Row(path)
        party.row = row
        self._started = perf_counter()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        row = self._party.row
        row.calls += 1
        row.seconds += perf_counter() - self._started
        self._party.row = self._outer


@dataclass(slots=True)
class LedgerLine:
    """One reveal: its operation number, where in the program it stands, and who received what, why."""

    number: int
    site: str
    shape: tuple[int, ...]
    recipients: tuple[int, ...]
    reason: str = ""


@dataclass
class Report:
    """The cost table and the reveal ledger of one session, as this party counted them."""

    world_size: int
    rank: int
    protocol: str
    rows: list[Row] = field(default_factory=list)
    ledger: list[LedgerLine] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rounds(self) -> int:
        return sum(row.rounds for row in self.rows)

    @property
    def bytes_sent(self) -> int:
        return sum(row.bytes_sent for row in self.rows)

    @property
    def offline_bytes(self) -> int:
        return sum(row.offline_bytes for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings, lists and dictionaries."""
        totals = {"rounds": self.rounds, "bytes_sent": self.bytes_sent, "offline_bytes": self.offline_bytes}
        return {**asdict(self), **totals}

    def __str__(self) -> str:
        return f"{self._heading()}\n{_plain(COLUMNS, self._cost_lines())}\n\n{self._ledger_text()}\n"

    def print(self, console: Console | None = None) -> None:
        """Print with rich: rules and bold heads on a terminal, plain text elsewhere."""
        from rich.console import Console
        from rich.table import Table

        console = console or Console(file=sys.stdout)
        table = Table(title=self._heading(), title_justify="left")
        for k, column in enumerate(COLUMNS):
            table.add_column(column, justify="left" if k == 0 else "right")
        lines = self._cost_lines()
        for line in lines[:-1]:
            table.add_row(*line)
        table.add_section()
        table.add_row(*lines[-1])
        console.print(table)
        console.print(self._ledger_text(), markup=False, highlight=False)

    def _heading(self) -> str:
        return f"{self.world_size} parties, protocol {self.protocol}, as counted at party {self.rank}"

    def _cost_lines(self) -> list[tuple[str, ...]]:
        calls = sum(row.calls for row in self.rows)
        total = Row("total", calls, self.rounds, self.bytes_sent, self.offline_bytes, self.seconds)
        return [
            (
                row.label or "(none)",
                f"{row.calls}",
                f"{row.rounds}",
                amount(row.bytes_sent),
                amount(row.offline_bytes),
                f"{row.seconds:.3f}",
            )
            for row in [*self.rows, total]
        ]

    def _ledger_text(self) -> str:
        return ledger_text(self.ledger, self.world_size)


def joined(reports: Sequence[Report]) -> Report:
    """One session's reports of all parties as one: the first party's, with what the dealer sent to any of them."""
    first = reports[0]
    dealt: dict[str, int] = {}
    for report in reports:
        for row in report.rows:
            dealt[row.label] = dealt.get(row.label, 0) + row.offline_bytes
    rows = [replace(row, offline_bytes=dealt[row.label]) for row in first.rows]
    return replace(first, rows=rows)


#: Where sessions leave their reports when they end; a list when somebody (`mpc run --report`) wants them.
FINISHED: ContextVar[list[Report] | None] = ContextVar("mpc_finished_reports", default=None)


def ledger_text(ledger: list[LedgerLine], world_size: int) -> str:
    """Everything revealed, one line per call site, shape, recipients and reason; repeats are counted."""
    if not ledger:
        return "Revealed: nothing."
    counts: dict[tuple[str, str, str, str], int] = {}
    for line in ledger:
        everybody = len(line.recipients) == world_size
        who = "everybody" if everybody else "party " + ", ".join(str(r) for r in line.recipients)
        shape = "x".join(str(n) for n in line.shape) or "one number"
        key = (line.site, shape, who, line.reason or "(no reason given)")
        counts[key] = counts.get(key, 0) + 1
    lines = [(*key[:3], f"{key[3]} ({count} times)" if count > 1 else key[3]) for key, count in counts.items()]
    return "Revealed, and nothing else:\n" + _plain(("where", "shape", "to", "reason"), lines, left=True)


def amount(nbytes: float) -> str:
    """Bytes for people: three digits and a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 999.5 or unit == "GB":
            break
        nbytes /= 1000
    return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 99.95 else f"{nbytes:.1f} {unit}"


def _plain(head: tuple[str, ...], lines: Sequence[tuple[str, ...]], left: bool = False) -> str:
    widths = [max(len(line[k]) for line in [head, *lines]) for k in range(len(head))]
    out = io.StringIO()
    for line in [head, *lines]:
        cells = [c.ljust(w) if left or k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))]
        out.write(("  ".join(cells)).rstrip() + "\n")
    return out.getvalue().rstrip("\n")
