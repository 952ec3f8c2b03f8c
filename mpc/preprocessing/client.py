"""The parties' side of correlated randomness: what was asked for, and the frames that answer it, in order.

Only the receiver (the last rank) gets corrections; the other parties know from the same structure what it gets.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from time import perf_counter

from mpc.errors import CorruptFrame, PreprocessingExhausted
from mpc.exchange import echo_of
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.preprocessing import requests
from mpc.preprocessing.base import AnyCorrelation, Part
from mpc.transport import frames
from mpc.transport.frames import HEADER_BYTES, Kind

PATIENCE = 0.8  # of a deadline, for the dealer: who waits for it gives up before those who wait for that party


class Answer:
    """What the receiver holds, or will hold, of one correlation."""

    __slots__ = ("_client", "layout", "parts")

    def __init__(self, client: Client, layout: Sequence[Part]) -> None:
        self._client = client
        self.layout = layout
        self.parts: dict[int, Words] = {}

    def corrected(self, k: int) -> Words | None:
        return self._client.take(self, k) if self._client.receiver else None


class Client(ABC):
    """A `Source` whose corrections come as frames, in the order in which they were asked for."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.receiver = party.rank == party.world_size - 1
        self._expected: deque[tuple[int, int, list[tuple[Answer, int, int]]]] = deque()

    def ask(self, correlations: Sequence[AnyCorrelation]) -> list[Answer]:
        """One request; its operation numbers must be new and rising."""
        layouts = [c.parts() for c in correlations]
        answers = [Answer(self, layout) for layout in layouts]
        self.party.books.account.row.requests += 1
        self._request(correlations)
        if self.receiver:
            op = correlations[0].op
            for number, frame in enumerate(requests.frame_sizes(layouts)):
                self._expected.append((op, number, [(answers[i], k, words) for i, k, words in frame]))
        return answers

    def take(self, answer: Answer, k: int) -> Words:
        """Read frames until the asked part is there."""
        while k not in answer.parts:
            if not self._expected:
                raise PreprocessingExhausted(f"part {k} of a correction was used already or never asked for")
            op, number, wanted = self._expected.popleft()
            payload = self._receive(op, number, sum(words for _, _, words in wanted))
            at = 0
            for target, part, words in wanted:
                target.parts[part] = payload[at : at + words]
                at += words
        return answer.parts.pop(k)

    def close(self) -> None:
        """Release what this source holds."""

    @abstractmethod
    def _request(self, correlations: Sequence[AnyCorrelation]) -> None:
        """Tell whoever answers, or check that the answer is there."""

    @abstractmethod
    def _receive(self, op: int, number: int, words: int) -> Words:
        """The payload of frame ``number`` of the request of operation ``op``; may be written to."""


class DealerClient(Client):
    """A party's way to the dealer. At every rank but the last it sends and receives nothing."""

    def _request(self, correlations: Sequence[AnyCorrelation]) -> None:
        if self.receiver:
            body = requests.encode(correlations)
            header = frames.pack(Kind.REQUEST, correlations[0].op, len(body), bytes(16))
            self.party.send(self.party.world_size, header + body)
        # every party knows from the same structure what the receiver gets, and for which operation
        sizes = requests.frame_sizes([c.parts() for c in correlations])
        self.party.books.account.row.offline_bytes += sum(
            HEADER_BYTES + 8 * sum(words for _, _, words in frame) for frame in sizes
        )

    def _receive(self, op: int, number: int, words: int) -> Words:
        party = self.party
        started = perf_counter()
        data = party.hear(party.world_size, words * 8, PATIENCE)
        waited = perf_counter() - started
        got = party.header_of(data, party.world_size)
        if got.kind == Kind.ABORT:
            raise echo_of(data, party.transport)
        if (got.kind, got.op, got.flags, got.nbytes) != (Kind.CORRECTION, op, number, words * 8):
            raise CorruptFrame(
                f"the dealer sent {frames.kind_name(got.kind)} {got.op}.{got.flags} of {got.nbytes} bytes; "
                f"want correction {op}.{number} of {words * 8} bytes"
            )
        party.count_offline(len(data), waited)
        payload = frames.payload(data)
        return payload if payload.flags.writeable else payload.copy()
