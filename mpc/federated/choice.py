"""Which aggregator a training uses: the one given, or one made by name for the clients that come."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mpc.errors import ConfigError, NotSupported
from mpc.federated.aggregators.base import Aggregator
from mpc.federated.aggregators.key_holders import KeyOwner
from mpc.federated.aggregators.paillier import PaillierAggregator
from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.clients import Client
from mpc.paillier.keys import generate_keypair
from mpc.privacy.dp import Gaussian

NAMES: Final = ("plain", "paillier", "shares")
LOCAL_PARTIES: Final = 3  # of "shares", where nobody says otherwise
BOUND: Final = 16.0  # of a value, where nobody says otherwise
MIN_CLIENTS: Final = 2  # a sum over one client is that client's update


class Choice:
    """An aggregator, or the name of one with what it takes. Raises ConfigError."""

    def __init__(
        self, wanted: Aggregator | str, min_clients: int | None, max_norm: float | None, bound: float | None,
        dp: Gaussian | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(wanted, Aggregator) and wanted not in NAMES:
            raise ConfigError(f"got aggregator={wanted!r}; want {', '.join(map(repr, NAMES))}, or an Aggregator")
        if isinstance(wanted, Aggregator) and min_clients is not None:
            raise ConfigError("got min_clients beside an Aggregator, which has its own; give it to one of them")
        if dp is not None and isinstance(wanted, Aggregator):
            raise ConfigError("got dp beside an Aggregator; give it to SharesAggregator(dp=...)")
        if dp is not None and wanted != "shares":
            raise NotSupported(f"dp with aggregator {wanted!r}: noise that is added by whoever opens the sum hides nothing "
                               "from it; want aggregator='shares', where nobody knows the noise")
        if dp is not None and max_norm is None:
            raise ConfigError("dp without max_norm: noise is measured by the norm that the parties enforce")
        self.dp = dp
        if min_clients is not None and min_clients < 1:
            raise ConfigError(f"got min_clients={min_clients}; want at least 1")
        if bound is not None and not 0 < bound < float("inf"):
            raise ConfigError(f"got bound={bound!r}; want a number above 0")
        self.made = wanted if isinstance(wanted, Aggregator) else None
        self.name = None if isinstance(wanted, Aggregator) else wanted
        self.min_clients = MIN_CLIENTS if min_clients is None else min_clients
        most = float("inf") if max_norm is None else max_norm
        self.max_norm, self.bound = max_norm, min(BOUND if bound is None else bound, most)
        self.checked = None if bound is None or bound >= most else bound  # shares: a comparison for each value, if asked for
        self._room = (0, 0)  # contributors, weight

    def settle(self, clients: Sequence[Client], contributors: int, weights: str) -> Aggregator:
        """The aggregator for these clients; one made earlier stays as long as it has room for them."""
        if self.name is None:
            assert self.made is not None
            return self.made
        largest = max(client.samples for client in clients) if weights == "samples" else 1
        if contributors < self.min_clients:
            raise ConfigError(f"a round asks {contributors} clients and reveals nothing below min_clients={self.min_clients}; "
                              "want more clients, a larger fraction, or a smaller min_clients")
        if self.made is None or contributors > self._room[0] or largest > self._room[1]:
            self._room = (contributors, largest)
            self.made = self._make(contributors, largest)
        return self.made

    def _make(self, contributors: int, largest: int) -> Aggregator:
        """By name. For "paillier" a fresh key of 2048 bits, whose owner is in this process as everybody is in the local run."""
        if self.name == "paillier":
            public, private = generate_keypair()
            return PaillierAggregator(
                public, KeyOwner(private, self.min_clients), bound=self.bound, max_clients=contributors, max_weight=largest,
                min_clients=self.min_clients,
            )  # fmt: skip
        if self.name == "shares":
            return self.shares(largest)
        norm = float("inf") if self.max_norm is None else self.max_norm * (1 + 1e-9)  # clients scale down to it, in floats
        return PlainAggregator(bound=self.bound, max_norm=norm, max_weight=largest, min_clients=self.min_clients)

    def shares(self, largest: int, **keys: Any) -> SharesAggregator:
        """Aggregation on shares among `LOCAL_PARTIES` parties in this process, or those whose ``keys`` are given."""
        if self.max_norm is not None:
            keys["max_norm"] = self.max_norm
        return SharesAggregator(
            LOCAL_PARTIES, bound=self.checked, max_weight=largest, min_clients=self.min_clients, dp=self.dp, **keys
        )
