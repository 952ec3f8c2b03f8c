"""Aggregation on secret shares, in the shape of Prio (Corrigan-Gibbs and Boneh, 2017) and of the IETF's DAP.

A client's message holds one sealed part per computing party: 16-byte seeds for all but the leader, whose part is the update
minus the streams of the seeds. One connection, one message, no second stage: who vanishes is not waited for. The parties
open their own parts, agree on the reports that all could open, check each on shares (`validity`, with the arithmetic in
`mpc.federated.quantisation`), open one bit per client, and add up the valid ones. All but one of the parties may pool what
they have and learn nothing but these bits, the sum and its weight (or, with ``keep_secret``, the weight).
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, ClassVar, Final

import numpy as np

from mpc import identity
from mpc import party as current_party
from mpc.config import MAX_PARTIES, MIN_PARTIES, announced
from mpc.errors import ConfigError, NotSupported
from mpc.federated import messages as wire
from mpc.federated import noise
from mpc.federated.aggregators import relay
from mpc.federated.aggregators.base import Aggregator, Combined, TooFewContributors, checked_weight
from mpc.federated.aggregators.relay import LEADER, SEED_BYTES, Status
from mpc.federated.aggregators.validity import checked
from mpc.federated.messages import Header, Message
from mpc.federated.quantisation import SUM_BITS, Limits
from mpc.federated.sealing import Opener
from mpc.fixed_point import Words
from mpc.launch import local
from mpc.ops.value import Value
from mpc.party import Party
from mpc.privacy.dp import Gaussian
from mpc.session import session
from mpc.sharing import Share, add, concatenate
from mpc.tensor import SecretTensor

CHUNK_WORDS: Final = 1 << 20  # of a batch that are checked at once
MEAN_BITS: Final = 16  # at least so many bits of 1 / weight


class SharesAggregator(Aggregator):
    """Clients' updates as shares to computing parties, who enforce the limits and see the sum alone.

    ``public_keys``: the parties' by rank, as `mpc keygen` printed them and run.toml has them; clients must have them from
    somebody they trust, for whoever chooses the keys reads the updates. ``parties`` instead: fresh keys in this process, for
    local runs. ``secret_key``: this party's, where it is not the session's own. ``dp``: a `privacy.Gaussian`, whose noise is
    added on shares before a sum opens (`mpc.federated.noise`: what it protects); it wants max_weight=1. ``max_norm``,
    ``bound``, ``max_weight``, ``frac_bits``: see `Limits`. ``min_clients``: 2 unless given: the mean of one is its update.
    """

    kind: ClassVar[str] = "shares"

    def __init__(
        self, parties: int = 3, *, public_keys: Sequence[str] | None = None, secret_key: str | None = None,
        max_norm: float | None = 32.0, bound: float | None = None, max_weight: int = 1 << 20, frac_bits: int = 20,
        task: str | None = None, min_clients: int = 2, dp: Gaussian | None = None,
    ) -> None:  # fmt: skip
        super().__init__(task=task, min_clients=min_clients)
        self.limits = Limits(frac_bits, max_norm, bound, max_weight)
        self.dp = dp
        if dp is not None:
            noise.checked(dp, self.limits)
        self._secrets: tuple[str, ...] = ()  # of all parties, where this process plays them all
        if public_keys is None:
            if not MIN_PARTIES <= parties <= MAX_PARTIES:
                raise ConfigError(f"got {parties} parties; want {MIN_PARTIES} to {MAX_PARTIES}")
            made = [identity.create(f"party-{rank}") for rank in range(parties)]
            public_keys, self._secrets = [i.public_key for i in made], tuple(i.secret_key for i in made)
        self.public_keys = tuple(identity.checked_public_key(key, f"party {r}") for r, key in enumerate(public_keys))
        if not MIN_PARTIES <= len(self.public_keys) <= MAX_PARTIES or len(set(self.public_keys)) < len(self.public_keys):
            raise ConfigError(f"got {len(self.public_keys)} public keys; want {MIN_PARTIES} to {MAX_PARTIES} different ones")
        self.parties = len(self.public_keys)
        self._secret = secret_key

    def __repr__(self) -> str:
        return f"SharesAggregator(parties={self.parties}, {self.limits}, min_clients={self.min_clients})"

    def settings(self) -> tuple[Any, ...]:
        limits = self.limits
        return limits.frac_bits, limits.max_norm, limits.bound, int(limits.max_weight), self.public_keys

    # --- at the client
    def client_message(self, update: Any, weight: float = 1, *, client: str, round: int) -> bytes:
        """`Aggregator.client_message`; the weight is a whole number up to max_weight, shared like the update.

        Raises FixedPointRangeError for values or a norm beyond the limits: clip before. Size: 8 bytes for each value, and about
        112 for each party."""
        values = self.limits.encode(update)
        number = int(checked_weight(weight, self.limits.max_weight, whole=True))
        words = np.append(values, np.uint64(number))
        head = wire.head_of(self.header(round, client, values.size, relay.sizes(values.size, self.parties)))
        seeds = [os.urandom(SEED_BYTES) for _ in range(self.parties - 1)]
        return wire.pack(head, relay.sealed_parts(words, seeds, head, self.public_keys))

    # --- at the parties
    def combine(
        self, messages: Sequence[bytes] | None, *, round: int, length: int, keep_secret: bool = False
    ) -> Combined:
        """`Aggregator.combine`. In a session every party calls it; party 0, the leader, has the messages, the others None.
        Outside, local parties are started as threads: the same computation, but this process holds all keys.

        Reveals, each with its line in the ledger: for each client that all parties could read, one bit, whether it is valid;
        the weighted sum with the total weight, or with ``keep_secret`` the total weight alone. At the leader ``refused`` also
        has what was no message. Error of the mean: 2^-(frac_bits + 1); kept secret, also one unit of the session's fixed
        point and 2^-16 of the value.
        Raises TooFewContributors at every party, then nothing of the sum is revealed; ConfigError where a sum could wrap; with
        ``dp`` BudgetExceeded, with nothing of the sum opened, and NotSupported for ``keep_secret``.
        """
        if keep_secret and self.dp is not None:
            raise NotSupported("keep_secret with dp: a mean that is not opened needs no noise yet; add it where something "
                               "opens, with reveal(dp=...)")
        if current_party._CURRENT.get() is not None:
            return self._combined(current_party.current(), messages, round, length, keep_secret)
        if keep_secret:
            raise NotSupported("keep_secret outside a session: open `with mpc.session()` and call combine at every party")
        if len(self._secrets) != self.parties:
            raise ConfigError("this aggregator has public keys alone: combine in a session of the parties with the secret ones")
        if self.dp is not None:  # once, and not by each of the threads, which share the budgets
            noise.charge(None, self.dp, self.limits, length, round)
        program = partial(_as_party, self, list(messages or ()), round, length)
        result: Combined | TooFewContributors = local(program, parties=self.parties, threads=True)[LEADER]
        if isinstance(result, TooFewContributors):
            raise result  # the leader's: it has everybody's reasons
        return result

    def _combined(
        self, party: Party, messages: Sequence[bytes] | None, round: int, length: int, keep_secret: bool, charged: bool = False
    ) -> Combined:
        if party.config.protocol != "additive":
            raise NotSupported(f"shares under protocol {party.config.protocol!r}, which hides nothing: use aggregator 'plain'")
        if party.dry:
            raise NotSupported("shares in a dry run: how many clients are valid is not known ahead; use a dealer")
        if party.world_size != self.parties:
            raise ConfigError(f"got a session of {party.world_size} parties and {self.parties} public keys; want as many")
        party.note("contributions", self.task, round, length, keep_secret, self.digest(), self.min_clients)
        opener = self._opener(party)
        refused: dict[int, str] = {}
        accepted: list[tuple[int, Message]] = []
        total: list[Share] = []  # blocks of columns, then the weight
        own_batches: Iterable[list[tuple[int, Message]] | None] = repeat(None)
        left = 0
        if party.rank == LEADER:
            found, refused = self.readable(messages or (), round, length, partial(self._misfit, length))
            own_batches, left = relay.batches(found, length), len(found)
        objection = partial(self._objection, round, length)
        for own in own_batches:
            left -= 0 if own is None else len(own)
            with party.scope("contributions"):
                batch = relay.receive(party, own, left, length, opener, objection, refused)
            reports = self._first_ones(batch.reports, accepted, refused)
            self.enough(len(accepted) + len(reports) + batch.remaining, refused)
            self.limits.check(length, len(accepted) + len(reports), party.frac_bits if keep_secret else None)
            if reports:
                kept = {place for place, _ in reports}
                words = batch.words[[place in kept for place, _ in batch.reports]]
                valid = self._add(party, words, reports, batch.key, total, round)
                for (place, message), fine in zip(reports, valid, strict=True):
                    if fine:
                        accepted.append((place, message))
                    else:
                        refused[place] = "the parties found it out of range: a value, its norm or its weight"
            if not batch.remaining:
                break
        self.enough(len(accepted), refused)
        if self.dp is not None and not charged:
            noise.charge(party, self.dp, self.limits, length, round)
        self.count([message.header.report for _, message in accepted])  # first: who sees a sum and fails makes no second one
        mean, weight = self._finish(party, total, len(accepted), round, length, keep_secret)
        return Combined(mean, weight, tuple(place for place, _ in accepted), dict(sorted(refused.items())))

    def _opener(self, party: Party) -> Opener:
        """This party's secret key: given, made here for all parties, or its place's in run.toml."""
        secret = self._secret or (self._secrets[party.rank] if self._secrets else None)
        if secret is None:
            launch = announced()
            secret = None if launch is None or launch.sites is None else launch.sites.secret_key
        if secret is None:
            raise ConfigError(f"party {party.rank} has no secret key for contributions; pass secret_key, or run with run.toml")
        opener = Opener(secret)
        if opener.public_key != self.public_keys[party.rank]:
            raise ConfigError(f"party {party.rank} has the secret key of {opener.public_key}; clients seal to "
                              f"{self.public_keys[party.rank]}: want the public keys in the order of ranks")
        return opener

    def _misfit(self, length: int, message: Message) -> str:
        got, want = message.header.parts, relay.sizes(length, self.parties)
        return "" if got == want else f"it has parts of {got} bytes; want {want}"

    def _objection(self, round: int, length: int, header: Header) -> Status:
        if wire.objection(header, self.header(round, "-", length, ())):
            return Status.FOREIGN
        return Status.COUNTED if header.report in self._counted else Status.FINE

    def _first_ones(
        self, reports: Sequence[tuple[int, Message]], accepted: Sequence[tuple[int, Message]], refused: dict[int, str]
    ) -> list[tuple[int, Message]]:
        """Of one client or report identifier the first that all parties could open."""
        done = len(accepted)
        return self.once([*accepted, *reports], refused, counted=())[done:]

    def _add(
        self, party: Party, words: Words, reports: Sequence[tuple[int, Message]], key: bytes, total: list[Share], round: int
    ) -> list[bool]:
        """Check a batch on shares, reveal which are valid, and add n_i times each of those to ``total``."""
        clients, length = words.shape[0], words.shape[1] - 1
        step = max(1, CHUNK_WORDS // clients)
        chunks = [Share(np.ascontiguousarray(words[:, at : min(at + step, length)]), 0) for at in range(0, length, step)]
        weights = Share(np.ascontiguousarray(words[:, length]), 0)
        with party.scope("validity"):
            bits = checked(party, chunks, weights, length, self.limits, key)
            names = ", ".join(message.header.report.hex()[:8] for _, message in reports)
            got = party.reveal(bits, None, f"which contributions to round {round} are valid: reports {names}", False)
        assert got is not None
        valid = [bool(bit) for bit in got]
        rows = np.flatnonzero(valid)
        if not rows.size:
            return valid
        with party.scope("weighted sum"):
            if rows.size < clients:
                chunks, weights = [chunk[rows] for chunk in chunks], weights[rows]
            line = weights.reshape((1, rows.size))
            sums = [party.protocol.matmul(line, chunk).reshape((chunk.shape[1],)) for chunk in chunks]
            joined = concatenate([*sums, party.protocol.total(weights, (0,), True)], 0)
            total[:] = [joined if not total else add(total[0], joined)]
        return valid

    def _finish(
        self, party: Party, total: list[Share], count: int, round: int, length: int, keep_secret: bool
    ) -> tuple[Any, float]:
        (whole,) = total
        if not keep_secret:
            remark = ""
            if self.dp is not None:
                whole, remark = noise.added(party, self.dp, self.limits, whole, length, count)
            reason = f"weighted sum and total weight of {count} contributions to round {round}"
            got = party.reveal(whole, None, reason, False, remark=remark)
            assert got is not None
            return self.limits.decode(got[:-1], float(got[-1])), float(got[-1])
        got = party.reveal(whole[np.array([length])], None, f"total weight of {count} contributions to round {round}", False)
        assert got is not None
        with party.scope("mean"):
            return self._mean(party, whole[np.arange(length)], int(got[0]), length), float(got[0])

    def _mean(self, party: Party, total: Share, weight: int, length: int) -> SecretTensor:
        """sum / weight at the session's scale: times m = round(2^s / weight), truncated; |sum| m < 2^62 since |mean| <= B."""
        scale = self.limits.frac_bits
        room = min(SUM_BITS - 1 - self.limits.largest(length).bit_length(), SUM_BITS + party.frac_bits - scale)
        cut = max(0, weight.bit_length() - (room - MEAN_BITS))  # of a sum that is finer than 1 / weight could be
        if cut:
            total = party.protocol.truncate(total, cut)
        mean = total.times(((1 << (room + cut)) + weight // 2) // weight).rescaled(scale + room)
        bits = mean.scale - party.frac_bits
        mean = party.protocol.truncate(mean, bits) if bits > 0 else mean.lifted(party.frac_bits)
        return SecretTensor(Value(party, mean))


def _as_party(
    aggregator: SharesAggregator, messages: list[bytes], round: int, length: int
) -> Combined | TooFewContributors:
    with session() as party:
        try:
            return aggregator._combined(party, messages if party.rank == LEADER else None, round, length, False, charged=True)
        except TooFewContributors as error:  # at all parties
            return error
