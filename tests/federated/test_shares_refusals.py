"""Everything a client, or somebody on the way, could try: refused with its reason, and the honest mean is unharmed."""
from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import pytest

from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.messages import pack, unpack
from tests.federated.contributions import LENGTH, LIMITS, ROUND, forged, sent, updates


def renamed(message: bytes, parts_of: bytes | None = None, **fields: Any) -> bytes:
    """The message with other words in its header, and the parts of another one if given."""
    header = msgspec.structs.replace(unpack(message).header, **fields)
    return pack(msgspec.msgpack.encode(header), unpack(parts_of or message).parts)


def attacks(aggregator: SharesAggregator, honest: list[bytes], limits: str) -> list[tuple[bytes, str]]:
    """(message, what its refusal says) of everything a client or somebody on the way could try."""
    unit = 1 << aggregator.limits.frac_bits
    zeros = [0] * LENGTH
    uniform = [int.from_bytes(np.random.default_rng(1).bytes(8), "little") for _ in range(LENGTH)]
    other = SharesAggregator(aggregator.parties)
    elsewhere = SharesAggregator(public_keys=aggregator.public_keys, task="another", **LIMITS[limits])
    looser = SharesAggregator(public_keys=aggregator.public_keys, task=aggregator.task, max_weight=9)
    damaged = bytearray(honest[1])
    damaged[-1] ^= 1  # the last party's seed
    remainder = bytearray(honest[1])
    remainder[len(honest[1]) // 2] ^= 1
    longer = aggregator.client_message(np.zeros(LENGTH + 1), 1, client="m", round=ROUND)
    earlier = aggregator.client_message(np.zeros(LENGTH), 1, client="m", round=ROUND - 1)
    range_ = "out of range"
    found = [
        (b"", "no message"),
        (honest[0][:-1], "no message.*cut short"),
        (honest[0] + b"x", "no message"),
        (honest[0][4:], "no message"),
        (bytes(damaged), "does not open"),
        (bytes(remainder), "does not open"),
        (honest[0], "duplicate"),
        (aggregator.client_message(np.zeros(LENGTH), 1, client="client 0", round=ROUND), "has a message in this round"),
        (renamed(earlier, round=ROUND), "does not open"),  # a replay under a header of today's
        (renamed(honest[1], client="m", report=b"r" * 16), "does not open"),  # a copy as a vote more
        (renamed(honest[1], honest[2], client="m"), "does not open"),  # one client's header on another one's parts
        (earlier, "for round 6; want round 7"),
        (longer, "for length 41; want length 40"),
        (elsewhere.client_message(np.zeros(LENGTH), 1, client="m", round=ROUND), "for task 'another'"),
        (looser.client_message(np.zeros(LENGTH), 1, client="m", round=ROUND), "other settings"),
        (other.client_message(np.zeros(LENGTH), 1, client="m", round=ROUND), "for task"),
        (forged(aggregator, zeros, keys=other.public_keys), "does not open"),
        (forged(aggregator, zeros, weight=0), range_),
        (forged(aggregator, zeros, weight=-1), range_),
        (forged(aggregator, zeros, weight=aggregator.limits.max_weight + 1), range_),
        (forged(aggregator, zeros, weight=1 << 63), range_),
        (forged(aggregator, uniform), range_),
        (forged(aggregator, [1 << 63, *zeros[1:]]), range_),
        (forged(aggregator, [1 << 63] * LENGTH), range_),
        (forged(aggregator, [1 << 32, *zeros[1:]]), range_),  # whose square is 0 modulo 2^64
        (forged(aggregator, [-(1 << 32)] * LENGTH), range_),
        (forged(aggregator, [1 << 62] * 4 + zeros[4:]), range_),  # as are these squares
    ]
    if limits in ("bound", "both"):
        found += [(forged(aggregator, [sign * (unit + 1), *zeros[1:]]), range_) for sign in (1, -1)]
    if limits in ("norm", "both"):
        most = aggregator.limits.norm(LENGTH)
        found += [(forged(aggregator, [sign * (most + 1), *zeros[1:]]), range_) for sign in (1, -1)]
        part = int(most / 40**0.5) + 1
        found += [(forged(aggregator, [part] * LENGTH), range_)]
    return found


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("limits", LIMITS)
def test_every_bad_message_is_refused_and_the_honest_mean_is_unharmed(parties: int, limits: str) -> None:
    aggregator = SharesAggregator(parties, task="one", **LIMITS[limits])
    honest = sent(aggregator, updates(3))
    bad = attacks(aggregator, honest, limits)
    alone = SharesAggregator(parties, task="one", **LIMITS[limits])
    want = alone.combine(sent(alone, updates(3)), round=ROUND, length=LENGTH)
    messages = [*honest, *(message for message, _ in bad)]
    got = aggregator.combine(messages, round=ROUND, length=LENGTH)
    np.testing.assert_array_equal(got.mean, want.mean)
    assert (got.weight, got.accepted) == (want.weight, (0, 1, 2))
    for place, (_, reason) in enumerate(bad, len(honest)):
        assert re.search(reason, got.refused[place]), (place, reason, got.refused[place])
    assert len(got.refused) == len(bad)


def test_damaged_copies_that_come_first_take_nobodys_place() -> None:
    aggregator = SharesAggregator(3)
    honest = sent(aggregator, updates(2))
    copies = []
    for message in honest:
        copy = bytearray(message)
        copy[-1] ^= 1
        copies.append(bytes(copy))
    assert aggregator.combine([*copies, *honest], round=ROUND, length=LENGTH).accepted == (2, 3)


@pytest.mark.parametrize("limits", LIMITS)
def test_limits_are_exact_at_their_edges(limits: str) -> None:
    aggregator = SharesAggregator(2, **LIMITS[limits])
    most = aggregator.limits.largest(LENGTH)
    heaviest = aggregator.limits.max_weight
    edges = [
        forged(aggregator, [sign * most, *[0] * (LENGTH - 1)], weight, client=f"{sign} {weight}")
        for sign in (1, -1) for weight in (1, heaviest)
    ]  # fmt: skip
    got = aggregator.combine([*edges[:3], forged(aggregator, [most + 1, *[0] * (LENGTH - 1)])], round=ROUND, length=LENGTH)
    assert got.accepted == (0, 1, 2)
    want = most * (1 + heaviest - 1) / (heaviest + 2) * 2.0**-20
    assert got.mean[0] == pytest.approx(want, abs=1e-12)
    assert not got.mean[1:].any()
