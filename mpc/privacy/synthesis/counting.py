"""How many records have each value of a column, and each pair of values of two columns, by class: in clear and on shares."""
from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.ops.value import from_public
from mpc.privacy.dp import sensitivity
from mpc.privacy.synthesis.bins import Choices, Column
from mpc.privacy.synthesis.labels import numbered
from mpc.privacy.synthesis.trees import Counts
from mpc.tensor import SecretTensor, cat

Floats = npt.NDArray[np.float64]

CHUNK: Final = 1 << 22  # bits of records that are counted at once


class Cells(NamedTuple):
    """What is counted of the product of one-hot records with themselves: its diagonal, and all that two columns share."""

    rows: npt.NDArray[np.int64]
    across: npt.NDArray[np.int64]

    @classmethod
    def of(cls, sizes: list[int]) -> Cells:
        column = np.repeat(np.arange(len(sizes)), sizes)
        wanted = column[:, None] < column
        wanted[np.diag_indices(len(column))] = True
        return cls(*np.nonzero(wanted))


def in_clear(values: list[Any], y: Any, columns: list[Column], classes: npt.NDArray[Any]) -> Floats:
    """(classes, cells)"""
    sizes = [c.size for c in columns]
    codes = np.stack([c.codes(v) for c, v in zip(columns, values, strict=True)], 1)
    codes += np.cumsum([0, *sizes[:-1]])
    numbers = np.zeros(len(codes), np.int64) if y is None else numbered(y, classes)
    total = np.zeros((len(classes), sum(sizes), sum(sizes)))
    rows = max(1, CHUNK // sum(sizes))
    for start in range(0, len(codes), rows):
        part, kinds = codes[start : start + rows], numbers[start : start + rows]
        hot = np.zeros((len(part), sum(sizes)), np.float32)  # exact: a chunk has fewer rows than 2^24
        np.put_along_axis(hot, part, 1, 1)
        for k in np.unique(kinds):
            mine = hot[kinds == k]
            total[k] += mine.T @ mine
    cells = Cells.of(sizes)
    return np.asarray(total[:, cells.rows, cells.across])


def on_shares(values: list[Any], y: Any, columns: list[Column], classes: npt.NDArray[Any]) -> SecretTensor:
    """The same of secret values. The first class has what all have less what the others have."""
    width, total = sum(c.size for c in columns), None
    rows = max(1, CHUNK // (width * len(classes)))
    for start in range(0, values[0].shape[0], rows):
        chunk = slice(start, start + rows)
        hot = cat([one_hot(v.detach()[chunk], c.limits) for c, v in zip(columns, values, strict=True)])
        whole = hot @ hot.T
        product = whole.unsqueeze(0)
        if len(classes) > 1:
            kinds = one_hot(y.detach()[chunk], Choices("of the labels", classes).limits)[1:]
            apart = (kinds.unsqueeze(1) * hot).reshape((len(classes) - 1) * width, hot.shape[1])
            others = (apart @ hot.T).reshape(len(classes) - 1, width, width)
            product = cat([(whole - others.sum(0)).unsqueeze(0), others])
        total = product if total is None else total + product
    assert total is not None
    cells = Cells.of([c.size for c in columns])
    return total[:, cells.rows, cells.across]


def one_hot(x: SecretTensor, limits: list[float]) -> SecretTensor:
    """(limits + 1, rows): in which of the ranges between rising limits x is; exactly one, whatever word it is."""
    if not limits:  # of scale 0, as comparisons are: else the counts would have another step than the noise
        return SecretTensor(from_public(x.party, np.ones((1, x.shape[0])), 0))
    above = sensitivity.reached(x, limits)
    return cat([1 - above[:1], above[:-1] - above[1:], above[-1:]])


def tables(opened: Floats, sizes: list[int], noise: float) -> Counts:
    """The counts (classes, cells) by columns."""
    width = sum(sizes)
    whole = np.zeros((len(opened), width, width))
    cells = Cells.of(sizes)
    whole[:, cells.rows, cells.across] = opened
    ends = np.cumsum([0, *sizes])
    parts = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    diagonal = np.diagonal(whole, axis1=1, axis2=2)
    pairs = {(i, j): whole[:, a, b] for i, a in enumerate(parts) for j, b in enumerate(parts) if i < j}
    return Counts([diagonal[:, part] for part in parts], pairs, noise)
