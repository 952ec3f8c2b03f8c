"""Bytes between parties that are no ring words: sealed messages that one party relays, ciphertexts, proofs.

They travel like everything else: a header with operation number and transcript, checked before the rest is touched. What the
bytes say is checked by the caller; here they are opaque, public or sealed, and of any length up to a limit. Nothing secret
in the clear goes through here.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.errors import CorruptFrame, ShapeError
from mpc.masks import Shape
from mpc.party import Party
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind


def scatter(party: Party, owner: int, parts: Sequence[bytes] | None, limit: int) -> bytes:
    """``parts[r]`` of party ``owner`` for every rank r (None elsewhere); returns this party's part. One round.

    ``limit``: most bytes of one part, checked at both ends. Raises ShapeError at the owner, CorruptFrame where more arrives.
    """
    party.note("scatter", owner, limit)
    op = party.next_op()
    if party.rank != owner:
        return _received(party, owner, op, limit)
    if parts is None or len(parts) != party.world_size:
        got = None if parts is None else len(parts)
        raise ShapeError(f"got {got} parts to scatter; want {party.world_size}, one for each party")
    for rank, part in enumerate(parts):
        _checked(len(part), limit)
        if rank != party.rank:
            _send(party, rank, op, part)
    return bytes(parts[owner])


def broadcast(party: Party, owner: int, data: bytes | None, limit: int) -> bytes:
    """What ``owner`` holds (None elsewhere), at every party. One round."""
    return scatter(party, owner, None if data is None else [data] * party.world_size, limit)


def gather(party: Party, data: bytes, limit: int) -> list[bytes]:
    """Every party's bytes at every party, by rank. One round. Lengths may differ."""
    party.note("gather", limit)
    op = party.next_op()
    _checked(len(data), limit)
    for peer in party.peers:
        _send(party, peer, op, data)
    return [bytes(data) if rank == party.rank else _received(party, rank, op, limit) for rank in range(party.world_size)]


def _checked(size: int, limit: int) -> None:
    if size > limit:
        raise ShapeError(f"got {size} bytes to send; want at most {limit}")


def _words(shape: Shape) -> int:
    return (shape[0] + 7) // 8 if shape else 0


def _send(party: Party, peer: int, op: int, data: bytes) -> None:
    frame = frames.new(_words((len(data),)))
    payload = frame[HEADER_WORDS:].view(np.uint8)
    payload[: len(data)] = np.frombuffer(data, np.uint8)
    payload[len(data) :] = 0
    party.seal(frame, Kind.BYTES, op, (len(data),))
    party.send(peer, frame)


def _received(party: Party, peer: int, op: int, limit: int) -> bytes:
    shape, words = party.from_owner(peer, None, (), op, Kind.BYTES, _words)
    if len(shape) != 1 or shape[0] > limit:
        raise party.blame(peer, CorruptFrame(f"{party.transport.name(peer)} sent {shape} bytes; want at most {limit}"))
    return words.tobytes()[: shape[0]]
