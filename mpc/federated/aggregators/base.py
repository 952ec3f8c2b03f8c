"""What every way of adding up clients' updates has in common: the contract, and who may contribute.

A client makes one message per round and is done: it may vanish at any moment, before or after. `combine` counts each message
that is fit for the round, names the reason for every other one, and gives sum(n_i w_i) / sum(n_i) over those it counted.
"""
from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Union

import msgspec
import numpy as np

from mpc import fixed_point
from mpc.errors import ConfigError, FixedPointRangeError, IntegrityError, MPCError, ShapeError
from mpc.federated import messages as wire
from mpc.federated.messages import Header, Message
from mpc.fixed_point import Floats

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


class TooFewContributors(MPCError):
    """Fewer valid contributions than ``min_clients``: nothing of their sum is revealed."""


@dataclass(frozen=True)
class Combined:
    """The result of one round.

    ``mean``: sum(n_i w_i) / sum(n_i), float64 of the update's length, or a SecretTensor where it was kept secret. ``weight``:
    sum(n_i). ``accepted``: the places in ``messages`` of those that were counted; ``refused``: place -> reason of all others.
    """

    mean: Union[Floats, SecretTensor]
    weight: float
    accepted: tuple[int, ...]
    refused: dict[int, str] = field(default_factory=dict)


class Aggregator(ABC):
    """Adds up clients' updates. One object at the server; one at each client, made with the same settings.

    ``task`` names one training, so that no message of another one counts: fresh and random unless given; clients elsewhere need
    the server's. ``min_clients``: below so many valid contributions `combine` raises `TooFewContributors`.
    """

    kind: ClassVar[str]

    def __init__(self, *, task: str | None = None, min_clients: int = 1) -> None:
        if not isinstance(min_clients, (int, np.integer)) or min_clients < 1:
            raise ConfigError(f"got min_clients {min_clients!r}; want a whole number from 1")
        self.task = wire.fresh_report().hex() if task is None else task
        if not isinstance(self.task, str) or not 0 < len(self.task) <= wire.MAX_NAME:
            raise ConfigError(f"got task {task!r}; want a string of 1 to {wire.MAX_NAME} characters")
        self.min_clients = int(min_clients)
        self._counted: set[bytes] = set()  # reports that are in some result

    # --- the contract
    @abstractmethod
    def client_message(self, update: Any, weight: float = 1, *, client: str, round: int) -> bytes:
        """At the client: the one message with which it takes part in ``round``.

        ``update``: a one-dimensional array of finite numbers. ``weight``: n_i, above 0 (most often the number of examples).
        Raises FixedPointRangeError for NaN, infinities and values out of range, naming the first; ConfigError for a weight.
        """

    @abstractmethod
    def combine(
        self, messages: Sequence[bytes] | None, *, round: int, length: int, keep_secret: bool = False
    ) -> Combined:
        """At the server: the weighted mean of the messages of ``round`` for updates of ``length`` values.

        Messages come from the network and may hold anything: one that is damaged, foreign, of another round, repeated or
        invalid is refused with its reason, and the others' mean is what it would be without it. ``keep_secret``: the mean
        stays a SecretTensor of the open session; NotSupported where that cannot be. Raises TooFewContributors.
        """

    def settings(self) -> tuple[Any, ...]:
        """What client and server must have alike beside task, round and length; its hash travels with each message."""
        return ()

    # --- for implementations
    def header(self, round: int, client: str, length: int, parts: Sequence[int], weight: float = 0.0) -> Header:
        """The header of a new message. Raises ConfigError for a client's name or a round that cannot be."""
        if not isinstance(client, str) or not 0 < len(client) <= wire.MAX_NAME:
            raise ConfigError(f"got client {client!r}; want a name of 1 to {wire.MAX_NAME} characters")
        if not isinstance(round, (int, np.integer)) or not 0 <= round < 1 << 62:
            raise ConfigError(f"got round {round!r}; want a whole number from 0")
        return Header(wire.VERSION, self.kind, self.task, int(round), wire.fresh_report(), client, length,
                      self.digest(), float(weight), tuple(parts))  # fmt: skip

    def digest(self) -> bytes:
        """16 bytes that differ where settings do."""
        return hashlib.blake2b(msgspec.msgpack.encode(self.settings()), digest_size=16, person=b"mpc-agg-v1").digest()

    def readable(
        self, messages: Sequence[bytes], round: int, length: int, check: Callable[[Message], str]
    ) -> tuple[list[tuple[int, Message]], dict[int, str]]:
        """The messages that are for this round, with their places, and why the others are not.

        ``check``: the reason against a message whose header fits, or ""."""
        if not isinstance(length, (int, np.integer)) or not 1 <= length <= wire.MAX_LENGTH:
            raise ConfigError(f"got length {length!r}; want the number of values in an update")
        want = self.header(round, "-", int(length), ())
        fine: list[tuple[int, Message]] = []
        refused: dict[int, str] = {}
        for place, raw in enumerate(messages):
            try:
                message = wire.unpack(raw)
            except (IntegrityError, TypeError, ValueError) as error:
                refused[place] = f"it is no message: {error}"
                continue
            reason = wire.objection(message.header, want) or check(message)
            if reason:
                refused[place] = reason
            else:
                fine.append((place, message))
        return fine, refused

    def once(
        self, found: Sequence[tuple[int, Message]], refused: dict[int, str], counted: Container[bytes] | None = None
    ) -> list[tuple[int, Message]]:
        """Of each client and report identifier the first message, unless the report is ``counted`` (in an earlier result); the
        others join ``refused``. For messages that passed every other check, so that a damaged copy takes nobody's place."""
        before = self._counted if counted is None else counted
        reports, clients = set[bytes](), set[str]()
        out = []
        for place, message in found:
            header = message.header
            if header.report in reports or header.report in before:
                refused[place] = f"report {header.report.hex()[:8]} was counted already: a duplicate or a replay"
            elif header.client in clients:
                refused[place] = f"client {header.client!r} has a message in this round already"
            else:
                reports.add(header.report)
                clients.add(header.client)
                out.append((place, message))
        return out

    def admit(
        self, messages: Sequence[bytes], round: int, length: int, check: Callable[[Message], str]
    ) -> tuple[list[tuple[int, Message]], dict[int, str]]:
        """`readable`, then `once`."""
        found, refused = self.readable(messages, round, length, check)
        return self.once(found, refused), refused

    def enough(self, count: int, refused: dict[int, str]) -> None:
        """Raise TooFewContributors if ``count`` valid contributions are below ``min_clients``."""
        if count < max(1, self.min_clients):
            why = "; ".join(f"message {place}: {reason}" for place, reason in list(refused.items())[:5])
            more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
            raise TooFewContributors(
                f"got {count} valid contributions; want at least {max(1, self.min_clients)}. Nothing of them was revealed. "
                + (f"Refused: {why}{more}" if refused else "No message was refused: wait for more clients")
            )

    def count(self, reports: Sequence[bytes]) -> None:
        """Remember what is in a result: it never counts again."""
        self._counted.update(reports)


def checked_update(update: Any, bound: float = math.inf) -> Floats:
    """A one-dimensional float64 array of finite values within ``bound``. Raises FixedPointRangeError, ShapeError."""
    array = fixed_point.as_array(update).astype(np.float64, copy=False)
    if array.ndim != 1 or not array.size:
        raise ShapeError(f"got an update of shape {array.shape}; want one dimension (use ravel()) and at least one value")
    bad = ~(np.abs(array) <= bound) | ~np.isfinite(array)
    if bad.any():
        at = int(np.argmax(bad))
        raise FixedPointRangeError(
            f"update value {float(array[at])!r} at index {at} ({int(bad.sum())} such values): want finite numbers"
            + ("" if math.isinf(bound) else f" with |w| <= {bound:g}; clip the update, or raise the bound everywhere")
        )
    return array


def checked_weight(weight: float, largest: float = math.inf, whole: bool = False) -> float:
    """A finite weight above 0, at most ``largest``; ``whole``: an integer. Raises ConfigError."""
    number = float(weight)
    if not 0 < number <= largest or not math.isfinite(number) or (whole and number != int(number)):
        kind = "a whole number" if whole else "a finite number"
        most = "" if math.isinf(largest) else f", at most {largest:g}"
        raise ConfigError(f"got weight {weight!r}; want {kind} above 0{most}")
    return number
