"""Where the corpus began: what honest peers send, for each target. ``python -m tests.fuzz`` adds what fuzzing finds."""
from __future__ import annotations

import struct

import msgspec
import numpy as np

from mpc.config import VERSION, WIRE_VERSION, SessionConfig
from mpc.errors import CorruptFrame, DealerLost
from mpc.exchange import abort_frame
from mpc.greeting import Hello
from mpc.masks import Joined, Mask, Moved, Then, pack_index
from mpc.preprocessing import base, requests
from mpc.saving import files, tree
from mpc.transport import frames, sealed
from mpc.transport.frames import HEADER_BYTES, Kind


def packet(*messages: bytes) -> bytes:
    return b"".join(struct.pack("<H", len(m)) + m for m in messages)


def forged(magic: bytes, size: int, number: int, rest: int) -> bytes:
    return b"k" + sealed._PREFIX.pack(magic, size, number, rest) + bytes(size)


def hello(rank: int) -> bytes:
    config = SessionConfig(world_size=3)
    return msgspec.msgpack.encode(
        Hello(WIRE_VERSION, VERSION, rank, "run", config.digest(), msgspec.json.encode(config), bytes(32), bytes(32))
    )


def correlations() -> list[base.AnyCorrelation]:
    x, y = Mask(1, 0, (4, 6)), Mask(2, 0, (6, 3))
    image = Mask(3, 0, (2, 1, 6, 6), owner=0)
    rows = Moved(Mask(4, 0, (50, 6)), "index", pack_index(np.array([3, -1, 7, 7])))
    part = Moved(x, "index", pack_index((slice(0, 4, 2), None, Ellipsis, 3)))
    chosen = Moved(x, "index", pack_index(np.arange(24).reshape(4, 6) > 11))
    windows = Moved(Moved(image, "pad", [1, 1, 1, 1]), "unfold", [3, 3, 1, 1, 1, 1])
    return [
        base.Product(10, "matmul", x, y, 12),
        base.Product(11, "mul", x, Moved(Mask(5, 0, (6,)), "broadcast", (4, 6)), 24),
        base.Product(12, "square", Moved(x, "reshape", (24,)), Moved(x, "reshape", (24,)), 24),
        base.Product(13, "matmul", rows, y, 12, Then((("reshape", (12,)),), (12,))),
        base.Product(14, "matmul", Moved(windows, "reshape", (2, 36, 9)), Mask(6, 0, (9, 2)), 144),
        base.Product(15, "mul", Joined([x, Moved(x, "scale", -3 % 2**64)], 0), Mask(19, 0, (8, 1)), 48),
        base.Product(16, "mul", Moved(x, "pairs", None), Moved(Mask(7, 0, (6, 6)), "transpose", [1, 0]), 36),
        base.Product(17, "mul", part, Mask(8, 0, (2, 1)), 2),
        base.Product(18, "mul", chosen, chosen, 12),
        base.Truncation(20, x, 24, 16),
        base.TruncatedProduct(21, x, Mask(9, 0, (24,)), 24, 16),
        base.Tables(23, x, 24),
        base.Tables(24, x, 24, 20),
        base.Merges(25, 24, "tree"),
        base.Merges(26, 24, "equal"),
        base.BitValues(27, 24, ("r", "low", "top"), x, 16),
        base.BitProduct(28, 27, x, 24),
        base.Harmonics(29, x, 24, 21, 12, 30),
        base.Powers(30, x, 24, 20, 16, 20),
        base.Conjunctions(31, 3, 2, (0, 0, 1), (1, 2, 2)),
    ]


def findings() -> dict[str, list[bytes]]:
    """What fuzzing found, and is refused by name since."""
    x = Mask(3, 0, (2, 1, 6, 6))
    text = b"\xa4\xff\xfe\xfd\xfc"  # a MessagePack string that is no UTF-8
    return {
        "frame": [frames.pack(Kind.OPEN, 3, 23, bytes(16)) + bytes(23)],  # no whole words
        "greeting": [hello(1).replace(b"\xa3run", text)],
        "request": [
            requests.encode([base.Product(1, "square", Moved(x, "unfold", [3, 3, 0, 0, 1, 1]), x, 72)]),  # a division by 0
            requests.encode([base.Product(1, "square", Moved(x, "reshape", [1 << 32, "mask", 9]), x, 72)]),  # 16 GiB of text
            requests.encode([base.Product(1, "square", x, x, 72)]).replace(b"\xa6square", text),
        ],
        "abort": [abort_frame(CorruptFrame(), 1, 5)[HEADER_BYTES:].replace(b"\xacCorruptFrame", text)],
        "shares": [share_file()[:-32].replace(b"<f8", b"(1,"), share_file()[:-32].replace(b"\xa4Adam", text)],
    }


def share_file() -> bytes:
    node = tree.Mapping(
        [
            ("weight", tree.Secret((2, 3), 16)),
            (1, tree.Sequence([tree.Public(1.5), tree.Public("text"), tree.Raw(b"raw"), tree.Secret((4,), 0, True)], True)),
            ("adam", tree.State("Adam", tree.Array("<f8", (2,), bytes(16)))),
        ]
    )
    header = files.Header(VERSION, 3, 0, 16, "additive", bytes(16), 4, node)
    return files.encode(header, np.arange(10, dtype=np.uint64))


def seeds() -> dict[str, list[bytes]]:
    """Inputs by target."""
    all_of_them = correlations()
    whole = frames.pack(Kind.OPEN, 3, 24, bytes(range(16)), (3,)) + bytes(24)
    big, piece = HEADER_BYTES + 100, 256
    honest = {
        "frame": [whole, frames.pack(Kind.ABORT, 0, 0, bytes(16)), whole[:-1], whole[:50], b""],
        "link": [
            packet(b"s", b"s" + bytes(40), b"s" + bytes(600)),
            packet(b"s", b"x\x05\x00\x01", b"s"),
            packet(b"s", b"d", b"s", b"s"),
            packet(b"s", b"r" + bytes(64), b"s"),
            packet(forged(sealed.FIRST, big, 0, 0), forged(sealed.FIRST, big, 1, 0)),
            packet(forged(sealed.FIRST, piece, 0, 500), forged(sealed.MORE, piece, 1, 244), forged(sealed.MORE, 244, 2, 0)),
            packet(forged(sealed.MORE, big, 0, 0)),
            packet(forged(sealed.FIRST, piece, 0, 1 << 20)),
            packet(b"s" + bytes(600), b"d", b"d"),
        ],
        "greeting": [hello(1), hello(2), msgspec.msgpack.encode([99, "9.9.9", "anything"])],
        "meeting": [
            packet(*(bytes((rank - 1, Kind.HELLO)) + hello(rank) for rank in (1, 2, 3))),
            packet(bytes((0, Kind.HELLO)) + hello(1), bytes((0, Kind.READY)) + bytes(32)),
            packet(bytes((1, Kind.ABORT)) + abort_frame(CorruptFrame(), 2, 7)[HEADER_BYTES:]),
        ],
        "request": [requests.encode([c]) for c in all_of_them] + [requests.encode(all_of_them[:4])],
        "abort": [abort_frame(e, 1, 5)[HEADER_BYTES:] for e in (CorruptFrame("x"), KeyboardInterrupt(), DealerLost("gone"))],
        "shares": [share_file(), share_file()[:-32]],
    }
    return {name: [*inputs, *findings().get(name, ())] for name, inputs in honest.items()}
