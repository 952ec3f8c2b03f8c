"""What clients send, honest and forged, for the tests of aggregators."""
from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import mpc
from mpc.federated import messages as wire
from mpc.federated.aggregators import relay
from mpc.federated.aggregators.base import Aggregator, Combined
from mpc.federated.aggregators.shares import SharesAggregator

ROUND = 7
LENGTH = 40
LIMITS: dict[str, dict[str, Any]] = {
    "norm": {"max_norm": 2.0},
    "bound": {"max_norm": None, "bound": 1.0},
    "both": {"max_norm": 2.0, "bound": 1.0},
}


def updates(clients: int, length: int = LENGTH, size: float = 0.1) -> list[npt.NDArray[np.float64]]:
    return list(np.random.default_rng(5).normal(size=(clients, length)) * size)


def sent(aggregator: Aggregator, values: Sequence[Any], first: int = 0, round: int = ROUND) -> list[bytes]:
    """One message of each client; client i has weight 10 i + 1."""
    return [
        aggregator.client_message(u, 10 * i + 1, client=f"client {i}", round=round) for i, u in enumerate(values, first)
    ]


def forged(
    aggregator: SharesAggregator, words: Any, weight: int = 1, client: str = "", keys: Sequence[str] | None = None
) -> bytes:
    """A message of any ring words under any weight, correctly sealed; of a new client unless ``client`` says which."""
    whole = np.append(np.array([int(w) % 2**64 for w in words], np.uint64), np.uint64(weight % 2**64))
    sizes = relay.sizes(len(words), aggregator.parties)
    head = wire.head_of(aggregator.header(ROUND, client or os.urandom(4).hex(), len(words), sizes))
    seeds = [os.urandom(16) for _ in range(aggregator.parties - 1)]
    return wire.pack(head, relay.sealed_parts(whole, seeds, head, keys or aggregator.public_keys))


def in_session(
    aggregator: SharesAggregator, messages: Sequence[bytes], length: int = LENGTH, **options: Any
) -> list[tuple[Combined | mpc.MPCError, list[Any]]]:
    """`combine` at every party: by rank what it gave or raised, and the ledger."""

    def program() -> tuple[Combined | mpc.MPCError, list[Any]]:
        with mpc.session() as s:
            try:
                got: Any = aggregator.combine(list(messages) if s.rank == 0 else None, round=ROUND, length=length, **options)
            except mpc.MPCError as error:
                got = error
            if isinstance(got, Combined) and options.get("keep_secret"):
                assert isinstance(got.mean, mpc.SecretTensor)
                lines = list(s.ledger)
                shown = got.mean.reveal(reason="for the test")
                return Combined(shown, got.weight, got.accepted, got.refused), lines
            return got, list(s.ledger)

    return mpc.local(program, parties=aggregator.parties, threads=True)
