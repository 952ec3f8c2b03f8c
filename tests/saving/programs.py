"""What the tests of saving share: sessions on threads, and files by rank."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc

WORLDS = [("clear", 2), ("additive", 2), ("additive", 3)]


def run(program: Callable[..., Any], parties: int = 2, protocol: str = "additive", **options: Any) -> list[Any]:
    def main() -> Any:
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, protocol=protocol, threads=True, **options)


def failures(program: Callable[..., Any], parties: int = 2, protocol: str = "additive", **options: Any) -> list[Any]:
    """What each party raised, by rank. All of them, at the same point: the session goes on and ends in order."""

    def attempt(s: Any) -> BaseException:
        with pytest.raises(mpc.MPCError) as caught:
            program(s)
        s.barrier()
        return caught.value

    return run(attempt, parties, protocol, **options)


def at(folder: Path, rank: int, name: str = "x") -> Path:
    return folder / f"{name}.rank{rank}.shares"


def save_ones(folder: Path, parties: int = 2, protocol: str = "additive", **options: Any) -> None:
    run(lambda s: mpc.save(mpc.share(np.ones(3), 0), folder / "x.shares"), parties, protocol, **options)
