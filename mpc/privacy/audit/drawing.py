"""ROC curves and intervals as inline SVG and plain HTML. Text stays text, so that it keeps its size on a narrow screen."""
from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.lines import Line, interval
from mpc.report.charts import number

COLOURS: Final = ("a", "b", "c", "d", "e")
LEFT: Final = -0.2  # the axis of leaks
RIGHT: Final = 1.03

ROC_CSS: Final = """
.plot.roc { height: 260px; margin-bottom: 48px; }
.plot polyline.even { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; }
.plot .what { left: 50%; top: 100%; margin-top: 26px; transform: translateX(-50%); white-space: nowrap; }
.plot.roc .y { white-space: nowrap; }
.leaks { display: grid; grid-template-columns: minmax(11em, max-content) 1fr 12.5em; gap: 9px 18px; align-items: center;
  font-size: 14px; font-variant-numeric: tabular-nums; }
.leaks .label { overflow-wrap: anywhere; line-height: 1.35; }
.leaks .label span { color: var(--soft); font-size: 13px; }
.leaks .value { text-align: right; white-space: nowrap; }
.axis { position: relative; height: 22px; border-radius: 4px; background: var(--track); }
.axis i { position: absolute; display: block; }
.axis .zero { top: 0; bottom: 0; width: 1px; background: var(--soft); }
.axis .range { top: 9px; height: 4px; min-width: 2px; border-radius: 2px; background: var(--a); }
.axis .dot { top: 5px; width: 12px; height: 12px; margin-left: -6px; border-radius: 50%; background: var(--a);
  box-shadow: 0 0 0 2px var(--track); }
.axis .null { top: 7px; width: 8px; height: 8px; margin-left: -4px; background: var(--soft); transform: rotate(45deg); }
.axis .mixed { top: 3px; bottom: 3px; min-width: 1px; background: var(--soft); opacity: .22; }
.axis .bound { top: 1px; bottom: 1px; width: 3px; margin-left: -1.5px; border-radius: 1px; background: var(--b); }
.scale { position: relative; height: 16px; font-size: 12px; color: var(--soft); }
.scale span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.legend .round::before { border-radius: 50%; }
.legend .turned::before { width: 8px; height: 8px; transform: rotate(45deg); }
.legend .upright::before { width: 3px; height: 13px; vertical-align: -2px; }
@media (max-width: 720px) {
  .leaks .none { display: none; }
  .leaks { grid-template-columns: 1fr; gap: 3px; }
  .leaks .label { margin-top: 12px; }
  .leaks .value { text-align: left; }
}
@media print { .axis, .axis i { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


class Curve(NamedTuple):
    """``points``: (false, true) positive rates; ``negatives``: how many records the first of them counts."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    negatives: int
    note: str


def roc(curves: Sequence[Curve], logarithmic: bool = False) -> str:
    """The curves in one plot; ``logarithmic``: on both axes, down to one false positive among the most records."""
    low = 10.0 ** -min(5, max(1, math.ceil(math.log10(max(c.negatives for c in curves)) - 1e-9)))

    def at(rate: float) -> float:
        return 100 * (math.log10(max(rate, low) / low) / -math.log10(low) if logarithmic else rate)

    ticks = [10.0**k for k in range(round(math.log10(low)), 1)] if logarithmic else [0, 0.25, 0.5, 0.75, 1]
    lines = "".join(f'<line x1="0" x2="100" y1="{100 - at(y):.2f}" y2="{100 - at(y):.2f}"/>' for y in ticks)
    lines += '<polyline class="even" points="0,100 100,0"/>'
    for curve in reversed(curves):
        path = " ".join(f"{at(x):.2f},{100 - at(y):.2f}" for x, y in (_bent(curve.points) if logarithmic else curve.points))
        lines += f'<polyline style="stroke:var(--{curve.colour})" points="{path}"/>'
    labels = [f'<span class="y" style="top:{100 - at(y):.2f}%">{number(y)}</span>' for y in ticks]
    labels += [f'<span class="x" style="left:{at(x):.2f}%">{number(x)}</span>' for x in ticks]
    labels.append('<span class="what">false positive rate</span>')
    scale = "logarithmic" if logarithmic else "linear"
    said = "; ".join(f"{c.name}, {c.note}" for c in curves)
    return (
        f"<figure><figcaption>True positive rate <span>{scale}</span></figcaption>"
        f'<div class="plot roc" role="img" aria-label="ROC curves, {scale}: {escape(said, quote=True)}">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{lines}</svg>'
        f"{''.join(labels)}</div></figure>"
    )


def _bent(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same curve with points between: what is straight on linear axes is bent on logarithmic ones."""
    out = [points[0]]
    for (a, b), (c, d) in zip(points, points[1:], strict=False):
        steps = 12 if c > a and d > b and max(c - a, d - b) > 0.01 else 1
        parts = [2.0 ** -(steps - k) for k in range(1, steps)] + [1.0]
        out += [(a + (c - a) * t, b + (d - b) * t) for t in parts]
    return out


def scale() -> str:
    """The head of the leaks: where 0 and 1 are."""
    marks = "".join(f'<span style="left:{_at(v)}">{v:g}</span>' for v in (0, 0.25, 0.5, 0.75, 1))
    return f'<div class="none"></div><div class="scale" aria-hidden="true">{marks}</div><div class="none"></div>'


def intervals(line: Line) -> str:
    """One line of the leaks: what was attacked, the leak on an axis from a little below 0 to 1, and its numbers."""
    marks, found, said = "", line.found, [f"{line.exposure}, {line.attack}: {interval(line.leak)}"]
    if found.null is not None and found.null.low < found.null.high:
        marks += _range("mixed", found.null)
    marks += f'<i class="zero" style="left:{_at(0)}"></i>'
    if found.bound is not None:
        told = f"{found.guarantee}: at most {found.bound:.3f}"
        said.append(told)
        marks += f'<i class="bound" style="left:{_at(found.bound)}" title="{escape(told, quote=True)}"></i>'
    if found.null is not None and math.isfinite(found.null.value):
        told = f"chance: {interval(found.null)}"
        said.append(told)
        marks += f'<i class="null" style="left:{_at(found.null.value)}" title="{told}"></i>'
    if math.isfinite(line.leak.value):
        if line.leak.low < line.leak.high:
            marks += _range("range", line.leak)
        marks += f'<i class="dot" style="left:{_at(line.leak.value)}" title="{interval(line.leak)}"></i>'
    return (
        f'<div class="label">{escape(line.exposure)}<br><span>{escape(line.attack)}</span></div>'
        f'<div class="axis" role="img" aria-label="{escape("; ".join(said), quote=True)}">{marks}</div>'
        f'<div class="value">{interval(line.leak)}</div>'
    )


def _range(kind: str, value: Estimate) -> str:
    return f'<i class="{kind}" style="left:{_at(value.low)};width:calc({_at(value.high)} - {_at(value.low)})"></i>'


def _at(value: float) -> str:
    return f"{100 * (min(max(value, LEFT), 1) - LEFT) / (RIGHT - LEFT):.2f}%"
