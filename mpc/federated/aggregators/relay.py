"""From the leader's messages to shares at every party: relay, unsealing, and agreement on which reports count."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec
import numpy as np

from mpc import prg
from mpc.byte_exchange import scatter
from mpc.errors import CorruptFrame, IntegrityError, ProgramMismatch
from mpc.exchange import publish
from mpc.federated import messages as wire
from mpc.federated.messages import Header, Message
from mpc.federated.sealing import OVERHEAD, Opener, seal
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.transport.frames import Kind

LEADER: Final = 0  # has the messages, and of each the remainder
SEED_BYTES: Final = 16
MAX_BATCH: Final = 64  # clients
BATCH_WORDS: Final = 1 << 22
_RELAYED: Final = MAX_BATCH * (wire.MAX_HEADER + 256) + 64  # most bytes of a batch for one party that gets seeds
_COIN_WORDS: Final = prg.SECRET_BYTES // 8
_DIGEST_WORDS: Final = 2


class Status(IntEnum):
    """What a party says of a report."""

    FINE = 0
    FOREIGN = 1
    SEALED = 2
    COUNTED = 3


_MEANING: Final = {
    Status.FOREIGN: "its header is for another task, round, length or settings",
    Status.SEALED: "its sealed part does not open: altered, cut short, or sealed for another key, round or report",
    Status.COUNTED: "this report was counted already: a duplicate or a replay",
}


class Batch(NamedTuple):
    """What all parties agreed on: the places and messages that everybody could open, and this party's words of each,
    (clients, length + 1); ``key`` of the coins; how many messages are still to come."""

    reports: list[tuple[int, Message]]
    words: Words
    key: bytes
    remaining: int


def context(head: bytes, rank: int) -> bytes:
    """What a sealed part is bound to: the message's header, with task, round and report, and the party."""
    return hashlib.sha256(head).digest() + bytes((rank,))


def stream(seed: bytes, head: bytes, count: int) -> Words:
    """``count`` uniform words modulo 2^64: an AES-128-CTR stream under the seed and the message's header."""
    return prg.words(prg.derive(seed, "contribution", head), 0, 0, count)


def sealed_parts(words: Words, seeds: Sequence[bytes], head: bytes, public_keys: Sequence[str]) -> list[bytes]:
    """Shares of ``words``, one sealed for each party: the remainder for the leader, ``seeds`` for the others."""
    rest = words.copy()
    for seed in seeds:
        rest -= stream(seed, head, words.size)
    parts = (rest.tobytes(), *seeds)
    return [seal(key, part, context(head, rank)) for rank, (key, part) in enumerate(zip(public_keys, parts, strict=True))]


def sizes(length: int, parties: int) -> tuple[int, ...]:
    """Of a message's parts."""
    return (8 * (length + 1) + OVERHEAD, *(SEED_BYTES + OVERHEAD,) * (parties - 1))


def batches(admitted: Sequence[tuple[int, Message]], length: int) -> list[list[tuple[int, Message]]]:
    """The leader's messages in batches of bounded memory; one empty batch where there are none."""
    size = max(1, min(MAX_BATCH, BATCH_WORDS // (length + 1)))
    return [list(admitted[at : at + size]) for at in range(0, max(1, len(admitted)), size)]


def receive(
    party: Party, own: Sequence[tuple[int, Message]] | None, remaining: int, length: int, opener: Opener,
    objection: Callable[[Header], Status], refused: dict[int, str],
) -> Batch:  # fmt: skip
    """One batch: the leader (``own`` there, None elsewhere) relays each party's seeds; everybody opens, and all agree on what
    all could open. What some could not joins ``refused``. Two rounds.

    Every party contributes 32 bytes to the key of the coins, after it has what it checks. Raises IntegrityError at all
    parties where the leader told them of different reports, CorruptFrame for what is no batch.
    """
    reports, remaining = _relayed(party, own, remaining)
    count = party.world_size if own is not None else 1  # parts in a message here
    statuses, rows = [], []
    for _, message in reports:
        status, row = _opened(party.rank, message, length, opener, objection, count)
        statuses.append(status)
        rows.append(row)
    agreed, key = _agreed(party, reports, statuses, remaining)
    fine = [k for k, status in enumerate(agreed) if status == Status.FINE]
    refused.update({reports[k][0]: _MEANING[s] for k, s in enumerate(agreed) if s != Status.FINE})
    words = np.empty((len(fine), length + 1), np.uint64)
    for at, k in enumerate(fine):
        row = rows[k]
        assert row is not None
        words[at] = row
    return Batch([reports[k] for k in fine], words, key, remaining)


def _relayed(
    party: Party, own: Sequence[tuple[int, Message]] | None, remaining: int
) -> tuple[list[tuple[int, Message]], int]:
    parts = None
    if own is not None:
        per_rank = [[(place, m.head, bytes(m.parts[rank])) for place, m in own] if rank != party.rank else []
                    for rank in range(party.world_size)]  # fmt: skip
        parts = [msgspec.msgpack.encode((remaining, batch)) for batch in per_rank]
    got = scatter(party, LEADER, parts, _RELAYED)
    if own is not None:
        return list(own), remaining
    try:
        remaining, batch = msgspec.msgpack.decode(got, type=tuple[int, list[tuple[int, bytes, bytes]]])
        if len(batch) > MAX_BATCH or not 0 <= remaining < 1 << 40 or any(not 0 <= place < 1 << 40 for place, _, _ in batch):
            raise IntegrityError(f"a batch of {len(batch)} with {remaining} to come")
        return [(place, Message(wire.header_of(head), head, [memoryview(part)])) for place, head, part in batch], remaining
    except (msgspec.MsgspecError, IntegrityError) as error:
        raise party.blame(LEADER, CorruptFrame(f"party {LEADER} relayed what is no batch of messages: {error}")) from None


def _opened(
    rank: int, message: Message, length: int, opener: Opener, objection: Callable[[Header], Status], count: int
) -> tuple[Status, Words | None]:
    """This party's words of a message, and what it has against it."""
    status = objection(message.header)
    if status != Status.FINE:
        return status, None
    try:
        plain = opener.open(message.parts[rank if count > 1 else 0], context(message.head, rank))
    except IntegrityError:
        return Status.SEALED, None
    if len(plain) != (8 * (length + 1) if rank == LEADER else SEED_BYTES):
        return Status.SEALED, None
    words = np.frombuffer(plain, np.uint64) if rank == LEADER else stream(plain, message.head, length + 1)
    return Status.FINE, words


def _agreed(
    party: Party, reports: Sequence[tuple[int, Message]], statuses: Sequence[Status], remaining: int
) -> tuple[list[Status], bytes]:
    """For each report the worst that any party says of it, and the key of the coins. One round."""
    digest = hashlib.blake2b(repr((remaining, [place for place, _ in reports])).encode(), digest_size=8 * _DIGEST_WORDS)
    for _, message in reports:
        digest.update(hashlib.sha256(message.head).digest())
    got = publish(party, Kind.REPORTS, np.concatenate([
        np.frombuffer(prg.fresh_secret(), np.uint64),
        np.frombuffer(digest.digest(), np.uint64),
        np.array(statuses, np.uint64),
    ]))  # fmt: skip
    head = _COIN_WORDS + _DIGEST_WORDS
    if len({g[_COIN_WORDS:head].tobytes() for g in got}) > 1:
        raise IntegrityError(f"party {LEADER} told the parties of different reports: nothing of this round is used")
    worst = np.stack([g[head:] for g in got]).max(axis=0) if statuses else np.zeros(0, np.uint64)
    if worst.size and int(worst.max()) > max(Status):
        raise ProgramMismatch("a party describes a report in a way that is not known here; want the same release everywhere")
    key = prg.derive(prg.combine(*(g[:_COIN_WORDS].tobytes() for g in got)), "coins")
    return [Status(int(w)) for w in worst], key
