"""A request as bytes, and how its answer is cut into frames: alike for a dealer that is asked and for a store."""
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mpc.errors import CorruptFrame
from mpc.preprocessing.base import AnyCorrelation, Part
from mpc.transport.base import Frame

FRAME_WORDS = 1 << 15  # parts of an answer share a frame up to this size

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[AnyCorrelation])


def encode(correlations: Sequence[AnyCorrelation]) -> bytes:
    """The body of a request: the same bytes at every party that runs the same program."""
    return _ENCODER.encode(correlations)


def decode(body: Frame) -> list[AnyCorrelation]:
    """What a request asks for. Raises CorruptFrame for one that is unreadable or asks for nothing."""
    try:
        correlations = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFrame(f"an unreadable request: {error}") from None
    if not correlations:
        raise CorruptFrame("a request for nothing")
    return correlations


def frame_sizes(layouts: Sequence[Sequence[Part]]) -> list[list[tuple[int, int, int]]]:
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


def answer_words(correlations: Sequence[AnyCorrelation]) -> int:
    """Words of all corrections of a request."""
    return sum(part.words for c in correlations for part in c.parts())


def describe(correlations: Sequence[AnyCorrelation]) -> str:
    """For errors: "operation 12 (Tables of 100, Merges of 100)"."""
    what = ", ".join(f"{type(c).__name__} of {getattr(c, 'size', '?')}" for c in correlations)
    return f"operation {correlations[0].op} ({what})"
