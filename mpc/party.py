"""Party: one rank's place in a session - links, streams, preprocessing, the transcript, the books and the ledger.

Kernels go through it for everything that leaves the process. `reveal` is the only way an unmasked value is opened, and
it writes the ledger.
"""
from __future__ import annotations

import hashlib
import math
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from mpc import errors, fixed_point, prg
from mpc.config import SessionConfig
from mpc.errors import CorruptFrame, PartyLost, ProgramMismatch, SessionError
from mpc.exchange import FromOwner, Pending, abort_frame, call_site, checked_shape, describe, echo_of, here
from mpc.fixed_point import Floats, Words
from mpc.handshake import Agreement
from mpc.masks import Mask, Shape
from mpc.network import LOOPBACK, Network
from mpc.report import FINISHED, Backward, Books, LedgerLine, Report, Scope, where
from mpc.sharing import Share
from mpc.transport import frames
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import HEADER_BYTES, HEADER_WORDS, Kind

if TYPE_CHECKING:
    from mpc.preprocessing.base import Source
    from mpc.protocols.base import Protocol

_CURRENT: ContextVar[Party | None] = ContextVar("mpc_party", default=None)

E = TypeVar("E", bound=errors.MPCError)
LINGER, LOCAL_LINGER = 1.0, 0.5  # most seconds until an abort has left, between machines and on one
LAST_WORDS = 0.2  # most seconds of work, pauses not counted, for reading what others said before a loss
ECHO_LINGER = 0.1  # the same on one machine where another party has told everybody


class Tally:
    """Rounds, payload bytes sent to others and payload bytes from the dealer: in the units in which kernels declare
    their costs. What the sockets saw is in the report."""

    __slots__ = ("bytes_sent", "offline_bytes", "rounds")

    def __init__(self) -> None:
        self.rounds = self.bytes_sent = self.offline_bytes = 0


def current() -> Party:
    """The party of the open session. Raises SessionError outside ``with mpc.session()``."""
    party = _CURRENT.get()
    if party is None:
        raise SessionError("no session is open here: put the program inside `with mpc.session() as s:`")
    return party


class Party:
    """Rank ``rank`` of ``world_size``. Made by `mpc.session()`; every tensor of the session holds it."""

    checkpoint: str | None = None  # the directory of `mpc run --checkpoint`
    dry = False  # a dry run: shapes without data, and nothing is written
    protocol: Protocol
    preprocessing: Source
    network: Network = LOOPBACK  # set when the session opens, alike at all parties, or by a test

    def __init__(self, transport: Transport, config: SessionConfig, agreement: Agreement) -> None:
        self.transport = transport
        self.config = config
        self.rank = transport.rank
        self.world_size = config.world_size
        self.frac_bits = config.frac_bits
        self.peers = [p for p in range(self.world_size) if p != self.rank]
        self.first = self.rank == 0
        self.books = Books(self.world_size, self.rank, config.protocol, config.frac_bits)
        self.ledger = self.books.ledger
        self.total = Tally()
        self._note_handshake()
        self.outstanding: deque[Pending] = deque()
        self._op = 0
        self._values = 0
        self._transcript = hashlib.blake2b(agreement.session, digest_size=16, person=b"mpc-program-v1")
        self.tag = hashlib.blake2b(agreement.session, digest_size=8, person=b"mpc-session-tag").hexdigest()  # for files
        self._revealing = 0
        self._pid = os.getpid()
        self._thread = threading.get_ident()
        self._gone: set[int] = set()  # peers whose connection ended
        self.closed = False
        shared = agreement.secrets
        self._zeros = {p: prg.derive(shared[p], "zero") for p in self.peers}
        self.dealt = prg.derive(shared[self.world_size], "dealt") if config.needs_dealer else b""
        self.private = prg.derive(prg.fresh_secret(), "private")
        self.manual_seed(int.from_bytes(agreement.session[:8], "little"))

    def __reduce__(self) -> Any:
        raise TypeError("a Party cannot be pickled: it is one process's place in a running session")

    def measured(self, network: Network) -> None:
        """The parties have measured their links; kernels choose by it from now on."""
        self.network = network

    # --- numbers, public structure, randomness
    def manual_seed(self, seed: int) -> None:
        """Seed the *public* generator: initial weights and shuffles, alike at all parties. Never for secrets."""
        self.public_rng = np.random.Generator(np.random.PCG64(seed))

    def next_op(self) -> int:
        """Consume the next operation number; it is never returned, also after an exception."""
        if self.closed:
            raise SessionError("this session has ended: its tensors cannot be used any more")
        if os.getpid() != self._pid or threading.get_ident() != self._thread:
            raise SessionError("a session belongs to the process and thread that opened it (also after a fork)")
        self._op += 1
        return self._op

    def number(self) -> int:
        """The next number of a value of the program: the same at all parties if they run the same program."""
        self._values += 1
        return self._values

    def note(self, *structure: object) -> None:
        """Hash public structure into the transcript that peers compare: operations, which values they take, shapes,
        indices, public operands and parameters; never opened values. It goes to no one but the parties."""
        self._transcript.update(repr(structure).encode())

    def expand(self, mask: Mask) -> Words:
        """This party's share of a dealt mask; zeros, without memory, for a mask that another party has alone."""
        if mask.owner not in (-1, self.rank):
            return np.broadcast_to(np.uint64(0), mask.shape)
        size = 1
        for dim in mask.shape:
            size *= dim
        return prg.words(self.dealt, mask.op, mask.tensor, size).reshape(mask.shape)

    # --- the books
    def scope(self, label: str, layer: bool = False) -> Scope:
        """Context manager: attribute what happens inside to ``label`` in the report. ``layer``: it is a module's name."""
        return Scope(self.books, label, layer)

    def later(self, compute: Callable[[], Words], shape: Shape, scale: int) -> Share:
        """A share whose words ``compute`` gives at their first use, charged to where this is called."""
        books = self.books
        account = books.account

        def words() -> Words:
            outer = books.account
            books.charge(account)
            try:
                return compute()
            finally:
                books.charge(outer)

        return Share.later(words, shape, scale)

    def backward_scope(self) -> Backward:
        """Context manager: what happens inside is a backward pass; its `at` says through which layer."""
        return Backward(self.books)

    def log(self, name: str, value: Any, step: float | None = None) -> None:
        """Note a PUBLIC number for a curve of the report (`Report.to_html`): accuracy, learning rate, a revealed loss.

        Stays at this party; sends and reveals nothing. ``step``: where on the curve, counted from 1 by default. A single
        number that is revealed to this party with a reason containing "loss" is noted by itself, under its reason
        without numbers ("loss of epoch 3" continues "loss of epoch 2"). Raises NotSupported for secret tensors.
        """
        self.books.log(name, value, step)

    def _note_handshake(self) -> None:
        """The frames before there was a Party."""
        row = self.books.root.row
        row.bytes_sent = sum(self.transport.meter.bytes_sent.get(p, 0) for p in self.peers)
        row.offline_bytes = self.transport.meter.bytes_received.get(self.world_size, 0)

    # --- exchanges between parties
    def post(self, kind: Kind, op: int, frame: Words, shape: Shape, beside: bool = False) -> Pending:
        """Send one frame (made by `frames.new`, payload filled) to every other party: one flush, one round.

        ``beside``: it travels with the next post and costs no round of its own.
        """
        header = frames.pack(kind, op, frame.nbytes - HEADER_BYTES, self._transcript.digest(), shape)
        frames.seal(frame, header)
        for peer in self.peers:
            self.send(peer, frame)
        self._count(0 if beside else 1, frame.nbytes - HEADER_BYTES, len(self.peers))
        return Pending(self, frame, header)

    def post_owned(
        self, owner: int, kind: Kind, op: int, frame: Words | None, words: int, shape: Shape, beside: bool
    ) -> FromOwner:
        """As `post`, for ``words`` words that ``owner`` alone sends (``frame`` is None elsewhere)."""
        header = frames.pack(kind, op, 8 * words, self._transcript.digest(), shape)
        receivers = 0
        if frame is not None:
            frames.seal(frame, header)
            for peer in self.peers:
                self.send(peer, frame)
            receivers = len(self.peers)
        self._count(0 if beside else 1, 8 * words, receivers)
        return FromOwner(self, owner, frame, header, 8 * words)

    def send(self, peer: int, frame: bytes | Words) -> None:
        """Send one frame. A peer that has gone may have said why: its abort is raised rather than its absence."""
        try:
            self.transport.send(peer, frame)
            if peer != self.world_size:
                self.books.account.row.bytes_sent += len(frame) if isinstance(frame, bytes) else frame.nbytes
        except PartyLost as error:
            self._gone.add(peer)
            raise self._explained(peer, error) from None

    def _count(self, rounds: int, nbytes: int, receivers: int) -> None:
        self.books.account.row.rounds += rounds
        self.total.rounds += rounds
        self.total.bytes_sent += nbytes * receivers

    def count_offline(self, nbytes: int, seconds: float) -> None:
        """One frame from the dealer, with its header, and how long this party waited for it. (The rows have its bytes
        since it was asked for.)"""
        self.books.account.row.dealer_wait += seconds
        self.total.offline_bytes += nbytes - HEADER_BYTES

    def hear(self, peer: int, size: int = 0, patience: float = 1.0) -> Frame:
        """The next frame of ``peer``, within ``patience`` deadlines. What it raises says where this party waits."""
        started = perf_counter()
        try:
            return self.transport.recv(peer, self.config.deadline * patience, size)
        except PartyLost as error:
            if perf_counter() - started < self.config.deadline * patience:
                self._gone.add(peer)
            raise self._explained(peer, error) from None
        except CorruptFrame as error:  # of a sealed link
            raise self.blame(peer, CorruptFrame(f"{error} ({self._place()})")) from None

    def _explained(self, peer: int, lost: PartyLost) -> errors.MPCError:
        """What to raise where ``peer`` is lost: somebody who stopped may have said why, and that explains who is gone;
        unless they say it is this process, which itself waited."""
        end, told = thread_time() + LAST_WORDS, ""
        while thread_time() < end:
            try:
                arrived = self.transport.recv_any(0)
            except PartyLost:
                break
            if arrived is None:
                break
            source, data = arrived
            if self.header_of(data, source).kind == Kind.ABORT:
                echo = echo_of(data, self.transport)
                if echo.peer != self.rank or not isinstance(echo, PartyLost):
                    return echo
                told = told or f"; {str(echo).removesuffix(here())}"
        return self.blame(peer, type(lost)(f"{lost}{told} ({self._place()})"))

    def receive(self, peer: int, want: bytes, size: int) -> Frame:
        """The next frame of ``peer``, whose header must equal ``want`` and whose length ``size`` bytes."""
        started = perf_counter()
        data = self.hear(peer, size)
        self.books.account.row.peer_wait += perf_counter() - started
        if data[:HEADER_BYTES] != want or len(data) != size:
            self.refuse(peer, data, frames.unpack_header(want))
        return data

    def refuse(self, peer: int, data: Frame, want: frames.Header) -> NoReturn:
        """Raise what a frame with an unexpected header means."""
        got = self.header_of(data, peer)
        if got.kind == Kind.ABORT:
            raise echo_of(data, self.transport)
        same = (got.kind, got.op, got.shape, got.nbytes) == (want.kind, want.op, want.shape, want.nbytes)
        if same:
            details = "the operations before it differ"
        elif got.kind == Kind.CLOSE:
            details = f"it has left its session, here the program is at {describe(want)}"
        elif want.kind == Kind.CLOSE:
            details = f"it sent {describe(got)}, here the program has left its session"
        else:
            details = f"it sent {describe(got)}, here the program is at {describe(want)}"
        raise self.blame(peer, ProgramMismatch(
            f"{self.transport.name(peer)} does not run the same program as {self._place(want.op)}; {details}. "
            "Every party must run the same operations in the same order, on public values alone"
        ))  # fmt: skip

    def header_of(self, data: Frame, peer: int) -> frames.Header:
        """The header of a frame of ``peer``. Raises CorruptFrame, which says where this party is."""
        try:
            return frames.unpack(data)
        except CorruptFrame as error:
            text = f"{self.transport.name(peer)} sent what is no message: {error} ({self._place()})"
            raise self.blame(peer, CorruptFrame(text)) from None

    def blame(self, peer: int, error: E) -> E:
        """That error, with whom it was missed or found at fault."""
        error.peer = peer
        return error

    def _place(self, op: int | None = None) -> str:
        """Where this party is, for messages: operation, what it is part of, and the program's line."""
        part = where(self.books.account.row).replace("operation ", "")
        inside = ", ".join(p for p in (part, call_site()) if p)
        return f"party {self.rank} at operation {self._op if op is None else op}: {inside}"

    def sync(self, kind: Kind, *structure: object) -> None:
        """A header-only exchange: returns when every party is at the same point of the same program."""
        self.note(kind.name, *structure)
        self.post(kind, self.next_op(), frames.new(0), ()).wait()

    def barrier(self) -> None:
        """Wait for every party."""
        self.sync(Kind.BARRIER)

    def seal(self, frame: Words, kind: Kind, op: int, shape: Shape) -> None:
        """Write the header of a frame (made by `frames.new`, payload filled) that goes out with `send`."""
        frames.seal(frame, frames.pack(kind, op, frame.nbytes - HEADER_BYTES, self._transcript.digest(), shape))

    def from_owner(
        self, owner: int, frame: Words | None, shape: Shape, op: int, kind: Kind, words: Callable[[Shape], int] = math.prod
    ) -> tuple[Shape, Words]:
        """One frame from its owner to all others; its shape is news to them, and ``words`` says how many payload words go
        with it. Returns (shape, payload)."""
        self._count(1, 0, 0)
        if self.rank == owner:
            assert frame is not None
            self.seal(frame, kind, op, shape)
            for peer in self.peers:
                self.send(peer, frame)
            return shape, frame[HEADER_WORDS:]
        started = perf_counter()
        while self.outstanding:  # links are in order: what was posted before is read before
            self.outstanding.popleft()._receive()
        data = self.hear(owner)
        self.books.account.row.peer_wait += perf_counter() - started
        got = self.header_of(data, owner)
        if (got.kind, got.op, got.transcript) != (kind, op, self._transcript.digest()):
            self.refuse(owner, data, frames.Header(kind, op, got.nbytes, self._transcript.digest(), got.shape, 0))
        who = f"{self.transport.name(owner)}, the owner of operation {op},"
        want = 8 * words(checked_shape(got.shape, owner, who))
        if got.nbytes != want:
            text = f"{who} sent {got.nbytes} bytes for shape {got.shape}; want {want} ({self._place()})"
            raise self.blame(owner, CorruptFrame(text))
        return got.shape, frames.payload(data)

    # --- inputs and reveals
    def share(self, value: Any, owner: int, scale: int | None = None) -> Share:
        """Share what ``owner`` holds (``value`` is ignored elsewhere) as fixed-point words.

        No traffic but the shape: the owner's share is the value, the others' are zeros, until it is opened under a mask of
        the owner's or meets other secrets. Raises FixedPointRangeError at every party when a value is NaN, infinite or out
        of range.
        """
        if not isinstance(owner, (int, np.integer)) or not 0 <= owner < self.world_size:
            raise errors.ConfigError(f"got owner {owner!r}; want a rank from 0 to {self.world_size - 1}")
        scale = self.frac_bits if scale is None else scale
        with self.scope("share"):
            words = None
            if self.rank == owner:
                if value is None:
                    raise errors.ConfigError(f"party {owner} owns this input and gave None; want its array")
                words = fixed_point.encode(value, self.frac_bits, scale)
                if words.ndim > frames.MAX_DIMS:
                    raise errors.ShapeError(f"got {words.ndim} dimensions; want at most {frames.MAX_DIMS}")
            op = self.next_op()
            self.note("input", op, owner, scale)
            return self.protocol.input(words, op, owner, scale)

    def zero_share(self, op: int, count: int, bits: bool = False) -> Words:
        """This party's summand of a fresh sharing of zero under pairwise keys (XOR for bits)."""
        above = b"".join(key for peer, key in self._zeros.items() if peer > self.rank)
        below = b"".join(key for peer, key in self._zeros.items() if peer < self.rank)
        if bits:
            return prg.words(above + below, op, 0, count, prg.XOR_SET)
        out = prg.words(above, op, 0, count)
        out -= prg.words(below, op, 0, count)
        return out

    def receivers(self, to: int | Sequence[int] | None) -> tuple[int, ...]:
        """The ranks that ``to`` (None: all) names. Raises ConfigError."""
        ranks = tuple(range(self.world_size)) if to is None else tuple(sorted({int(r) for r in np.atleast_1d(to)}))
        if not ranks or ranks[0] < 0 or ranks[-1] >= self.world_size:
            raise errors.ConfigError(f"got receivers {to!r}; want ranks from 0 to {self.world_size - 1}")
        return ranks

    def reveal(
        self, x: Share, to: int | Sequence[int] | None = None, reason: str = "", check_range: bool = True, depth: int = 1,
        remark: str = "", factor: float = 1.0,
    ) -> Floats | None:  # fmt: skip
        """Open x to the ranks ``to`` (None: all) and write it to the ledger; None at the others.

        A header-only exchange comes first: no unmasked share leaves before all parties agree on what is revealed.
        Raises FixedPointRangeError when a value that everybody receives is beyond the encoding bound; where only some
        receive it, they get a warning instead, because an exception would tell the others. ``remark``: what the ledger says of
        noise in x; ``factor``: of what was opened, a public number.
        """
        receivers = self.receivers(to)
        caller = sys._getframe(depth)
        site = f"{os.path.basename(caller.f_code.co_filename)}:{caller.f_lineno}"
        with self.scope("reveal"):
            self.sync(Kind.REVEAL_CHECK, "reveal", x.shape, x.scale, receivers, reason)
            op = self.next_op()
            line = LedgerLine(op, site, x.shape, receivers, reason, remark)
            self.ledger.append(line)
            self._revealing = op
            words = self.protocol.reveal(x, op, receivers)
        if words is None:
            return None
        if check_range:
            try:
                fixed_point.check_decoded(words, x.scale, self.frac_bits)
            except errors.FixedPointRangeError as error:
                if len(receivers) == self.world_size:
                    raise
                # stopping here would tell the others something of a value that is not theirs
                try:
                    warnings.warn(str(error), RuntimeWarning, stacklevel=depth + 1)
                except RuntimeWarning:  # a filter makes warnings errors
                    print(f"warning: {error}", file=sys.stderr)
        value = fixed_point.decode(words, x.scale)
        if factor != 1.0:
            value = np.asarray(value * factor)
        self.books.revealed(line, value)
        return value

    def send_shares(self, op: int, words: Words, receivers: Sequence[int]) -> Words | None:
        """Send re-randomised shares to the receivers and return their sum there. For `Protocol.reveal` only."""
        if op != self._revealing:
            raise SessionError("unmasked shares leave through Party.reveal only: it asks the others and writes the ledger")
        self._revealing = 0
        frame = frames.new(words.size)
        part = frame[HEADER_WORDS:]
        np.add(words.reshape(-1), self.zero_share(op, words.size), out=part)
        header = frames.pack(Kind.REVEAL, op, part.nbytes, self._transcript.digest(), words.shape)
        frames.seal(frame, header)
        targets = [r for r in receivers if r != self.rank]
        for peer in targets:
            self.send(peer, frame)
        self._count(1, part.nbytes, len(targets))
        return Pending(self, frame, header).add().reshape(words.shape) if self.rank in receivers else None

    # --- the end
    def report(self) -> Report:
        """Costs by operation and by layer, predictions for other networks, the curves, and the ledger of everything
        revealed so far. What no scope covers is the row "program"."""
        return self.books.report()

    def abort(self, error: BaseException) -> None:
        """Tell every peer that this party stops, by error type, rank and operation only.

        Not in a forked child: the session is its parent's, whose nonces it would use too."""
        if self.closed or os.getpid() != self._pid:
            return
        if not isinstance(error, errors.MPCError):
            error.add_note(f"in a session: party {self.rank} of {self.world_size}, after operation {self._op}")
        frame = abort_frame(error, self.rank, self._op)
        last = self.world_size + 1 if self.config.needs_dealer else self.world_size
        for peer in (p for p in range(last) if p != self.rank and p not in self._gone):
            try:
                self.transport.send(peer, frame)
            except PartyLost:
                continue  # it is gone already; the others still want to know
        self.closed = True
        told = isinstance(error, errors.MPCError) and error.echo is not None
        self.transport.close(LINGER if self.config.names else ECHO_LINGER if told else LOCAL_LINGER)

    def close(self) -> None:
        """End the session: agree that the program is over, release the links."""
        self.sync(Kind.CLOSE)
        if self.config.needs_dealer:
            try:
                self.transport.send(self.world_size, frames.pack(Kind.CLOSE, self._op, 0, bytes(16)))
            except PartyLost:
                pass  # nobody needs it any more
        self.closed = True
        self.transport.close()
        finished = FINISHED.get()
        if finished is not None:
            finished.append(self.report())
