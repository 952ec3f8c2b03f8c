"""A mutator that keeps MessagePack well-formed: other values, types, sizes and nestings at a random place."""
from __future__ import annotations

import random
from typing import Any

import msgspec

NUMBERS = (
    *(0, 1, -1, 2, 15, 16, 17, 31, 33, 62, 63, 64, 255),
    *(1 << 16, (1 << 20) + 1, 1 << 32, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1),
)
WORDS = (
    *("mask", "moved", "joined", "Product", "Truncation", "TruncatedProduct", "TwoPartyTruncation", "Tables", "Merges"),
    *("BitValues", "BitProduct", "Harmonics", "Powers", "mul", "square", "matmul", "tree", "equal", "four", "r", "low", "top"),
    *("reshape", "transpose", "index", "broadcast", "scale", "pad", "unfold", "fold", "pairs"),
    *("none", "ellipsis", "slice", "int", "bool", "int64", "CorruptFrame", "KeyboardInterrupt", "DealerLost", "__class__", ""),
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every node."""
    found = [path]
    if isinstance(tree, list):
        for k, item in enumerate(tree):
            found += places(item, (*path, k))
    elif isinstance(tree, dict):
        for key, item in tree.items():
            found += places(item, (*path, key))
    return found


def other(value: Any, rng: random.Random) -> Any:
    """A value in another's place."""
    choice = rng.randrange(8)
    if choice == 0:
        return rng.choice(NUMBERS)
    if choice == 1:
        return rng.choice(WORDS)
    if choice == 2:
        return [value] * rng.choice((0, 1, 2, 9, 40))
    if choice == 3:
        return rng.choice((None, True, False, float("nan"), 1e300, {}, b"", rng.randbytes(rng.choice((1, 8, 32)))))
    if isinstance(value, bool) or not isinstance(value, (int, list, bytes, str)):
        return rng.choice(NUMBERS)
    if isinstance(value, int):
        return min(max(value + rng.choice((-1, 1, -value, value, -2 * value)), -(1 << 63)), (1 << 64) - 1)
    if isinstance(value, list) and value:
        at = rng.randrange(len(value))
        return rng.choice((value[:at] + value[at + 1 :], value[:at] + [value[at]] + value[at:], value[::-1], value[:at]))
    return value * 2 if len(value) < 1000 else value[: len(value) // 2]


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    at = tree
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return tree


def packed(data: bytes, max_size: int, seed: int) -> bytes:
    """``data`` with up to three places changed; bytes that are no MessagePack come back as they are."""
    rng = random.Random(seed)
    try:
        tree = msgspec.msgpack.decode(data)
        for _ in range(rng.randint(1, 3)):
            path = rng.choice(places(tree))
            node = tree
            for step in path:
                node = node[step]
            if rng.random() < 0.3:  # something from elsewhere in the same message
                node = tree
                for step in rng.choice(places(tree)):
                    node = node[step]
                value = msgspec.msgpack.decode(msgspec.msgpack.encode(node))
            else:
                value = other(node, rng)
            tree = put(tree, path, value)
        made = msgspec.msgpack.encode(tree)
    except (msgspec.MsgspecError, RecursionError, OverflowError, ValueError, TypeError):
        return data
    return made if len(made) <= max_size else data
