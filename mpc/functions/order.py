"""Maxima and sorting on shares: exact, no value and no order is revealed (protocols.md, section 7)."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mpc.protocols.base import Protocol
from mpc.protocols.extremes import MOST_COLUMNS
from mpc.sharing import Share, concatenate

SMALL = 1 << 14  # elements up to which rounds cost more than comparisons: groups of 16 instead of 4
FEW_COLUMNS = 4


def maximum(protocol: Protocol, x: Share, one_hot: bool = True) -> tuple[Share, Share | None]:
    """x (columns, rows): (maximum (rows,) at x's scale, one-hot bits (columns, rows) of scale 0 or None).

    A tournament of groups of 16 columns (4 for large tensors): opening and 5 rounds per level (4 for groups of 4), and one
    more per level for the one-hot bits. Exact; of equal columns the first one counts.
    """
    columns, rows = x.shape
    if columns == 1:
        ones = protocol.add_public(Share(np.zeros(x.shape, np.uint64), 0), np.ones((), np.uint64))
        return x.reshape((rows,)), ones
    if columns <= (MOST_COLUMNS if x.size <= SMALL else FEW_COLUMNS) or columns <= FEW_COLUMNS + 1:
        return protocol.largest(x)
    width = MOST_COLUMNS if x.size <= SMALL else FEW_COLUMNS
    groups = -(-columns // width)
    padding = groups * width - columns
    if padding:  # the last column again: of equal ones the first counts
        x = concatenate([x, *[x[columns - 1 :]] * padding], 0)
    by_group = x.reshape((groups, width, rows)).transpose((1, 0, 2)).reshape((width, groups * rows))
    best, inside = protocol.largest(by_group)
    top, outside = maximum(protocol, best.reshape((groups, rows)), one_hot)
    if not one_hot:
        return top, None
    assert outside is not None
    chosen = protocol.mul(inside.reshape((width, groups, rows)), outside.reshape((1, groups, rows)))
    flat = chosen.transpose((1, 0, 2)).reshape((groups * width, rows))
    return top, flat[:columns] if padding else flat


def layers(wires: int, wanted: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Batcher's odd-even merge sort of ``wires`` wires: (lower, upper) wires per layer of disjoint comparators, without
    those that no wire of ``wanted`` depends on."""
    found: list[tuple[list[int], list[int]]] = []
    needed = set(wanted)
    for pairs in reversed(list(_network(wires))):
        kept = [(i, j) for i, j in pairs if i in needed or j in needed]
        for pair in kept:
            needed.update(pair)
        if kept:
            found.append(([i for i, _ in kept], [j for _, j in kept]))
    return found[::-1]


def _network(wires: int) -> Iterator[list[tuple[int, int]]]:
    size = 1
    while size < wires:
        step = size
        while step:
            pairs = []
            for start in range(step % size, wires - step, 2 * step):
                for i in range(start, min(start + step, wires - step)):
                    if i // (2 * size) == (i + step) // (2 * size):
                        pairs.append((i, i + step))
            yield pairs
            step //= 2
        size *= 2


def sort(protocol: Protocol, x: Share, wanted: Sequence[int], descending: bool = False) -> tuple[Share, Share]:
    """x (columns, rows): (columns ``wanted`` of the sorted x, at x's scale; their former places, scale 0). Stable.

    The place is packed below each value, so one word carries both and no two are equal (a pending product that leaves no
    room for it is truncated first). A sorting network: about log2(columns)^2 / 2 layers of one ReLU each (opening and 3 rounds,
    98 bits per comparator); layers that no wanted column depends on are left out. Then one exact truncation.
    """
    columns, frac_bits = x.shape[0], protocol.party.frac_bits
    bits = max(1, (columns - 1).bit_length())
    if x.scale > frac_bits and x.scale - frac_bits + bits > 30:  # the packed word would not hold every encodable value
        x = protocol.truncate(x, x.scale - frac_bits)
    place = np.arange(columns, dtype=np.uint64)[:, None]
    words = protocol.add_public((-x if descending else x).times(1 << bits), np.broadcast_to(place, x.shape)).words.copy()
    for low, high in layers(columns, wanted):
        above, _ = protocol.relu(Share(words[low] - words[high], x.scale))  # what the lower wire has too much
        words[low] -= above.words
        words[high] += above.words
    keys = Share(words[list(wanted)], x.scale + bits)
    values = protocol.truncate(keys, bits, exact=True)
    places = Share(np.asarray(keys.words - (values.words << np.uint64(bits))), 0)
    return (-values if descending else values), places
