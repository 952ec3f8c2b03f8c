"""What any N - 1 parties, and the wire, see of an update: uniform words, whatever the update is."""
from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import prg
from mpc.federated.aggregators import relay, shares, validity
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.messages import unpack
from mpc.federated.quantisation import PROJECTIONS
from mpc.federated.sealing import Opener
from mpc.party import Party
from mpc.transport import frames
from mpc.transport.frames import HEADER_BYTES, Kind
from tests.federated.contributions import ROUND
from tests.protocols.test_views import assert_uniform

LENGTH = 16_384


def parts_of(aggregator: SharesAggregator, message: bytes, length: int) -> list[Any]:
    """Each party's share of the update and the weight, as it opens it."""
    read = unpack(message)
    out = []
    for rank, secret in enumerate(aggregator._secrets):
        plain = Opener(secret).open(read.parts[rank], relay.context(read.head, rank))
        assert len(plain) == (8 * (length + 1) if rank == 0 else 16)
        out.append(relay.stream(plain, read.head, length + 1) if rank else np.frombuffer(plain, np.uint64))
    return out


@pytest.mark.parametrize("parties", [2, 3, 4])
@pytest.mark.parametrize("value", [0.0, 0.2, -0.001])
def test_the_shares_of_every_coalition_are_uniform_over_the_whole_ring(parties: int, value: float) -> None:
    """All eight bytes of the words, the top one too: no share is small because the update is."""
    aggregator = SharesAggregator(parties)
    message = aggregator.client_message(np.full(LENGTH, value), 3, client="c", round=ROUND)
    parts = parts_of(aggregator, message, LENGTH)
    whole = np.sum(parts, axis=0, dtype=np.uint64)
    assert (whole[:-1].view(np.int64) == round(value * 2**20)).all() and whole[-1] == 3
    for size in range(1, parties):
        for coalition in itertools.combinations(range(parties), size):
            assert_uniform(sum(parts[rank] for rank in coalition), f"shares of {coalition}")


def test_seeds_are_16_bytes_of_the_operating_system_each_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator = SharesAggregator(3)
    drawn: list[bytes] = []
    real = os.urandom

    def urandom(size: int) -> bytes:
        drawn.append(real(size))
        return drawn[-1]

    monkeypatch.setattr(shares.os, "urandom", urandom)
    messages = [aggregator.client_message(np.zeros(4), 1, client="c", round=ROUND) for _ in range(20)]
    seeds = []
    for message in messages:
        read = unpack(message)
        seeds += [Opener(aggregator._secrets[r]).open(read.parts[r], relay.context(read.head, r)) for r in (1, 2)]
    assert len(set(seeds)) == 40 and all(seed in drawn and len(seed) == 16 for seed in seeds)
    assert len({read.head for read in map(unpack, messages)}) == 20


def test_what_is_sealed_says_nothing_without_its_key() -> None:
    """A zero update: what the leader relays, and its own remainder, are uniform bytes."""
    aggregator = SharesAggregator(3)
    read = unpack(aggregator.client_message(np.zeros(LENGTH), 1, client="c", round=ROUND))
    assert_uniform(np.frombuffer(bytes(read.parts[0])[32:-16][: 8 * LENGTH], np.uint64), "the sealed remainder")
    for rank, part in enumerate(read.parts):
        for other, secret in enumerate(aggregator._secrets):
            if other != rank:
                with pytest.raises(mpc.IntegrityError):
                    Opener(secret).open(part, relay.context(read.head, rank))


@pytest.mark.parametrize("parties", [2, 3])
def test_openings_on_the_wire_are_uniform_for_constant_updates(parties: int, monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator = SharesAggregator(parties, min_clients=2)
    messages = [aggregator.client_message(np.full(LENGTH, 0.1), 1, client=str(i), round=ROUND) for i in range(2)]
    sent: list[tuple[int, int, np.ndarray]] = []
    send = Party.send

    def noted(self: Party, peer: int, frame: Any) -> None:
        data = frames.as_bytes(frame)
        kind = frames.unpack_header(data).kind
        if kind == Kind.OPEN and len(data) >= 8 * LENGTH:
            sent.append((self.rank, peer, np.frombuffer(bytes(data[HEADER_BYTES:]), np.uint64)))
        send(self, peer, frame)

    monkeypatch.setattr(Party, "send", noted)
    aggregator.combine(messages, round=ROUND, length=LENGTH)
    by_rank = {rank: payload for rank, _, payload in sent}
    assert set(by_rank) == set(range(parties))
    for rank, payload in by_rank.items():
        assert_uniform(payload, f"what party {rank} opened")
    assert_uniform(np.sum(list(by_rank.values()), axis=0, dtype=np.uint64), "the opened updates")


def test_coins_come_at_odds_1_2_1_and_differ_with_their_key() -> None:
    first, second = (prg.derive(bytes([k]) * 32, "coins") for k in (1, 2))
    matrix = validity.coins(first, 0, 4096).view(np.int64)
    assert matrix.shape == (4096, PROJECTIONS)
    count = matrix.size
    for value, odds in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        assert abs((matrix == value).sum() - odds * count) < 7 * (count * odds * (1 - odds)) ** 0.5
    rows = np.corrcoef(matrix.T) - np.eye(PROJECTIONS)
    assert np.abs(rows).max() < 7 / 64  # seven standard deviations of a correlation over 4096
    np.testing.assert_array_equal(validity.coins(first, 1000, 7).view(np.int64), matrix[1000:1007])
    assert (validity.coins(second, 0, 4096).view(np.int64) != matrix).any(axis=0).all()


def test_every_round_draws_new_coins_after_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator = SharesAggregator(2, min_clients=1)
    keys: list[bytes] = []
    honest = shares.checked

    def noted(party: Party, chunks: Any, weights: Any, length: int, limits: Any, key: bytes) -> Any:
        keys.append(key)
        return honest(party, chunks, weights, length, limits, key)

    monkeypatch.setattr(shares, "checked", noted)
    for turn in range(3):
        message = aggregator.client_message(np.zeros(4), 1, client="c", round=turn)
        aggregator.combine([message], round=turn, length=4)
    assert len(keys) == 6 and len(set(keys)) == 3  # alike at both parties, new each round
