"""The dealer: a process that sees no data, re-expands the parties' streams and sends corrections to the last party.

`DealerClient` is the parties' side, `serve` the dealer's. Only the receiver (the last rank) asks; requests run ahead of
use and are answered in order, each operation number at most once.
"""
from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from time import perf_counter

import msgspec
import numpy as np
import numpy.typing as npt

from mpc import masks, prg, ring
from mpc.config import Launch, threads
from mpc.errors import ConfigError, CorruptFrame, MPCError, PartyLost, PreprocessingExhausted, ProgramMismatch
from mpc.exchange import echo_of
from mpc.fixed_point import Words
from mpc.handshake import agree
from mpc.masks import Mask, Name
from mpc.party import Party
from mpc.preprocessing.base import AnyCorrelation, Part
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, HEADER_WORDS, Kind
from mpc.transport.memory import Hub
from mpc.transport.zmq import ZmqTransport

FRAME_WORDS = 1 << 15  # parts of an answer share a frame up to this size
CACHE_BYTES = 1 << 26  # expanded masks the dealer keeps for names that come again; more would only cost fresh pages
POLL_SECONDS = 0.2
PATIENCE = 0.8  # of a deadline, for the dealer: who waits for it gives up before those who wait for that party
_ONE, _TOP = np.uint64(1), np.uint64(63)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[AnyCorrelation])


def _frame_sizes(layouts: Sequence[Sequence[Part]]) -> list[list[tuple[int, int, int]]]:
    """How answers travel: per frame the (correlation, part, words) it carries. Both sides compute it alike.

    Small parts share a frame; large ones go alone, so that the first can be used while the next is computed.
    """
    sizes: list[list[tuple[int, int, int]]] = []
    room = 0
    for i, parts in enumerate(layouts):
        for k, part in enumerate(parts):
            words = part.words
            if not sizes or words > room:
                sizes.append([])
                room = FRAME_WORDS
            sizes[-1].append((i, k, words))
            room -= words
    return sizes


class DealerClient:
    """A party's way to the dealer. At every rank but the last it sends and receives nothing."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.receiver = party.rank == party.world_size - 1
        self._expected: deque[tuple[int, int, list[tuple[_Answer, int, int]]]] = deque()

    def ask(self, correlations: Sequence[AnyCorrelation]) -> list[_Answer]:
        """Send one request; its operation numbers must be new and rising."""
        layouts = [c.parts() for c in correlations]
        answers = [_Answer(self, layout) for layout in layouts]
        row = self.party.books.account.row
        row.requests += 1
        if self.receiver:
            party = self.party
            body = _ENCODER.encode(correlations)
            op = correlations[0].op
            header = frames.pack(Kind.REQUEST, op, len(body), bytes(16))
            party.send(party.world_size, header + body)
            for number, frame in enumerate(_frame_sizes(layouts)):
                self._expected.append((op, number, [(answers[i], k, words) for i, k, words in frame]))
        else:  # this party knows from the same structure what the receiver gets
            row.offline_bytes += sum(
                HEADER_BYTES + 8 * sum(words for _, _, words in frame) for frame in _frame_sizes(layouts)
            )
        return answers

    def take(self, answer: _Answer, k: int) -> Words:
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

    def _receive(self, op: int, number: int, words: int) -> Words:
        party = self.party
        started = perf_counter()
        data = party.transport.recv(party.world_size, party.config.deadline * PATIENCE, words * 8)
        waited = perf_counter() - started
        got = frames.unpack(data)
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


class _Answer:
    """What the receiver holds, or will hold, of one correlation."""

    __slots__ = ("_client", "layout", "parts")

    def __init__(self, client: DealerClient, layout: Sequence[Part]) -> None:
        self._client = client
        self.layout = layout
        self.parts: dict[int, Words] = {}

    def corrected(self, k: int) -> Words | None:
        return self._client.take(self, k) if self._client.receiver else None


class _Session:
    """The dealer's side of one session."""

    def __init__(self, transport: Transport, launch: Launch, stop: threading.Event | None) -> None:
        self.transport = transport
        self.receiver = launch.config.world_size - 1
        patient = (lambda: True) if stop is None else (lambda: not stop.is_set())
        agreement = agree(transport, launch.config, launch.config.deadline, patient)
        keys = [prg.derive(agreement.secrets[p], "dealt") for p in range(launch.config.world_size)]
        self.keys = b"".join(keys)
        self.others = b"".join(keys[:-1])
        self._last = 0
        self._cache: OrderedDict[tuple[int, int, int], Words] = OrderedDict()
        self._cached = 0
        self._r: tuple[Name, Words] | None = None
        self._cut: tuple[int, Words, Words] | None = None

    def total(self, name: Name) -> Words:
        """The mask behind a name, summed over all parties. Callers do not write to it."""
        return masks.evaluate(name, self._expand, self._rows)

    def _rows(self, mask: Mask, rows: npt.NDArray[np.int64]) -> Words | None:
        """Some rows of a mask that is too large to keep: a batch of a data set. None where expanding it all is right."""
        if math.prod(mask.shape) * 8 <= CACHE_BYTES // 4:
            return None
        out = np.empty((rows.size, *mask.shape[1:]), np.uint64)
        width = math.prod(mask.shape[1:])
        ring.streams_rows(self._keys_of(mask), mask.op, mask.tensor, rows, width, out.reshape(-1), prg.SET)
        return out

    def r(self, name: Name) -> Words:
        """-A, flat; kept for the next correlation on the same opening."""
        if self._r is None or self._r[0] != name:
            self._r = (name, np.negative(np.ascontiguousarray(self.total(name)).reshape(-1)))
            self._cut = None
        return self._r[1]

    def cut(self, name: Name, bits: int) -> tuple[Words, Words]:
        """(r mod 2^63) >> bits and r >> 63; kept like r."""
        r = self.r(name)
        if self._cut is None or self._cut[0] != bits:
            self._cut = (bits, (r << _ONE) >> np.uint64(bits + 1), r >> _TOP)
        return self._cut[1:]

    def _keys_of(self, mask: Mask) -> bytes:
        """The keys whose streams add up to a mask: everybody's, or its owner's alone."""
        if mask.owner < 0:
            return self.keys
        if mask.owner > self.receiver:
            raise CorruptFrame(f"a mask of party {mask.owner}; want a rank up to {self.receiver}")
        return self.keys[mask.owner * ring.KEY_BYTES : (mask.owner + 1) * ring.KEY_BYTES]

    def _expand(self, mask: Mask) -> Words:
        key = (mask.op, mask.tensor, mask.owner)
        found = self._cache.get(key)
        if found is not None and found.shape == tuple(mask.shape):
            self._cache.move_to_end(key)
            return found
        if found is not None:
            self._cached -= self._cache.pop(key).nbytes
        size = math.prod(mask.shape)
        words = prg.words(self._keys_of(mask), mask.op, mask.tensor, size).reshape(mask.shape)
        self._cache[key] = words
        self._cached += words.nbytes
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].nbytes
        return words

    def answer(self, body: Frame) -> None:
        """Compute and send the corrections of one request."""
        correlations = self._decode(body)
        self._last = correlations[-1].op  # consumed before the first byte leaves
        for frame in self._deal(correlations):
            self.transport.send(self.receiver, frame)

    def _decode(self, body: Frame) -> list[AnyCorrelation]:
        try:
            correlations = _DECODER.decode(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise CorruptFrame(f"an unreadable request: {error}") from None
        if not correlations:
            raise CorruptFrame("a request for nothing")
        last = self._last
        for c in correlations:
            if c.op <= last:
                raise PreprocessingExhausted(f"operation {c.op} was dealt already (the last one was {last})")
            last = c.op
        return correlations

    def _deal(self, correlations: list[AnyCorrelation]) -> Iterator[Words]:
        """The frames of an answer, one after the other: the first is on its way while the next is computed."""
        op = correlations[0].op
        try:
            for number, wanted in enumerate(_frame_sizes([c.parts() for c in correlations])):
                frame = frames.new(sum(words for _, _, words in wanted))
                at = HEADER_WORDS
                for i, k, words in wanted:
                    correlations[i].deal(self, k, frame[at : at + words])
                    at += words
                nbytes = frame.nbytes - HEADER_BYTES
                frames.seal(frame, frames.pack(Kind.CORRECTION, op, nbytes, bytes(16), flags=number))
                yield frame
        except MPCError:
            raise
        except Exception as error:
            raise CorruptFrame(f"a request that cannot be dealt: {error}") from error

    def run(self, stop: threading.Event | None) -> None:
        """Answer requests until every party has closed the session. Raises PartyLost when one is gone."""
        open_parties = set(range(self.receiver + 1))
        while open_parties:
            likely = self.receiver if self.receiver in open_parties else None
            arrived = self.transport.recv_any(POLL_SECONDS, likely)
            if arrived is None:
                if stop is not None and stop.is_set():
                    return
                self.transport.alive()
                continue
            peer, data = arrived
            header = frames.unpack(data)
            if header.kind == Kind.REQUEST and peer == self.receiver:
                self.answer(data[HEADER_BYTES:])
            elif header.kind == Kind.CLOSE:
                open_parties.discard(peer)
            elif header.kind == Kind.ABORT:
                raise echo_of(data, self.transport)
            else:
                raise ProgramMismatch(f"party {peer} sent {frames.kind_name(header.kind)} to the dealer")


def serve(launch: Launch, hub: Hub | None = None, stop: threading.Event | None = None) -> None:
    """Deal for one session after another until ``stop`` is set (or, without it, until the process ends).

    A session that fails tells its parties and makes room for the next one.
    """
    if not launch.is_dealer:
        raise ConfigError(f"got rank {launch.rank}; the dealer's rank is {launch.config.world_size}")
    ring.tune_allocator()
    ring.set_threads(threads())
    size = launch.config.world_size
    for session in itertools.count():
        if stop is not None and stop.is_set():
            return
        transport = hub.join(size) if hub else ZmqTransport(size, size, launch.addresses, session=session)
        try:
            _Session(transport, launch, stop).run(stop)
        except MPCError as error:
            if not isinstance(error, PartyLost):
                _tell(transport, size, error)
        finally:
            transport.close()


def _tell(transport: Transport, size: int, error: MPCError) -> None:
    body = _ENCODER.encode((type(error).__name__, size if error.echo is None else error.echo, 0))
    for peer in range(size):
        try:
            transport.send(peer, frames.pack(Kind.ABORT, 0, len(body), bytes(16)) + body)
        except PartyLost:
            continue  # gone already
