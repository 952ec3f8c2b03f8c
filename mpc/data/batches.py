"""Mini-batches of secret tensors: public shuffles, one opening of the data for the whole training."""
from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpc.data import generator
from mpc.errors import ConfigError, ShapeError
from mpc.saving import loops
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from mpc.party import Party


class Batches:
    """What `batches` returns: iterate over it; ``len`` is the number of batches of all epochs.

    ``epoch``, ``batch``: where the iteration stands, counted from 0; ``per_epoch``: batches of one epoch. `state_dict`
    says where it stands and `load_state_dict` goes on from there, so `mpc.save` and `mpc.load` take it as they take a model.
    """

    def __init__(
        self, tensors: tuple[SecretTensor, ...], size: int, epochs: int, shuffle: bool, drop_last: bool, progress: bool,
        checkpoint: Any = None, checkpoint_every: int | None = None,
    ) -> None:  # fmt: skip
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
        if checkpoint_every is not None and (checkpoint is None or checkpoint_every < 1):
            raise ConfigError(f"batches: checkpoint_every={checkpoint_every}; want at least 1, and checkpoint=what to save")
        self.progress = progress
        self._checkpoint, self._every = checkpoint, checkpoint_every or self.per_epoch
        self.epoch = self.batch = 0
        self._given = 0  # batches of all epochs handed out so far
        self._before: str | None = None  # the public generator before the present epoch's shuffle
        self._resumed = False

    def __len__(self) -> int:
        return self.epochs * self.per_epoch

    def __iter__(self) -> Iterator[Any]:
        party = self.tensors[0].party
        if not self._resumed:
            self._given, self._before = 0, None
        self._resumed = False
        loop = self._begin(party)
        left = len(self) - self._given
        if left and left * self.size >= self.rows:  # every batch's opening together costs at least as much
            party.protocol.open(self.tensors[0]._value.settled())
        order: npt.NDArray[np.int64] | None = None
        with _Bar(self, party.rank) as bar:
            for number in range(self._given, len(self)):
                self.epoch, self.batch = divmod(number, self.per_epoch)
                if self.shuffle and (order is None or self.batch == 0):
                    order = self._order(party)
                start = self.batch * self.size
                chosen: Any = slice(start, start + self.size) if order is None else order[start : start + self.size]
                got = tuple(t[chosen] for t in self.tensors)
                self._given = number + 1
                yield got if len(got) > 1 else got[0]
                if loop is not None and (self._given % self._every == 0 or self._given == len(self)):
                    loop.save(self)
                bar.advance()

    def _begin(self, party: Party) -> loops.Loop | None:
        """With a checkpoint and a directory for it: what is left of the iteration, and the loop to save it in."""
        if self._checkpoint is None:
            return None
        about = {"shapes": [list(t.shape) for t in self.tensors], "size": self.size, "shuffle": self.shuffle}
        loop = loops.begin(party, self._checkpoint, self._every, about)
        if loop is None or loop.position is None:
            return loop
        self.resume(loop.position)
        self._resumed = False
        if self._given > len(self):
            raise ConfigError(f"{loop.path} stands after batch {self._given} of a longer training; here it has {len(self)}")
        epoch = f"epoch {self._given // self.per_epoch + 1} of {self.epochs}"
        loop.tell(f"going on after batch {self._given} of {len(self)} ({epoch})" if self._given < len(self)
                  else f"finished already ({len(self)} batches)")
        return loop

    def _order(self, party: Party) -> npt.NDArray[np.int64]:
        """The rows of an epoch that starts here, or of the one that a resumed iteration stands in."""
        if self.batch and self._before is not None:
            return generator.restored(self._before).permutation(self.rows)
        self._before = generator.state_of(party.public_rng)
        return party.public_rng.permutation(self.rows)

    def state(self) -> dict[str, Any]:
        """Where the iteration stands, as public values for `mpc.save`: the batches handed out so far count as done, so
        ask after the optimiser's step. With the state of the session's public generator, for shuffles to come."""
        inside = self.shuffle and self._given % self.per_epoch
        return {
            "rows": self.rows,
            "size": self.size,
            "shuffle": self.shuffle,
            "per_epoch": self.per_epoch,
            "given": self._given,
            "before": self._before if inside else None,
            "now": generator.state_of(self.tensors[0].party.public_rng),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on where `state` was taken, with the rows in the same order, and set the session's
        public generator to what it was there. The number of epochs may be another. Raises ConfigError when the rows,
        size, shuffle or drop_last are."""
        own = self.state()
        for name in ("rows", "size", "shuffle", "per_epoch"):
            if state.get(name) != own[name]:
                raise ConfigError(f"batches: the state to resume has {name}={state.get(name)!r}; here it is {own[name]!r}")
        party = self.tensors[0].party
        rng = generator.restored(state["now"])
        party.note("resume", sorted(state.items()))
        party.public_rng.bit_generator.state = rng.bit_generator.state
        self._given, self._before, self._resumed = int(state["given"]), state["before"], True

    state_dict = state
    load_state_dict = resume


def batches(
    *tensors: SecretTensor,
    size: int,
    epochs: int = 1,
    shuffle: bool = True,
    drop_last: bool = False,
    progress: bool = False,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
) -> Batches:
    """Mini-batches of ``size`` rows from tensors with the same first axis, ``epochs`` times over.

    Yields tuples of SecretTensors (a single tensor for one). ``shuffle``: rows in a new order each epoch from the
    session's public generator (`mpc.manual_seed`) - which rows are together is public, their values are not. The last
    batch of an epoch is smaller when ``size`` does not divide the rows; ``drop_last`` leaves it out. The first tensor
    is opened under one mask for the whole training, so that products with it open only the other factor; the rest
    (targets) are not. ``progress``: a bar at rank 0; also shown without asking when its standard output is a terminal.

    ``checkpoint``: everything that the loop's body changes - one object or a dict or list of models, optimisers,
    schedules and what else has ``load_state_dict``, tensors, and lists or dicts that it writes public values to. Under
    ``mpc run --checkpoint DIR`` it is saved after every ``checkpoint_every`` batches (default: each epoch) and at the
    end, and the same command goes on from there after a fault; at most that many batches are done again. The position,
    the shuffle, the public generator and the curves of `Party.log` are saved with it. A loop that is left by ``break``
    is not finished: it goes on from its last checkpoint. Without --checkpoint nothing is saved or loaded. By hand:
    `Batches.state` and `Batches.resume`. Rounds: one small one at the start, and those of `mpc.load` and `mpc.save`.
    Raises ShapeError, ConfigError, and what `mpc.save` and `mpc.load` raise.
    """
    return Batches(tensors, size, epochs, shuffle, drop_last, progress, checkpoint, checkpoint_every)


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
            done = self._of._given
            epoch = min(done // self._of.per_epoch + 1, self._of.epochs)
            self._task = self._bar.add_task(f"epoch {epoch}/{self._of.epochs}", total=len(self._of), completed=done)
            self._bar.start()
        return self

    def advance(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=f"epoch {self._of.epoch + 1}/{self._of.epochs}")

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
