"""Sessions on threads whose links are spoiled by rule: what becomes of every party."""
from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

import mpc
from mpc.config import Launch, SessionConfig
from mpc.errors import PartyLost
from mpc.preprocessing.dealer import serve
from mpc.session import LAUNCH
from mpc.transport import sealed
from mpc.transport.around import Around
from mpc.transport.base import Frame, Transport
from mpc.transport.faulty import Faulty, Rule
from mpc.transport.memory import Hub, MemoryTransport

SLACK = 5.0  # seconds beyond a deadline that a busy machine may take
LIMIT = 1 << 24
Rules = Mapping[int, Sequence[Rule]]


class Outcome(NamedTuple):
    """What became of one party: its result, or its exception, and after how many seconds."""

    value: Any
    error: BaseException | None
    seconds: float


class Unfiltered(MemoryTransport):
    """Records are no frames: what is a keep-alive is judged above."""

    def is_news(self, peer: int, data: Frame) -> bool:
        return True


class Link(Around):
    """Rules from the greeting on (``early``) and from there on (``rules``); ``seal``: frames travel as sealed records, so
    that these spoil records."""

    def __init__(self, inner: Transport, early: Sequence[Rule], rules: Sequence[Rule], seal: bool) -> None:
        super().__init__(Faulty(inner, early))
        self.rules, self.seal = rules, seal
        self.spoiler: Faulty | None = None
        self.sealers: dict[int, sealed.Sealer] = {}
        self.openers: dict[int, sealed.Opener] = {}

    def protect(self, secrets: Mapping[int, bytes], timeout: float) -> dict[int, PartyLost]:
        self.inner = self.spoiler = Faulty(self.inner, self.rules)
        if self.seal:
            for peer, secret in secrets.items():
                sending, receiving = sealed.keys(secret, self.rank, peer)
                self.sealers[peer] = sealed.Sealer(sending)
                self.openers[peer] = sealed.Opener(receiving, LIMIT, self.name(peer))
        return {}

    def send(self, peer: int, frame: Any) -> None:
        for piece in self.sealers[peer].records(frame) if self.sealers else (frame,):
            self.inner.send(peer, bytes(memoryview(piece).cast("B")))

    def _opened(self, peer: int, data: Frame) -> Frame | None:
        frame = self.openers[peer].take(data) if self.openers else data
        return frame if frame is not None and self.is_news(peer, frame) else None

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        end = time.monotonic() + timeout
        while True:
            frame = self._opened(peer, self.inner.recv(peer, max(0.001, end - time.monotonic()) if timeout else 0, size_hint))
            if frame is not None:
                return frame

    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        end = time.monotonic() + timeout
        while True:
            got = self.inner.recv_any(max(0.0, end - time.monotonic()), likely, among)
            if got is None:
                return None
            frame = self._opened(*got)
            if frame is not None:
                return got[0], frame


class SpoiledHub(Hub):
    def __init__(self, size: int, early: Rules, rules: Rules, seal: bool) -> None:
        super().__init__(size)
        self.early, self.rules, self.seal = early, rules, seal
        self.links: dict[int, Link] = {}

    def join(self, rank: int) -> Any:
        with self._lock:
            session = self._opened[rank]
            self._opened[rank] += 1
        first = session == 0  # the dealer goes on to the next session
        inner = Unfiltered(self, rank, session)
        link = Link(inner, self.early.get(rank, ()) if first else (), self.rules.get(rank, ()) if first else (), self.seal)
        self.links.setdefault(rank, link)
        return link


def run(
    program: Callable[[Any], Any],
    size: int,
    rules: Rules,
    seal: bool = False,
    early: Rules | None = None,
    deadline: float = 1.0,
) -> tuple[list[Outcome], int]:
    """``program(s)`` in a session of ``size`` parties, and what became of each; how many frames the rules befell.

    Fails if a party is still running well after its deadline.
    """
    config = SessionConfig(world_size=size, deadline=deadline)
    hub = SpoiledHub(size, early or {}, rules, seal)
    stop = threading.Event()
    outcomes: list[Outcome | None] = [None] * size

    def party(rank: int) -> None:
        started = time.monotonic()
        value, failure = None, None
        LAUNCH.set((Launch(rank, config), hub))
        try:
            with mpc.session() as s:
                value = program(s)
        except BaseException as error:
            failure = error
        outcomes[rank] = Outcome(value, failure, time.monotonic() - started)

    threads = [threading.Thread(target=contextvars.Context().run, args=(party, r), daemon=True) for r in range(size)]
    dealer = threading.Thread(target=serve, args=(Launch(size, config), hub, stop), daemon=True)
    for thread in (dealer, *threads):
        thread.start()
    for thread in threads:
        thread.join(4 * deadline + SLACK)
    stop.set()
    dealer.join(deadline + SLACK)
    late = [r for r, thread in enumerate(threads) if thread.is_alive()]
    assert not late and not dealer.is_alive(), f"parties {late} hang (dealer: {dealer.is_alive()}) after {rules}"
    befallen = sum(s.befallen for link in hub.links.values() for s in (link.spoiler,) if s is not None)
    return [o for o in outcomes if o is not None], befallen
