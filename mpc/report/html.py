"""Reports as one page of HTML that needs nothing else. Whatever a program chose - labels, reasons, names - is escaped."""
from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from mpc.config import VERSION
from mpc.report.charts import bar, curve, legend
from mpc.report.markup import grid, path, section
from mpc.report.rows import Point, Row
from mpc.report.style import CSS
from mpc.report.views import (
    Table,
    amount,
    cost_tables,
    duration,
    headroom_tables,
    ledger_lines,
    network_name,
)

if TYPE_CHECKING:
    from mpc.report.report import Report

NEGLIGIBLE = 0.005  # of all seconds: no bar for what sends nothing either


def page(report: Report, title: str) -> str:
    """The whole page."""
    clear = report.protocol == "clear"
    parts = [
        _head(report, title, clear),
        _tiles(report, clear),
        _headroom(report),
        _ledger(report),
        _curves(report),
        _layers(report),
        "" if clear else _networks(report),
        _operations(report),
        _scopes(report),
        _how(report, clear),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report, title: str, clear: bool) -> str:
    n = report.world_size
    if clear:
        text = (
            '<p class="alert">Plaintext twin: this run hid nothing. Every party saw every value; the page is for finding '
            "errors before the same program runs on secret shares.</p>"
        )
    else:
        text = (
            f"<p>{n} parties computed on data that none of them may see. Each held random-looking shares of every value; "
            "what anybody learned beyond the program itself is listed under &ldquo;What was revealed&rdquo;. This holds for "
            "parties that follow the program and a dealer that works with none of them.</p>"
        )
    when = f", {escape(report.created)}" if report.created else ""
    return (
        f'<header><p class="eyebrow">Secure multi-party computation, {n} parties{when}</p>'
        f"<h1>{escape(title)}</h1>{text}</header>"
    )


def _tiles(report: Report, clear: bool) -> str:
    row = report.total
    lines = ledger_lines(report.ledger, report.world_size)
    opened = sum(math.prod(line.shape) for line in report.ledger)
    tiles = [
        ("Time", duration(row.seconds), f"{duration(row.compute)} of it computing"),
        ("Rounds", f"{row.rounds:,}", "of messages between parties"),
        ("Sent by this party", amount(row.bytes_sent), "to all others, online"),
    ]
    if not clear:
        tiles.append(("From the dealer", amount(row.offline_bytes), "to all parties, offline"))
    kinds = f"in {len(lines)} place{'s' if len(lines) != 1 else ''} of the program" if lines else "stayed secret: everything"
    tiles.append(("Numbers revealed", f"{opened:,}", kinds))
    inner = "".join(f"<div><dt>{a}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in tiles)
    return f'<dl class="tiles">{inner}</dl>'


def _ledger(report: Report) -> str:
    lines = ledger_lines(report.ledger, report.world_size)
    if not lines:
        return section("What was revealed", "Nothing.", "")
    rows = [(reason, shape, to, site, f"{count:,}") for site, shape, to, reason, count in lines]
    table = Table("", ("reason", "shape", "to", "where", "times"), rows, None, 4)
    return section(
        "What was revealed", "Every value that left its shares, and nothing else: why, to whom, and where in the program.",
        grid(table, "What was revealed"),
    )


def _curves(report: Report) -> str:
    series: dict[str, list[Point]] = {}
    for point in report.points:
        series.setdefault(point.name, []).append(point)
    names = sorted(series, key=lambda name: "loss" not in name.lower())
    drawn = [name for name in names if sum(math.isfinite(p.value) for p in series[name]) > 1]
    figures = [curve(name, series[name]) for name in drawn]
    if not figures:
        return ""
    return section(
        "Training", "Public numbers only: losses that were revealed, and what the program noted.",
        f'<div class="curves">{"".join(figures)}</div>',
    )


def _layers(report: Report) -> str:
    merged: dict[str, list[Row]] = {}
    for row in report.by_layer():
        merged.setdefault(row.label, []).append(row)
    heads = [("Time", lambda r: r.seconds, duration), ("Sent", lambda r: r.bytes_sent, amount), ("Rounds", _rounds, _whole)]
    most = [max((sum(map(value, rows)) for rows in merged.values()), default=0) for _, value, _ in heads]
    cells = ['<div class="head">Layer</div>', *(f'<div class="head">{name}</div>' for name, _, _ in heads)]
    for label, rows in merged.items():
        if sum(row.seconds for row in rows) < NEGLIGIBLE * report.seconds and not any(row.bytes_sent for row in rows):
            continue  # a container; the table has it
        cells.append(f'<div class="label path">{path(label)}</div>')
        for (name, value, show), whole in zip(heads, most, strict=True):
            parts = [("b" if r.backward else "a" if r.layer else "rest", float(value(r))) for r in rows]
            of = "rounds" if name == "Rounds" else "sent" if name == "Sent" else ""
            cells.append(bar(parts, float(whole), show(sum(map(value, rows))), of))
    keys = legend([("a", "forward pass"), ("b", "backward pass"), ("rest", "not a layer")])
    return section(
        "Cost per layer",
        "In the program's order. The backward pass counts at the layer whose gradient it computes; a layer's output is "
        "truncated by whatever uses it next.",
        f'{keys}<div class="bars">{"".join(cells)}</div>',
    )


def _rounds(row: Row) -> float:
    return row.rounds


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _networks(report: Report) -> str:
    row, predictions = report.total, report.predictions()
    lines = [(
        "This run", "as measured", [("a", row.compute), ("c", row.peer_wait), ("e", row.dealer_wait)], duration(row.seconds),
    )]
    for p in predictions:
        parts = [("a", p.compute), ("c", p.latency), ("d", p.transfer), ("e?", p.offline)]
        text = f"{duration(p.online)}"
        lines.append((p.network.name, network_name(p.network), parts, text))
    cells = "".join(
        f'<div class="label"><strong>{escape(name)}</strong><br><span class="note">{escape(what)}</span></div>'
        + bar(parts, sum(value for _, value in parts), text)
        for name, what, parts, text in lines
    )
    keys = legend([
        ("a", "computing"), ("c", "latency (this run: waiting for other parties)"), ("d", "transfer"),
        ("e", "dealer (hatched: what it adds at most when it answers live)"),
    ])
    table = Table(
        "", ("network", "online", "computing", "latency", "transfer", "dealer adds up to"),
        [
            (
                p.network.name, duration(p.online), duration(p.compute), duration(p.latency), duration(p.transfer),
                duration(p.offline),
            )
            for p in predictions
        ],
    )
    return section(
        "On other networks",
        "Predicted from the counted rounds and bytes. A bar shows what the time is made of, the number how long it is "
        "without the hatched part.",
        f'{keys}<div class="bars nets">{cells}</div><br>{grid(table, "Predictions")}',
    )


def _operations(report: Report) -> str:
    _, table = cost_tables(report)
    note = "Of the whole program, wherever they stand. LAN and WAN are predictions of the online time."
    if report.protocol == "clear":
        note = "Of the whole program, wherever they stand."
    return section("Cost per operation", note, grid(table, "Cost per operation"))


def _headroom(report: Report) -> str:
    tables = headroom_tables(report)
    if not tables:
        return ""
    body = "".join(f"<h3>{escape(t.title)}</h3>{grid(t, t.title)}" for t in tables)
    return section(
        "Headroom",
        "How close values came to the range that secret shares can hold, where leaving it would go unnoticed: each bit left "
        "is a factor of two. Below 2 bits is flagged, as are values that keep fewer than 4 significant bits.",
        body,
    )


def _scopes(report: Report) -> str:
    layers, _ = cost_tables(report)
    every = Table(
        "", ("scope", "calls", "rounds", "sent", "from dealer", "computing", "peers", "dealer"),
        [
            (
                row.label, f"{row.calls}", f"{row.rounds}", amount(row.bytes_sent), amount(row.offline_bytes),
                duration(row.compute), duration(row.peer_wait), duration(row.dealer_wait),
            )
            for row in report.rows
        ],
    )
    return (
        f"<section><details><summary>Cost per layer as a table</summary>{grid(layers, 'Cost per layer')}</details></section>"
        f"<section><details><summary>Every scope of the program</summary>{grid(every, 'Every scope')}</details></section>"
    )


def _how(report: Report, clear: bool) -> str:
    facts = [
        ("Seconds", f"On the clock of party {report.rank}. “Peers” is time spent waiting for other parties, “dealer” waiting "
         "for the dealer (only the party that receives its answers does); computing is the rest. Every second is counted in "
         "one place."),
        ("Bytes", "What this party handed to its sockets for other parties, with the headers of the protocol; not what TCP "
         "and encryption add."),
    ]
    if not clear:
        facts += [
            ("Online and offline", "Offline is correlated randomness: it depends on the program's shapes, not on data, and "
             "comes from the dealer, which sees no data. Its bytes are those to all parties together."),
            ("Predictions", "Online: computing seconds + rounds × half a round trip + bytes sent × 8 / bandwidth, one after "
             "the other. In a round all parties send at once. The dealer adds at most requests × half a round trip + its "
             "bytes × 8 / bandwidth. Computing seconds are those of this machine; TCP's slow start and losses are left out."),
        ]
    inner = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in facts)
    return (
        f'<section><h2>How this was counted</h2><dl class="how">{inner}</dl></section>'
        f"<footer>Written by mpc {escape(VERSION)}, protocol {escape(report.protocol)}, {report.frac_bits} fraction bits, "
        f"as counted at party {report.rank}.</footer>"
    )
