"""What a data owner's node refuses to follow, and what its refusals say."""
from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.messages import unpack
from tests.federated.flower_network import START, Message, Node, RecordDict, instruction_to, record
from tests.paillier.keys import fixed_private

from mpc.federated.aggregators.paillier import PaillierAggregator  # isort: skip
from mpc.federated.flower import SecureAggregationMod, fingerprint, public  # isort: skip
from mpc.federated.flower.records import CONTRIBUTION, INSTRUCTION, message_in  # isort: skip

SHARES = SharesAggregator(max_norm=16, max_weight=64)
OTHER = SharesAggregator(max_norm=16, max_weight=64)


def content(aggregator: Any = SHARES, round: int = 1, length: int = 15, **changes: Any) -> dict[str, Any]:
    told = public.instruction(aggregator, round=round, length=length)
    for name, value in changes.items():
        told[name.replace("_", "-")] = value
    return {"arrays": record(START), INSTRUCTION: told}


def reason(node: Node, given: dict[str, Any]) -> str:
    reply = node.answer(instruction_to(node, given))
    assert reply.has_error() and not reply.has_content()
    return str(reply.error.reason)


def accepted(node: Node, given: dict[str, Any]) -> Message:
    reply = node.answer(instruction_to(node, given))
    assert reply.has_content(), reply.error.reason
    return reply


def test_the_message_is_the_aggregators() -> None:
    node = Node(5, SecureAggregationMod())
    header = unpack(message_in(accepted(node, content(round=3)).content)).header
    assert (header.kind, header.round, header.client, header.length) == ("shares", 3, "5", 15)
    assert header.settings == SHARES.digest() and header.task == SHARES.task


def test_every_aggregator_survives_its_description() -> None:
    key = fixed_private(2048).public_key
    for aggregator in (
        SHARES, PlainAggregator(bound=3), PaillierAggregator(key, bound=2, max_clients=5, max_weight=9),
        SharesAggregator(max_norm=None, bound=2.5), SharesAggregator(2, max_norm=3, bound=2.5, min_clients=7),
    ):  # fmt: skip
        again = public.client_aggregator(public.instruction(aggregator, round=1, length=4))
        assert (again.kind, again.task, again.min_clients) == (aggregator.kind, aggregator.task, aggregator.min_clients)
        assert again.digest() == aggregator.digest()
        assert not getattr(again, "_secrets", ()) and getattr(again, "holder", None) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"arrays": record(START)}, "weights in the clear"),
        (content(PlainAggregator(min_clients=2)), "'plain' is not accepted here"),
        (content(min_clients=1), "this node wants at least 2"),
        (content(length=14), "length"),
        (content(version=2), "version 2"),
        (content(kind="secagg"), "not accepted"),
        (content(keys=list(OTHER.public_keys)), "what it describes"),
        (content(keys=["short"] * 3), "keygen"),
        (content(keys=7), "no public keys"),
        (content(max_norm="1"), "want a number"),
        (content(max_weight=2.5), "want a whole number"),
        (content(round=True), "whole number"),
        (content(task=b"x"), "task"),
        (content() | {"more": record(START)}, "exactly one"),
        ({INSTRUCTION: content()[INSTRUCTION]}, "exactly one"),
        ({INSTRUCTION: record(START), "arrays": record(START)}, "clear"),
    ],
)  # fmt: skip
def test_instructions_that_are_not_followed(given: dict[str, Any], why: str) -> None:
    def never(message: Message, context: Any) -> Message:
        raise AssertionError("the app was asked")

    got = reason(Node(5, SecureAggregationMod(), never), given)
    assert got.startswith("instruction refused: ") and why in got


def test_only_trusted_keys() -> None:
    pinned = SecureAggregationMod(trust=(fingerprint(SHARES),))
    accepted(Node(5, pinned), content())
    assert "not among those this node trusts" in reason(Node(5, pinned), content(OTHER))


def test_the_nodes_owner_has_a_say() -> None:
    node = Node(5, SecureAggregationMod())
    node.context.node_config["mpc-trust"] = f"{fingerprint(SHARES)}, {'0' * 32}"
    accepted(node, content())
    assert "trusts" in reason(node, content(OTHER))


def test_the_first_keys_of_a_run_stay() -> None:
    node = Node(5, SecureAggregationMod())
    accepted(node, content(round=1))
    assert "came after" in reason(node, content(OTHER, round=2))
    accepted(node, content(round=2))


def test_one_contribution_for_a_round() -> None:
    """Two would let a server subtract two sums that differ by one client."""
    node = Node(5, SecureAggregationMod())
    accepted(node, content(round=2))
    for round in (2, 1, 0):
        assert "want each once, rising" in reason(node, content(round=round))
    accepted(node, content(round=5))


@pytest.mark.parametrize(
    ("new", "metrics", "why"),
    [
        (START | {"w": START["w"] + np.nan}, {}, "FixedPointRangeError"),
        (START | {"w": START["w"] + 12345.5}, {}, "FixedPointRangeError"),
        (START | {"w": START["w"][0]}, {}, "ShapeError"),
        ({"w": START["w"]}, {}, "ShapeError"),
        (START | {"w": START["w"].astype(np.int64)}, {}, "ShapeError"),
        (START, {"num-examples": 65}, "ConfigError"),
        (START, {"num-examples": 2.5}, "ConfigError"),
        (START, {"num-examples": 0}, "ConfigError"),
        (START, {"num-examples": [3, 4]}, "ConfigError"),
    ],
)
def test_updates_that_do_not_leave(new: Any, metrics: Any, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """The server learns the kind of error; values stay in the node's log. The round can be asked for again."""
    node = Node(5)
    bad = Node(5, SecureAggregationMod(), lambda message, context: node.reply(message, new, **metrics))
    with caplog.at_level(logging.ERROR, "flwr"):
        said = reason(bad, content())
    assert why in said and not any(number in said for number in ("12345", "65", "2.5"))
    assert len(caplog.records) >= 1
    assert "rising" not in reason(bad, content())


def test_what_an_app_says_as_it_fails_stays() -> None:
    def train(message: Message, context: Any) -> Message:
        raise KeyError("patient 4711 has no age")

    said = reason(Node(5, SecureAggregationMod(), train), content())
    assert "KeyError" in said and "4711" not in said


def test_an_app_that_takes_the_arrays_out_of_the_instruction() -> None:
    """As to_torch_state_dict(keep_input=False) does."""

    def train(message: Message, context: Any) -> Message:
        assert INSTRUCTION not in message.content  # the app sees what Flower's FedAvg would send
        for name in list(message.content["arrays"]):
            del message.content["arrays"][name]
        return Node(5).reply(message, START)

    accepted(Node(5, SecureAggregationMod(), train), content())


def test_errors_and_evaluation_pass() -> None:
    node = Node(5, SecureAggregationMod())
    told = Message(RecordDict({"arrays": record(START)}), 5, "evaluate")
    reply = node.answer(told)
    assert CONTRIBUTION not in reply.content and reply.content["metrics"]["num-examples"] == 1
