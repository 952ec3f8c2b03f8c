"""The client mod and the strategy: the same weights as plain averaging, nothing readable on the way, bad replies left out."""
from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import identity
from mpc.errors import ConfigError
from mpc.federated.aggregators.base import Aggregator
from mpc.federated.aggregators.paillier import PaillierAggregator
from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.server_optimizers import FedAdam, FedAvgM
from tests.federated import flower_network as flower  # first: it skips where there is no flwr
from tests.federated.flower_network import START, Error, Message, Network, Node, arrays, expected, federation, record
from tests.paillier.keys import fixed_private

from mpc.federated.flower import SecureAggregationMod, SecureFedAvg, fingerprint, serve  # isort: skip
from mpc.federated.flower.records import CONTRIBUTION, contribution  # isort: skip


def paillier(**settings: Any) -> PaillierAggregator:
    private = fixed_private(2048)
    return PaillierAggregator(private.public_key, private, bound=4, max_weight=64, max_clients=8, **settings)


AGGREGATORS = {
    "plain": lambda **s: PlainAggregator(bound=4, max_weight=64, **{"min_clients": 2, **s}),
    "paillier": paillier,
    "shares": lambda **s: SharesAggregator(max_norm=16, max_weight=64, **s),
}


def run(strategy: SecureFedAvg, network: Network, rounds: int = 1) -> Any:
    return strategy.start(network, record(START), num_rounds=rounds, timeout=1)


def same(got: dict[str, Any], want: dict[str, Any], within: float) -> None:
    assert list(got) == list(want)
    for name, array in got.items():
        assert array.dtype == want[name].dtype and array.shape == want[name].shape
        np.testing.assert_allclose(array, want[name], rtol=0, atol=within)


@pytest.mark.parametrize("kind", AGGREGATORS)
def test_the_weights_are_those_of_plain_averaging(kind: str) -> None:
    """Updates in steps of 1/8 are exact under every quantisation; what is left is the result's float32."""
    strategy = SecureFedAvg(AGGREGATORS[kind](), min_evaluate_nodes=3)
    result = run(strategy, federation(), rounds=2)
    want = expected((2, 3, 4), expected((2, 3, 4)))
    same(arrays(result.arrays), want, 2.0**-19)
    assert [sorted(report.accepted) for report in strategy.reports] == [[2, 3, 4]] * 2
    assert dict(result.train_metrics_clientapp[2]) == {"clients": 3, "refused": 0, "weight": 9.0}
    assert result.evaluate_metrics_clientapp[2]["mean"] == pytest.approx(want["w"].mean(), abs=1e-5)  # Flower's own


@pytest.mark.parametrize("kind", ["paillier", "shares"])
def test_nothing_readable_leaves_a_node(kind: str) -> None:
    network = federation()
    run(SecureFedAvg(AGGREGATORS[kind](), fraction_evaluate=0.0), network)
    assert len(network.seen) == 3
    for _, node, content in network.seen:
        assert list(content) == [CONTRIBUTION]  # neither weights nor num-examples nor loss
        told = content[CONTRIBUTION]["message"].data
        for name, step in flower.step_of(node).items():
            for values in (step, START[name] + step):
                for dtype in ("<f4", "<f8"):
                    assert values.ravel()[:3].astype(dtype).tobytes() not in told


def test_named_metrics_are_revealed_and_averaged() -> None:
    network = federation(reveal=("loss", "num-examples"))
    metrics = run(SecureFedAvg(AGGREGATORS["plain"]()), network).train_metrics_clientapp[1]
    assert metrics["loss"] == pytest.approx((2 * 2 + 3 * 3 + 4 * 4) / 9 / 4)
    assert set(network.seen[0][2]) == {CONTRIBUTION, "metrics"}


@pytest.mark.parametrize("make", [lambda: FedAvgM(momentum=0.5), lambda: FedAdam(lr=0.125)])
def test_server_optimizers(make: Any) -> None:
    result = run(SecureFedAvg(AGGREGATORS["plain"](), server_optimizer=make()), federation(), rounds=3)
    reference, now = make(), np.concatenate([START["w"].ravel(), START["b"]]).astype(float)
    delta = np.concatenate([(expected((2, 3, 4))[k].astype(float) - START[k]).ravel() for k in ("w", "b")])
    for _ in range(3):
        now = reference.step(now, delta)
    got = arrays(result.arrays)
    np.testing.assert_allclose(np.concatenate([got["w"].ravel(), got["b"]]), now, atol=1e-5)
    assert got["steps"] == 5  # integers stay the server's


def test_running_means_are_averaged_whatever_the_optimizer() -> None:
    strategy = SecureFedAvg(AGGREGATORS["plain"](), server_optimizer="fedadam", buffers=("b",))
    same({"b": arrays(run(strategy, federation()).arrays)["b"]}, {"b": expected((2, 3, 4))["b"]}, 1e-6)


def test_a_sample_of_the_nodes() -> None:
    strategy = SecureFedAvg(AGGREGATORS["plain"](), fraction_train=0.5, fraction_evaluate=0.0)
    result = run(strategy, federation(6))
    chosen = strategy.reports[0].accepted
    assert len(chosen) == 3
    same(arrays(result.arrays), expected(chosen), 1e-6)


def test_bad_replies_are_left_out_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    """NaN, a foreign key, a replay, another's name, no mod, rubbish, an exception, silence: and three honest nodes."""
    nan = Node(10, SecureAggregationMod())
    nan.train = lambda message, context: nan.reply(message, START | {"w": START["w"] * np.nan})  # type: ignore[method-assign]
    nan = Node(10, SecureAggregationMod(), nan.train)
    nodes = [*(Node(k, SecureAggregationMod()) for k in (2, 3, 4, 11, 12, 13, 15, 17)), nan, Node(14)]
    nodes.append(Node(16, SecureAggregationMod(), lambda message, context: 1 / 0))
    aggregator = SharesAggregator(max_norm=16, max_weight=64, min_clients=3)
    foreign = SharesAggregator(max_norm=16, max_weight=64, min_clients=3, task=aggregator.task)
    first: dict[int, Message] = {}

    def wire(number: int, reply: Message) -> Message | None:
        if strategy._turn == 1:
            first[number] = reply
        elif number == 11:
            update = np.ones(15)
            reply.content[CONTRIBUTION] = contribution(foreign.client_message(update, 1, client="11", round=2))
        elif number == 12:
            reply.content[CONTRIBUTION] = first[12].content[CONTRIBUTION]
        elif number == 13:
            reply.content[CONTRIBUTION] = contribution(aggregator.client_message(np.ones(15), 1, client="2", round=2))
        elif number == 15:
            reply.content[CONTRIBUTION] = contribution(b"MPCA rubbish")
        return None if number == 17 else reply

    strategy = SecureFedAvg(aggregator, fraction_evaluate=0.0, min_train_nodes=11)
    with caplog.at_level(logging.WARNING, "flwr"):
        result = run(strategy, Network(nodes, wire), rounds=2)
    after_one = expected((2, 3, 4, 11, 12, 13, 15))
    same(arrays(result.arrays), expected((2, 3, 4), after_one), 1e-5)
    report = strategy.reports[1]
    assert sorted(report.accepted) == [2, 3, 4] and report.weight == 9
    for node, reason in {
        10: "FixedPointRangeError", 11: "other settings or for other keys", 12: "it is for round 1; want round 2",
        13: "says that it is from '2'", 14: "weights in the clear", 15: "header", 16: "ZeroDivisionError",
    }.items():  # fmt: skip
        assert reason in report.refused[node], report.refused[node]
        assert f"Left out node {node}: {report.refused[node]}" in caplog.text
    assert 17 not in report.refused  # never answered


@pytest.mark.parametrize("kind", AGGREGATORS)
def test_too_few_contributions_keep_the_model_and_the_next_round_goes_on(kind: str) -> None:
    strategy = SecureFedAvg(AGGREGATORS[kind](min_clients=3), fraction_evaluate=0.0)
    network = federation(3, lambda number, reply: None if number == 4 and strategy._turn == 1 else reply)
    result = run(strategy, network, rounds=2)
    assert "2 valid contributions" in strategy.reports[0].failed and strategy.reports[0].accepted == ()
    assert result.train_metrics_clientapp[1]["clients"] == 0
    same(arrays(result.arrays), expected((2, 3, 4)), 2.0**-19)


def test_a_round_that_asks_nobody() -> None:
    strategy = SecureFedAvg(AGGREGATORS["shares"](), fraction_train=0.0, min_available_nodes=2)
    result = run(strategy, federation())
    assert strategy.reports == [] and not result.arrays and result.evaluate_metrics_clientapp[1]["mean"] == pytest.approx(0)


def test_all_nodes_silent() -> None:
    strategy = SecureFedAvg(AGGREGATORS["shares"](), fraction_evaluate=0.0)
    assert not run(strategy, federation(3, lambda number, reply: None)).arrays
    assert "0 valid" in strategy.reports[0].failed


def test_a_second_start_goes_on_with_the_count_of_rounds() -> None:
    """Else round 1 of the first start could be played again."""
    strategy, network = SecureFedAvg(AGGREGATORS["plain"](), fraction_evaluate=0.0), federation()
    run(strategy, network)
    same(arrays(run(strategy, network).arrays), expected((2, 3, 4)), 1e-6)
    assert strategy._turn == 2


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: SecureFedAvg(AGGREGATORS["shares"](min_clients=5), min_train_nodes=4), "reveals nothing below 5"),
        (lambda: SecureAggregationMod(accept="shares"), "accept"),
        (lambda: SecureAggregationMod(accept=("secagg",)), "accept"),
        (lambda: SecureAggregationMod(trust="abc"), "tuples"),
    ],
)
def test_settings_that_cannot_work(make: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        make()


def test_an_aggregator_without_description() -> None:
    class Other(PlainAggregator):
        kind = "other"

    with pytest.raises(ConfigError, match="'other'"):
        SecureFedAvg(Other())


def test_errors_do_not_become_weights() -> None:
    """A ClientApp that answers with an error of its own."""
    gone = Node(5, SecureAggregationMod(), lambda message, context: Message(Error(0, "no data today"), reply_to=message))
    strategy = SecureFedAvg(AGGREGATORS["shares"](), fraction_evaluate=0.0, min_train_nodes=4)
    same(arrays(run(strategy, Network([*federation().nodes.values(), gone])).arrays), expected((2, 3, 4)), 1e-6)
    assert strategy.reports[0].refused == {5: "it replied with an error: no data today"}


def test_the_serverapp_is_one_of_the_parties() -> None:
    """As it is in earnest: each party has its own secret key alone, and the other two run no Flower."""
    made = [identity.create(f"party-{rank}") for rank in range(3)]
    keys, task = [i.public_key for i in made], "a training"

    def party() -> Any:
        with mpc.session() as s:
            aggregator = SharesAggregator(
                public_keys=keys, secret_key=made[s.rank].secret_key, max_norm=16, max_weight=64, min_clients=3, task=task
            )
            if s.rank == 0:
                strategy = SecureFedAvg(aggregator, fraction_evaluate=0.0)
                network = federation(3, lambda number, reply: None if number == 4 and strategy._turn == 2 else reply)
                return arrays(run(strategy, network, rounds=3).arrays), [report.accepted != () for report in strategy.reports]
            return [serve(aggregator, round=turn, length=15) for turn in (1, 2, 3)]

    (weights, went), *others = mpc.local(party, parties=3, threads=True)
    same(weights, expected((2, 3, 4), expected((2, 3, 4))), 2.0**-19)
    assert went == [True, False, True] and others == [went, went]


def test_the_fingerprint_is_of_limits_and_keys() -> None:
    one, other = AGGREGATORS["shares"](), AGGREGATORS["shares"]()
    again: Aggregator = SharesAggregator(public_keys=one.public_keys, max_norm=16, max_weight=64)
    assert fingerprint(one) == fingerprint(again) != fingerprint(other)
