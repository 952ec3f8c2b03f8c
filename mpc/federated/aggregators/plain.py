"""Aggregation in the clear: the specification that all others agree with. The server sees every update."""
from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np

from mpc.errors import NotSupported
from mpc.federated import messages as wire
from mpc.federated.aggregators.base import Aggregator, Combined, checked_update, checked_weight
from mpc.federated.messages import Message

_VALUE: Final = np.dtype("<f8")


class PlainAggregator(Aggregator):
    """Updates travel as float64, readable by the server and by whoever carries them. Exact up to float64 rounding.

    ``bound``: the largest magnitude of a value, ``max_norm``: the largest L2 norm of an update, both checked by the server.
    """

    kind: ClassVar[str] = "plain"

    def __init__(
        self, *, bound: float = math.inf, max_norm: float = math.inf, max_weight: float = math.inf,
        task: str | None = None, min_clients: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(task=task, min_clients=min_clients)
        self.bound, self.max_norm, self.max_weight = float(bound), float(max_norm), float(max_weight)

    def client_message(self, update: Any, weight: float = 1, *, client: str, round: int) -> bytes:
        values = checked_update(update, self.bound).astype(_VALUE)
        header = self.header(round, client, values.size, [values.nbytes], checked_weight(weight, self.max_weight))
        return wire.pack(wire.head_of(header), [values.tobytes()])

    def combine(
        self, messages: Sequence[bytes] | None, *, round: int, length: int, keep_secret: bool = False
    ) -> Combined:
        if keep_secret:
            raise NotSupported("keep_secret with the plain aggregator: the server has seen every update; use 'shares'")
        accepted, refused = self.admit(messages or (), round, length, partial(self._objection, length))
        total, weight = np.zeros(length), 0.0
        for _, message in accepted:
            total += message.header.weight * np.frombuffer(message.parts[0], _VALUE)
            weight += message.header.weight
        self.enough(len(accepted), refused)
        self.count([message.header.report for _, message in accepted])
        return Combined(total / weight, weight, tuple(place for place, _ in accepted), refused)

    def _objection(self, length: int, message: Message) -> str:
        weight, sizes = message.header.weight, message.header.parts
        if sizes != (_VALUE.itemsize * length,):
            return f"it has parts of {sizes} bytes; want {(_VALUE.itemsize * length,)}"
        values = np.frombuffer(message.parts[0], _VALUE)
        if not (math.isfinite(weight) and 0 < weight <= self.max_weight):
            return f"its weight is {weight!r}; want above 0 and at most {self.max_weight:g}"
        if not np.isfinite(values).all():
            return "it holds NaN or infinite values"
        largest = float(np.abs(values).max())
        if largest > self.bound:
            return f"it holds a value of magnitude {largest:g}; want at most {self.bound:g}"
        norm = float(np.linalg.norm(values))
        return f"its norm is {norm:g}; want at most {self.max_norm:g}" if norm > self.max_norm else ""
