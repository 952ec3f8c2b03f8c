"""At the ServerApp: contributions are gathered, added up where nobody sees one alone, and make the next global weights."""
from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from mpc.errors import ConfigError, IntegrityError, MPCError
from mpc.federated import messages as wire
from mpc.federated.aggregators.base import Aggregator, Combined, TooFewContributors
from mpc.federated.flower import public, records
from mpc.federated.server_optimizers import ServerOptimizer, chosen

log = logging.getLogger("flwr")
BUFFERS = ("running_mean", "running_var")  # torch's names; averaged plainly, whatever the server's optimiser


@dataclass
class RoundReport:
    """Who took part. ``accepted``: node ids; ``refused``: node id -> reason; ``failed``: why there is no new model, or ""."""

    round: int
    accepted: tuple[int, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)
    weight: float = 0.0
    failed: str = ""


class SecureFedAvg(FedAvg):
    """Flower's FedAvg with an `mpc.federated.Aggregator` in the place of its sum.

    ``aggregator``: PlainAggregator, PaillierAggregator (with its holder) or SharesAggregator; ClientApps need
    `SecureAggregationMod`. ``server_optimizer``: "average", "fedavgm", "fedadam", or a ServerOptimizer. ``fedavg``: FedAvg's
    own keywords: fraction_train, min_train_nodes (the aggregator's min_clients unless given), ... Sampling and evaluation are
    FedAvg's.

    A reply with an error, without a contribution, or with one that is damaged, foreign, repeated, of another round or out of
    range is left out: its reason is in the log and in ``reports``; the others' mean is what it would be without it. Nodes that
    do not answer within ``start(timeout=)`` are left out. With fewer than min_clients valid ones, or where a decrypted sum is
    impossible, the global weights stay and the next round goes on. Aggregated metrics: ``clients``, ``refused``, ``weight``
    (sum of n_i), and the average of those that all accepted clients revealed.
    """

    def __init__(
        self, aggregator: Aggregator, *, server_optimizer: ServerOptimizer | str | None = None,
        buffers: Sequence[str] = BUFFERS, **fedavg: Any,
    ) -> None:  # fmt: skip
        public.instruction(aggregator, round=1, length=1)  # refuses what has no description
        least = fedavg.setdefault("min_train_nodes", max(2, aggregator.min_clients))
        if fedavg.get("fraction_train", 1.0) and least < aggregator.min_clients:
            raise ConfigError(f"got min_train_nodes={least}; the aggregator reveals nothing below {aggregator.min_clients}")
        fedavg.setdefault("min_available_nodes", least)
        super().__init__(**fedavg)
        self.aggregator, self.server_optimizer = aggregator, chosen(server_optimizer)
        self.reports: list[RoundReport] = []
        self._buffers = tuple(buffers)
        self._turn = 0  # rounds asked for; goes on over several start()
        self._arrays: records.Arrays = {}
        self._asked: set[int] = set()

    def summary(self) -> None:
        """Log settings."""
        super().summary()
        log.info("\t└──> Aggregation: %s, at least %d clients, limits and keys %s", self.aggregator.kind,
                 self.aggregator.min_clients, public.fingerprint(self.aggregator))  # fmt: skip

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """FedAvg's instructions with the public part of the aggregator beside the weights."""
        self._arrays = records.arrays_of(arrays)
        messages = list(super().configure_train(server_round, arrays, config, grid))
        self._turn += 1
        wanted = public.instruction(self.aggregator, round=self._turn, length=records.length(self._arrays))
        for message in messages:
            message.content[records.INSTRUCTION] = wanted
        self._asked = {message.metadata.dst_node_id for message in messages}
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """New global weights and metrics; (None, metrics) where the round gives none."""
        if not self._asked:  # fraction_train=0
            return None, None
        report = RoundReport(server_round)
        self.reports.append(report)
        taken = self._readable(replies, report)
        arrays, counted = None, []
        try:
            length = records.length(self._arrays)
            combined = self.aggregator.combine([message for _, message in taken], round=self._turn, length=length)
        except (TooFewContributors, IntegrityError) as error:
            report.failed = str(error)
            log.warning("aggregate_train: round %d gives no new model: %s", server_round, error)
        else:
            counted = self._note(combined, [reply for reply, _ in taken], report)
            arrays = self._stepped(combined)
        for node, reason in report.refused.items():
            log.warning("\t> Left out node %d: %s", node, reason)
        log.info("aggregate_train: %d contributions, %d left out, of %d asked",
                 len(report.accepted), len(report.refused), len(self._asked))  # fmt: skip
        return arrays, self._metrics(report, counted)

    # --- inside
    def _readable(self, replies: Iterable[Message], report: RoundReport) -> list[tuple[Message, bytes]]:
        """Replies with the messages they hold; the others are noted with their reason."""
        out: list[tuple[Message, bytes]] = []
        for reply in replies:
            node = reply.metadata.src_node_id
            try:
                if reply.has_error():
                    raise IntegrityError(f"it replied with an error: {reply.error.reason}")
                if not reply.has_content():
                    raise IntegrityError("its reply has no content")
                if node not in self._asked:
                    raise IntegrityError("it was not asked in this round")
                message = records.message_in(reply.content)
                name = wire.unpack(message).header.client
                if name != str(node):  # else a node could take another one's place
                    raise IntegrityError(f"its message says that it is from {name!r}")
            except MPCError as error:
                report.refused[node] = str(error)
            else:
                out.append((reply, message))
        return out

    def _note(self, combined: Combined, replies: list[Message], report: RoundReport) -> list[Message]:
        """Write down who was counted; their replies."""
        counted = [replies[place] for place in combined.accepted]
        report.accepted = tuple(reply.metadata.src_node_id for reply in counted)
        report.refused |= {replies[place].metadata.src_node_id: why for place, why in combined.refused.items()}
        report.weight = combined.weight
        return counted

    def _stepped(self, combined: Combined) -> ArrayRecord:
        """The weights after the server's optimiser; buffers move by their plain mean."""
        before, mean = records.vector(self._arrays), np.asarray(combined.mean)
        plain = records.mask(self._arrays, self._buffers)
        after = before + mean
        after[~plain] = self.server_optimizer.step(before[~plain], mean[~plain])
        return records.written(self._arrays, after)

    def _metrics(self, report: RoundReport, counted: list[Message]) -> MetricRecord:
        shown = [reply.content for reply in counted if len(reply.content.metric_records) == 1]
        weighed = [content for content in shown if self.weighted_by_key in next(iter(content.metric_records.values()))]
        out = MetricRecord()
        if counted and len(weighed) == len(counted):
            out = self.train_metrics_aggr_fn(weighed, self.weighted_by_key)
        out.update({"clients": len(report.accepted), "refused": len(report.refused), "weight": report.weight})
        return out
