"""The encrypted mean as a secret tensor: parties that share the key turn the sum into shares of their session.

Party 0 is the server: it has the clients' messages, adds them up and sends the others the two encrypted sums. Opened, as a line
of the ledger: sum(n_i). Nobody learns the mean: its ciphertexts are masked by every party before they are decrypted together
(`mpc.paillier.conversion`). Who sees what beside: party 0 which clients take part, the others how many, by party 0's word.
``threshold`` parties that work together with party 0 could decrypt single messages; fewer cannot.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from mpc import byte_exchange
from mpc import party as current_party
from mpc.errors import ConfigError, IntegrityError
from mpc.federated.aggregators.base import Combined, TooFewContributors
from mpc.federated.aggregators.key_holders import allowed
from mpc.ops.value import Value
from mpc.paillier.conversion import to_shares
from mpc.paillier.serial import from_bytes, to_bytes
from mpc.paillier.vector import EncryptedVector
from mpc.party import Party
from mpc.sharing import Share
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from mpc.federated.aggregators.paillier import PaillierAggregator

LEADER: Final = 0
LIMIT: Final = 1 << 31  # bytes of an announcement
RANGE_BITS: Final = 61  # |sum * factor| stays below 2^this
WEIGHT_BITS: Final = 16  # 1 / weight has at least so many


@dataclass(frozen=True)
class EncryptedSum:
    """What the server has: sum(n_i w_i) and sum(n_i) under encryption, of the messages at the places ``accepted``."""

    values: EncryptedVector
    weight: EncryptedVector
    accepted: tuple[int, ...]
    refused: dict[int, str]


class Announcement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What party 0 tells the others: the sums, or why there is none. Who was refused and why stays with party 0."""

    values: bytes = b""
    weight: bytes = b""
    accepted: tuple[int, ...] = ()
    problem: str = ""


_DECODER: Final = msgspec.msgpack.Decoder(Announcement)  # made here: several threads at their first decoding of a type crash


def combine(aggregator: PaillierAggregator, messages: Sequence[bytes] | None, round: int, length: int) -> Combined:
    """`PaillierAggregator.combine` with keep_secret, at every party of a session alike; only party 0's messages count.

    Raises at every party: TooFewContributors, IntegrityError (weights that cannot be), what `to_shares` raises; ConfigError
    without a key share.
    """
    party = current_party.current()
    if aggregator.key_share is None:
        raise ConfigError("keep_secret under Paillier encryption needs this party's share of the key: "
                          "PaillierAggregator(key_share.public_key, key_share=...), of a key that mpc.paillier.deal made")
    with party.scope("encrypted mean"):
        party.note("contributions", aggregator.task, round, length, aggregator.digest())
        total = _announced(aggregator, party, messages, round, length)
        count = len(total.accepted)
        allowed(total.values, aggregator.min_clients)
        words = to_shares(total.weight, aggregator.key_share)._value.share.rescaled(0)
        opened = party.reveal(words, None, f"total weight of {count} contributions to round {round}", False)
        assert opened is not None
        weight = int(aggregator.checked_total(float(opened[0]), count))
        share = to_shares(total.values, aggregator.key_share)._value.share
        return Combined(_mean(aggregator, party, share, weight), float(weight), total.accepted, total.refused)


def _announced(
    aggregator: PaillierAggregator, party: Party, messages: Sequence[bytes] | None, round: int, length: int
) -> EncryptedSum:
    """Party 0's sums at every party."""
    data, mine, failure = None, None, None
    if party.rank == LEADER:
        try:
            mine = aggregator.add_up(messages or (), round=round, length=length)
            said = Announcement(to_bytes(mine.values), to_bytes(mine.weight), mine.accepted)
        except TooFewContributors as error:
            failure, said = error, Announcement(problem=f"{error}")
        data = msgspec.msgpack.encode(said)
    got = byte_exchange.broadcast(party, LEADER, data, LIMIT)
    if failure is not None:
        raise failure
    if mine is not None:
        return mine
    try:
        said = _DECODER.decode(got)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise party.blame(LEADER, IntegrityError(f"party 0's encrypted sum cannot be read: {error}")) from None
    if said.problem:
        raise TooFewContributors(f"party 0 says: {said.problem}")
    key = aggregator.public_key
    values = from_bytes(said.values, key, aggregator.layout, shape=(length,))
    weight = from_bytes(said.weight, key, aggregator.weight_layout, shape=(1,))
    for vector in (values, weight):
        if vector.addends != len(said.accepted) or vector.magnitude != vector.addends * vector.layout.unit_bound:
            raise IntegrityError(f"party 0 sent a sum of {vector.addends} for {len(said.accepted)} accepted contributions")
    return EncryptedSum(values, weight, said.accepted, {})


def _mean(aggregator: PaillierAggregator, party: Party, total: Share, weight: int) -> SecretTensor:
    """sum / weight at the session's scale: the sum in units of 2^-frac_bits, times round(2^room / weight), truncated.

    Range: |sum| <= weight * bound in units, so the product stays below 2^61. Error: one unit of the session's fixed point, and
    2^-16 relative where the bound leaves 1 / weight no more bits."""
    largest = int(aggregator.bound * 2.0**aggregator.frac_bits) + 1
    room = min(RANGE_BITS - largest.bit_length(), RANGE_BITS + party.frac_bits - aggregator.frac_bits)
    cut = max(0, weight.bit_length() + WEIGHT_BITS - room)  # of a sum that is finer than 1 / weight could be
    total = total.rescaled(aggregator.frac_bits)
    if cut:
        total = party.protocol.truncate(total, cut)
    mean = total.times(((1 << (room + cut)) + weight // 2) // weight).rescaled(aggregator.frac_bits + room)
    bits = mean.scale - party.frac_bits
    mean = party.protocol.truncate(mean, bits) if bits > 0 else mean.lifted(party.frac_bits)
    return SecretTensor(Value(party, mean))
