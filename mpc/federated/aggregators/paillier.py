"""Aggregation under Paillier encryption: the server multiplies ciphertexts, others decrypt the sum.

Client i encrypts n_i * w_i (packed, fixed point) and n_i apart from it, so that only sum(n_i w_i) and sum(n_i) are ever
decrypted, and a client may be gone once its message is sent. Who learns what:

- the server: who takes part, sizes; no values (it holds the public key alone);
- the key's holders (`key_holders`): the two sums, of at least ``min_clients`` by the server's count;
- whoever holds the decryption key and a client's message: that client's update. Server and holders must be apart;
- one who wants to lie: nobody can check a value under encryption. A client that encrypts more than ``bound`` allows makes a
  wrong sum; most such sums leave their slots and are refused as a whole, and nobody can tell whose fault it was;
- a client that sees others' messages: it can send Enc(-x) for theirs, without knowing x, so that the "sum" is that of the rest,
  were it one client. So connections must be encrypted: a message is for the server's eyes alone, which are trusted with that.

With ``keep_secret`` the sum becomes shares of the parties' session and nobody sees it (`paillier_session`).
Error of the mean per value: at most (clients / sum(n_i)) * 2^-(frac_bits + 1), from rounding n_i * w_i, and float64's.
"""
from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, ClassVar, Final

import numpy as np

from mpc.errors import ConfigError, IntegrityError, MPCError
from mpc.federated import messages as wire
from mpc.federated.aggregators import paillier_session
from mpc.federated.aggregators.base import Aggregator, Combined, checked_update, checked_weight
from mpc.federated.aggregators.key_holders import Holder, holder
from mpc.federated.aggregators.paillier_session import EncryptedSum
from mpc.federated.messages import Message
from mpc.federated.weights import Floats
from mpc.paillier.keys import PrivateKey, PublicKey
from mpc.paillier.packing import Layout
from mpc.paillier.serial import from_bytes, to_bytes
from mpc.paillier.threshold import KeyShare
from mpc.paillier.vector import EncryptedVector

MASK_BITS: Final = 1  # room above a sum that turns into shares


class PaillierAggregator(Aggregator):
    """``public_key``: what clients and server have. ``holder``: who decrypts, where that is in this process: a PrivateKey,
    a list of KeyShares, an object with ``decrypt``; None at clients and at a server on its own (`add_up`). ``key_share``: this
    party's, for ``keep_secret`` inside a session of the parties that share the key.

    ``bound``: largest |value| of an update. ``max_clients``: contributions that a sum has room for. ``max_weight``: largest
    n_i, a whole number. Together they make the slots; a sum that could overflow one is refused. Raises ConfigError.
    """

    kind: ClassVar[str] = "paillier"

    def __init__(
        self, public_key: PublicKey, holder: Holder | PrivateKey | Sequence[KeyShare] | None = None, *,
        key_share: KeyShare | None = None, bound: float = 16.0, max_clients: int = 100, max_weight: int = 1 << 14,
        frac_bits: int = 16,
        task: str | None = None, min_clients: int = 2,
    ) -> None:  # fmt: skip
        super().__init__(task=task, min_clients=min_clients)
        if not isinstance(max_weight, (int, np.integer)) or max_weight < 1:
            raise ConfigError(f"got max_weight {max_weight!r}; want a whole number from 1")
        if max_clients < self.min_clients:
            raise ConfigError(f"got max_clients {max_clients} below min_clients {self.min_clients}")
        self.public_key, self.holder = public_key, _holder(holder, self.min_clients)
        if self.holder is not None and self.holder.public_key != public_key:
            raise ConfigError(f"the holder has another key than {public_key!r}: {self.holder!r}")
        if key_share is not None and key_share.public_key != public_key:
            raise ConfigError(f"the key share is of another key than {public_key!r}: {key_share!r}")
        self.key_share = key_share
        self.bound, self.max_clients, self.max_weight = float(bound), int(max_clients), int(max_weight)
        self.frac_bits = frac_bits
        self.shift = (self.max_weight * self.max_clients).bit_length()  # n_i w_i and n_i are encoded divided by 2^shift: a
        room = self.max_weight * 2.0**-self.shift  # weighted sum is then as large as an update, which the engine's range needs
        self.layout = Layout(self.bound * room, frac_bits + self.shift, self.max_clients, mask_bits=MASK_BITS)
        self.weight_layout = Layout(room, self.shift, self.max_clients, mask_bits=MASK_BITS)
        self.layout.slots(public_key.bits)  # refuses a slot that no plaintext has room for
        self.seconds = {"add": 0.0, "decrypt": 0.0}  # of the last `combine`

    def settings(self) -> tuple[Any, ...]:
        room = (self.bound, self.max_clients, self.max_weight)
        h = self.public_key.h
        return (self.public_key.fingerprint, f"{h:x}" if h is not None else "", *room, self.frac_bits)

    def client_message(self, update: Any, weight: float = 1, *, client: str, round: int) -> bytes:
        values = checked_update(update, self.bound)
        count = int(checked_weight(weight, self.max_weight, whole=True))
        parts = [
            to_bytes(self.public_key.encrypt(np.ldexp(values * count, -self.shift), self.layout)),
            to_bytes(self.public_key.encrypt(np.ldexp([float(count)], -self.shift), self.weight_layout)),
        ]
        header = self.header(round, client, values.size, [len(part) for part in parts])
        return wire.pack(wire.head_of(header), parts)

    # --- at the server
    def add_up(self, messages: Sequence[bytes], *, round: int, length: int) -> EncryptedSum:
        """The server's part, with the public key alone. Raises TooFewContributors."""
        vectors: dict[bytes, tuple[EncryptedVector, EncryptedVector]] = {}

        def objection(message: Message) -> str:
            shapes = ((length,), (1,))
            if len(message.parts) != len(shapes):
                return f"it has {len(message.parts)} parts; want {len(shapes)}: the update and its weight"
            try:
                values, weight = (
                    from_bytes(bytes(part), self.public_key, layout, shape=shape, fresh=True)
                    for part, layout, shape in zip(message.parts, (self.layout, self.weight_layout), shapes, strict=True)
                )
            except MPCError as error:
                return f"{type(error).__name__}: {error}"
            vectors.setdefault(message.head, (values, weight))  # not by report: another's message could claim that one
            return ""

        admitted, refused = self.admit(messages, round, length, objection)
        for place, _ in admitted[self.max_clients :]:
            refused[place] = f"the sum is full: its slots have room for {self.max_clients} contributions (max_clients)"
        admitted = admitted[: self.max_clients]
        self.enough(len(admitted), refused)
        chosen = [vectors[message.head] for _, message in admitted]
        self.count([message.header.report for _, message in admitted])
        values, weight = (EncryptedVector.sum(vector) for vector in zip(*chosen, strict=True))
        return EncryptedSum(values, weight, tuple(place for place, _ in admitted), refused)

    def combine(
        self, messages: Sequence[bytes] | None, *, round: int, length: int, keep_secret: bool = False
    ) -> Combined:
        """As the contract says. Raises IntegrityError where the decrypted sum cannot be one of valid contributions: all that
        is known then is that somebody encrypted what it may not."""
        if keep_secret:
            return paillier_session.combine(self, messages, round, length)
        if self.holder is None:
            raise ConfigError("this aggregator has no holder of the key; want add_up() here, and open_sum() where one is")
        started = perf_counter()
        total = self.add_up(messages or (), round=round, length=length)
        added = perf_counter()
        out = self.open_sum(total, round=round)
        self.seconds = {"add": added - started, "decrypt": perf_counter() - added}
        return out

    # --- where the key is
    def open_sum(self, total: EncryptedSum, *, round: int) -> Combined:
        """The mean of an encrypted sum. The holders learn it, and sum(n_i); no more. Raises as `combine`."""
        if self.holder is None:
            raise ConfigError("this aggregator has no holder of the key: want holder=")
        context = f"{self.task}/{round}".encode()
        opened = np.ldexp(self.holder.decrypt(total.weight, context), self.shift)
        weight = self.checked_total(float(opened[0]), len(total.accepted))
        sums: Floats = np.ldexp(self.holder.decrypt(total.values, context), self.shift)
        if float(np.abs(sums).max()) > weight * self.bound + len(total.accepted) * 2.0**-self.frac_bits:
            raise IntegrityError(self._lie("a weighted sum is larger than its weights allow"))
        return Combined(sums / weight, weight, total.accepted, total.refused)

    def checked_total(self, weight: float, contributions: int) -> float:
        """sum(n_i), if it can be one of so many contributions. Raises IntegrityError."""
        if not contributions <= weight <= contributions * self.max_weight:
            raise IntegrityError(self._lie(f"the weights of {contributions} contributions add up to {weight:g}"))
        return weight

    def _lie(self, what: str) -> str:
        return (f"{what} (weights from 1 to {self.max_weight}, values within {self.bound:g}): somebody encrypted what it may "
                "not, and under encryption nobody can tell who. Nothing was made of this round; 'shares' finds such a client")


_holder = holder  # the constructor's argument has the same name
