"""Recorded frames as columns of numbers, for attackers that know nothing of the protocol but how shares are added."""
from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.privacy.audit.intervals import Floats
from mpc.privacy.audit.recording import Recording, Seen
from mpc.transport.frames import Kind

Coalition = tuple[int, ...]

MOST_COLUMNS: Final = 200
SUM: Final = -1  # in place of a sender: of several


def features(seen: Recording, ranks: Coalition, seed: int = 0) -> tuple[Floats, int]:
    """Samples x columns of what ``ranks`` see, and how many words of it a sample has at most."""
    tables = [_columns(sample, frozenset(ranks)) for sample in seen.samples]
    keys = sorted({key for table in tables for key in table})
    blocks: list[Floats] = [np.ones((len(tables), 1))]  # a column where nothing is seen
    words = 0
    for key in sorted(keys, key=lambda key: key[2] != SUM):
        parts = [table.get(key) for table in tables]
        sizes = np.array([-1 if part is None else len(part) for part in parts])
        if (sizes != sizes[0]).any():
            blocks.append(sizes[:, None].astype(np.float64))  # lengths tell as well
        block = np.zeros((len(parts), max(int(sizes.max()), 0)), np.uint64)
        for row, part in zip(block, parts, strict=True):
            if part is not None:
                row[: len(part)] = part
        words += block.shape[1]
        blocks += [block.view(np.int64).astype(np.float64), (block & np.uint64(0xFFFF)).astype(np.float64)]
    x = np.concatenate(blocks, axis=1)
    x = x[:, np.r_[True, (x[:, 1:] != x[:1, 1:]).any(0)]]
    if x.shape[1] > MOST_COLUMNS:
        first = 1 + sum(block.shape[1] for block in blocks[1 : 1 + 2 * sum(key[2] == SUM for key in keys)])
        order = np.random.default_rng(seed).permutation(x.shape[1])
        order = np.concatenate([order[order < first], order[order >= first]])
        x = x[:, np.sort(order[:MOST_COLUMNS])]
    return x, words


def _columns(sample: list[Seen], ranks: frozenset[int]) -> dict[tuple[Any, ...], npt.NDArray[np.uint64]]:
    """Words by what they are: each frame received, and of each operation what all known senders' payloads add up to."""
    out: dict[tuple[Any, ...], npt.NDArray[np.uint64]] = {}
    sums: dict[tuple[int, int], dict[int, npt.NDArray[np.uint64]]] = {}
    for frame in sample:
        if frame.receiver not in ranks and frame.sender not in ranks:
            continue
        words = _words(frame.payload)
        if frame.receiver in ranks:
            number = 0
            while (key := (frame.kind, frame.op, frame.sender, frame.receiver, number)) in out:
                number += 1
            out[key] = words
        sums.setdefault((frame.kind, frame.op), {}).setdefault(frame.sender, words)
    for (kind, op), parts in sums.items():
        same = [w for w in parts.values() if len(w) == len(next(iter(parts.values())))]
        if len(same) > 1:
            join = np.bitwise_xor if kind == Kind.BITS else np.add
            out[(kind, op, SUM, SUM, 0)] = join.reduce(same)
    return out


def _words(payload: bytes) -> npt.NDArray[np.uint64]:
    return np.frombuffer(payload + bytes(-len(payload) % 8), np.uint64)
