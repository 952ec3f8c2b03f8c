"""The page's style sheet: light and dark, wide and narrow, on paper."""
from __future__ import annotations

from typing import Final

CSS: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16202b; --soft: #566373; --line: #dfe4ea; --grid: #e9edf1;
  --a: #2c6bb2; --b: #d98a1f; --c: #6f5aa8; --d: #2a8f7b; --e: #9aa6b2; --rest: #b4bec8; --track: #edf0f4;
  --warn: #9a4a00; --warn-bg: #fdf1e2; --bad: #a3261d; --bad-bg: #fdecea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11161c; --card: #1a2129; --ink: #e8edf2; --soft: #9fabb8; --line: #2f3944; --grid: #28313b;
    --a: #6ba6e8; --b: #eab05a; --c: #a993e6; --d: #55c2ab; --e: #6d7986; --rest: #566270; --track: #252e37;
    --warn: #f0b878; --warn-bg: #33261a; --bad: #ff9d92; --bad-bg: #3a1f1d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px; }
header p { margin: 0; max-width: 46em; }
.eyebrow { font-size: 13px; font-weight: 600; color: var(--a); letter-spacing: .02em; }
h1 { font-size: 30px; line-height: 1.2; margin: 4px 0 10px; letter-spacing: -.01em; text-wrap: balance;
  overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 2px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
h2 + p, .note { color: var(--soft); margin: 0 0 16px; max-width: 52em; font-size: 14px; }
.note { margin: 12px 0 0; }
section, .tiles { margin-top: 20px; }
section > p + h3 { margin-top: 4px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 22px 24px; }
.tiles { display: flex; flex-wrap: wrap; gap: 1px; background: var(--line);
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden; padding: 0; }
.tiles div { flex: 1 1 150px; background: var(--card); padding: 14px 18px; }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 0; font-size: 23px; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.tiles small { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.alert { background: var(--bad-bg); color: var(--bad); border: 1px solid currentColor; border-radius: 10px;
  padding: 12px 18px; margin-top: 20px; }
.scroll { overflow-x: auto; margin: 0 -24px; padding: 0 24px; }
.scroll:focus-visible { outline: 2px solid var(--a); outline-offset: -2px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; font-size: 13px; color: var(--soft); vertical-align: bottom; border-bottom: 1px solid var(--line); }
th, td { padding: 7px 0 7px 18px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
td { border-bottom: 1px solid var(--grid); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
tfoot td { border-top: 1px solid var(--line); border-bottom: 0; font-weight: 600; }
.name { text-align: left; }
.words { text-align: left; white-space: normal; min-width: 14em; overflow-wrap: anywhere; }
code, .path { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: .92em; }
.path i { font-style: normal; color: var(--soft); }
.flag { color: var(--warn); background: var(--warn-bg); border-radius: 4px; padding: 1px 7px; font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 12px; padding: 0; list-style: none; font-size: 13px;
  color: var(--soft); }
.legend li::before { content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 7px;
  background: var(--k); vertical-align: -1px; }
.bars { display: grid; grid-template-columns: minmax(9em, max-content) 1fr 1fr 1fr; gap: 7px 22px; align-items: center;
  font-size: 14px; font-variant-numeric: tabular-nums; }
.bars .head { color: var(--soft); font-size: 13px; font-weight: 600; border-bottom: 1px solid var(--line);
  padding-bottom: 5px; }
.bars .label { overflow-wrap: anywhere; }
.nets { grid-template-columns: minmax(9em, max-content) 1fr; }
.bar { display: grid; grid-template-columns: 1fr 5.2em; gap: 10px; align-items: center; }
.bar span { text-align: right; white-space: nowrap; }
.track { display: flex; height: 13px; background: var(--track); border-radius: 3px; overflow: hidden; }
.track b { flex: none; background: var(--k); }
.track b + b { box-shadow: inset 1px 0 0 var(--card); }
.track .maybe { background: repeating-linear-gradient(-45deg, var(--k) 0 3px, transparent 3px 6px); }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 26px 36px;
  margin-top: 12px; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: 14px; display: flex; justify-content: space-between; gap: 14px; margin-bottom: 8px;
  overflow-wrap: anywhere; }
figcaption span { color: var(--soft); font-weight: 400; white-space: nowrap; font-variant-numeric: tabular-nums; }
.plot { position: relative; height: 210px; margin: 6px 8px 40px 46px; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot line { stroke: var(--grid); vector-effect: non-scaling-stroke; }
.plot polyline { fill: none; stroke: var(--a); stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.plot span { position: absolute; font-size: 12px; color: var(--soft); font-variant-numeric: tabular-nums; line-height: 1; }
.plot .y { right: 100%; margin-right: 8px; transform: translateY(-50%); }
.plot .x { top: 100%; margin-top: 8px; transform: translateX(-50%); }
.plot .unit { right: 0; top: 100%; margin-top: 24px; }
.plot .dot { width: 7px; height: 7px; margin: -3.5px; border-radius: 50%; background: var(--a);
  box-shadow: 0 0 0 2px var(--card); }
details summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: 12px; }
dl.how { margin: 0; font-size: 14px; max-width: 56em; }
dl.how dt { font-weight: 600; margin-top: 12px; }
dl.how dd { margin: 0; color: var(--soft); }
footer { color: var(--soft); font-size: 13px; margin-top: 20px; }
@media (max-width: 720px) {
  main { padding: 24px 14px 40px; }
  section { padding: 18px 16px; }
  .scroll { margin: 0 -16px; padding: 0 16px; }
  h1 { font-size: 25px; }
  .bars { grid-template-columns: 1fr; gap: 4px; }
  .bars .head { display: none; }
  .bars .label { margin-top: 12px; }
  .bar { grid-template-columns: 1fr 8.6em; }
  .bars .bar::after { content: none; }
  .bar span::after { content: attr(data-of); color: var(--soft); }
  .bar span { text-align: left; }
}
@media print {
  body { background: #fff; font-size: 12px; }
  main { max-width: none; padding: 0; }
  section { break-inside: avoid; }
  .track, .track b, .legend li::before, .plot .dot { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
