"""Bits as XOR-shared planes: public d against dealt tables of r, merged and opened (protocols.md, section 6).

The dealer XOR-shares thermometers of the chunks of r; looking them up at the public d gives shares of lt and eq per chunk
without communication. Two rounds of a radix-4 tree merge chunks of 4 bits, one round those of 8 bits, whose tables are
larger (`choice`). A word holds 64 comparisons throughout.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
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
    ByteTables,
    Dealt,
    share_words,
)
from mpc.protocols.choice import BYTES, Variant, variant
from mpc.sharing import OpenedBit
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

if TYPE_CHECKING:
    from mpc.party import Party


class Asked(NamedTuple):
    """A correlation and this party's hold on it."""

    item: AnyCorrelation
    dealt: Dealt


class Trees:
    """Comparison, equality and opening of bit planes."""

    party: Party

    def ask(self, items: Sequence[AnyCorrelation]) -> list[Asked]:
        """One request for correlations that belong together."""
        return [Asked(i, d) for i, d in zip(items, self.party.preprocessing.ask(items), strict=True)]

    def variant(self, values: int, comparisons: int) -> Variant:
        """The form of comparisons of so many values; in the transcript, because all parties must choose alike."""
        chosen = variant(self.party.network, values, comparisons)
        if chosen is BYTES:
            self.party.note("two rounds", values, comparisons)
        return chosen

    def less(self, ds: Sequence[Words], tables: Sequence[Asked], merges: Sequence[Asked]) -> list[Words]:
        """Planes of shares of msb(d - r) for several public d, each against the r of its tables (which may be the same):
        33 bits per comparison in two rounds, or 14 bits in one where the tables are `ByteTables`."""
        corrections: dict[int, Words | None] = {}
        for t in tables:
            if t.item.op not in corrections:
                corrections[t.item.op] = t.dealt.corrected(0)
        looked = [self._look_up(d, t, corrections[t.item.op]) for d, t in zip(ds, tables, strict=True)]
        leaves, tops = [lteq for lteq, _ in looked], [top for _, top in looked]
        if isinstance(tables[0].item, ByteTables):
            return self._merge_bytes(leaves, tops, merges, ds[0].size)
        return self._merge_nibbles(leaves, tops, merges, ds[0].size)

    def _look_up(self, d: Words, tables: Asked, correction: Words | None) -> tuple[Words, Words]:
        """Shares of lt and eq of every chunk, and of r63 ^ d63: local."""
        party, width = self.party, ring.planes_words(d.size)
        wide = isinstance(tables.item, ByteTables)
        lteq, top = np.empty((16 if wide else 32) * width, np.uint64), np.empty(width, np.uint64)
        look_up = ring.compare_lookup8 if wide else ring.compare_lookup
        look_up(d, party.dealt, tables.item.op, TABLES, correction, party.first, lteq, top)
        return lteq, top

    def _merge_bytes(self, leaves: list[Words], tops: list[Words], merges: Sequence[Asked], n: int) -> list[Words]:
        party, key, width = self.party, self.party.dealt, ring.planes_words(n)
        frame = frames.new(14 * width * len(leaves))
        for lteq, m, part in zip(leaves, merges, _segments(frame, len(leaves)), strict=True):
            ring.tree8_mask(lteq, key, m.item.op, MASKS_1, part)
        opened = party.post(Kind.BITS, merges[0].item.op, frame, (len(leaves), n)).xor()
        results = []
        for lteq, top, m, e in zip(leaves, tops, merges, opened.reshape(len(leaves), -1), strict=True):
            msb, op = np.empty(width, np.uint64), m.item.op
            correction = m.dealt.corrected(0)
            ring.tree8_merge(lteq, e, key, op, MASKS_1, key, op, MONOMIALS_1, correction, party.first, top, msb)
            results.append(msb)
        return results

    def _merge_nibbles(self, leaves: list[Words], tops: list[Words], merges: Sequence[Asked], n: int) -> list[Words]:
        party, key, first, width = self.party, self.party.dealt, self.party.first, ring.planes_words(n)
        frame = frames.new(27 * width * len(leaves))
        for lteq, m, part in zip(leaves, merges, _segments(frame, len(leaves)), strict=True):
            ring.tree1_mask(lteq, key, m.item.op, MASKS_1, part)
        opened = party.post(Kind.BITS, merges[0].item.op, frame, (len(leaves), n)).xor()
        nodes = []
        for lteq, m, e in zip(leaves, merges, opened.reshape(len(leaves), -1), strict=True):
            level = np.empty(7 * width, np.uint64)
            op = m.item.op
            ring.tree1_merge(
                lteq, e, key, op, MASKS_1, key, op, MONOMIALS_1, m.dealt.corrected(0), first, level
            )
            nodes.append(level)
        frame = frames.new(6 * width * len(leaves))
        for level, m, part in zip(nodes, merges, _segments(frame, len(leaves)), strict=True):
            ring.tree2_mask(level, key, m.item.op, MASKS_2, part)
        opened = party.post(Kind.BITS, merges[0].item.op, frame, (len(leaves), n)).xor()
        results = []
        for level, top, m, e in zip(nodes, tops, merges, opened.reshape(len(leaves), -1), strict=True):
            msb = np.empty(width, np.uint64)
            op = m.item.op
            ring.tree2_merge(
                level, e, key, op, MASKS_2, key, op, MONOMIALS_2, m.dealt.corrected(1), first, top, msb
            )
            results.append(msb)
        return results

    def equal(self, d: Words, tables: Asked, merge: Asked) -> Words:
        """Planes of shares of 1{d == r mod 2^63}: 20 bits per comparison in two rounds, or 8 bits in one."""
        lteq, _ = self._look_up(d, tables, tables.dealt.corrected(0))
        if isinstance(tables.item, ByteTables):
            return self._all_of_eight(lteq, d.size, merge)
        return self.all_of_four(self.all_of_sixteen(lteq, d.size, merge), d.size, merge, 1)

    def _all_of_eight(self, lteq: Words, n: int, merge: Asked) -> Words:
        """The AND of the eq planes (8 to 15) of ``lteq``: one round, 8 bits."""
        party, first, key, op = self.party, self.party.first, self.party.dealt, merge.item.op
        width = ring.planes_words(n)
        frame = frames.new(8 * width)
        ring.equal8_mask(lteq, key, op, MASKS_1, frame[HEADER_WORDS:])
        e = party.post(Kind.BITS, op, frame, (n,)).xor()
        bit = np.empty(width, np.uint64)
        ring.equal8_merge(e, key, op, MASKS_1, key, op, MONOMIALS_1, merge.dealt.corrected(0), first, bit)
        return bit

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

    def opened_bit(self, public: Callable[[], Words], bit: Asked) -> OpenedBit:
        """The opened form of a bit whose s is dealt in both forms (part 0 is [s]); both are waited for at their use."""
        return OpenedBit(public, bit.item.op, BIT, partial(share_words, self.party, bit.item, bit.dealt))

    def masked_bits(self, planes: Sequence[Words], ops: Sequence[int]) -> list[Callable[[], Words]]:
        """Open b XOR s for several planes of one width, s the planes BIT of the operations: one round, one bit each. What is
        returned waits for them."""
        party = self.party
        width = planes[0].size
        frame = frames.new(width * len(planes))
        for plane, op, part in zip(planes, ops, _segments(frame, len(planes)), strict=True):
            part[:] = plane
            ring.streams(party.dealt, op, BIT, 0, part, prg.XOR)
        opened = cache(party.post(Kind.BITS, ops[0], frame, (len(planes), width)).xor)
        return [partial(_row, opened, width, row) for row in range(len(planes))]


def _row(opened: Callable[[], Words], width: int, row: int) -> Words:
    return opened()[row * width : (row + 1) * width]


def _segments(frame: Words, count: int) -> Words:
    return frame[HEADER_WORDS:].reshape(count, -1)
