"""The dealer as a process: it sees no data, answers the receiver's requests in order, and serves session after session."""
from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable

import msgspec

from mpc import prg, ring
from mpc.config import Launch, threads
from mpc.errors import AuthenticationError, ConfigError, MPCError, PartyLost, ProgramMismatch
from mpc.exchange import echo_of
from mpc.greeting import CHECK
from mpc.handshake import agree
from mpc.preprocessing.dealing import KeyedDealing
from mpc.preprocessing.limits import DEFAULT_LIMIT
from mpc.survey import links
from mpc.transport import frames
from mpc.transport.base import Transport
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.memory import Hub
from mpc.transport.zmq import ZmqTransport

POLL_SECONDS = 0.2
REFUSED_SECONDS = 5.0  # until a dealer whose key was refused tries again


class _Patience:
    """How long a dealer waits for parties: until it is told to stop. Where it serves one session, who came and went has
    ``again`` seconds to come again."""

    def __init__(self, transport: Transport, stop: threading.Event | None, again: float | None) -> None:
        self._transport, self._stop, self._again = transport, stop, again
        self._heard = 0
        self._since = 0.0

    def __call__(self) -> bool:
        if self._again is not None:
            heard, now = sum(self._transport.meter.frames_received.values()), time.monotonic()
            if heard != self._heard or self._transport.greeted or not heard:
                self._heard, self._since = heard, now
            elif now - self._since > self._again:
                raise PartyLost(f"all who came are gone, and nobody came again within {self._again:g} s")
        return self._stop is None or not self._stop.is_set()


class _Session:
    """The dealer's side of one session."""

    def __init__(
        self, transport: Transport, launch: Launch, stop: threading.Event | None, limit: int, once: bool = False
    ) -> None:
        self.transport = transport
        self.receiver = launch.config.world_size - 1
        self.open = set(range(launch.config.world_size))
        patient = _Patience(transport, stop, launch.config.deadline if once else None)
        agreement = agree(transport, launch.config, launch.config.deadline, patient, purpose=None)
        self.checking = agreement.purpose == CHECK
        if self.checking:  # `mpc check` of some party: the links are all there is to it
            links(transport, set(agreement.secrets) - set(agreement.failed), launch.config.deadline)
            self.open.clear()
            return
        keys = [prg.derive(agreement.secrets[p], "dealt") for p in sorted(self.open)]
        self.dealing = KeyedDealing(keys, limit)

    def run(self, stop: threading.Event | None) -> None:
        """Answer requests until every party has closed the session. Raises PartyLost when one is gone."""
        while self.open:
            likely = self.receiver if self.receiver in self.open else None
            arrived = self.transport.recv_any(POLL_SECONDS, likely)
            if arrived is None:
                if stop is not None and stop.is_set():
                    return
                for peer in sorted(self.open):
                    self.transport.probe(peer)
                continue
            peer, data = arrived
            header = frames.unpack(data)
            if header.kind == Kind.REQUEST and peer == self.receiver:
                for frame in self.dealing.answer(data[HEADER_BYTES:]):  # the first is on its way while the next is computed
                    self.transport.send(self.receiver, frame)
            elif header.kind == Kind.CLOSE:
                self.open.discard(peer)
            elif header.kind == Kind.ABORT:
                # at once: the receiver may wait for the dealer rather than for the party that stopped
                _send_all(self.transport, sorted(self.open - {peer}), bytes(data))
                self.open.clear()
                raise echo_of(data, self.transport)
            else:
                raise ProgramMismatch(f"party {peer} sent {frames.kind_name(header.kind)} to the dealer")


def serve(
    launch: Launch,
    hub: Hub | None = None,
    stop: threading.Event | None = None,
    limit: int = DEFAULT_LIMIT,
    once: bool = False,
    told: Callable[[str], None] = lambda text: None,
) -> MPCError | None:
    """Deal for one session after another until ``stop`` is set (or, without it, until the process ends).

    ``limit``: bytes that one request may make the dealer allocate. A session that fails tells its parties and makes room
    for the next one. ``once``: return after the first session that was more than a check, with its error if it failed;
    also where parties came, and all have gone for a deadline's time before it began.
    ``told`` hears what happens, in words.
    """
    if not launch.is_dealer:
        raise ConfigError(f"got rank {launch.rank}; the dealer's rank is {launch.config.world_size}")
    ring.tune_allocator()
    ring.set_threads(threads())
    size = launch.config.world_size
    for number in itertools.count():
        if stop is not None and stop.is_set():
            return None
        transport = hub.join(size) if hub else ZmqTransport.of(launch, number)
        session: _Session | None = None
        failure: MPCError | None = None
        try:
            session = _Session(transport, launch, stop, limit, once)
            told("the links were checked" if session.checking else f"session {number + 1} has begun")
            session.run(stop)
            if not session.checking:
                told(f"session {number + 1} has ended")
        except MPCError as error:
            failure = error
            told(f"session {number + 1} failed: {error}")
            if not isinstance(error, PartyLost) and session is not None and session.open:  # the handshake has told them
                body = msgspec.msgpack.encode((type(error).__name__, size if error.echo is None else error.echo, 0))
                _send_all(transport, range(size), frames.pack(Kind.ABORT, 0, len(body), bytes(16)) + body)
        finally:
            transport.close()
        if once and (session is None or not session.checking):
            return failure
        if isinstance(failure, AuthenticationError):
            time.sleep(REFUSED_SECONDS) if stop is None else stop.wait(REFUSED_SECONDS)
    return None


def _send_all(transport: Transport, peers: Iterable[int], frame: bytes) -> None:
    for peer in peers:
        try:
            transport.send(peer, frame)
        except PartyLost:
            continue  # gone already
