"""The audit as one page of HTML that needs nothing else. Whatever a program chose - names, costs - is escaped."""
from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from mpc.config import VERSION
from mpc.privacy.audit.drawing import COLOURS, ROC_CSS, Curve, intervals, roc, scale
from mpc.privacy.audit.lines import Line
from mpc.privacy.audit.sheet import SHEET_CSS, sheet
from mpc.privacy.audit.wire_report import WireReport
from mpc.report.charts import legend
from mpc.report.markup import grid, section
from mpc.report.style import CSS
from mpc.report.views import Table

if TYPE_CHECKING:
    from mpc.privacy.audit.overview import AuditReport

SHORT: Final = (
    "Leak: advantage of the attack, 0 is guessing and 1 is knowing. Bound: what the guarantee allows at most; a measured leak "
    "is no guarantee, and a guarantee is no measurement."
)
HOW: Final = (
    ("Leak", "The advantage of an attack: true minus false positive rate for membership, (balanced accuracy - 1/k) / (1 - 1/k) "
     "for a private value of k kinds, records recovered minus controls “recovered” for updates. 0 is guessing, 1 is knowing; "
     "below 0 is bad luck. Intervals: 95 %, bootstrap over people (records, messages) and over seeds where there are several, "
     "exact where all or none were found; of this one model and these attackers, which another training would change. Without "
     "limits: counted for everybody in a table, or none are known."),
    ("Chance", "The same attack where there is nothing to find: sides dealt anew 200 times (with the middle 95 %), shuffled "
     "labels, records that were never there. Where the best of several attackers is picked on the records it is counted on, a "
     "leak lies a little too high, and chance with it: judge a small leak by its chance, not by 0."),
    ("Measured leak and guarantee", "Different numbers. A leak says what these attacks did to these records: a lower limit, "
     "which a better attack raises. The bound, (e^ε - 1 + 2δ) / (e^ε + 1), says what no attack on one record can exceed, if "
     "the training kept to its (ε, δ); it is most often far above what is measured, and says nothing about a person with "
     "several records or about what holds for a whole population."),
    ("Membership", "Was this record trained on? Threshold: on the model's confidence, chosen on one half of the records and "
     "tested on the other. Likelihood ratio: how confident are models trained with the record, and without? Assumes answers "
     "with confidences and records of the same population. An average hides the few records that leak most: see the left end "
     "of the logarithmic curve."),
    ("Private attribute", "Fresh models learn the attribute from what is handed out, on the attacker's own records; the best "
     "of them counts. Person: one guess from all records of a person. Answers: each record asked for again and again. What the "
     "task's label alone gives cannot be undercut while the task is kept."),
    ("Update inversion", "Records made again from a client's update, which the server sees unless updates are added up on "
     "shares or under encryption; then its bytes are independent of the records, and chance here checks the wiring."),
    ("Wire", "Models learn a private value from the frames that a party, all but the owner together, or the dealer sees. The "
     "plaintext twin shows that they can. That shares are uniform is proved, not measured."),
    ("Tables and synthetic records", "Linkage: right guesses of a person's row by the columns named, and of the sensitive "
     "value beyond what everybody knows. Nearest record: is a training record nearer to a synthetic one than a record that "
     "was held out? Both say nothing of other columns, further releases or better attacks."),
)  # fmt: skip


def page(report: AuditReport) -> str:
    """The whole page."""
    lines = report.lines
    parts = [_head(report), _leaks(lines), _table(report), _curves(lines), _wires(report), _how()]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>{CSS}{ROC_CSS}{SHEET_CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<footer>Written by mpc {escape(VERSION)}.</footer>\n</main>\n</body>\n</html>\n"
    )


def _head(report: AuditReport) -> str:
    alerts = "".join(f'<p class="alert">{escape(warning)}</p>' for warning in report.warnings)
    return (
        f'<header><p class="eyebrow">Privacy audit</p><h1>{escape(report.title)}</h1>'
        "<p>What attackers could tell from what was handed out, measured; what it is still good for; what it cost. Where there "
        f"is a guarantee, the most that it allows stands beside.</p></header>{alerts}"
    )


def _leaks(lines: list[Line]) -> str:
    keys = '<ul class="legend"><li class="round" style="--k:var(--a)">leak with its 95 % interval</li>'
    if any(line.found.null is not None for line in lines):
        keys += '<li class="turned" style="--k:var(--soft)">the same attack where there is nothing to find, and its range</li>'
    if any(line.found.bound is not None for line in lines):
        keys += '<li class="upright" style="--k:var(--b)">the most that the guarantee allows</li>'
    return section(
        "Leaks", "Advantage of each attack: 0 is guessing, 1 is knowing.",
        f'{keys}</ul><div class="leaks">{scale()}{"".join(intervals(line) for line in lines)}</div>',
    )


def _table(report: AuditReport) -> str:
    return section("Leak, quality and cost", SHORT, sheet(report))


def _curves(lines: list[Line]) -> str:
    by_attack: dict[str, list[Line]] = {}
    for line in lines:
        if line.scores is not None:
            by_attack.setdefault(line.attack, []).append(line)
    figures = []
    for attack, these in by_attack.items():
        for start in range(0, len(these), len(COLOURS)):
            some = these[start : start + len(COLOURS)]
            drawn = [
                Curve(line.exposure, colour, scores.curve(), len(scores.negatives), f"AUC {scores.auc.value:.3f}")
                for line, colour in zip(some, COLOURS, strict=False)
                if (scores := line.scores) is not None
            ]
            keys = legend([(c.colour, f"{c.name}: {c.note}") for c in drawn])
            title = attack[:1].upper() + attack[1:]
            plots = roc(drawn) + roc(drawn, logarithmic=True)
            figures.append(f'<h3>{escape(title)}</h3>{keys}<div class="curves">{plots}</div>')
    if not figures:
        return ""
    return section(
        "ROC curves", "Members (or records behind the update) found, against others taken for such. The dashed line is chance; "
        "both scales of the right-hand plot are logarithmic, for attackers that want to be sure of a few.", "".join(figures),
    )  # fmt: skip


def _wires(report: AuditReport) -> str:
    parts = []
    for exposure in report.exposures:
        for one in exposure.found:
            if isinstance(one, WireReport):
                rows = [
                    (name, protocol, str(v.advantage), f"{v.p:.2g}", f"{v.words:,}")
                    for protocol, views in (("secret shares", one.views), ("plaintext twin", one.twin))
                    for name, v in views.items()
                ]
                views = Table("", ("seen by", "protocol", "leak (95 %)", "p", "words a sample"), rows, None, 2)
                parts.append(f"<h3>{escape(exposure.name)}, {one.samples} samples</h3>{grid(views, exposure.name)}")
    text = "What attackers tell from the frames that reach each, and from those of the same program in plaintext, as they must."
    return section("On the wire", text, "".join(parts)) if parts else ""


def _how() -> str:
    inner = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in HOW)
    return f'<section><h2>How to read this</h2><dl class="how">{inner}</dl></section>'
