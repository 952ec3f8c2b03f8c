"""Any file, by its name; any folder, file by file."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mpc.data.arrays import PathLike, existing, read_idx, read_npy
from mpc.data.tables import read_csv
from mpc.errors import ConfigError


def _kind(name: str) -> str | None:
    plain = name.removesuffix(".gz")
    if plain.endswith((".npy", ".npz")):
        return "npy"
    if plain.endswith((".csv", ".tsv")):
        return "csv"
    return "idx" if plain.endswith(("-ubyte", ".idx")) or "idx" in plain.rpartition(".")[2] else None


def read(path: PathLike, **options: Any) -> Any:
    """The contents of a file: an array (idx, npy), a dict of arrays (npz) or a `Table` (csv, tsv), by its name.

    A folder gives a dict of the files in it that have such a name, by name without endings. ``options`` go to
    `read_csv`. Only the party that names a file reads it; what it reads stays there until it is shared. Raises
    ConfigError for a name that says nothing, and what the readers raise.
    """
    place = Path(path)
    if place.is_dir():
        files = sorted(p for p in place.iterdir() if p.is_file() and _kind(p.name))
        if not files:
            raise ConfigError(f"got the folder {place} without a file named .csv, .tsv, .npy, .npz or as idx files are")
        return {p.name.split(".")[0]: read(p, **(options if _kind(p.name) == "csv" else {})) for p in files}
    kind = _kind(existing(place).name)
    if kind is None:
        raise ConfigError(f"got {place.name}; its name does not say what it is: call read_csv, read_idx or read_npy")
    if kind == "csv":
        if place.suffix == ".tsv":
            options = {"delimiter": "\t", **options}
        return read_csv(place, **options)
    if options:
        raise ConfigError(f"got options {sorted(options)} for {place.name}; only csv files take some")
    return read_idx(place) if kind == "idx" else read_npy(place)
