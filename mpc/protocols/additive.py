"""Additive shares modulo 2^64 for N = 2..8 semi-honest parties with a dealer (protocols.md, sections 3 to 6).

Every secret is opened once: under a mask A, named by the operation that opened it, E = x - A becomes public and stays on
the Share. Products, truncations and comparisons all start from that opened form (for the latter two with r = -A, so
that E = x + r), and ask the dealer only for what belongs to the names of the masks. Costs: `mpc.protocols.costs`.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from mpc import masks, prg, ring
from mpc.fixed_point import Words
from mpc.masks import Mask, Shape, Then, matmul_shape
from mpc.preprocessing.base import (
    BIT,
    MASK,
    BitProduct,
    Product,
    TruncatedProduct,
    Truncation,
    TwoPartyTruncation,
    share_words,
)
from mpc.protocols.alone import alone, owned
from mpc.protocols.base import Protocol, broadcast_shape
from mpc.protocols.comparison import HALF_RANGE, flat
from mpc.protocols.exponential import Exponential
from mpc.protocols.extremes import Extremes
from mpc.protocols.thresholds import Thresholds
from mpc.sharing import Opened, Share, common_owner
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

if TYPE_CHECKING:
    from mpc.party import Party

FUSE_BELOW = 1 << 15  # elements up to which a saved round is worth 24 more dealt bytes per element


def _unsent() -> Words:
    raise AssertionError("an opened form is used before it is sent")


def _part(arrived: Callable[[], Words], at: int, size: int, shape: Shape) -> Words:
    """One tensor of a flush."""
    return arrived()[at : at + size].reshape(shape)


class Additive(Exponential, Extremes, Thresholds, Protocol):
    """x = sum of x_i modulo 2^64. Uniform in the view of any N - 1 parties together; nothing about the dealer's view."""

    name = "additive"

    def __init__(self, party: Party) -> None:
        super().__init__(party)

    # --- in and out
    def input(self, words: Words | None, op: int, owner: int, scale: int) -> Share:
        """The owner keeps the value, the others hold zeros. Sends the shape only."""
        party = self.party
        shape = () if words is None else words.shape
        shape, _ = party.from_owner(owner, None if words is None else frames.new(0), shape, op, Kind.INPUT, lambda shape: 0)
        party.note("shape", shape)
        return owned(words, shape, scale, owner)

    def public(self, words: Words) -> Words:
        return words if self.party.first else np.zeros_like(words)

    def reveal(self, x: Share, op: int, receivers: Sequence[int]) -> Words | None:
        return self.party.send_shares(op, x.words, receivers)

    # --- opening
    def open(self, *xs: Share) -> None:
        self._exchange(self._masked(xs))

    def _masked(self, xs: Sequence[Share]) -> list[Share]:
        """Name a fresh mask for every share that is not open yet; `_exchange` is to send them.

        A reordered tensor is opened where it comes from, so that every view of it is open too.
        """
        fresh: list[Share] = []
        for x in xs:
            self._name(x, fresh)
        return fresh

    def _name(self, x: Share, fresh: list[Share]) -> None:
        if x.opened is not None:
            return
        if x.base is not None:
            origin, kind, arg = x.base
            self._name(origin, fresh)
            assert origin.opened is not None
            x.opened = origin.opened.moved(kind, arg)
            if x.opened is not None:
                return
        op = self.party.next_op()
        self.party.note("open", op, x.shape, x.owner)
        x.opened = Opened(_unsent, Mask(op, MASK, x.shape, -1 if x.owner is None else x.owner))
        fresh.append(x)

    def _exchange(self, fresh: Sequence[Share]) -> None:
        """Open E = x - A for all of them: one round, 64 bits per element. Regenerates nothing that is not sent, and waits
        for nothing: E is waited for where it is used.

        What one party holds alone is sent by that party alone: its mask is zero at the others, as the value is.
        """
        owners = sorted({-1 if x.owner is None else x.owner for x in fresh})
        for owner in owners:
            group = [x for x in fresh if (-1 if x.owner is None else x.owner) == owner]
            arrived = self._send(group, owner, owner != owners[-1])
            at = 0
            for x in group:
                assert x.opened is not None
                x.opened.arrives(partial(_part, arrived, at, x.size, x.shape))
                at += x.size

    def _send(self, group: Sequence[Share], owner: int, beside: bool) -> Callable[[], Words]:
        """Post this party's part of the openings of shares of one owner (-1: of all parties); how to wait for the sum."""
        party = self.party
        first, size = group[0].opened, sum(x.size for x in group)
        assert first is not None and isinstance(first.name, Mask)
        frame = None
        if owner in (-1, party.rank):
            frame = frames.new(size)
            at = HEADER_WORDS
            for x in group:
                assert x.opened is not None
                a = x.opened.mask_share(party.expand)
                np.subtract(x.words, a, out=frame[at : at + x.size].reshape(x.shape))
                at += x.size
        if owner >= 0:
            return party.post_owned(owner, Kind.OPEN, first.name.op, frame, size, group[0].shape, beside).words
        assert frame is not None
        return cache(party.post(Kind.OPEN, first.name.op, frame, group[0].shape, beside).add)

    # --- products
    def mul(self, x: Share, y: Share) -> Share:
        """Beaver: Z = E (B + F) + A F + C. One round for what is not open yet; a bit with opened form needs only y's."""
        with self.party.scope("mul"):
            if y.bit is not None and x.bit is None:
                x, y = y, x
            shape = broadcast_shape(x.shape, y.shape, "product")
            owner = common_owner(x, y)
            if owner is not None:
                self.party.note("mul", "alone", owner, shape)
                product = np.multiply(x.words, y.words) if owner == self.party.rank else None
                return owned(product, shape, x.scale + y.scale, owner)
            if x.bit is not None and x.shape == shape == y.shape:
                return self._mul_bit(x, y)
            fresh = self._masked((x, y))
            assert x.opened is not None and y.opened is not None
            op = self.party.next_op()
            self.party.note("mul", op, shape)
            names = [masks.broadcast(s.opened.name, shape, s.shape) for s in (x, y) if s.opened]
            item = Product(op, "mul", names[0], names[1], math.prod(shape))
            (dealt,) = self.party.preprocessing.ask([item])
            self._exchange(fresh)
            xo, yo = x.opened, y.opened

            def words() -> Words:
                e, f = (flat(np.broadcast_to(form.public, shape)) for form in (xo, yo))
                a, b = (flat(np.broadcast_to(form.mask_share(self.party.expand), shape)) for form in (xo, yo))
                out = share_words(self.party, item, dealt)
                ring.beaver_mul(e, f, a, b, out, self.party.first)
                return out.reshape(shape)

            return self.party.later(words, shape, x.scale + y.scale)

    def _mul_bit(self, x: Share, y: Share) -> Share:
        """b Y = e Y + (1 - 2e)([s](Y - B) + [B s]): only Y is opened (section 6, ReLU's gradient)."""
        bit = x.bit
        assert bit is not None
        fresh = self._masked((y,))
        assert y.opened is not None
        op = self.party.next_op()
        self.party.note("bit product", op, y.shape)
        item = BitProduct(op, bit.op, y.opened.name, y.size)
        (dealt,) = self.party.preprocessing.ask([item])
        self._exchange(fresh)
        form = y.opened

        def words() -> Words:
            ys = share_words(self.party, item, dealt)
            ring.mul_add(bit.share, flat(form.public), ys)
            out = np.empty(y.size, np.uint64)
            ring.select_finish(bit.public, flat(y.words), ys, out)
            return out.reshape(y.shape)

        return self.party.later(words, y.shape, x.scale + y.scale)

    @alone
    def square(self, x: Share) -> Share:
        """X^2 = E^2 + 2 E A + C with C = A^2: one mask, one round."""
        with self.party.scope("square"):
            fresh = self._masked((x,))
            assert x.opened is not None
            op = self.party.next_op()
            self.party.note("square", op, x.shape)
            item = Product(op, "square", x.opened.name, x.opened.name, x.size)
            (dealt,) = self.party.preprocessing.ask([item])
            self._exchange(fresh)
            form = x.opened

            def words() -> Words:
                e, a = flat(form.public), flat(form.mask_share(self.party.expand))
                out = share_words(self.party, item, dealt)
                ring.beaver_square(e, a, out, self.party.first)
                return out.reshape(x.shape)

            return self.party.later(words, x.shape, 2 * x.scale)

    def matmul(self, x: Share, y: Share, then: Then | None = None) -> Share:
        """Beaver with two local products: E (B + F) + A F + C, and ``then`` a linear map of it, which C is dealt behind."""
        with self.party.scope("matmul"):
            shape, rank = matmul_shape(x.shape, y.shape), self.party.rank
            owner = common_owner(x, y)
            if owner is not None:
                end = shape if then is None else tuple(then.shape)
                self.party.note("matmul", "alone", owner, shape, None if then is None else (then.moves, end))
                product = ring.matmul(x.words, y.words) if owner == rank else None
                if product is not None and then is not None:
                    product = then.of(product)
                return owned(product, end, x.scale + y.scale, owner)
            fresh = self._masked((x, y))
            assert x.opened is not None and y.opened is not None
            op = self.party.next_op()
            self.party.note("matmul", op, x.shape, y.shape, None if then is None else (then.moves, then.shape))
            end = shape if then is None else then.shape
            item = Product(op, "matmul", x.opened.name, y.opened.name, math.prod(end), then)
            (dealt,) = self.party.preprocessing.ask([item])
            self._exchange(fresh)
            xo, yo = x.opened, y.opened
            has_a, has_b = (z.owner in (None, rank) for z in (x, y))  # where not, A or B is zero here

            def words() -> Words:
                e, f = xo.public, yo.public
                if has_b:
                    b = yo.mask_share(self.party.expand)
                    out = np.asarray(ring.matmul(e, b + f if self.party.first else b))
                else:
                    out = np.asarray(ring.matmul(e, f)) if self.party.first else np.zeros(shape, np.uint64)
                if has_a:
                    ring.matmul(xo.mask_share(self.party.expand), f, out=out, accumulate=True)
                if then is not None:
                    out = np.ascontiguousarray(then.of(out))
                out += share_words(self.party, item, dealt).reshape(end)
                return out

            return self.party.later(words, tuple(end), x.scale + y.scale)

    # --- truncation
    @alone
    def truncate(self, x: Share, bits: int, exact: bool = False) -> Share:
        """Two parties and x not open: one opened bit each. Otherwise from the opened form with the dealt parts of r."""
        if not 1 <= bits <= 62:
            raise ValueError(f"truncate by {bits} bits; want 1 to 62")
        with self.party.scope("truncate"):
            if self.party.world_size == 2 and x.opened is None and not exact:
                return self._truncate_two(x, bits)
            fresh = self._masked((x,))
            assert x.opened is not None
            op = self.party.next_op()
            self.party.note("truncate", op, x.shape, bits, exact)
            item = Truncation(op, x.opened.name, x.size, bits)
            (dealt,) = self.party.preprocessing.ask([item])
            below = self.ask_below(x, bits) if exact else None
            self._exchange(fresh)
            form = x.opened
            borrow = None if below is None else self.below(flat(form.public), below)

            def words() -> Words:
                out = np.empty(x.size, np.uint64)
                c = flat(form.public) + HALF_RANGE
                low, top = (share_words(self.party, item, dealt, k) for k in (0, 1))
                ring.truncate_finish(c, low, top, None, self.party.first, bits, out)
                if borrow is not None:
                    out -= borrow.words
                return out.reshape(x.shape)

            return self.party.later(words, x.shape, x.scale - bits)

    def mul_truncated(self, x: Share, bits: int, y: Share) -> tuple[Share, Share]:
        """Behind one opening of x: with c public, trunc(x) = P - M for a public P and M = rc - (1 - 2 c63) 2^(63-f) rb,
        so trunc(x) y = P y - M F - [M B], and [M B] follows from dealt [rc B], [rb B]. One round instead of two.

        Large tensors truncate and multiply in two rounds: they wait for bytes, and this asks the dealer for more.
        """
        if x.size > FUSE_BELOW or y.bit is not None or broadcast_shape(x.shape, y.shape, "product") != x.shape:
            return super().mul_truncated(x, bits, y)
        party = self.party
        with party.scope("mul"):
            fresh = self._masked((x, y))
            assert x.opened is not None and y.opened is not None
            ops = (party.next_op(), party.next_op())
            party.note("truncated product", ops[0], x.shape, bits)
            r, n = x.opened.name, x.size
            b = masks.broadcast(y.opened.name, x.shape, y.shape)
            cut, times = self.ask([Truncation(ops[0], r, n, bits), TruncatedProduct(ops[1], r, b, n, bits)])
            self._exchange(fresh)
            xo, yo = x.opened, y.opened

            @cache
            def words() -> tuple[Words, Words]:
                f, y_words = (flat(np.broadcast_to(part, x.shape)) for part in (yo.public, y.words))
                low, top = (share_words(party, cut.item, cut.dealt, k) for k in (0, 1))
                low_b, top_b = (share_words(party, times.item, times.dealt, k) for k in (0, 1))
                truncated, out = np.empty(n, np.uint64), np.empty(n, np.uint64)
                c = flat(xo.public) + HALF_RANGE
                ring.truncated_product(c, low, top, low_b, top_b, y_words, f, party.first, bits, truncated, out)
                return truncated.reshape(x.shape), out.reshape(x.shape)

            scale = x.scale - bits
            first = party.later(lambda: words()[0], x.shape, scale)
            return first, party.later(lambda: words()[1], x.shape, scale + y.scale)

    def _truncate_two(self, x: Share, bits: int) -> Share:
        party = self.party
        op = party.next_op()
        party.note("truncate2", op, x.shape, bits)
        item = TwoPartyTruncation(op, x.size, bits)
        (dealt,) = party.preprocessing.ask([item])
        planes = ring.planes_words(x.size)
        s = prg.words(party.dealt, op, BIT, planes)
        words = flat(x.words) + party.zero_share(op, x.size)  # unbiased only for shares that are random
        frame = frames.new(planes)
        ring.truncate2_bits(words, party.rank, s, frame[HEADER_WORDS:])
        pending = party.post(Kind.BITS, op, frame, x.shape)

        def truncated() -> Words:
            got = pending.wait()
            pair = share_words(party, item, dealt)
            out = np.empty(x.size, np.uint64)
            ring.truncate2_finish(words, got[0], got[1], s, pair.astype(np.uint64, copy=False), party.rank, bits, out)
            return out.reshape(x.shape)

        return party.later(truncated, x.shape, x.scale - bits)
