"""The one table of the page: an exposure with its quality and cost, and beside them a line for each attack on it."""
from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final

from mpc.privacy.audit.lines import cells

if TYPE_CHECKING:
    from mpc.privacy.audit.overview import AuditReport

HEAD: Final = ("Exposure", "Quality (95 %)", "Cost", "Attack", "Leak (95 %)", "Chance", "Bound", "AUC", "True at 1 % false")
_WHOLE: Final = ("Exposure", "Quality (95 %)", "Cost")  # of an exposure, not of an attack
_TOGETHER: Final = re.compile(r"[\[(][^\])]*[\])]|\d+ %|[\d.,]+ (?:rounds|[kMG]?B|[um]?s)\b")

SHEET_CSS: Final = """
.sheet table { font-size: 13px; }
.sheet th, .sheet td { white-space: normal; padding: 7px 0 7px 16px; vertical-align: top; }
.sheet thead th { vertical-align: bottom; }
.sheet th:first-child { padding-left: 0; text-align: left; }
.sheet tbody th { color: var(--ink); min-width: 8.5em; max-width: 15em; overflow-wrap: anywhere; position: sticky; left: 0;
  background: var(--card); box-shadow: -24px 0 0 var(--card); }
.sheet td.what, .sheet thead .what { text-align: left; min-width: 15em; }
.sheet td.what span { display: block; color: var(--soft); line-height: 1.35; }
.sheet td { min-width: 3.4em; }
.sheet tr:last-child td { border-bottom: 0; }
.sheet tbody + tbody { border-top: 1px solid var(--line); }
.sheet tbody th { border-bottom: 0; }
.sheet tbody td.whole { border-bottom: 0; }
@media (max-width: 720px) { .sheet tbody th { min-width: 6em; max-width: 8em; } }
.sheet caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""


def sheet(report: AuditReport) -> str:
    """The table, its head said of columns and exposures said of their lines, for those who hear it. Scrolls if it must."""
    rows = [[dict(zip(HEAD, ordered(line), strict=True)) for line in group] for group in groups(report)]
    used = [h for h in HEAD if h in ("Exposure", "Attack", "Leak (95 %)") or any(row[h][0] for group in rows for row in group)]
    head = "".join(f'<th scope="col"{" class=what" if h == "Attack" else ""}>{together(h)}</th>' for h in used)
    bodies = "".join(f"<tbody>{''.join(_row(row, used, len(g), k) for k, row in enumerate(g))}</tbody>" for g in rows)
    label = "Leak, quality and cost of each exposure"
    return (
        f'<div class="sheet"><div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption>{label}</caption><thead><tr>{head}</tr></thead>{bodies}</table></div></div>"
    )


def groups(report: AuditReport) -> list[list[tuple[str, ...]]]:
    """Lines of the table by exposure."""
    return [[cells(line, e, first=k == 0) for k, line in enumerate(e.lines)] for e in report.exposures]


def ordered(line: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Cells in the order of `HEAD`, each with what stands below it."""
    exposure, attack, leak, bound, quality, cost, rare, auc, null, note = line
    return (exposure, ""), (quality, ""), (cost, ""), (attack, note), (leak, ""), (null, ""), (bound, ""), (auc, ""), (rare, "")


def _row(row: dict[str, tuple[str, str]], used: list[str], lines: int, place: int) -> str:
    out = ""
    for name in used:
        text, below = row[name]
        if name in _WHOLE and place:
            continue
        span = f' rowspan="{lines}"' if name in _WHOLE and lines > 1 else ""
        if name == "Exposure":
            out += f'<th scope="rowgroup"{span}>{escape(text)}</th>'
        elif name == "Attack":
            out += f"<td class=what>{escape(text)}{f'<span>{together(below)}</span>' if below else ''}</td>"
        else:
            out += f"<td{' class=whole' if name in _WHOLE else ''}{span}>{together(text)}</td>"
    return f"<tr>{out}</tr>"


def together(text: str) -> str:
    """Escaped, with spaces that do not break inside brackets and "95 %"."""
    return escape(_TOGETHER.sub(lambda found: found[0].replace(" ", "\u00a0").replace("e-", "e\u2011"), text))
