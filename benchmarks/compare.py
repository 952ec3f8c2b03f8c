"""Two results side by side."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

SLOWER = 1.10  # a ratio above this is marked
Key = tuple[str, str]


class Ratio(NamedTuple):
    """How much slower the new one is: above 1 is slower, also for rates. None where a side has no value."""

    key: Key
    unit: str
    old: float | None
    new: float | None
    ratio: float | None

    @property
    def slower(self) -> bool:
        return self.ratio is not None and self.ratio > SLOWER


def load(path: str) -> dict[str, Any]:
    """A file that ``--json`` wrote. Raises ValueError for others, OSError for none."""
    data = json.loads(Path(path).read_text())
    if not isinstance(data, dict) or not isinstance(data.get("rows"), list):
        raise ValueError(f"{path} is no result of `mpc bench --json`: want an object with rows")
    return data


def ratios(old: dict[str, Any], new: dict[str, Any]) -> list[Ratio]:
    """One per row of either, in the new one's order; those only in the old one come last."""
    before, after = (_by_key(data) for data in (old, new))
    found = []
    for key in [*after, *(k for k in before if k not in after)]:
        a, b = before.get(key, {}), after.get(key, {})
        was, now, row = a.get("value"), b.get("value"), b or a
        ratio = None
        if was and now:
            ratio = was / now if row.get("more_is_better") else now / was
        found.append(Ratio(key, str(row.get("unit", "")), was, now, ratio))
    return found


def _by_key(data: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    return {(row["name"], row.get("variant", "")): row for row in data["rows"]}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What makes the two less comparable: other machine, options or yardstick."""
    notes = []
    for what, names in (("machine", ("cpu", "cores", "isa")), ("options", ("parties", "quick"))):
        for name in names:
            a, b = (data.get(what, {}).get(name) for data in (old, new))
            if a != b:
                notes.append(f"{name}: {a} in the old one, {b} in the new one")
    return notes


def compare(old_path: str, new_path: str, fail: bool) -> int:
    """Print the ratios; 1 if ``fail`` and a row is more than 10 % slower."""
    from rich.console import Console
    from rich.table import Table

    old, new = load(old_path), load(new_path)
    rows = ratios(old, new)
    yardstick = next((r.ratio for r in rows if r.key[0] == "yardstick" and r.ratio), None)
    table = Table("name", "variant", "unit", title=f"{new_path} against {old_path}", title_justify="left")
    for head in ("old", "new", "time new/old", "by yardstick"):
        table.add_column(head, justify="right")
    table.add_column("")
    for row in rows:
        mark = "SLOWER" if row.slower else ""
        if row.old is None or row.new is None:
            mark = "only in the new one" if row.old is None else "only in the old one"
        cells = [_text(row.old), _text(row.new), _text(row.ratio)]
        scaled = None if row.ratio is None or yardstick is None else row.ratio / yardstick
        table.add_row(*row.key, row.unit, *cells, _text(scaled), mark)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table)
    for note in differences(old, new):
        console.print(f"They differ in {note}.", highlight=False, markup=False)
    return 1 if fail and any(row.slower for row in rows) else 0


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
