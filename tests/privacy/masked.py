"""A small made-up table of people, and what an attacker sees of a release."""
from __future__ import annotations

from typing import Any

import numpy as np

from mpc.privacy.masking import Intervals, Suppress, Tree

JOBS = Tree({"office": {"clerks": ["clerk", "typist"], "bosses": ["boss"]}, "field": ["farmer", "driver", "miner"]})
LEAVES = ("clerk", "typist", "boss", "farmer", "driver", "miner")
QUASI = {"age": Intervals(5, 10, 20), "job": JOBS, "sex": Suppress()}


def people(rows: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"age": rng.integers(18, 66, rows), "job": rng.choice(LEAVES, rows), "sex": rng.choice(["f", "m"], rows),
            "ill": rng.choice(["flu", "cold", "gout", "none"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "name": np.arange(rows)}  # fmt: skip


def rows_alike(released: dict[str, Any], names: tuple[str, ...]) -> dict[tuple[str, ...], list[int]]:
    """Rows of what was handed out, by the text of their quasi-identifiers: what an attacker sees."""
    out: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(zip(*(released[n] for n in names), strict=True)):
        out.setdefault(tuple(map(str, row)), []).append(i)
    return out
