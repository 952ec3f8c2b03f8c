"""At a data owner's node: the ClientApp's ordinary reply goes in, a protected contribution comes out."""
from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

from flwr.app import ConfigRecord, Context, Error, Message, MessageType, MetricRecord, RecordDict

from mpc.errors import ConfigError, MPCError
from mpc.federated.aggregators.base import Aggregator
from mpc.federated.flower import public, records

log = logging.getLogger("flwr")
TRUST: Final = "mpc-trust"  # in a node's own --node-config: fingerprints, with blanks or commas between them
_REFUSED: Final = 6  # flwr's ErrorCode.MOD_FAILED_PRECONDITION


class SecureAggregationMod:
    """A Flower mod: ``ClientApp(mods=[SecureAggregationMod()])``, or ``@app.train(mods=[...])``.

    It replaces the reply's weights by one message of the aggregator that the server's instruction describes. What leaves the
    node: that message, and of the metrics only what ``reveal`` names (they go in the clear, one client's apart from another's;
    name ``weight_key`` too for Flower's weighted average of them). Evaluation and queries pass unchanged.

    ``accept``: the aggregators this node works with; "plain", in which the server reads the update, must be named.
    ``trust``: fingerprints (`fingerprint`, in the server's log) of the limits and keys this node sends anything under; its
    owner can set them too: ``--node-config 'mpc-trust="..."'``. Without either, the first that come in a run are kept and
    others are refused later: then a server that lies from the start reads the updates.
    ``min_clients``: the least that the server must say a sum has; only as good as those who enforce it.

    One contribution for each round, in rising order: who asks twice is refused. An instruction that cannot be followed, weights
    that are not finite or too large, an exception of the app: an error reply with its kind; the text stays in this node's log.
    """

    def __init__(
        self, accept: Collection[str] = ("paillier", "shares"), *, trust: Collection[str] = (), min_clients: int = 2,
        weight_key: str = "num-examples", reveal: Collection[str] = (),
    ) -> None:  # fmt: skip
        if isinstance(accept, str) or not accept or not set(accept) <= set(public.KINDS):
            raise ConfigError(f"got accept={accept!r}; want some of {', '.join(map(repr, public.KINDS))} in a tuple")
        if isinstance(trust, str) or isinstance(reveal, str):
            raise ConfigError("trust and reveal are tuples of strings; got one string")
        self.accept, self.trust, self.min_clients = tuple(accept), frozenset(trust), min_clients
        self.weight_key, self.reveal = weight_key, tuple(reveal)

    def __call__(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        if message.metadata.message_type.partition(".")[0] != MessageType.TRAIN:
            return call_next(message, context)
        try:
            aggregator, turn, length = self._agreed(message.content.get(records.INSTRUCTION), context)
            before = records.arrays_of(records.only_arrays(message.content, "the instruction")[1])
            if records.length(before) != length:
                raise ConfigError("the instruction's length is not that of its weights")
        except MPCError as error:
            return _refusal(message, f"instruction refused: {error}")
        del message.content[records.INSTRUCTION]
        try:
            reply = call_next(message, context)
        except Exception as error:  # Flower would send its text, which may quote records
            log.exception("mpc: the ClientApp failed in round %d", turn)
            return _refusal(message, f"the ClientApp raised {type(error).__name__}; see this node's log")
        if reply.has_error():
            return reply
        try:
            contribution = self._contribution(aggregator, turn, before, reply.content, context)
        except MPCError as error:
            log.error("mpc: no contribution to round %d: %s", turn, error)
            return _refusal(message, f"no contribution: {type(error).__name__} in update or weight; see this node's log")
        self._remember(aggregator, turn, context)
        reply.content = contribution
        return reply

    # --- what the server asks for
    def _agreed(self, record: object, context: Context) -> tuple[Aggregator, int, int]:
        """The aggregator, round and length, if this node works with them. Raises ConfigError, IntegrityError."""
        if not isinstance(record, ConfigRecord):
            raise ConfigError("the server asks for weights in the clear; want an instruction of SecureFedAvg")
        if (kind := record.get("kind")) not in self.accept:
            raise ConfigError(f"aggregator {kind!r} is not accepted here; this node works with {', '.join(self.accept)}")
        aggregator, turn = public.client_aggregator(record), public.whole(record, "round")
        if aggregator.min_clients < self.min_clients:
            raise ConfigError(f"a sum may have {aggregator.min_clients} clients; this node wants at least {self.min_clients}")
        state, name = self._state(context), public.fingerprint(aggregator)
        own = str(context.node_config.get(TRUST, "")).replace(",", " ").split()
        for trusted in (self.trust, frozenset(own)):
            if trusted and name not in trusted:
                raise ConfigError(f"limits and keys {name} are not among those this node trusts")
        if not self.trust and not own and (first := state.get("settings", name)) != name:
            raise ConfigError(f"limits and keys {name} came after {first!r} in this run; want one kind throughout")
        last = state.get(f"round {aggregator.task}", -1)
        if not isinstance(last, int) or turn <= last:
            raise ConfigError(f"asked for round {turn} after round {last!r} of one task; want each once, rising")
        return aggregator, turn, public.whole(record, "length")

    @staticmethod
    def _state(context: Context) -> ConfigRecord:
        """What this node remembers of a run. It never leaves the node."""
        found = context.state.get(records.INSTRUCTION)
        if isinstance(found, ConfigRecord):
            return found
        fresh = ConfigRecord()
        context.state[records.INSTRUCTION] = fresh
        return fresh

    def _remember(self, aggregator: Aggregator, turn: int, context: Context) -> None:
        state = self._state(context)
        state["settings"] = public.fingerprint(aggregator)
        state[f"round {aggregator.task}"] = turn

    # --- what leaves
    def _contribution(
        self, aggregator: Aggregator, turn: int, before: records.Arrays, content: RecordDict, context: Context
    ) -> RecordDict:
        after = records.arrays_of(records.only_arrays(content, "the ClientApp's reply")[1])
        metrics: dict[str, int | float | list[int] | list[float]] = {}
        for record in content.metric_records.values():
            metrics.update(record)
        weight = metrics.get(self.weight_key)
        if not isinstance(weight, (int, float)):
            raise ConfigError(f"the reply's metrics have no number {self.weight_key!r}: {', '.join(metrics) or 'none'}")
        update = records.difference(after, before)
        sent = aggregator.client_message(update, weight, client=str(context.node_id), round=turn)
        out = RecordDict({records.CONTRIBUTION: records.contribution(sent)})
        if shown := {name: metrics[name] for name in self.reveal if name in metrics}:
            out["metrics"] = MetricRecord(shown)
        return out


def _refusal(message: Message, reason: str) -> Message:
    log.error("mpc: %s", reason)
    return Message(Error(_REFUSED, reason), reply_to=message)
