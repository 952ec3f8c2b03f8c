"""Curves and bars in plain HTML and inline SVG. Text stays text, so that it keeps its size on a narrow screen."""
from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

from mpc.report.rows import Point

MOST_POINTS = 600  # of a curve; beyond, each stretch shows its lowest and highest point
MOST_DOTS = 40
_AXIS = re.compile(r"(?<=\w)[\s,:]+(?:(?:of|at|after|in)\s+)?(step|epoch|batch|iteration|round)$")  # "loss, step"


def curve(name: str, points: Sequence[Point]) -> str:
    """One series as a figure with axes; needs two finite points."""
    shown = thinned([p for p in points if math.isfinite(p.value) and math.isfinite(p.step)])
    xs, ys = [p.step for p in shown], [p.value for p in shown]
    across, up = ticks(min(xs), max(xs), 6, whole=all(float(x).is_integer() for x in xs)), ticks(min(ys), max(ys), 5)
    left, right = min(xs), max(xs)
    if left == right:
        left, right = left - 1, right + 1
    low, high = min(*up, *ys), max(*up, *ys)

    def at(x: float, y: float) -> tuple[float, float]:
        return 100 * (x - left) / (right - left), 100 * (high - y) / (high - low)

    lines = "".join(f'<line x1="0" x2="100" y1="{at(left, y)[1]:.2f}" y2="{at(left, y)[1]:.2f}"/>' for y in up)
    path = " ".join("{:.2f},{:.2f}".format(*at(x, y)) for x, y in zip(xs, ys, strict=True))
    labels = [f'<span class="y" style="top:{at(left, y)[1]:.2f}%">{number(y)}</span>' for y in up]
    labels += [f'<span class="x" style="left:{at(x, low)[0]:.2f}%">{number(x)}</span>' for x in across if left <= x <= right]
    dots = shown if len(shown) <= MOST_DOTS else shown[-1:]
    for p in dots:
        x, y = at(p.step, p.value)
        hint = f"{number(p.step)}: {p.value:.4g}"
        labels.append(f'<span class="dot" style="left:{x:.2f}%;top:{y:.2f}%" title="{hint}"></span>')
    found = _AXIS.search(name)
    if found is not None:
        labels.append(f'<span class="unit">{escape(found[1])}</span>')
        name = name[: found.start()]
    what = escape(name, quote=True)
    last = f"{ys[0]:.4g} &rarr; {ys[-1]:.4g}"
    return (
        f"<figure><figcaption>{escape(name)} <span>{last}</span></figcaption>"
        f'<div class="plot" role="img" aria-label="{what}: from {ys[0]:.4g} to {ys[-1]:.4g} over {len(points)} points">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{lines}<polyline points="{path}"/></svg>'
        f"{''.join(labels)}</div></figure>"
    )


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most `MOST_POINTS` of them, extremes kept."""
    if len(points) <= MOST_POINTS:
        return list(points)
    size = math.ceil(2 * len(points) / MOST_POINTS)
    out: list[Point] = []
    for start in range(0, len(points), size):
        part = range(start, min(start + size, len(points)))
        ends = {min(part, key=lambda k: points[k].value), max(part, key=lambda k: points[k].value)}
        out.extend(points[k] for k in sorted(ends))
    return out


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Round numbers from at or below ``low`` to at or above ``high``; ``whole``: integers only."""
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    rough = max((high - low) / max(1, most - 1), 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    return [k * step for k in range(first, math.ceil(high / step - 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's label."""
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.3g}"


def bar(parts: Sequence[tuple[str, float]], whole: float, text: str, of: str = "") -> str:
    """A stacked bar: (colour variable, value) parts of ``whole``, with its text; ``of``: said where there is no head.

    A colour that ends in "?" is hatched.
    """
    pieces = "".join(
        f'<b{" class=maybe" if colour.endswith("?") else ""} '
        f'style="width:{100 * value / whole:.2f}%;--k:var(--{colour.rstrip("?")})"></b>'
        for colour, value in parts
        if whole > 0 and value > 0
    )
    said = f' data-of=" {escape(of, quote=True)}"' if of else ""
    return f'<div class="bar"><div class="track">{pieces}</div><span{said}>{escape(text)}</span></div>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """(colour variable, what it stands for)."""
    items = "".join(f'<li style="--k:var(--{colour})">{escape(what)}</li>' for colour, what in entries)
    return f'<ul class="legend">{items}</ul>'
