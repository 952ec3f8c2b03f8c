"""Mini-batches of secret tensors: public shuffles, one opening of the data for the whole training."""
from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

from mpc.errors import ConfigError, ShapeError
from mpc.tensor import SecretTensor


class Batches:
    """What `batches` returns: iterate over it; ``len`` is the number of batches of all epochs.

    ``epoch``, ``batch``: where the iteration stands, counted from 0; ``per_epoch``: batches of one epoch.
    """

    def __init__(
        self, tensors: tuple[SecretTensor, ...], size: int, epochs: int, shuffle: bool, drop_last: bool, progress: bool
    ) -> None:
        if not tensors:
            raise ConfigError("batches: no tensors; want batches(x, y, size=...)")
        rows = {t.shape[0] if t.ndim else None for t in tensors}
        if len(rows) != 1 or None in rows:
            raise ShapeError(f"batches of shapes {[tuple(t.shape) for t in tensors]}; want the same number of rows")
        self.rows: int = tensors[0].shape[0]
        if size < 1 or epochs < 0 or self.rows < 1:
            raise ConfigError(f"batches: size={size}, epochs={epochs}, {self.rows} rows; want size, rows >= 1, epochs >= 0")
        if drop_last and size > self.rows:
            raise ConfigError(f"batches: size={size} with drop_last=True leaves nothing of {self.rows} rows")
        self.tensors, self.size, self.epochs, self.shuffle = tensors, size, epochs, shuffle
        self.per_epoch = self.rows // size if drop_last else math.ceil(self.rows / size)
        self.progress = progress
        self.epoch = self.batch = 0

    def __len__(self) -> int:
        return self.epochs * self.per_epoch

    def __iter__(self) -> Iterator[Any]:
        party = self.tensors[0].party
        if len(self) * self.size >= self.rows:  # every batch's opening together costs at least as much
            party.protocol.open(self.tensors[0]._value.settled())
        with _Bar(self, party.rank) as bar:
            for epoch in range(self.epochs):
                self.epoch = epoch
                order = party.public_rng.permutation(self.rows) if self.shuffle else None
                for batch in range(self.per_epoch):
                    self.batch = batch
                    start = batch * self.size
                    if order is None:
                        chosen: Any = slice(start, start + self.size)
                    else:
                        chosen = order[start : start + self.size]
                    got = tuple(t[chosen] for t in self.tensors)
                    yield got if len(got) > 1 else got[0]
                    bar.advance()


def batches(
    *tensors: SecretTensor,
    size: int,
    epochs: int = 1,
    shuffle: bool = True,
    drop_last: bool = False,
    progress: bool = False,
) -> Batches:
    """Mini-batches of ``size`` rows from tensors with the same first axis, ``epochs`` times over.

    Yields tuples of SecretTensors (a single tensor for one). ``shuffle``: rows in a new order each epoch from the
    session's public generator (`mpc.manual_seed`) - which rows are together is public, their values are not. The last
    batch of an epoch is smaller when ``size`` does not divide the rows; ``drop_last`` leaves it out. The first tensor
    is opened under one mask for the whole training, so that products with it open only the other factor; the rest
    (targets) are not. ``progress``: a bar at rank 0; also shown without asking when its standard output is a terminal.
    Raises ShapeError, ConfigError.
    """
    return Batches(tensors, size, epochs, shuffle, drop_last, progress)


class _Bar:
    """A progress bar at rank 0, or nothing."""

    def __init__(self, of: Batches, rank: int) -> None:
        self._of = of
        self._wanted = rank == 0 and len(of) > 0 and (of.progress or sys.stdout.isatty())
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        if self._wanted:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns)
            self._task = self._bar.add_task(f"epoch 1/{self._of.epochs}", total=len(self._of))
            self._bar.start()
        return self

    def advance(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=f"epoch {self._of.epoch + 1}/{self._of.epochs}")

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
