"""The dealer: corrections complete the streams, each number is dealt once, bad requests end the session for everybody."""
from __future__ import annotations

import msgspec
import numpy as np
import pytest

import mpc
from mpc import masks, prg, ring
from mpc.masks import Mask, Moved
from mpc.preprocessing.base import (
    BIT,
    BitProduct,
    BitValues,
    ByteTables,
    Harmonics,
    Merges,
    Product,
    Tables,
    TruncatedProduct,
    Truncation,
    TwoPartyTruncation,
    share_words,
)
from mpc.transport import frames
from mpc.transport.frames import Kind

N = 70  # lanes: more than one word, not a multiple


def together(program, parties=3, **options):
    def main():
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, threads=True, deadline=10, **options)


def dealt(make, parties=3):
    """(each part reconstructed, the masks' totals) for one correlation made by make(op, mask names)."""

    def program(s):
        names = [Mask(s.next_op(), 0, (N,)) for _ in range(2)]
        item = make(s.next_op(), *names)
        (answer,) = s.preprocessing.ask([item])
        parts = [share_words(s, item, answer, k).astype(np.uint64) for k in range(len(item.parts()))]
        bits = prg.words(s.dealt, item.op, BIT, ring.planes_words(N))
        return parts, [s.expand(m) for m in names], bits

    got = together(program, parties)
    parts = [sum(p) for p in zip(*(g[0] for g in got), strict=True)]
    totals = [sum(m) for m in zip(*(g[1] for g in got), strict=True)]
    s = np.bitwise_xor.reduce([g[2] for g in got])
    lanes = np.empty(N, np.uint64)
    ring.unpack_bits(s, lanes)
    return parts, totals, lanes, [g[2] for g in got]


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_every_arithmetic_correlation_is_what_it_says(parties: int) -> None:
    one = np.uint64(1)
    (c,), (a, b), _, _ = dealt(lambda op, x, y: Product(op, "mul", x, y, N), parties)
    np.testing.assert_array_equal(c, a * b)

    def matrices(op, x, y):
        return Product(op, "matmul", Moved(x, "reshape", (7, 10)), Moved(y, "reshape", (10, 7)), 49)

    (c,), (a, b), _, _ = dealt(matrices, parties)
    np.testing.assert_array_equal(c, (a.reshape(7, 10) @ b.reshape(10, 7)).reshape(-1))
    (rc, rb), (a, _), _, _ = dealt(lambda op, x, y: Truncation(op, x, N, 16), parties)
    r = np.negative(a)
    np.testing.assert_array_equal(rc, (r << one) >> np.uint64(17))
    np.testing.assert_array_equal(rb & np.uint64((1 << 17) - 1), r >> np.uint64(63))
    (rcb, rbb), (a, b), _, _ = dealt(lambda op, x, y: TruncatedProduct(op, x, y, N, 16), parties)
    r = np.negative(a)
    np.testing.assert_array_equal(rcb, ((r << one) >> np.uint64(17)) * b)
    np.testing.assert_array_equal(rbb, (r >> np.uint64(63)) * b)
    (w, rs, low, top), (a, _), s, _ = dealt(lambda op, x, y: BitValues(op, N, ("r", "low", "top"), x, 16), parties)
    r = np.negative(a)
    np.testing.assert_array_equal(w, s)
    np.testing.assert_array_equal(rs, r * s)
    np.testing.assert_array_equal(low, ((r << one) >> np.uint64(17)) * s)
    np.testing.assert_array_equal(top, (r >> np.uint64(63)) * s)


def test_bit_products_and_two_party_bits() -> None:
    def make(op, x, y):
        return BitProduct(op, op, x, N)  # its own dealt bit

    (bs,), (b, _), s, _ = dealt(make)
    np.testing.assert_array_equal(bs, b * s)
    (pair,), _, _, planes = dealt(lambda op, x, y: TwoPartyTruncation(op, N, 16), parties=2)
    lanes = np.empty(N, np.uint64)
    ring.unpack_bits(planes[0] & planes[1], lanes)
    np.testing.assert_array_equal(pair & np.uint64(0xFFFF), lanes)


def test_harmonics_are_cosines_and_sines_of_r() -> None:
    (h,), (a, _), _, _ = dealt(lambda op, x, y: Harmonics(op, x, N, 21, 5, 15))
    angle = 2 * np.pi * (np.negative(a) & np.uint64((1 << 21) - 1)).astype(float) / (1 << 21)
    got = np.ldexp(h.view(np.int64).astype(float), -15).reshape(2, 5, N)
    for row, k in enumerate(range(1, 6)):
        assert np.abs(got[0, row] - np.cos(k * angle)).max() <= 2.0**-16 + 1e-9
        assert np.abs(got[1, row] - np.sin(k * angle)).max() <= 2.0**-16 + 1e-9


def test_parts_say_how_much_is_sent() -> None:
    mask = Mask(1, 0, (N,))
    w = ring.planes_words(N)
    assert [p.words for p in Tables(2, mask, N).parts()] == [233 * w]
    assert [p.words for p in Merges(2, N, "tree").parts()] == [81 * w, 15 * w]
    assert [p.words for p in Merges(2, N, "equal").parts()] == [44 * w, 11 * w]
    assert [p.words for p in ByteTables(2, mask, N).parts()] == [30 * N]
    assert [p.words for p in Merges(2, N, "tree8").parts()] == [367 * w, 0]
    assert [p.words for p in Merges(2, N, "equal8").parts()] == [247 * w, 0]
    assert [p.words for p in Truncation(2, mask, N, 16).parts()] == [N, N // 2]


@pytest.mark.parametrize("late", [False, True], ids=["same number", "older number"])
def test_a_number_is_dealt_once(late: bool) -> None:
    def program(s):
        x = Mask(s.next_op(), 0, (4,))
        first, second = s.next_op(), s.next_op()
        s.preprocessing.ask([Product(second, "mul", x, x, 4)])
        again = Product(first if late else second, "mul", x, x, 4)
        (answer,) = s.preprocessing.ask([again])
        share_words(s, again, answer)
        s.barrier()

    with pytest.raises(mpc.PreprocessingExhausted):
        together(program)


@pytest.mark.parametrize(
    "body",
    [b"garbage", msgspec.msgpack.encode([["Product", 9, "mul"]]), msgspec.msgpack.encode([])],
    ids=["garbage", "short struct", "empty"],
)
def test_an_unreadable_request_ends_the_session_at_every_party(body: bytes) -> None:
    def program(s):
        if s.rank == s.world_size - 1:
            s.transport.send(s.world_size, frames.pack(Kind.REQUEST, 1, len(body), bytes(16)) + body)
        x = s.share(np.ones(3) if s.rank == 0 else None, owner=0)
        s.reveal(s.protocol.mul(x, s.share(np.ones(3) if s.rank == 1 else None, owner=1)))

    with pytest.raises(mpc.MPCError):
        together(program)


def test_an_answer_that_was_used_is_gone() -> None:
    def program(s):
        x = Mask(s.next_op(), 0, (4,))
        item = Product(s.next_op(), "mul", x, x, 4)
        (answer,) = s.preprocessing.ask([item])
        share_words(s, item, answer)
        share_words(s, item, answer)
        return True

    with pytest.raises(mpc.PreprocessingExhausted):
        together(program)


@pytest.mark.parametrize("rows", [[0, 3, 3, -1], [6], list(range(7))])
def test_a_batch_of_a_large_mask_is_expanded_alone(rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpc.preprocessing.dealing.CACHE_BYTES", 64)

    def make(op, x, y):
        batch = Moved(Moved(x, "reshape", (7, 10)), "index", masks.pack_index(np.array(rows)))
        direct = Moved(Mask(y.op, y.tensor, (7, 10)), "index", masks.pack_index(np.array(rows)))
        return Product(op, "mul", batch, direct, 10 * len(rows))

    (c,), (a, b), _, _ = dealt(make)
    np.testing.assert_array_equal(c, (a.reshape(7, 10)[rows] * b.reshape(7, 10)[rows]).reshape(-1))


def test_rows_beyond_a_mask_are_refused() -> None:
    def program(s):
        x = Mask(s.next_op(), 0, (7, 10))
        far = Moved(x, "index", masks.pack_index(np.array([7])))
        item = Product(s.next_op(), "mul", far, far, 10)
        (answer,) = s.preprocessing.ask([item])
        share_words(s, item, answer)
        s.barrier()

    with pytest.raises(mpc.CorruptFrame):
        together(program)
