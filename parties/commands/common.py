"""What several commands need."""
from __future__ import annotations

from typing import NoReturn

import typer


def choice(name: str, values: tuple[str, ...], got: str) -> str:
    """``got`` if it is one of ``values``; otherwise a usage error."""
    if got not in values:
        raise typer.BadParameter(f"got {got!r}; want one of {', '.join(values)}", param_hint=name)
    return got


def terminated(number: int, frame: object) -> NoReturn:
    """Signal handler: end as at `sys.exit`, so that whatever stands open is closed."""
    raise SystemExit(128 + number)
