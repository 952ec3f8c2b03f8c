"""Recorded frames as columns of numbers, for attackers that know nothing of the protocol but how shares are added."""
from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.privacy.audit.intervals import Floats, Labels
from mpc.privacy.audit.recording import Recording, Seen
from mpc.transport.frames import Kind

Coalition = tuple[int, ...]

MOST_COLUMNS: Final = 32
SUM: Final = -1  # in place of a sender: of several


def features(seen: Recording, ranks: Coalition, labels: Labels, owned: npt.NDArray[np.bool_]) -> tuple[Floats, int]:
    """Samples x columns of what ``ranks`` see, and how many words of it a sample has at most.

    Of many columns the `MOST_COLUMNS` that tell the ``owned`` samples' labels apart best, each alone, the best first: so few
    samples drown in more. What only several words together tell, and their sum and XOR do not, may be missed.
    """
    tables = [_columns(sample, frozenset(ranks)) for sample in seen.samples]
    keys = sorted({key for table in tables for key in table})
    x, words = np.ones((len(tables), 1)), 0  # a column where nothing is seen
    for key in keys:
        parts = [table.get(key) for table in tables]
        sizes = np.array([-1 if part is None else len(part) for part in parts])
        block = np.zeros((len(parts), max(int(sizes.max()), 0)), np.uint64)
        for row, part in zip(block, parts, strict=True):
            if part is not None:
                row[: len(part)] = part
        words += block.shape[1]
        low = (block & np.uint64(0xFFFF)).astype(np.float64)
        x = np.concatenate([x, sizes[:, None], block.view(np.int64).astype(np.float64), low], axis=1)  # lengths tell as well
        x = x[:, np.argsort(-_apart(x[owned], labels[owned]), kind="stable")[:MOST_COLUMNS]]
    return x, words


def _apart(x: Floats, labels: Labels) -> Floats:
    """Spread of the classes' means over the spread within classes, for each column."""
    scale = np.abs(x).max(0)
    x = x / np.where(scale > 0, scale, 1)
    between, within = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for value in np.unique(labels):
        of = x[labels == value]
        between += len(of) * (of.mean(0) - x.mean(0)) ** 2
        within += ((of - of.mean(0)) ** 2).sum(0)
    return np.asarray(between / (within + 1e-9))


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
