"""Report: what a session cost, by operation and by layer, and everything it revealed."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpc.report import html, text
from mpc.report.network import NETWORKS, Prediction, predict
from mpc.report.rows import Headroom, LedgerLine, Point, Row, total
from mpc.report.views import by_layer, by_operation, headroom_by, phases

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Report:
    """Costs, reveal ledger and curves of one session (or of a block, see `mpc.profile`), as one party counted them.

    ``rows`` add up: see `Row` for what is counted where. ``headroom``: under protocol="clear" only, the closest to its
    limit first. ``points``: curves of `Party.log` and of revealed losses.
    """

    world_size: int
    rank: int
    protocol: str
    frac_bits: int = 16
    rows: list[Row] = field(default_factory=list)
    ledger: list[LedgerLine] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    headroom: list[Headroom] = field(default_factory=list)
    created: str = ""

    @property
    def total(self) -> Row:
        """All rows in one."""
        return total(self.rows)

    @property
    def rounds(self) -> int:
        return sum(row.rounds for row in self.rows)

    @property
    def bytes_sent(self) -> int:
        return sum(row.bytes_sent for row in self.rows)

    @property
    def offline_bytes(self) -> int:
        return sum(row.offline_bytes for row in self.rows)

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.rows)

    def by_operation(self) -> list[Row]:
        """One row per operation (matmul, truncate, relu, ...), wherever in the program; the slowest first."""
        return by_operation(self.rows)

    def by_layer(self) -> list[Row]:
        """One row per layer and pass, in the order of their first use. A layer's output is truncated by what uses it."""
        return by_layer(self.rows)

    def headroom_by_operation(self) -> list[Headroom]:
        """Of each operation the values that came closest to their limit."""
        return headroom_by(self.headroom, "operation", phases(self.rows))

    def headroom_by_layer(self) -> list[Headroom]:
        """Of each layer and pass the values that came closest to their limit."""
        return headroom_by(self.headroom, "layer", phases(self.rows))

    def predictions(self) -> list[Prediction]:
        """The whole on `LAN` (1 Gbit/s, 0.5 ms) and `WAN` (100 Mbit/s, 40 ms): see `mpc.report.network.predict`."""
        return [predict(self.total, network) for network in NETWORKS]

    def since(self, before: Report) -> Report:
        """What was added after ``before`` of the same session. Headroom is not a difference and stays."""
        earlier = {row.label: row for row in before.rows}
        rows = []
        for row in self.rows:
            row = replace(row)
            if row.label in earlier:
                row.add(earlier[row.label], -1)
            if not row.is_empty():
                rows.append(row)
        return replace(
            self, rows=rows, ledger=self.ledger[len(before.ledger) :], points=self.points[len(before.points) :]
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings, lists and dictionaries, with totals, views and predictions."""
        out = asdict(self)
        for row, plain in zip(self.headroom, out["headroom"], strict=True):
            plain.update(bits_left=row.bits_left, largest=row.largest, limit=row.limit, warning=row.warning)
        return {
            **out,
            "rounds": self.rounds,
            "bytes_sent": self.bytes_sent,
            "offline_bytes": self.offline_bytes,
            "seconds": self.seconds,
            "by_operation": [asdict(row) for row in self.by_operation()],
            "by_layer": [asdict(row) for row in self.by_layer()],
            "predicted": {
                p.network.name: {
                    "online": p.online, "compute": p.compute, "latency": p.latency, "transfer": p.transfer,
                    "offline": p.offline,
                }
                for p in self.predictions()
            },
        }

    def __str__(self) -> str:
        return text.plain(self)

    def print(self, console: Console | None = None) -> None:
        """Print with rich: rules and bold heads on a terminal, plain text elsewhere."""
        text.pretty(self, console)

    def to_html(self, path: str | os.PathLike[str], title: str = "Secure computation report") -> None:
        """Write one page that needs nothing else: no script, no font, no image from anywhere."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(html.page(self, title))


def joined(reports: Sequence[Report]) -> Report:
    """One session's reports of all parties as one: the first party's, with the time that the receiver waited for the
    dealer taken out of what the first one waited for its peers meanwhile."""
    first = reports[0]
    waited: dict[str, float] = {}
    for report in reports:
        for row in report.rows:
            waited[row.label] = max(waited.get(row.label, 0.0), row.dealer_wait)
    rows = []
    for row in first.rows:
        wait = row.peer_wait + row.dealer_wait
        dealer = min(waited[row.label], wait)
        rows.append(replace(row, dealer_wait=dealer, peer_wait=wait - dealer))
    return replace(first, rows=rows)


#: Where sessions leave their reports when they end; a list when somebody (`mpc run --report`) wants them.
FINISHED: ContextVar[list[Report] | None] = ContextVar("mpc_finished_reports", default=None)
