"""Comparison, equality and selection on additive shares (protocols.md, section 6).

d = x + r is the tensor's opened form with r = -A. The dealer XOR-shares thermometers of the chunks of r; looking them
up at the public d gives shares of lt and eq per chunk without communication, and two rounds of a radix-4 tree merge
them. A word holds 64 comparisons throughout.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpc import prg, ring
from mpc.fixed_point import Words
from mpc.preprocessing.base import (
    BIT,
    MASKS_1,
    MASKS_2,
    MONOMIALS_1,
    MONOMIALS_2,
    TABLES,
    AnyCorrelation,
    BitValues,
    Dealt,
    Merges,
    Tables,
    Truncation,
    share_words,
)
from mpc.protocols.alone import alone
from mpc.sharing import OpenedBit, Share
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

if TYPE_CHECKING:
    from mpc.party import Party

HALF_RANGE = np.uint64(1 << 62)  # c = x + 2^62 + r
ALL_ONES = np.uint64((1 << 64) - 1)


class Asked(NamedTuple):
    """A correlation and this party's hold on it."""

    item: AnyCorrelation
    dealt: Dealt


class Comparison:
    """The comparison kernels of `Additive`."""

    party: Party

    @abstractmethod
    def _masked(self, xs: Sequence[Share]) -> list[Share]:
        """Name masks for what is not open."""

    @abstractmethod
    def _exchange(self, fresh: Sequence[Share]) -> None:
        """Open them."""

    def ask(self, items: Sequence[AnyCorrelation]) -> list[Asked]:
        """One request for correlations that belong together."""
        return [Asked(i, d) for i, d in zip(items, self.party.preprocessing.ask(items), strict=True)]

    # --- bits as XOR-shared planes
    def less(self, ds: Sequence[Words], tables: Sequence[Asked], merges: Sequence[Asked]) -> list[Words]:
        """Planes of shares of msb(d - r) for several public d, each against the r of its tables (which may be the same),
        in two rounds: 33 bits per comparison."""
        party, first, key = self.party, self.party.first, self.party.dealt
        width = ring.planes_words(ds[0].size)
        corrections: dict[int, Words | None] = {}
        leaves, tops = [], []
        for d, t in zip(ds, tables, strict=True):
            if t.item.op not in corrections:
                corrections[t.item.op] = t.dealt.corrected(0)
            lteq, top = np.empty(32 * width, np.uint64), np.empty(width, np.uint64)
            ring.compare_lookup(d, key, t.item.op, TABLES, corrections[t.item.op], first, lteq, top)
            leaves.append(lteq)
            tops.append(top)
        frame = frames.new(27 * width * len(ds))
        for lteq, m, part in zip(leaves, merges, _segments(frame, len(ds)), strict=True):
            ring.tree1_mask(lteq, key, m.item.op, MASKS_1, part)
        opened = party.post(Kind.BITS, merges[0].item.op, frame, (len(ds), ds[0].size)).xor()
        nodes = []
        for lteq, m, e in zip(leaves, merges, opened.reshape(len(ds), -1), strict=True):
            level = np.empty(7 * width, np.uint64)
            op = m.item.op
            ring.tree1_merge(
                lteq, e, key, op, MASKS_1, key, op, MONOMIALS_1, m.dealt.corrected(0), first, level
            )
            nodes.append(level)
        frame = frames.new(6 * width * len(ds))
        for level, m, part in zip(nodes, merges, _segments(frame, len(ds)), strict=True):
            ring.tree2_mask(level, key, m.item.op, MASKS_2, part)
        opened = party.post(Kind.BITS, merges[0].item.op, frame, (len(ds), ds[0].size)).xor()
        results = []
        for level, top, m, e in zip(nodes, tops, merges, opened.reshape(len(ds), -1), strict=True):
            msb = np.empty(width, np.uint64)
            op = m.item.op
            ring.tree2_merge(
                level, e, key, op, MASKS_2, key, op, MONOMIALS_2, m.dealt.corrected(1), first, top, msb
            )
            results.append(msb)
        return results

    def equal(self, d: Words, tables: Asked, merge: Asked) -> Words:
        """Planes of shares of 1{d == r mod 2^63}: two rounds, 20 bits per comparison."""
        party, width = self.party, ring.planes_words(d.size)
        lteq, top = np.empty(32 * width, np.uint64), np.empty(width, np.uint64)
        ring.compare_lookup(
            d, party.dealt, tables.item.op, TABLES, tables.dealt.corrected(0), party.first, lteq, top
        )
        return self.all_of_four(self.all_of_sixteen(lteq, d.size, merge), d.size, merge, 1)

    def all_of_sixteen(self, lteq: Words, n: int, merge: Asked) -> Words:
        """Four planes, each the AND of four of the eq planes (16 to 31) of ``lteq``: one round, 16 bits."""
        party, first, key, op = self.party, self.party.first, self.party.dealt, merge.item.op
        width = ring.planes_words(n)
        frame = frames.new(16 * width)
        ring.equal1_mask(lteq, key, op, MASKS_1, frame[HEADER_WORDS:])
        e = party.post(Kind.BITS, op, frame, (n,)).xor()
        nodes = np.empty(4 * width, np.uint64)
        ring.equal1_merge(e, key, op, MASKS_1, key, op, MONOMIALS_1, merge.dealt.corrected(0), first, nodes)
        return nodes

    def all_of_four(self, nodes: Words, n: int, merge: Asked, part: int) -> Words:
        """The AND of four planes: one round, 4 bits. ``part``: of the correction, where its monomials are."""
        party, first, key, op = self.party, self.party.first, self.party.dealt, merge.item.op
        width = ring.planes_words(n)
        frame = frames.new(4 * width)
        ring.equal2_mask(nodes, key, op, MASKS_2, frame[HEADER_WORDS:])
        e = party.post(Kind.BITS, op, frame, (n,)).xor()
        bit = np.empty(width, np.uint64)
        ring.equal2_merge(e, key, op, MASKS_2, key, op, MONOMIALS_2, merge.dealt.corrected(part), first, bit)
        return bit

    def open_bits(self, planes: Sequence[Words], bits: Sequence[Asked]) -> list[OpenedBit]:
        """e = b XOR s for several planes of shared bits: one round, one bit each. s is the dealt bit of each item."""
        opened = self.masked_bits(planes, [b.item.op for b in bits])
        return [self.opened_bit(e, b) for e, b in zip(opened, bits, strict=True)]

    def opened_bit(self, public: Words, bit: Asked) -> OpenedBit:
        """The opened form of a bit whose s is dealt in both forms (part 0 is [s])."""
        return OpenedBit(public, bit.item.op, BIT, share_words(self.party, bit.item, bit.dealt))

    def masked_bits(self, planes: Sequence[Words], ops: Sequence[int]) -> list[Words]:
        """Open b XOR s for several planes of one width, s the planes BIT of the operations: one round, one bit each."""
        party = self.party
        width = planes[0].size
        frame = frames.new(width * len(planes))
        for plane, op, part in zip(planes, ops, _segments(frame, len(planes)), strict=True):
            part[:] = plane
            ring.streams(party.dealt, op, BIT, 0, part, prg.XOR)
        opened = party.post(Kind.BITS, ops[0], frame, (len(planes), width)).xor()
        return list(opened.reshape(len(planes), -1))

    def bit_share(self, bit: OpenedBit, shape: tuple[int, ...]) -> Share:
        """[b] = e + (1 - 2e)[s]: local."""
        out = np.empty(bit.share.size, np.uint64)
        ring.bit_finish(bit.public, bit.share, self.party.first, out)
        return Share(out.reshape(shape), 0, None, bit)

    # --- kernels
    @alone
    def negative(self, x: Share) -> Share:
        """Rounds: opening (if not open), 2 for the tree, 1 to arithmetic; 64 + 34 bits."""
        with self.party.scope("compare"):
            fresh, tables, merge, bit = self._prepare(x, "tree")
            self._exchange(fresh)
            assert x.opened is not None
            (msb,) = self.less([flat(x.opened.public)], [tables], [merge])
            (opened,) = self.open_bits([msb], [bit])
            return self.bit_share(opened, x.shape)

    @alone
    def is_zero(self, x: Share) -> Share:
        """Rounds: opening (if not open), 2 for the tree, 1 to arithmetic; 64 + 21 bits."""
        with self.party.scope("equal"):
            fresh, tables, merge, bit = self._prepare(x, "equal")
            self._exchange(fresh)
            assert x.opened is not None
            plane = self.equal(flat(x.opened.public), tables, merge)
            (opened,) = self.open_bits([plane], [bit])
            return self.bit_share(opened, x.shape)

    def _prepare(self, x: Share, kind: str) -> tuple[list[Share], Asked, Asked, Asked]:
        party = self.party
        fresh = self._masked((x,))
        assert x.opened is not None
        ops = [party.next_op() for _ in range(3)]
        party.note(kind, ops[0], x.shape)
        tables, merge, bit = self.ask(
            [Tables(ops[0], x.opened.name, x.size), Merges(ops[1], x.size, kind), BitValues(ops[2], x.size)]
        )
        return fresh, tables, merge, bit

    def complement(self, bit: Share) -> Share:
        """1 - b; the opened form goes along (e becomes its complement)."""
        words = np.negative(bit.words)
        if self.party.first:
            words = words + np.uint64(1)
        form = bit.bit
        flipped = None if form is None else OpenedBit(form.public ^ ALL_ONES, form.op, form.tensor, form.share)
        return Share(np.asarray(words), bit.scale, None, flipped)

    @alone
    def relu(self, x: Share, bits: int = 0) -> tuple[Share, Share]:
        """Product-truncation-ReLU behind one opening: opening (if not open) + 3 rounds, 64 + 34 bits.

        y s = ch [s] - [rc s] + 2^(63-f)(c63 [s] + (1 - 2 c63)[rb s]) - 2^(62-f)[s], then ReLU = e y + (1 - 2e) y s.
        """
        with self.party.scope("relu"):
            party = self.party
            fresh = self._masked((x,))
            assert x.opened is not None
            name = x.opened.name
            ops = [party.next_op() for _ in range(4 if bits else 3)]
            party.note("relu", ops[0], x.shape, bits)
            values = ("low", "top") if bits else ("r",)
            items: list[AnyCorrelation] = [
                Tables(ops[0], name, x.size),
                Merges(ops[1], x.size, "tree"),
                BitValues(ops[2], x.size, values, name, bits),
            ]
            if bits:
                items.append(Truncation(ops[3], name, x.size, bits))
            tables, merge, bit, *rest = self.ask(items)
            self._exchange(fresh)
            d = flat(x.opened.public)
            (msb,) = self.less([d], [tables], [merge])
            if party.first:
                msb ^= ALL_ONES
            (opened,) = self.open_bits([msb], [bit])
            if bits:
                out = self.truncated_if(opened, bit, d, rest[0], bits)
            else:
                out, ys = np.empty(x.size, np.uint64), np.empty(x.size, np.uint64)
                ring.mul(d, opened.share, ys)
                ys -= share_words(party, bit.item, bit.dealt, 1)
                ring.select_finish(opened.public, flat(x.words), ys, out)
            return Share(out.reshape(x.shape), x.scale - bits), self.bit_share(opened, x.shape)

    def truncated_if(self, bit: OpenedBit, values: Asked, d: Words, cut: Asked, bits: int) -> Words:
        """Shares of b * (x / 2^bits) for an opened d = x + r: e y + (1 - 2e) y s, all local.

        ``values`` deals [rc s], [rb s] as its parts 1 and 2 (`BitValues` with low and top), ``cut`` [rc], [rb].
        """
        party = self.party
        c = d + HALF_RANGE
        low, top = (share_words(party, cut.item, cut.dealt, k) for k in (0, 1))
        y, ys, out = (np.empty(d.size, np.uint64) for _ in range(3))
        ring.truncate_finish(c, low, top, None, party.first, bits, y)
        low, top = (share_words(party, values.item, values.dealt, k) for k in (1, 2))
        ring.truncate_finish(c, low, top, bit.share, party.first, bits, ys)
        ring.select_finish(bit.public, y, ys, out)
        return out

    # --- exact truncation
    def ask_below(self, x: Share, bits: int) -> tuple[Asked, Asked, Asked]:
        """Correlations for u = 1{c mod 2^bits < r mod 2^bits} of an opened x."""
        assert x.opened is not None
        ops = [self.party.next_op() for _ in range(3)]
        self.party.note("below", ops[0], x.shape, bits)
        tables, merge, bit = self.ask(
            [Tables(ops[0], x.opened.name, x.size, bits), Merges(ops[1], x.size, "tree"), BitValues(ops[2], x.size)]
        )
        return tables, merge, bit

    def below(self, d: Words, asked: tuple[Asked, Asked, Asked]) -> Share:
        """Shares of u; three rounds, 34 bits."""
        tables, merge, bit = asked
        assert isinstance(tables.item, Tables)
        low_bits = tables.item.low_bits
        (borrow,) = self.less([d & np.uint64((1 << low_bits) - 1)], [tables], [merge])
        (opened,) = self.open_bits([borrow], [bit])
        return self.bit_share(opened, (d.size,))


def _segments(frame: Words, count: int) -> Words:
    return frame[HEADER_WORDS:].reshape(count, -1)


def flat(words: Words) -> Words:
    """A contiguous one-dimensional array of the same words."""
    return np.ascontiguousarray(words).reshape(-1)
