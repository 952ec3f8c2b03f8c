"""What a report is made of: plain rows and lines, alike in memory, on the pipe to the launcher and in `to_dict`."""
from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

PROGRAM: Final = "program"  # the root: what no scope covers
NARROW_BITS: Final = 2.0  # bits left below which a row of the headroom table is flagged
SIGNIFICANT_BITS: Final = 4  # of a truncated value, fewer of which are flagged


@dataclass(slots=True)
class Row:
    """Costs of one place of the program, without the places inside it: rows add up to the session.

    ``label``: nested scopes joined with '/'. ``operation``: the innermost scope when it is an operation, else "".
    ``layer``: the innermost module around it, by path, else "". ``backward``: in the backward pass of what was recorded
    there. ``rounds``: messages that somebody has to wait for, one after the other.

    ``bytes_sent``: all bytes of the frames this party handed to its sockets for other parties, headers included (what
    ZeroMQ, TCP and encryption add is not). ``requests``, ``offline_bytes``: requests to the dealer and all bytes of its
    answers, to whichever party receives them: counted at that party's socket, and known to the others from the public
    structure of the request. ``seconds``: on this party's clock; ``peer_wait`` of them waiting for other parties,
    ``dealer_wait`` waiting for the dealer (only the receiving party does), the rest is `compute`.
    """

    label: str
    operation: str = ""
    layer: str = ""
    backward: bool = False
    calls: int = 0
    rounds: int = 0
    bytes_sent: int = 0
    requests: int = 0
    offline_bytes: int = 0
    seconds: float = 0.0
    peer_wait: float = 0.0
    dealer_wait: float = 0.0

    @property
    def compute(self) -> float:
        """Seconds in which this party waited for nobody."""
        return max(0.0, self.seconds - self.peer_wait - self.dealer_wait)

    def add(self, other: Row, sign: int = 1) -> None:
        """Add the other's counts to this row's."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))

    def is_empty(self) -> bool:
        """Did nothing happen here?"""
        return not (self.calls or self.rounds or self.bytes_sent or self.requests or self.seconds > 0.0)


COUNTS: Final = tuple(f.name for f in fields(Row) if f.name not in ("label", "operation", "layer", "backward"))


def total(rows: Iterable[Row], label: str = "total") -> Row:
    """The sum of rows."""
    out = Row(label)
    for row in rows:
        out.add(row)
    return out


@dataclass(slots=True)
class LedgerLine:
    """One reveal: its operation number, where in the program it stands, and who received what, why. ``privacy``: epsilon and
    delta of a value revealed with noise."""

    number: int
    site: str
    shape: tuple[int, ...]
    recipients: tuple[int, ...]
    reason: str = ""
    privacy: str = ""


@dataclass(slots=True)
class Point:
    """A public number of a curve: of `Party.log`, or a revealed loss."""

    name: str
    step: float
    value: float


@dataclass(slots=True)
class Headroom:
    """How close one kind of value came to its limit, in one place of the program (plaintext twin only).

    ``what``: product, matrix product, square, sum, truncation or comparison (the last two: their input).
    ``worst``: the largest magnitude in units of the ring, limit 2^``limit_bits``; ``scale``: its fraction bits.
    ``shift``: of a truncation, the bits it cuts off; ``small`` of ``calls`` left fewer than 4 significant bits of the
    largest value (zeros are exact and do not count).
    """

    label: str
    operation: str
    layer: str
    backward: bool
    what: str
    scale: int
    limit_bits: int
    shift: int = 0
    calls: int = 0
    worst: float = 0.0
    small: int = 0

    @property
    def bits_left(self) -> float:
        """limit_bits - log2(worst); infinite where everything was zero."""
        return self.limit_bits - math.log2(self.worst) if self.worst > 0.0 else math.inf

    @property
    def largest(self) -> float:
        """The largest magnitude as the program sees it."""
        return math.ldexp(self.worst, -self.scale)

    @property
    def limit(self) -> float:
        """The magnitude at which it would be refused."""
        return math.ldexp(1.0, self.limit_bits - self.scale)

    @property
    def warning(self) -> str:
        """What is wrong with it, for people; "" when nothing is."""
        if self.bits_left < NARROW_BITS:
            return "close to the limit: scale what goes in, or sum less"
        if 2 * self.small > self.calls:
            return "mostly below 4 significant bits: scale it up, or use more frac_bits"
        return ""


def without_numbers(reason: str) -> str:
    """What stays the same in "loss of epoch 3" and "loss of epoch 4"."""
    return " ".join(re.sub(r"[-+#]?\d[\d.]*", "", reason).split()).strip(" :,;(") or "loss"


def where(row: Row | Headroom) -> str:
    """The place for messages: layer, pass and operation."""
    parts = [f"layer {row.layer}" if row.layer else "", "backward pass" if row.backward else ""]
    if not row.layer:
        first = row.label.split("/")[0]
        parts[0] = "" if first in (row.operation, PROGRAM, "backward") else first
    parts.append(f"operation {row.operation}" if row.operation else "")
    return ", ".join(p for p in parts if p) or "the program"
