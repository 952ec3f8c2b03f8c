"""A transport that spoils what its rank sends, by rule: the faults of networks and hosts, for tests."""
from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from mpc.fixed_point import Words
from mpc.transport.around import Around
from mpc.transport.base import Transport
from mpc.transport.frames import KIND_AT, as_bytes


class Fault(Enum):
    """What happens to a frame on its way."""

    DROP = "drop"  # it never arrives
    STALL = "stall"  # nor does anything that follows on this link
    DELAY = "delay"  # the sender is slow: this and all that follows arrive ``seconds`` later
    REPEAT = "repeat"  # it arrives twice
    REORDER = "reorder"  # the frame after it arrives first; it never arrives where none follows
    CORRUPT = "corrupt"  # the bits ``mask`` of the byte ``at`` are flipped
    TRUNCATE = "truncate"  # it ends ``at`` bytes from its start (counted from the end if negative)
    EXTEND = "extend"  # ``garbage`` follows it, within the same message
    REPLACE = "replace"  # ``garbage`` arrives instead
    INSERT = "insert"  # ``garbage`` arrives before it


@dataclass(frozen=True)
class Rule:
    """A fault, and the frames that it befalls: ``count`` of them from the ``first`` (counted from 0) of those that go to
    ``peer`` and are of ``kind`` (None: all)."""

    fault: Fault
    peer: int | None = None
    kind: int | None = None
    first: int = 0
    count: int = 1
    at: int = -1
    mask: int = 1
    seconds: float = 0.0
    garbage: bytes = b""

    def spoil(self, data: bytes) -> list[bytes]:
        """What arrives instead of one frame, as far as that frame alone decides it."""
        if self.fault in (Fault.DROP, Fault.STALL):
            return []
        if self.fault == Fault.REPEAT:
            return [data, data]
        if self.fault == Fault.CORRUPT:
            at = self.at % len(data)
            return [data[:at] + bytes((data[at] ^ self.mask,)) + data[at + 1 :]]
        if self.fault == Fault.TRUNCATE:
            return [data[: self.at]]
        if self.fault == Fault.EXTEND:
            return [data + self.garbage]
        if self.fault == Fault.REPLACE:
            return [self.garbage]
        if self.fault == Fault.INSERT:
            return [self.garbage, data]
        return [data]


class Faulty(Around):
    """Applies the first of the rules that befalls a frame. ``befallen``: how many frames were."""

    def __init__(self, inner: Transport, rules: Iterable[Rule]) -> None:
        super().__init__(inner)
        self._rules = [(rule, [0]) for rule in rules]  # with how many frames each has matched
        self._silent: set[int] = set()
        self._held: dict[int, bytes] = {}
        self.befallen = 0

    def send(self, peer: int, frame: bytes | Words) -> None:
        if peer in self._silent:
            return
        data = bytes(as_bytes(frame))
        rule = self._rule(peer, data)
        held = self._held.pop(peer, None)
        if rule is None:
            self._pass(peer, [data])
        else:
            self.befallen += 1
            if rule.fault == Fault.REORDER:
                self._held[peer] = data
            elif rule.fault == Fault.STALL:
                self._silent.add(peer)
            elif rule.fault == Fault.DELAY:
                time.sleep(rule.seconds)
            if rule.fault != Fault.REORDER:
                self._pass(peer, rule.spoil(data))
        if held is not None:
            self._pass(peer, [held])

    def _rule(self, peer: int, data: bytes) -> Rule | None:
        found = None
        for rule, matched in self._rules:
            if rule.peer not in (None, peer) or (rule.kind is not None and data[KIND_AT : KIND_AT + 1] != bytes((rule.kind,))):
                continue
            matched[0] += 1
            if found is None and rule.first < matched[0] <= rule.first + rule.count:
                found = rule
        return found

    def _pass(self, peer: int, frames: Iterable[bytes]) -> None:
        for data in frames:
            self.inner.send(peer, data)
