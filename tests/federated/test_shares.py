"""Secret-shared aggregation: what it gives, what it refuses, and what it shows."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.federated.aggregators import relay, shares
from mpc.federated.aggregators.base import Combined, TooFewContributors
from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.messages import unpack
from tests.federated.contributions import LENGTH, LIMITS, ROUND, forged, in_session, sent, updates


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("limits", LIMITS)
def test_it_agrees_with_the_plain_mean_within_the_quantisation(parties: int, limits: str) -> None:
    values = updates(6)
    aggregator, plain = SharesAggregator(parties, **LIMITS[limits]), PlainAggregator()
    got = aggregator.combine(sent(aggregator, values), round=ROUND, length=LENGTH)
    want = plain.combine(sent(plain, values), round=ROUND, length=LENGTH)
    assert np.abs(got.mean - want.mean).max() <= 2.0**-21 + 1e-12
    assert (got.weight, got.accepted, got.refused) == (want.weight, want.accepted, {})


def test_whoever_vanishes_is_not_waited_for() -> None:
    values = updates(6)
    aggregator, plain = SharesAggregator(3), PlainAggregator()
    there = [5, 0, 3]
    got = aggregator.combine([sent(aggregator, values)[i] for i in there], round=ROUND, length=LENGTH)
    want = plain.combine([sent(plain, values)[i] for i in there], round=ROUND, length=LENGTH)
    assert np.abs(got.mean - want.mean).max() <= 2.0**-21 + 1e-12


def test_an_update_clipped_to_the_norm_passes() -> None:
    """In float32, whose norm comes out a little larger, and at the length of a real model."""
    length = 5000
    aggregator = SharesAggregator(2, max_norm=0.5)
    big = np.random.default_rng(2).normal(size=(3, length)).astype(np.float32)
    clipped = [(u * np.float32(0.5 / np.linalg.norm(u))).astype(np.float32) for u in big]
    got = aggregator.combine(sent(aggregator, clipped), round=ROUND, length=length)
    assert got.accepted == (0, 1, 2)


@pytest.mark.parametrize(
    ("update", "weight", "error", "says"),
    [
        ([0.0, np.nan], 1, mpc.FixedPointRangeError, "value nan at index 1"),
        ([np.inf, 0.0], 1, mpc.FixedPointRangeError, "value inf at index 0"),
        ([0.0, -1.5], 1, mpc.FixedPointRangeError, "value -1.5 at index 1.*clip"),
        ([1.0] * 5, 1, mpc.FixedPointRangeError, "norm 2.23607; want at most max_norm = 2: clip"),
        ([[0.0]], 1, mpc.ShapeError, "ravel"),
        ([], 1, mpc.ShapeError, "at least one value"),
        (["a"], 1, mpc.NotSupported, "real numbers"),
        ([0.0], 0, mpc.ConfigError, "above 0"),
        ([0.0], -3, mpc.ConfigError, "above 0"),
        ([0.0], 1.5, mpc.ConfigError, "whole number"),
        ([0.0], np.nan, mpc.ConfigError, "whole number"),
        ([0.0], 1 << 21, mpc.ConfigError, "at most"),
    ],
)
def test_the_client_refuses_what_the_parties_would(update: Any, weight: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        SharesAggregator(3, **LIMITS["both"]).client_message(update, weight, client="c", round=1)


@pytest.mark.parametrize("parties", [2, 3])
def test_what_is_revealed_is_one_bit_per_client_and_the_sum(parties: int) -> None:
    aggregator = SharesAggregator(parties)
    messages = [*sent(aggregator, updates(3)), forged(aggregator, [1 << 40] * LENGTH)]
    for result, lines in in_session(aggregator, messages):
        assert isinstance(result, Combined)
        assert [line.shape for line in lines] == [(4,), (LENGTH + 1,)]
        assert "which contributions to round 7 are valid: reports " in lines[0].reason
        for message in messages:
            assert unpack(message).header.report.hex()[:8] in lines[0].reason
        assert lines[1].reason == "weighted sum and total weight of 3 contributions to round 7"
        assert all(line.recipients == tuple(range(parties)) for line in lines)


def test_every_party_has_the_same_result() -> None:
    aggregator = SharesAggregator(3)
    results = [result for result, _ in in_session(aggregator, sent(aggregator, updates(3)))]
    for result in results:
        assert isinstance(result, Combined)
        np.testing.assert_array_equal(result.mean, results[0].mean)  # type: ignore[union-attr]
        assert result.accepted == (0, 1, 2)


@pytest.mark.parametrize("forgeries", [0, 3])
def test_too_few_valid_contributions_reveal_nothing_of_the_sum(forgeries: int) -> None:
    """Without forgeries it is clear from the start, and not even a bit is revealed."""
    aggregator = SharesAggregator(3, min_clients=4)
    bad = [forged(aggregator, [1 << 40] * LENGTH, client=f"m{i}") for i in range(forgeries)]
    for result, lines in in_session(aggregator, [*sent(aggregator, updates(3)), *bad]):
        assert isinstance(result, TooFewContributors)
        assert "got 3 valid contributions; want at least 4" in str(result)
        assert [line.shape for line in lines] == ([(6,)] if forgeries else [])
    # nothing was counted: the same messages and one more make a result
    got = aggregator.combine([*sent(aggregator, updates(3)), *sent(aggregator, updates(1), 3)], round=ROUND, length=LENGTH)
    assert len(got.accepted) == 4


def test_no_message_counts_in_two_results() -> None:
    aggregator = SharesAggregator(2)
    messages = sent(aggregator, updates(3))
    aggregator.combine(messages, round=ROUND, length=LENGTH)
    fresh = sent(aggregator, updates(2), 5)
    got = aggregator.combine([*messages, *fresh], round=ROUND, length=LENGTH)
    assert got.accepted == (3, 4)
    assert all("counted already" in got.refused[place] for place in range(3))


def test_not_even_where_the_first_result_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection may break when somebody has the sum already: the difference to a second sum would be one client's update."""
    aggregator, finish = SharesAggregator(2), SharesAggregator._finish
    messages = sent(aggregator, updates(3))

    def lost(*args: Any) -> Any:
        finish(*args)
        raise mpc.IntegrityError("lost")

    with monkeypatch.context() as patch:
        patch.setattr(SharesAggregator, "_finish", lost)
        with pytest.raises(mpc.IntegrityError, match="lost"):
            aggregator.combine(messages[:2], round=ROUND, length=LENGTH)
    with pytest.raises(TooFewContributors, match="got 1 valid.*counted already"):
        aggregator.combine(messages, round=ROUND, length=LENGTH)


@pytest.mark.parametrize(("parties", "limits"), [(2, "norm"), (3, "norm"), (3, "bound")])
def test_a_mean_that_stays_secret(parties: int, limits: str) -> None:
    values = updates(3)
    aggregator, plain = SharesAggregator(parties, **LIMITS[limits]), PlainAggregator()
    want = plain.combine(sent(plain, values), round=ROUND, length=LENGTH)
    for result, lines in in_session(aggregator, sent(aggregator, values), keep_secret=True):
        assert isinstance(result, Combined)
        assert [line.shape for line in lines] == [(3,), (1,)]
        assert lines[1].reason == "total weight of 3 contributions to round 7"
        assert np.abs(result.mean - want.mean).max() <= 2.0**-21 + 2.0**-16 * (1 + np.abs(want.mean).max())
        assert result.weight == want.weight


@pytest.mark.parametrize(("frac_bits", "weight"), [(8, 1 << 39), (20, 1 << 30), (30, 3)])
def test_a_secret_mean_of_any_weight_and_scale(frac_bits: int, weight: int) -> None:
    aggregator = SharesAggregator(2, max_norm=0.04, max_weight=weight, frac_bits=frac_bits)
    values = [np.full(LENGTH, 0.0047), np.full(LENGTH, -0.0031)]
    messages = [aggregator.client_message(u, weight, client=str(i), round=ROUND) for i, u in enumerate(values)]
    for result, _ in in_session(aggregator, messages, keep_secret=True):
        assert isinstance(result, Combined)
        assert np.abs(result.mean - 0.0008).max() <= 2.0 ** -(frac_bits + 1) + 2.0**-16


def test_a_secret_mean_beyond_the_session_s_range_is_refused() -> None:
    """At 16 fraction bits 2^50 would become 2^66, which is 0 in the ring: a wrong number that nobody sees."""
    for bound, fine in ((2.0**14, True), (2.0**15, False), (2.0**50, False)):
        aggregator = SharesAggregator(2, max_norm=None, bound=bound, max_weight=1, frac_bits=0)
        messages = [aggregator.client_message(np.full(LENGTH, bound), 1, client=c, round=ROUND) for c in "ab"]
        for result, lines in in_session(aggregator, messages, keep_secret=True):
            if fine:
                assert isinstance(result, Combined) and np.abs(result.mean - bound).max() <= 1
            else:
                assert isinstance(result, mpc.ConfigError) and "the session's" in str(result) and lines == []


def test_batches_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for limits in LIMITS.values():
        whole, split = (SharesAggregator(3, task="one", **limits) for _ in range(2))
        want = whole.combine(sent(whole, updates(5)), round=ROUND, length=LENGTH)
        with monkeypatch.context() as patch:
            patch.setattr(relay, "MAX_BATCH", 2)
            patch.setattr(shares, "CHUNK_WORDS", 2 * 17)  # blocks of 17, 17 and 6 columns
            messages = sent(split, updates(5))
            bad = forged(split, [1 << 40] * LENGTH)
            got = split.combine([messages[0], bad, messages[1], messages[0], *messages[2:]], round=ROUND, length=LENGTH)
        np.testing.assert_array_equal(got.mean, want.mean)
        assert got.accepted == (0, 2, 4, 5, 6)
        assert sorted(got.refused) == [1, 3]


def test_a_leader_who_tells_the_parties_of_different_reports_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator = SharesAggregator(3)
    messages = sent(aggregator, updates(3))
    honest = relay._relayed

    def relayed(party: Any, own: Any, remaining: int) -> Any:
        reports, left = honest(party, own, remaining)
        return (reports[::-1] if party.rank == 2 else reports), left

    monkeypatch.setattr(relay, "_relayed", relayed)
    for result, lines in in_session(aggregator, messages):
        assert isinstance(result, mpc.IntegrityError)
        assert "different reports" in str(result)
        assert lines == []


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(mpc.ConfigError, match="squares could wrap"):
        SharesAggregator(3, max_norm=1000.0).client_message([0.0], 1, client="c", round=1)
    with pytest.raises(mpc.ConfigError, match="2 to 8"):
        SharesAggregator(1)
    same = SharesAggregator(2).public_keys[0]
    with pytest.raises(mpc.ConfigError, match="different"):
        SharesAggregator(public_keys=[same, same])
    with pytest.raises(mpc.ConfigError, match="public keys alone"):
        SharesAggregator(public_keys=SharesAggregator(2).public_keys).combine([], round=1, length=1)
    with pytest.raises(mpc.NotSupported, match="outside a session"):
        SharesAggregator(2).combine([], round=1, length=1, keep_secret=True)
    with pytest.raises(TooFewContributors, match="No message was refused"):
        SharesAggregator(2).combine([], round=1, length=1)


def test_a_party_with_anothers_key_and_a_session_of_another_size_are_refused() -> None:
    two, three = SharesAggregator(2), SharesAggregator(3)
    swapped = SharesAggregator(public_keys=two.public_keys[::-1], secret_key=two._secrets[0])

    def program(aggregator: SharesAggregator) -> str:
        with mpc.session() as s:
            try:
                aggregator.combine([] if s.rank == 0 else None, round=1, length=1)
            except mpc.ConfigError as error:
                s.barrier()
                return str(error)
        return ""

    assert all("3 public keys" in said for said in mpc.local(program, parties=2, args=(three,), threads=True))
    with pytest.raises(mpc.ConfigError, match="in the order of ranks"):
        mpc.local(lambda: _combine(swapped), parties=2, threads=True)
    with pytest.raises(mpc.NotSupported, match="hides nothing"):
        mpc.local(lambda: _combine(two), parties=2, threads=True, protocol="clear")


def _combine(aggregator: SharesAggregator) -> None:
    with mpc.session() as s:
        aggregator.combine([] if s.rank == 0 else None, round=1, length=1)


def test_nothing_secret_is_printed() -> None:
    aggregator = SharesAggregator(2)
    assert not any(secret in repr(aggregator) + str(vars(aggregator.limits)) for secret in aggregator._secrets)
