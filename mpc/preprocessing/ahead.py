"""What will be asked next: programs are loops, so requests repeat with their operation numbers moved on.

The dealer uses it to compute an answer before the request comes. Nothing leaves before it is asked for, and a wrong guess
costs only the dealer's time, so this needs no agreement with anybody.
"""
from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

MAX_PERIOD = 128  # requests of one turn of a loop, at most
MAX_TRIES = 12  # periods compared for one guess: a program without loops should not pay for it
NUMBERS_GROW = 64  # bytes by which requests alike differ, larger operation numbers taking more

_DECODER = msgspec.msgpack.Decoder()
_ENCODER = msgspec.msgpack.Encoder()


class _Differs(Exception):
    """Two requests are not the same but for a shift of operation numbers."""


class Ahead:
    """The bodies of the latest requests, and the guess they allow."""

    def __init__(self) -> None:
        self._seen: deque[Any] = deque(maxlen=2 * MAX_PERIOD + 1)
        self._lengths: deque[int] = deque(maxlen=2 * MAX_PERIOD + 1)
        self._period = 1

    def record(self, body: bytes) -> None:
        """A request that was answered."""
        self._seen.append(_DECODER.decode(body))
        self._lengths.append(len(body))

    def guess(self) -> bytes | None:
        """The body of the next request, if the latest one repeats an earlier one and what followed that one repeats too."""
        tries = 0
        for period in (self._period, *range(1, len(self._seen) // 2 + 1)):
            if 2 * period < len(self._seen) and abs(self._lengths[-1] - self._lengths[-1 - period]) <= NUMBERS_GROW:
                tries += 1
                if tries > MAX_TRIES:
                    break
                try:
                    moved = _first(self._seen[-1]) - _first(self._seen[-1 - period])
                    _continue(self._seen[-1 - period], self._seen[-1], moved)
                    found = _continue(self._seen[-2 * period], self._seen[-period], moved)
                except _Differs:
                    continue
                self._period = period
                return _ENCODER.encode(found)
        return None


def _first(request: Any) -> int:
    """The operation number of a request's first correlation: behind its tag."""
    number = request[0][1]
    if not isinstance(number, int):
        raise _Differs
    return number


def _continue(before: Any, after: Any, moved: int) -> Any:
    """What follows ``after`` as it followed ``before``: integers stay or move on by ``moved``, all else stays."""
    if isinstance(after, list):
        if not isinstance(before, list) or len(before) != len(after):
            raise _Differs
        return [_continue(b, a, moved) for b, a in zip(before, after, strict=True)]
    if before == after:
        return after
    if isinstance(after, int) and isinstance(before, int) and after - before == moved:
        return after + moved
    raise _Differs
