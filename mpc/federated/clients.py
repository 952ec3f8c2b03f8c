"""A data owner: local training in torch on records that stay here. Only the protected update leaves (`Aggregator`)."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Union

import numpy as np

from mpc.errors import ConfigError, FixedPointRangeError
from mpc.federated.weights import Floats, Module, flatten, name_at, seeded, torch

Loss = Callable[[Any, Any], Any]
LOSSES: Final = ("cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "nll_loss")
AT_ONCE: Final = 2048  # records of one forward pass; a larger batch's gradient is added up (batch norms see the pieces)


@dataclass(frozen=True)
class Training:
    """What every client does in a round: ``epochs`` passes of SGD over its records in batches of ``batch_size`` (None: all),
    shuffled. ``one_step``: FedSGD, one gradient step over all records. ``max_norm``: the update is scaled down to this L2
    norm where it is longer. ``optimizer``: a function of the parameters that gives a torch optimiser, instead of SGD."""

    epochs: int = 1
    batch_size: int | None = 32
    lr: float = 0.1
    momentum: float = 0.0
    loss: Loss | str = "cross_entropy"
    one_step: bool = False
    max_norm: float | None = None
    optimizer: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError for settings that cannot work."""
        if self.epochs < 1 or (self.batch_size is not None and self.batch_size < 1):
            raise ConfigError(f"got epochs={self.epochs}, batch_size={self.batch_size}; want at least 1 (batch_size None: all)")
        if not 0 < self.lr < np.inf or not 0 <= self.momentum < 1:
            raise ConfigError(f"got lr={self.lr}, momentum={self.momentum}; want lr > 0 and 0 <= momentum < 1")
        if self.max_norm is not None and not 0 < self.max_norm < np.inf:
            raise ConfigError(f"got max_norm={self.max_norm}; want a number above 0, or None")
        if not callable(self.loss) and self.loss not in LOSSES:
            raise ConfigError(f"got loss={self.loss!r}; want one of {', '.join(LOSSES)}, or a function of (output, target)")

    def measure(self) -> Loss:
        """The loss as a function of (output, target): the mean over records."""
        return self.loss if callable(self.loss) else getattr(torch().nn.functional, self.loss)


class Client:
    """Records of one owner. ``x``, ``y``: arrays or tensors with one row a record; floats become float32, integer labels
    int64. ``name``: who it is in the history; must differ between clients."""

    def __init__(self, x: Any, y: Any, name: str = "") -> None:
        self.x, self.y, self.name = _rows(x), _rows(y), name
        if len(self.x) != len(self.y) or len(self.x) == 0:
            raise ConfigError(f"client {name!r}: got {len(self.x)} records, {len(self.y)} targets; want as many, at least 1")

    @property
    def samples(self) -> int:
        """How many records it has: n_i."""
        return len(self.x)

    def update(self, module: Module, training: Training, seed: int | None = None) -> Floats:
        """Local weights minus global weights after one round on ``module``, which has the global weights and is changed.

        ``seed``: of shuffles and dropout, for experiments; None: the operating system's. Raises FixedPointRangeError naming
        the first tensor that is NaN or infinite.
        """
        package = torch()
        before = flatten(module)
        measure = training.measure()
        make = training.optimizer or (lambda parameters: package.optim.SGD(parameters, training.lr, training.momentum))
        trainable = [p for p in module.parameters() if p.requires_grad]
        module.train()
        with seeded(seed):
            optimizer = make(trainable)
            for batch in self._steps(training):
                optimizer.zero_grad()
                for rows in pieces(batch, AT_ONCE):  # a step's gradient is the mean over its records, in pieces that fit memory
                    loss = measure(module(self.x[rows]), self.y[rows])
                    (loss * (len(rows) / len(batch))).backward()
                optimizer.step()
        return clipped(self._finite(module, flatten(module) - before), training.max_norm)

    def _steps(self, training: Training) -> Iterator[Any]:
        package = torch()
        if training.one_step:
            yield package.arange(self.samples)
            return
        for _ in range(training.epochs):
            yield from pieces(package.randperm(self.samples), training.batch_size or self.samples)

    @staticmethod
    def _finite(module: Module, update: Floats) -> Floats:
        bad = np.flatnonzero(~np.isfinite(update))
        if bad.size:
            where = name_at(module, int(bad[0]))
            raise FixedPointRangeError(f"{bad.size} of {update.size} weights are NaN or infinite after local training, first "
                                       f"in {where}; want a smaller lr, or cleaner records")
        return update

    def __repr__(self) -> str:
        return f"Client({self.name!r}, {self.samples} records)"


def pieces(rows: Any, size: int) -> list[Any]:
    """Row numbers in batches of ``size``. A last one of a single record joins the one before: batch norms need two."""
    out = list(rows.split(size))
    if len(out) > 1 and len(out[-1]) == 1:
        out[-2:] = [torch().cat(out[-2:])]
    return out


Given = Union[Client, tuple[Any, Any], Any]


def listed(clients: Any) -> list[Client]:
    """Clients from Clients, (x, y) pairs, or objects with ``samples`` and ``update`` of their own, each with a name.

    Raises ConfigError for an empty list, for what is none of these, and for two of one name.
    """
    out: list[Client] = []
    for k, given in enumerate(clients):
        if isinstance(given, tuple) and len(given) == 2:
            given = Client(*given)
        if not hasattr(given, "update") or not hasattr(given, "samples"):
            raise ConfigError(f"client {k} is a {type(given).__name__}; want a Client or a pair (x, y)")
        if not getattr(given, "name", ""):
            given.name = f"client {k}"
        out.append(given)
    names = [client.name for client in out]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not out:
        raise ConfigError(f"got clients of one name: {', '.join(twice)}" if twice else "got no clients")
    return out


def clipped(update: Floats, max_norm: float | None) -> Floats:
    """The update, or the multiple of it that has the L2 norm ``max_norm`` where its own is larger."""
    if max_norm is None:
        return update
    norm = float(np.linalg.norm(update))
    return update if norm <= max_norm else update * (max_norm / norm)


def _rows(values: Any) -> Any:
    """As a torch tensor on the CPU: float32, or int64."""
    package = torch()
    tensor = values if isinstance(values, package.Tensor) else package.from_numpy(np.ascontiguousarray(np.asarray(values)))
    if tensor.ndim == 0:
        raise ConfigError("got a single number; want one row a record")
    return tensor.detach().to("cpu", package.float32 if tensor.is_floating_point() else package.int64)
