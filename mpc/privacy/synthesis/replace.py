"""Tables whose personal columns hold synthetic values: the rest stays, row by row."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc import prg
from mpc.errors import ConfigError
from mpc.privacy.synthesis.columns import columns_of
from mpc.privacy.synthesis.labels import numbered


def replace_columns(
    table: Any, names: Sequence[str], synthesiser: Any = None, *, label: str | None = None, seed: int = 0
) -> Any:
    """``table`` with the columns ``names`` replaced by synthetic values.

    ``synthesiser``: a fitted `GAN` of a table that has these columns; rows of it are drawn, with each row's own value of
    ``label`` where the GAN was fitted with that column as its label, and only ``names`` are taken from them. Without a
    synthesiser the values of each column are drawn by themselves from the table's own frequencies of them, with the operating
    system's entropy: that repeats real values (names, towns), cut off from the row they belong to. ``seed`` repeats a
    synthesiser's rows; it is not used for those draws, since whoever knew it could undo them.

    The replaced columns then say nothing about the row but what ``label`` says. The columns that *stay* are the real ones,
    and may identify a person by themselves (`mpc.privacy.masking` measures that): this is no anonymisation. Raises ConfigError.
    """
    columns = columns_of(table)
    if unknown := [name for name in names if name not in columns] or ([] if label is None or label in columns else [label]):
        raise ConfigError(f"replace_columns: got {unknown}; want columns of {list(columns)}")
    if not len(names) or label in names:
        raise ConfigError(f"replace_columns: got names={list(names)}, label={label!r}; want a column, and a label that stays")
    rows = len(next(iter(columns.values())))
    if synthesiser is None:
        groups = np.zeros(rows, np.int64) if label is None else numbered(columns[label], np.unique(columns[label]))
        drawn = {name: columns[name].copy() for name in names}
        for group in np.unique(groups):
            chosen = np.flatnonzero(groups == group)
            for name in names:
                drawn[name][chosen] = columns[name][chosen[_draws(len(chosen))]]
    else:
        wanted = {"n": rows} if label is None else {"labels": columns[label]}
        made = columns_of(synthesiser.sample(**wanted, seed=seed))
        if missing := [name for name in names if name not in made]:
            raise ConfigError(f"replace_columns: the synthesiser makes no {missing}; it makes {list(made)}")
        drawn = {name: made[name] for name in names}
    out = {name: drawn.get(name, column) for name, column in columns.items()}
    return out if isinstance(table, dict) else type(table)(out)


def _draws(count: int) -> npt.NDArray[np.int64]:
    """As many numbers below ``count``, with replacement, that nobody can repeat."""
    words = prg.words(prg.derive(prg.fresh_secret(), "replaced columns"), 0, 0, count)
    return np.asarray(words % np.uint64(count), np.int64)
