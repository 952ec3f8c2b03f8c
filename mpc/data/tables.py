"""Tables of text: csv and its relatives as columns of numbers, with public lists for categories."""
from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.data.arrays import PathLike, existing
from mpc.errors import ConfigError, NotSupported, ShapeError

Floats = npt.NDArray[np.float64]
MISSING: Final = frozenset({"", "?", "NA", "N/A", "NaN", "nan", "null"})
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(repr=False)
class Table:
    """``values`` (rows, columns) float64, ``names`` of the columns, ``categories``: the texts behind the codes 0, 1, ...

    ``table["age"]`` is one column, ``table[["age", "sex"]]`` several; ``len(table)`` the number of rows.
    """

    values: Floats
    names: list[str]
    categories: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str | Sequence[str]) -> Floats:
        if isinstance(name, str):
            return self.values[:, self._at(name)]
        return self.values[:, [self._at(n) for n in name]]

    def _at(self, name: str) -> int:
        if name not in self.names:
            raise ConfigError(f"no column {name!r}; there are {self.names}")
        return self.names.index(name)

    def one_hot(self, name: str) -> Floats:
        """One column of zeros and ones for each category. Raises ConfigError for a column of numbers."""
        if name not in self.categories:
            raise ConfigError(f"column {name!r} has no categories; those with are {sorted(self.categories)}")
        return np.eye(len(self.categories[name]))[self[name].astype(np.int64)]

    def __repr__(self) -> str:
        return f"Table({len(self)} rows, columns {self.names})"


def read_csv(
    path: PathLike,
    *,
    delimiter: str | None = ",",
    header: bool = True,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    categories: Mapping[str, Sequence[str] | None] | Sequence[str] = (),
    missing: float | None = None,
    skip_rows: int = 0,
) -> Table:
    """A table of text as numbers.

    ``delimiter``: between cells; None: any white space. Blanks around cells and empty lines do not count. ``header``:
    the first line has the names; otherwise they are ``names``, or "0", "1", ... ``columns``: the ones wanted, in that
    order (all). ``categories``: columns of text that become codes; {name: texts} says which texts, in order of code
    (so that all parties have the same codes), a list of names takes those of this file, sorted. ``missing``: the
    number for empty cells, ``?``, NA and NaN (`math.nan` keeps them; sharing refuses it); None refuses them.
    ``skip_rows``: lines before the header.

    Raises ConfigError for a missing file and unknown columns, ShapeError for lines of different length, NotSupported for
    cells that are no number; both name the line.
    """
    file = existing(path)
    lines = _lines(file, delimiter, skip_rows)
    first = next(lines, None)
    if first is None:
        raise ShapeError(f"{file} has no lines")
    number, cells = first
    if names is None:
        names = cells if header else [str(i) for i in range(len(cells))]
    names = list(names)
    if len(names) != len(cells) or len(set(names)) != len(names):
        raise ShapeError(f"{file}, line {number}: {len(cells)} columns for the names {names}; want one different name each")
    wanted = list(names if columns is None else columns)
    texts: dict[str, Any] = dict(categories) if isinstance(categories, Mapping) else dict.fromkeys(categories)
    for name in [*wanted, *texts]:
        if name not in names:
            raise ConfigError(f"{file} has no column {name!r}; it has {names}")
    rows = [] if header else [first]
    for number, cells in lines:
        if len(cells) != len(names):
            raise ShapeError(f"{file}, line {number}: {len(cells)} cells; want {len(names)} ({', '.join(names)})")
        rows.append((number, cells))
    values = np.empty((len(rows), len(wanted)))
    found: dict[str, list[str]] = {}
    for k, name in enumerate(wanted):
        at = names.index(name)
        column = [(number, cells[at]) for number, cells in rows]
        if name in texts:
            found[name] = _texts(column, texts[name], missing)
            values[:, k] = [_code(file, cell, name, found[name], missing) for cell in column]
        else:
            values[:, k] = [_number(file, cell, name, missing) for cell in column]
    return Table(values, wanted, found)


def _lines(file: Path, delimiter: str | None, skip: int) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, cells) of every line that is not empty."""
    with file.open(newline="", encoding="utf-8-sig") as stream:
        try:
            for _ in range(skip):
                stream.readline()
            if delimiter is None:
                for number, line in enumerate(stream, skip + 1):
                    if line.strip():
                        yield number, line.split()
                return
            reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield skip + reader.line_num, [cell.strip() for cell in cells]
        except (csv.Error, UnicodeDecodeError, TypeError) as error:
            raise NotSupported(f"{file} cannot be read as text with delimiter {delimiter!r}: {error}") from None


def _number(file: Path, cell: tuple[int, str], name: str, missing: float | None) -> float:
    if _NUMBER.fullmatch(cell[1]):
        value = float(cell[1])
        if math.isfinite(value):
            return value
    return _missing(file, cell, name, missing, f"a number, or the column among categories=[{name!r}]")


def _texts(column: list[tuple[int, str]], given: Sequence[str] | None, missing: float | None) -> list[str]:
    if given is not None:
        return [str(text) for text in given]
    return sorted({text for _, text in column if missing is None or text not in MISSING})


def _code(file: Path, cell: tuple[int, str], name: str, texts: list[str], missing: float | None) -> float:
    if cell[1] in texts:
        return float(texts.index(cell[1]))
    return _missing(file, cell, name, missing, f"one of {texts}")


def _missing(file: Path, cell: tuple[int, str], name: str, missing: float | None, want: str) -> float:
    """The number that stands for an empty cell. Raises NotSupported for any other text, or where none is given."""
    number, text = cell
    if text not in MISSING:
        raise NotSupported(f"{file}, line {number}, column {name!r}: got {text!r}; want {want}")
    if missing is None:
        raise NotSupported(f"{file}, line {number}, column {name!r}: got {text!r}, a missing value; want {want}, or "
                           "missing= a number for all of them")
    return float(missing)
