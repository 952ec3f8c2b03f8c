"""The dry run: the program as it is, without data and without openings, to learn what it will ask of the dealer.

An owner's arrays become zeros of their shape where they are shared; shapes travel, values do not. Nothing is opened:
what the program would open or reveal is zeros, and so is every correlation. Control flow that depends on revealed
values therefore follows zeros: a program may branch on them only where all branches ask for the same.

A store has one plan, and each session takes a dealing of it: a program of several sessions can be planned where they ask
for the same, each for all of it or for the beginning.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import numpy as np

from mpc import fixed_point, prg
from mpc.config import VERSION, SessionConfig
from mpc.errors import ConfigError
from mpc.exchange import FromOwner, Pending
from mpc.fixed_point import Words
from mpc.handshake import Agreement
from mpc.masks import Mask, Shape
from mpc.network import LOOPBACK, Network
from mpc.party import Party
from mpc.preprocessing import requests
from mpc.preprocessing.base import AnyCorrelation, Part
from mpc.preprocessing.plan import Plan
from mpc.sharing import Share
from mpc.transport.base import Transport
from mpc.transport.frames import HEADER_WORDS, Kind

_PLANNED: ContextVar[Plan | None] = ContextVar("mpc_planned", default=None)  # by this program's sessions so far
SILENT: Final = (Kind.OPEN, Kind.BITS, Kind.REVEAL)  # carry shares; all other kinds carry public structure


class _Zeros:
    """A correlation of zeros."""

    __slots__ = ("layout",)

    def __init__(self, layout: Sequence[Part]) -> None:
        self.layout = layout

    def corrected(self, k: int) -> Words:
        return np.zeros(self.layout[k].words, np.uint64)


class Recorder:
    """A `Source` that notes what is asked and answers with zeros."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def ask(self, correlations: Sequence[AnyCorrelation]) -> list[_Zeros]:
        self.requests.append(requests.encode(correlations))
        return [_Zeros(c.parts()) for c in correlations]

    def close(self) -> None:
        """Nothing is held."""


class _Silence(FromOwner):
    """An exchange that did not take place: everybody sent zeros."""

    __slots__ = ("_count", "_ranks")

    def __init__(self, ranks: int, words: int) -> None:
        self._ranks = ranks
        self._count = words

    def wait(self) -> list[Words]:
        return [self.words() for _ in range(self._ranks)]

    def words(self) -> Words:
        return np.zeros(self._count, np.uint64)

    add = xor = words


class PlanningParty(Party):
    """A party of a dry run; ``path`` is where its plan goes at the end of the session, if anywhere."""

    preprocessing: Recorder
    network = Network(LOOPBACK.one_way, LOOPBACK.bandwidth, stored=True)
    dry = True

    def __init__(self, transport: Transport, config: SessionConfig, agreement: Agreement, path: str | None = None) -> None:
        super().__init__(transport, config, agreement)
        self.dealt = prg.derive(prg.fresh_secret(), "dealt")  # streams of nothing
        self.preprocessing = Recorder()
        self._before = _PLANNED.get()
        self._seed = int.from_bytes(agreement.session[:8], "little") if self._before is None else self._before.seed
        self.manual_seed(self._seed)
        self._path = path

    @property
    def plan(self) -> Plan:
        """What was asked so far."""
        config = self.config
        asked = tuple(self.preprocessing.requests)
        return Plan(VERSION, config.world_size, config.protocol, config.frac_bits, self._seed, self.network, asked)

    def measured(self, network: Network) -> None:
        """What is planned for this network is asked for in every run, which measures nothing: numbers begin anew."""
        known = network if self._before is None else self._before.network
        self.network = Network(known.one_way, known.bandwidth, stored=True)
        self._op = 0

    def share(self, value: Any, owner: int, scale: int | None = None) -> Share:
        return super().share(None if value is None else np.zeros(fixed_point.as_array(value).shape), owner, scale)

    def expand(self, mask: Mask) -> Words:
        return np.zeros(mask.shape, np.uint64)

    def post(self, kind: Kind, op: int, frame: Words, shape: Shape, beside: bool = False) -> Pending:
        if kind not in SILENT:
            return super().post(kind, op, frame, shape, beside)
        words = frame.size - HEADER_WORDS
        self._count(0 if beside else 1, 8 * words, len(self.peers))
        return _Silence(self.world_size, words)

    def post_owned(
        self, owner: int, kind: Kind, op: int, frame: Words | None, words: int, shape: Shape, beside: bool
    ) -> FromOwner:
        if kind not in SILENT:
            return super().post_owned(owner, kind, op, frame, words, shape, beside)
        self._count(0 if beside else 1, 8 * words, 0 if frame is None else len(self.peers))
        return _Silence(self.world_size, words)

    def send_shares(self, op: int, words: Words, receivers: Sequence[int]) -> Words | None:
        self._count(1, words.nbytes, len([r for r in receivers if r != self.rank]))
        return np.zeros(words.shape, np.uint64) if self.rank in receivers else None

    def close(self) -> None:
        """All parties agree on the plan, by its digest; then it is written."""
        plan = self._joined(self.plan)
        self.note("plan", plan.digest)
        super().close()
        _PLANNED.set(plan)
        if self._path is not None:
            plan.write(Path(self._path))

    def _joined(self, plan: Plan) -> Plan:
        """The plan of this session and of those before it. Raises ConfigError where they differ."""
        if self._before is None:
            return plan
        short, long = sorted((self._before, plan), key=lambda p: len(p.requests))
        if long.requests[: len(short.requests)] != short.requests:
            raise ConfigError(
                "the program opens several sessions that ask for different correlations, and a store has one plan: put them "
                "into one session, or into programs of their own with a store for each"
            )
        return long
