"""A Flower network without processes: ClientApps in this one, their messages through Flower's own bytes."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="flwr (the extra 'federated') is what these tests are about")

from flwr.app import Array, ArrayRecord, Context, Error, Message, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.supercore.task_identity import TaskIdentity

from mpc.federated.flower import SecureAggregationMod

TaskIdentity.node_id, TaskIdentity.run_id, TaskIdentity.task_id = 1, 7, 9  # what flwr-serverapp would set
SERVER = 1
START = {"w": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), "b": np.zeros(3, np.float32), "steps": np.array(5)}


def record(arrays: dict[str, Any]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(value)) for name, value in arrays.items()})


def arrays(of: ArrayRecord) -> dict[str, Any]:
    return {name: value.numpy() for name, value in of.items()}


def copied(message: Message) -> Message:
    """As it comes out at the other end."""
    return message_from_proto(message_to_proto(message))


def step_of(node: int) -> dict[str, Any]:
    """What node adds to the weights: multiples of 1/8, which every aggregator carries exactly."""
    rng = np.random.default_rng(node)
    return {name: rng.integers(-8, 9, START[name].shape).astype(np.float32) / 8 for name in ("w", "b")}


class Node:
    """A SuperNode with its ClientApp. ``train``: the app's function; ``mod``: None for an app without one."""

    def __init__(self, number: int, mod: Any = None, train: Callable[[Message, Context], Message] | None = None) -> None:
        self.number, self.context = number, Context(7, number, {"partition-id": number}, RecordDict(), {})
        self.app = ClientApp(mods=[] if mod is None else [mod])
        self.app.train()(train or self.train)
        self.app.evaluate()(self.evaluate)

    def train(self, message: Message, context: Context) -> Message:
        now = arrays(message.content["arrays"])
        new = now | {name: now[name] + value for name, value in step_of(self.number).items()}
        return self.reply(message, new)

    def reply(self, message: Message, new: dict[str, Any], **metrics: float) -> Message:
        found = MetricRecord({"num-examples": self.number, "loss": self.number / 4, **metrics})
        return Message(RecordDict({"arrays": record(new), "metrics": found}), reply_to=message)

    def evaluate(self, message: Message, context: Context) -> Message:
        mean = float(arrays(message.content["arrays"])["w"].mean())
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "mean": mean})}), reply_to=message)

    def answer(self, message: Message) -> Message:
        try:
            return self.app(message, self.context)
        except Exception as error:  # as flwr-clientapp does
            return Message(Error(2, f"{type(error).__name__}: {error}"), reply_to=message)


class Network:
    """The Grid that a strategy sees. ``wire(node, reply)`` may replace a reply on its way, or swallow it (None)."""

    def __init__(self, nodes: Iterable[Node], wire: Callable[[int, Message], Message | None] | None = None) -> None:
        self.nodes = {node.number: node for node in nodes}
        self.wire = wire or (lambda number, reply: reply)
        self.seen: list[tuple[str, int, RecordDict]] = []  # what the server received

    def get_node_ids(self) -> list[int]:
        return list(self.nodes)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        replies = []
        for message in messages:
            number = message.metadata.dst_node_id
            reply = self.wire(number, copied(self.nodes[number].answer(copied(message))))
            if reply is None:
                continue
            replies.append(reply)
            if reply.has_content():
                self.seen.append((message.metadata.message_type, number, reply.content))
        return replies


def federation(count: int = 3, wire: Any = None, **settings: Any) -> Network:
    """Nodes 2, 3, ... with a mod that accepts everything."""
    settings = {"accept": ("plain", "paillier", "shares"), **settings}
    return Network([Node(k, SecureAggregationMod(**settings)) for k in range(2, 2 + count)], wire)


def instruction_to(node: Node, content: dict[str, Any]) -> Message:
    return copied(Message(RecordDict(content), node.number, MessageType.TRAIN))


def expected(numbers: Iterable[int], start: dict[str, Any] = START) -> dict[str, Any]:
    """Plain averaging by hand, weighted by num-examples."""
    numbers = list(numbers)
    total = sum(numbers)
    moved = {name: sum(k * step_of(k)[name].astype(float) for k in numbers) / total for name in ("w", "b")}
    return start | {name: (start[name] + value).astype(np.float32) for name, value in moved.items()}
