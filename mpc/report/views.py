"""The same rows seen by operation and by layer, and as tables of text."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from mpc.report.network import LAN, WAN, Network, predict
from mpc.report.rows import PROGRAM, Headroom, LedgerLine, Row, without_numbers

if TYPE_CHECKING:
    from mpc.report.report import Report

LOCAL = "local arithmetic"  # of layers: sums, reshapes, products with public numbers, Python
OUTSIDE = "outside layers"


def by_operation(rows: Iterable[Row]) -> list[Row]:
    """Rows added up by operation; the slowest first."""
    out: dict[str, Row] = {}
    for row in rows:
        name = row.operation or (PROGRAM if row.label == PROGRAM else LOCAL)
        out.setdefault(name, Row(name, name)).add(row)
    return sorted(out.values(), key=lambda row: -row.seconds)


def by_layer(rows: Iterable[Row]) -> list[Row]:
    """Rows added up by layer and pass, in the order of their first use: calls are those of the layer itself. What is in
    no layer comes last, by its outermost scope (share, reveal, an optimiser's name, a phase of the program)."""
    out: dict[tuple[str, bool], Row] = {}
    rows = list(rows)
    known = phases(rows)
    for row in rows:
        name = layer_of(row, known)
        sum_ = out.setdefault((name, row.backward), Row(name, "", row.layer, row.backward))
        calls = row.calls if row.label in (name, f"{name}/backward") else 0
        sum_.add(row)
        sum_.calls += calls - row.calls
    return sorted(out.values(), key=lambda row: not row.layer)


def phases(rows: Iterable[Row]) -> set[str]:
    """Outermost scopes that say more than the name of a kernel that stands alone."""
    return {"share", "reveal", *(row.label.split("/")[0] for row in rows if "/" in row.label)}


def layer_of(row: Row | Headroom, known: set[str]) -> str:
    """The layer by path, or the outermost scope if it is one of the ``known`` phases."""
    first = row.label.split("/")[0]
    return row.layer or (first if first in known and first != "backward" else OUTSIDE)


def headroom_by(headroom: Sequence[Headroom], by: Literal["operation", "layer"], known: set[str]) -> list[Headroom]:
    """The worst of each operation, or of each layer and pass."""
    out: dict[object, Headroom] = {}
    for row in sorted(headroom, key=lambda h: h.bits_left):
        out.setdefault(operation_of(row) if by == "operation" else (layer_of(row, known), row.backward), row)
    return list(out.values())


def operation_of(row: Headroom) -> str:
    """The operation, or what was computed outside of one."""
    return row.operation or row.what


# --- tables
class Table(NamedTuple):
    """Lines of text under a head; the first ``left`` columns are names, the others numbers."""

    title: str
    head: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]
    total: tuple[str, ...] | None = None
    left: int = 1
    note: str = ""


COSTS = ("calls", "rounds", "sent", "from dealer", "computing", "peers", "dealer", "LAN", "WAN")
TWIN = ("calls", "rounds", "sent", "computing", "peers")  # what means something where there is no dealer


def pass_of(row: Row | Headroom) -> str:
    """Forward or backward; "" where there is no such thing."""
    return "backward" if row.backward else "forward" if row.layer else ""


def cost_tables(report: Report) -> list[Table]:
    """By layer, by operation."""
    shown = [k for k, name in enumerate(COSTS) if report.protocol != "clear" or name in TWIN]

    def cells(row: Row) -> tuple[str, ...]:
        every = costs(row)
        return tuple(every[k] for k in shown)

    head = tuple(COSTS[k] for k in shown)
    last = cells(report.total)
    layers = [(row.label, pass_of(row), *cells(row)) for row in report.by_layer()]
    operations = [(row.label, *cells(row)) for row in report.by_operation()]
    return [
        Table("By layer", ("layer", "pass", *head), layers, ("total", "", *last), 2),
        Table("By operation", ("operation", *head), operations, ("total", *last)),
    ]


def costs(row: Row) -> tuple[str, ...]:
    """The cells of `COSTS`."""
    return (
        f"{row.calls or ''}" if row.label != "total" else "",
        f"{row.rounds}",
        amount(row.bytes_sent),
        amount(row.offline_bytes),
        duration(row.compute),
        duration(row.peer_wait),
        duration(row.dealer_wait),
        duration(predict(row, LAN).online),
        duration(predict(row, WAN).online),
    )


def headroom_tables(report: Report) -> list[Table]:
    """What is flagged, then by layer and by operation: the worst first. Empty but under protocol="clear"."""
    if not report.headroom:
        return []
    known = phases(report.rows)
    head = ("layer", "pass", "operation", "largest", "limit", "bits left")

    def cells(row: Headroom) -> tuple[str, ...]:
        left = "all zero" if row.worst == 0.0 else f"{row.bits_left:.1f}"
        limit = f"2^{row.limit_bits - row.scale}"
        return layer_of(row, known), pass_of(row), operation_of(row), f"{row.largest:.4g}", limit, left

    flagged = [(*cells(row), row.warning) for row in report.headroom if row.warning]
    operations = [cells(row) for row in report.headroom_by_operation()]
    tables = [
        Table("Headroom by layer, the closest to its limit first", head, list(map(cells, report.headroom_by_layer())), None, 3),
        Table(
            "Headroom by operation, and where", ("operation", *head[:2], *head[3:]),
            [(c[2], *c[:2], *c[3:]) for c in operations], None, 3,
        ),
    ]
    if flagged:
        tables.insert(0, Table("Headroom: look at these", (*head, "note"), flagged, None, 3))
    return tables


def ledger_lines(ledger: Sequence[LedgerLine], world_size: int) -> list[tuple[str, str, str, str, int]]:
    """(where, shape, to, reason, how often): one line per call site, shape, recipients and reason; of reasons that
    differ in their numbers only, the first and the last."""
    reasons: dict[tuple[str, str, str, str], list[str]] = {}
    for line in ledger:
        everybody = len(line.recipients) == world_size
        who = "everybody" if everybody else "party " + ", ".join(str(r) for r in line.recipients)
        shape = "x".join(str(n) for n in line.shape) or "one number"
        reason = line.reason or "(no reason given)"
        noise = f" [{line.privacy}]" if line.privacy else ""
        reasons.setdefault((line.site, shape, who, without_numbers(reason + noise)), []).append(reason + noise)
    return [
        (*key[:3], all_[0] if all_[0] == all_[-1] else f"{all_[0]} ... {all_[-1]}", len(all_))
        for key, all_ in reasons.items()
    ]


# --- numbers for people
def amount(nbytes: float) -> str:
    """Bytes for people: three digits and a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 999.5 or unit == "GB":
            break
        nbytes /= 1000
    return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 99.95 else f"{nbytes:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people: three digits and a unit; "-" for none."""
    if seconds < 0.5e-6:
        return "-"
    if seconds >= 120:
        return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    scale, unit = next((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if seconds >= 0.9995 * s or u == "us")
    value = seconds / scale
    return f"{value:.2f} {unit}" if value < 9.995 else f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def network_name(network: Network) -> str:
    """As in "1 Gbit/s, 0.5 ms round trip"."""
    rate = network.bandwidth
    speed = f"{rate / 1e9:g} Gbit/s" if rate >= 1e9 else f"{rate / 1e6:g} Mbit/s"
    return f"{speed}, {network.round_trip * 1e3:g} ms round trip"
