"""One tensor of what several parties hold: everybody's rows, or everybody's columns."""
from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc import fixed_point
from mpc import party as current_party
from mpc.data.powers import apply_exponents, exponents_of
from mpc.errors import ConfigError, CorruptFrame, ProgramMismatch, ShapeError
from mpc.exchange import checked_shape, publish
from mpc.fixed_point import Words
from mpc.ops.value import Value
from mpc.party import Party
from mpc.tensor import SecretTensor, cat, share, stack
from mpc.transport.frames import MAX_DIMS, Kind

Local = npt.NDArray[Any] | None
Shapes = list[tuple[int, ...] | None]

_WORDS: Final = 1 + MAX_DIMS
_ABSENT: Final = 2**64 - 1
_NO_EXPONENT: Final = -120  # of a column of zeros; a larger magnitude than any number of interest has


def by_rows(*arrays: Any, scale: bool = False) -> Any:
    """All parties' rows below each other, in the order of ranks: each has data on other people.

    ``arrays``: this party's part of each tensor, None from a party that has none: ``x, y = by_rows(features, labels)``. A
    SecretTensor for one array, else a tuple; the rows of the arrays belong together. ``scale=True`` (one array): each
    column is divided by a public power of two common to all parties, see `scale_by_power_of_two`; the result is
    (tensor, exponents). Reveals: who brings how many rows (and, with a line in the ledger, the
    common exponents). Rounds: 1, then a shape from each party.
    Raises, the same at every party: ShapeError when columns differ or a party's arrays have different numbers of rows,
    ConfigError when nobody brings anything, FixedPointRangeError for values out of range.
    """
    if not arrays:
        raise ConfigError("by_rows: no arrays; want by_rows(features, labels), with None for what this party has not")
    if scale and len(arrays) > 1:
        raise ConfigError(f"by_rows: scale=True with {len(arrays)} arrays; call it for each of them")
    party = current_party.current()
    with party.scope("by_rows"):
        local = [_local(a) for a in arrays]
        shapes = _shapes(party, "by_rows", local)
        for k, each in enumerate(shapes):
            there = {s[1:] for s in each if s is not None}
            if len(there) != 1 or any(s == () for s in each):
                raise ShapeError(f"by_rows: array {k} has shape {_by_rank(each)}; want rows, alike but for their number")
        for rank in range(party.world_size):
            if len({None if each[rank] is None else each[rank][0] for each in shapes}) > 1:  # type: ignore[index]
                raise ShapeError(f"by_rows: party {rank} brings arrays of shapes {[each[rank] for each in shapes]}; "
                                 "want as many rows in each, or None for all")
        if scale:
            width = _width(shapes[0])
            mine = None if local[0] is None else exponents_of(local[0])
            every = _exponents(party, mine, shapes[0])
            common = every[0] if len(every) == 1 or not width else stack(every).amax(0)
            exponents = _revealed(common, "by_rows")
            part = None if local[0] is None else apply_exponents(local[0], exponents)
            return _joined(part, shapes[0], 0), exponents
        out = tuple(_joined(a, each, 0) for a, each in zip(local, shapes, strict=True))
        return out if len(out) > 1 else out[0]


def by_columns(array: Any, scale: bool = False) -> Any:
    """All parties' columns side by side, in the order of ranks: each has other features of the same people.

    ``array``: this party's (rows, columns) or one column (rows,), None from a party that has none; row i is the same person
    everywhere. ``scale=True``: each owner divides its columns by public powers of two, see `scale_by_power_of_two`; the
    result is (tensor, exponents). Reveals: who brings how many columns (and, with a line in the ledger, the exponents).
    Rounds: 1, then a shape from each party. Raises, the same at every party: ShapeError when the numbers of rows differ,
    ConfigError when nobody brings anything, FixedPointRangeError for values out of range.
    """
    party = current_party.current()
    with party.scope("by_columns"):
        local = _local(array)
        if local is not None and local.ndim == 1:
            local = local[:, None]
        (shapes,) = _shapes(party, "by_columns", [local])
        if any(s is not None and len(s) != 2 for s in shapes) or len({s[0] for s in shapes if s is not None}) != 1:
            raise ShapeError(f"by_columns: got shapes {_by_rank(shapes)}; want (rows, columns) with the same rows everywhere")
        if not scale:
            return _joined(local, shapes, 1)
        mine = None if local is None else exponents_of(local)
        exponents = _revealed(cat(_exponents(party, mine, shapes)), "by_columns")
        if local is not None:
            start = sum(0 if s is None else s[1] for s in shapes[: party.rank])
            local = apply_exponents(local, exponents[start : start + local.shape[1]])
        return _joined(local, shapes, 1), exponents


def _local(array: Any) -> Local:
    return None if array is None else fixed_point.as_array(array)


def _shapes(party: Party, what: str, local: list[Local]) -> list[Shapes]:
    """For each array the shape at every rank, None where there is none; one round."""
    words = np.full((len(local), _WORDS), _ABSENT, np.uint64)
    for k, array in enumerate(local):
        if array is not None:
            if array.ndim > MAX_DIMS:
                raise ShapeError(f"{what}: got {array.ndim} dimensions; want at most {MAX_DIMS}")
            words[k, : 1 + array.ndim] = (array.ndim, *array.shape)
    party.note(what, len(local))
    got = [g.reshape(words.shape) for g in publish(party, Kind.SHAPES, words.reshape(-1))]
    shapes: list[Shapes] = [[_announced(g[k], what, rank) for rank, g in enumerate(got)] for k in range(len(local))]
    party.note(shapes)
    if all(s is None for each in shapes for s in each):
        raise ConfigError(f"{what}: every party passed None; want an array from at least one")
    return shapes


def _announced(words: Words, what: str, rank: int) -> tuple[int, ...] | None:
    """The shape that a party's words say."""
    ndim, *sizes = (int(n) for n in words)
    if ndim == _ABSENT:
        return None
    if ndim > MAX_DIMS:
        raise CorruptFrame(f"{what}: party {rank} announces {ndim} dimensions; want at most {MAX_DIMS}")
    return checked_shape(tuple(sizes[:ndim]), rank, f"{what}: party {rank}")


def _by_rank(shapes: Shapes) -> str:
    return ", ".join(f"{shape} at party {rank}" for rank, shape in enumerate(shapes) if shape is not None)


def _joined(local: Local, shapes: Shapes, axis: int) -> SecretTensor:
    """The parties' parts, shared by each and joined; parts without elements are left out where others have some."""
    owners = [rank for rank, shape in enumerate(shapes) if shape is not None and shape[axis]]
    owners = owners or [next(rank for rank, shape in enumerate(shapes) if shape is not None)]
    rank = current_party.current().rank
    parts = [share(local if rank == owner else None, owner) for owner in owners]
    for owner, part in zip(owners, parts, strict=True):
        if tuple(part.shape) != shapes[owner]:
            raise ProgramMismatch(f"party {owner} announced an array of shape {shapes[owner]} and shares one of {part.shape}")
    return cat(parts, axis)


def _width(shapes: Shapes) -> int:
    shape = next(s for s in shapes if s is not None)
    if len(shape) != 2:
        raise ShapeError(f"by_rows: scale=True for shape {shape}; want (rows, columns)")
    return shape[1]


def _exponents(party: Party, mine: npt.NDArray[np.int64] | None, shapes: Shapes) -> list[SecretTensor]:
    """Every contributing party's exponents as secret integers."""
    clipped = None if mine is None else np.clip(mine, _NO_EXPONENT, -_NO_EXPONENT)
    owners = [rank for rank, shape in enumerate(shapes) if shape is not None]
    return [SecretTensor(Value(party, party.share(clipped, owner, 0))) for owner in owners]


def _revealed(exponents: SecretTensor, what: str) -> npt.NDArray[np.int64]:
    """Open the exponents that everybody needs, with a line in the ledger at the caller of ``what``."""
    share_ = exponents._value.settled()
    got = exponents.party.reveal(share_, None, f"{what}: the power of two of each column", depth=3)
    assert got is not None
    out = got.astype(np.int64)
    return np.where(out == _NO_EXPONENT, 0, out)
