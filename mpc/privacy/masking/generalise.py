"""`generalise`: a table whose people hide among at least k of their like."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mpc import prg
from mpc.errors import ConfigError
from mpc.privacy.masking import checks
from mpc.privacy.masking.checks import Requirement, Sensitive
from mpc.privacy.masking.columns import Floats, Ints, Table, as_table, joint, wanted
from mpc.privacy.masking.hierarchies import Axis, Cells, Hierarchy
from mpc.privacy.masking.partitions import FullDomain, mondrian

METHODS: Final = ("mondrian", "full-domain")


@dataclass(frozen=True)
class Generalised:
    """A generalised table. Never hand out the object: it knows which row was whose. `release` is what may leave.

    ``groups``: the equivalence class of each original row, -1 where suppressed. ``index``: its cell in each quasi-identifier's
    ``cells``. ``kept``: the columns that are released unchanged.
    """

    axes: tuple[Axis, ...]
    cells: tuple[Cells, ...]
    index: Ints
    groups: Ints
    kept: Table
    sensitive: Sensitive | None
    settings: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def suppressed(self) -> int:
        """How many rows are not released."""
        return int(np.count_nonzero(self.groups < 0))

    @property
    def loss(self) -> float:
        """Mean certainty penalty over rows and quasi-identifiers: 0 exact, 1 nothing left; 1 for a suppressed row."""
        parts = [np.where(self.groups < 0, 1.0, cells.loss[self.index[:, i]]) for i, cells in enumerate(self.cells)]
        return float(np.mean(parts))

    def classes(self) -> tuple[Floats, Floats, Ints]:
        """(low, high, size): what each class's row of cells covers, classes x quasi-identifiers."""
        first = np.full(int(self.groups.max(initial=-1)) + 1, -1)
        rows = np.flatnonzero(self.groups >= 0)
        first[self.groups[rows]] = rows
        low, high = (
            np.stack([getattr(cells, end)[self.index[first, i]] for i, cells in enumerate(self.cells)], axis=1)
            for end in ("low", "high")
        )
        return low, high, checks.sizes(self.groups)

    def check(self) -> dict[str, float]:
        """What the released classes fulfil, measured: k; with a sensitive column also l, entropy_l, t; suppressed rows;
        loss."""
        out: dict[str, float] = {"k": checks.k_anonymity(self.groups), "classes": int(self.groups.max(initial=-1)) + 1}
        if self.sensitive is not None and (self.groups >= 0).any():
            out["l"] = checks.distinct_diversity(self.groups, self.sensitive)
            out["entropy_l"] = checks.entropy_diversity(self.groups, self.sensitive)
            out["t"] = checks.t_closeness(self.groups, self.sensitive)
        return {**out, "suppressed": self.suppressed, "loss": self.loss}

    def release(self) -> Table:
        """The columns to hand out: quasi-identifiers as text, kept columns as they were.

        Rows are in a random order of the operating system's making: the original order would link them to whoever has it.
        """
        rows = np.flatnonzero(self.groups >= 0)
        rows = rows[np.argsort(prg.words(prg.derive(prg.fresh_secret(), "order of a release"), 0, 0, len(rows)), kind="stable")]
        out = {axis.name: c.labels[self.index[rows, i]] for i, (axis, c) in enumerate(zip(self.axes, self.cells, strict=True))}
        return {**out, **{name: column[rows] for name, column in self.kept.items()}}


def generalise(
    data: Any, quasi: Mapping[str, Hierarchy], requirement: Requirement | int = 5, *, sensitive: str | None = None,
    keep: Sequence[str] = (), method: str = "mondrian", suppress: float = 0.0, ordered: bool | None = None,
) -> Generalised:  # fmt: skip
    """A table in which every released row shares its quasi-identifiers with at least k - 1 others.

    ``data``: a dict of columns, a structured array or a data frame. ``quasi``: what an attacker may know, with a hierarchy
    each. ``sensitive``: the column that l and t are about; it and ``keep`` are released unchanged, every other column is
    dropped. ``requirement``: k, or a `Requirement`. ``method``: "mondrian" (each region its own ranges: less loss) or
    "full-domain" (one level per column: values stay comparable). ``suppress``: the share of rows that full-domain may leave
    out; Mondrian leaves out none. ``ordered``: of the sensitive values; default: numbers are.

    Protects: linking a row to a person through the quasi-identifiers named, in this release alone. Does not protect: what a
    class has in common (homogeneity; l and t bound it), against background knowledge, through quasi-identifiers not named or a
    kept column, or once a second release of the same people exists (composition). It is no differential privacy: the ranges
    depend on the data (Mondrian's ends are values that occur). Raises ConfigError, ShapeError.
    """
    table = as_table(data)
    need = requirement if isinstance(requirement, Requirement) else Requirement(requirement)
    wanted(table, [*quasi, *keep, *([] if sensitive is None else [sensitive])], "the column asked for,")
    if not quasi:
        raise ConfigError("no quasi-identifiers; name the columns that an attacker may know, with a hierarchy each")
    if both := sorted(set(quasi) & {*keep, sensitive}):
        raise ConfigError(f"{both[0]!r} is a quasi-identifier and kept unchanged; want one of the two")
    if need.of_values and sensitive is None:
        raise ConfigError(f"{need} without a sensitive column; say which (sensitive=...)")
    if method not in METHODS:
        raise ConfigError(f"method {method!r}; want one of {', '.join(METHODS)}")
    if not 0 <= suppress <= 1 or (suppress and method == "mondrian"):
        raise ConfigError(f"suppress={suppress} with {method}; want a share of 0 to 1, and 0 for mondrian")
    count = len(next(iter(table.values())))
    if count < need.k:
        raise ConfigError(f"a table of {count} rows cannot be {need.k}-anonymous")
    axes = tuple(hierarchy.fit(name, table[name]) for name, hierarchy in quasi.items())
    x = np.stack([axis.encode(table[axis.name]) for axis in axes], axis=1)
    private = None if sensitive is None else Sensitive(sensitive, table[sensitive], ordered)
    settings: dict[str, Any] = {"method": method, "requirement": need, "suppress": suppress}
    if method == "mondrian":
        cells, index, groups = _by_regions(x, axes, mondrian(x, axes, need, private if need.of_values else None))
    else:
        search = FullDomain(x, axes, need, private if need.of_values else None, int(suppress * count))
        levels, groups = search.search()
        settings["levels"] = dict(zip(quasi, levels, strict=True))
        chosen = [search.cells[i][level] for i, level in enumerate(levels)]
        cells, index = tuple(c for _, c in chosen), np.stack([of for of, _ in chosen], axis=1)
    kept = {name: table[name] for name in dict.fromkeys([*([] if sensitive is None else [sensitive]), *keep])}
    return Generalised(axes, cells, index, groups, kept, private, settings)


def _by_regions(x: Floats, axes: Sequence[Axis], regions: Ints) -> tuple[tuple[Cells, ...], Ints, Ints]:
    """(cells of each column, cell of each row, class of each row). Regions that read the same become one class: which can only
    grow, but a node of a tree may cover more values than the region has."""
    order = np.argsort(regions, kind="stable")
    starts = np.flatnonzero(np.diff(regions[order], prepend=-1))
    cells, index = [], []
    for i, axis in enumerate(axes):
        values = x[order, i]
        found = axis.regions(np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))
        _, first, of = np.unique(found.labels, return_index=True, return_inverse=True)
        cells.append(found.take(first))
        index.append(of.reshape(-1)[regions].astype(np.int64))
    return tuple(cells), np.stack(index, axis=1), joint(index)


def as_released(data: Any, quasi: Mapping[str, Hierarchy]) -> Generalised:
    """A table as it is, in the same form: what `risk` measures when nothing is done."""
    table = as_table(data)
    wanted(table, list(quasi), "the quasi-identifier")
    axes = tuple(hierarchy.fit(name, table[name]) for name, hierarchy in quasi.items())
    pairs = [axis.at(0, axis.encode(table[axis.name])) for axis in axes]
    index = np.stack([of for of, _ in pairs], axis=1)
    kept = {name: column for name, column in table.items() if name not in quasi}
    return Generalised(axes, tuple(c for _, c in pairs), index, joint([of for of, _ in pairs]), kept, None, {"method": "none"})

