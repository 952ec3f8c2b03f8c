"""Online apart from offline: run a program with every correction on hand before the clock starts.

A program's requests to the dealer depend on public structure only, so those of one run, with their operation numbers
moved on, are those of the next. `Recorder` notes them, `Ahead` asks for all of them at once, keeps the answers in
memory, and checks while the program runs that it asks for exactly these.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from mpc.preprocessing.base import AnyCorrelation, Dealt
from mpc.preprocessing.client import DealerClient

Request = list[AnyCorrelation]
_NUMBERS = ("op", "bit_op")  # the fields that hold operation numbers, in correlations and in names of masks


class Recorder:
    """A `Source` that notes what is asked of the one behind it."""

    def __init__(self, client: DealerClient) -> None:
        self.client = client
        self.requests: list[Request] = []

    def ask(self, correlations: Sequence[AnyCorrelation]) -> list[Any]:
        self.requests.append(list(correlations))
        return self.client.ask(correlations)


class Ahead:
    """A `Source` whose answers have all arrived when it is made."""

    def __init__(self, client: DealerClient, requests: Sequence[Request]) -> None:
        self._receiver = client.receiver
        self._ready: deque[tuple[Request, list[Any]]] = deque((r, client.ask(r)) for r in requests)
        for request, answers in self._ready if self._receiver else ():
            for item, answer in zip(request, answers, strict=True):
                answer.parts.update({k: client.take(answer, k) for k in range(len(item.parts()))})

    def ask(self, correlations: Sequence[AnyCorrelation]) -> list[Dealt]:
        request, answers = self._ready.popleft() if self._ready else ([], [])
        if request != list(correlations):
            raise RuntimeError(f"the program asks for {correlations}, the run before asked for {request}")
        return answers


def moved(request: Request, after: int, by: int) -> Request:
    """The same request with every operation number above ``after`` raised by ``by``."""
    return [_moved(item, after, by) for item in request]


def _moved(item: Any, after: int, by: int) -> Any:
    if isinstance(item, msgspec.Struct):
        changes = {}
        for name in item.__struct_fields__:
            value = getattr(item, name)
            if name in _NUMBERS:
                changes[name] = value + by if value > after else value
            elif isinstance(value, (msgspec.Struct, list)):
                changes[name] = _moved(value, after, by)
        return msgspec.structs.replace(item, **changes)
    if isinstance(item, list):
        return [_moved(part, after, by) if isinstance(part, (msgspec.Struct, list)) else part for part in item]
    return item
