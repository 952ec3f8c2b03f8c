"""The contract of aggregators, for the plain one and the one on shares alike."""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

import mpc
from mpc.federated import messages as wire
from mpc.federated.aggregators.base import Aggregator, TooFewContributors
from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from tests.federated.contributions import LENGTH, ROUND, sent, updates

MAKERS: dict[str, Callable[..., Aggregator]] = {"plain": PlainAggregator, "shares": lambda **k: SharesAggregator(2, **k)}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[..., Aggregator]:
    return MAKERS[request.param]


def test_the_weighted_mean(make: Callable[..., Aggregator]) -> None:
    aggregator, values = make(), updates(5)
    got = aggregator.combine(sent(aggregator, values), round=ROUND, length=LENGTH)
    weights = np.arange(5) * 10 + 1
    assert np.abs(got.mean - np.average(values, axis=0, weights=weights)).max() <= 2.0**-21 + 1e-12
    assert (got.weight, got.accepted, got.refused) == (weights.sum(), (0, 1, 2, 3, 4), {})


def test_no_message_harms_the_others(make: Callable[..., Aggregator]) -> None:
    aggregator, values = make(), updates(3)
    honest = sent(aggregator, values)
    other_task = sent(make(), values)[0]
    bad = [b"", honest[0][:-1], other_task, None, 7, "text", sent(aggregator, values, round=ROUND + 1)[0], honest[0]]
    got = aggregator.combine([*bad[:-1], *honest, bad[-1]], round=ROUND, length=LENGTH)  # type: ignore[list-item]
    want = make(task=aggregator.task)
    np.testing.assert_allclose(got.mean, want.combine(sent(want, values), round=ROUND, length=LENGTH).mean, atol=1e-12)
    assert got.accepted == (7, 8, 9)
    assert sorted(got.refused) == [0, 1, 2, 3, 4, 5, 6, 10]


def test_too_few(make: Callable[..., Aggregator]) -> None:
    aggregator = make(min_clients=3)
    with pytest.raises(TooFewContributors, match="got 2 valid contributions; want at least 3.*message 1: it is no message"):
        aggregator.combine([sent(aggregator, updates(2))[0], b"", sent(aggregator, updates(2))[1]], round=ROUND, length=LENGTH)
    assert issubclass(TooFewContributors, mpc.MPCError)


def test_a_message_counts_once(make: Callable[..., Aggregator]) -> None:
    aggregator = make()
    messages = sent(aggregator, updates(3))
    aggregator.combine(messages, round=ROUND, length=LENGTH)
    with pytest.raises(TooFewContributors, match="counted already"):
        aggregator.combine(messages, round=ROUND, length=LENGTH)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"min_clients": 0}, "min_clients 0"), ({"min_clients": 1.5}, "min_clients 1.5"), ({"task": ""}, "task ''"),
     ({"task": "x" * 129}, "1 to 128 characters")],
)  # fmt: skip
def test_settings_that_cannot_be(make: Callable[..., Aggregator], options: dict[str, Any], says: str) -> None:
    with pytest.raises(mpc.ConfigError, match=says):
        make(**options)


def test_names_rounds_and_lengths_that_cannot_be(make: Callable[..., Aggregator]) -> None:
    aggregator = make()
    for client, turn in (("", 1), ("x" * 129, 1), (7, 1), ("c", -1), ("c", 1.5)):
        with pytest.raises(mpc.ConfigError, match="got (client|round)"):
            aggregator.client_message(np.zeros(3), 1, client=client, round=turn)  # type: ignore[arg-type]
    with pytest.raises(mpc.ConfigError, match="got length 0"):
        aggregator.combine([], round=1, length=0)


def test_a_task_is_random_unless_given(make: Callable[..., Aggregator]) -> None:
    assert len({make().task for _ in range(20)}) == 20
    assert make(task="ours").task == "ours"


# --- in the clear
def plain_message(aggregator: PlainAggregator, values: Any, weight: float = 1.0, client: str = "m", size: int = 0) -> bytes:
    """What a forger would send: nothing is checked."""
    data = np.asarray(values, "<f8").tobytes()
    header = aggregator.header(ROUND, client, len(values), [len(data) - size], weight)
    return wire.pack(msgspec.msgpack.encode(header), [data[: len(data) - size]])


@pytest.mark.parametrize(
    ("values", "weight", "size", "says"),
    [
        ([0.0, np.nan], 1, 0, "NaN or infinite"),
        ([0.0, -np.inf], 1, 0, "NaN or infinite"),
        ([0.0, 1.5], 1, 0, "magnitude 1.5; want at most 1"),
        ([0.9, 0.9], 1, 0, "norm is 1.27279; want at most 1.2"),
        ([0.0, 0.0], 0.0, 0, "weight is 0.0"),
        ([0.0, 0.0], -1.0, 0, "weight is -1.0"),
        ([0.0, 0.0], np.nan, 0, "weight is nan"),
        ([0.0, 0.0], 101.0, 0, "weight is 101.0; want above 0 and at most 100"),
        ([0.0, 0.0], 1.0, 8, r"parts of \(8,\) bytes; want \(16,\)"),
    ],
)
def test_the_plain_server_refuses_what_a_client_should_not_have_sent(
    values: list[float], weight: float, size: int, says: str
) -> None:
    aggregator = PlainAggregator(bound=1.0, max_norm=1.2, max_weight=100)
    honest = aggregator.client_message([0.5, -0.5], 3, client="h", round=ROUND)
    got = aggregator.combine([plain_message(aggregator, values, weight, size=size), honest], round=ROUND, length=2)
    np.testing.assert_array_equal(got.mean, [0.5, -0.5])
    assert re.search(says, got.refused[0])


def test_the_plain_server_keeps_nothing_secret() -> None:
    with pytest.raises(mpc.NotSupported, match="has seen every update"):
        PlainAggregator().combine([], round=1, length=1, keep_secret=True)
