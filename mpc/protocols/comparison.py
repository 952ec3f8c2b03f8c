"""Comparison, equality and selection on additive shares (protocols.md, section 6).

d = x + r is the tensor's opened form with r = -A; `trees` compares it with the dealt r. Costs below are those of chunks of
4 bits; with chunks of 8 bits (`choice`) one round and 19 bits (equality: 12) less.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mpc import ring
from mpc.fixed_point import Words
from mpc.preprocessing.base import AnyCorrelation, BitValues, Merges, Tables, Truncation, share_words
from mpc.protocols.alone import alone
from mpc.protocols.trees import Asked, Trees
from mpc.sharing import OpenedBit, Share

HALF_RANGE = np.uint64(1 << 62)  # c = x + 2^62 + r
ALL_ONES = np.uint64((1 << 64) - 1)


class Comparison(Trees):
    """The comparison kernels of `Additive`."""

    @abstractmethod
    def _masked(self, xs: Sequence[Share]) -> list[Share]:
        """Name masks for what is not open."""

    @abstractmethod
    def _exchange(self, fresh: Sequence[Share]) -> None:
        """Open them."""

    def bit_share(self, bit: OpenedBit, shape: tuple[int, ...]) -> Share:
        """[b] = e + (1 - 2e)[s]: local."""
        made = self.party.later(lambda: self.bit_words(bit).reshape(shape), shape, 0)
        made.bit = bit
        return made

    def bit_words(self, bit: OpenedBit) -> Words:
        """The same as flat words, now."""
        out = np.empty(bit.share.size, np.uint64)
        ring.bit_finish(bit.public, bit.share, self.party.first, out)
        return out

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
        party, n = self.party, x.size
        fresh = self._masked((x,))
        assert x.opened is not None
        ops = [party.next_op() for _ in range(3)]
        party.note(kind, ops[0], x.shape)
        form = self.variant(n, n)
        merges = Merges(ops[1], n, form.equal if kind == "equal" else form.tree)
        tables, merge, bit = self.ask([form.tables(ops[0], x.opened.name, n), merges, BitValues(ops[2], n)])
        return fresh, tables, merge, bit

    def complement(self, bit: Share) -> Share:
        """1 - b; the opened form goes along (e becomes its complement)."""
        one = np.uint64(self.party.first)
        flipped = Share.later(lambda: np.asarray(one - bit.words), bit.shape, bit.scale, of=(bit,))
        flipped.bit = None if bit.bit is None else bit.bit.complement()
        return flipped

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
            form = self.variant(x.size, x.size)
            items: list[AnyCorrelation] = [
                form.tables(ops[0], name, x.size),
                Merges(ops[1], x.size, form.tree),
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

            def words() -> Words:
                if bits:
                    return self.truncated_if(opened, bit, d, rest[0], bits).reshape(x.shape)
                out, ys = np.empty(x.size, np.uint64), np.empty(x.size, np.uint64)
                ring.mul(d, opened.share, ys)
                ys -= share_words(party, bit.item, bit.dealt, 1)
                ring.select_finish(opened.public, flat(x.words), ys, out)
                return out.reshape(x.shape)

            return party.later(words, x.shape, x.scale - bits), self.bit_share(opened, x.shape)

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
        form, n = self.variant(x.size, x.size), x.size
        tables, merge, bit = self.ask(
            [form.tables(ops[0], x.opened.name, n, bits), Merges(ops[1], n, form.tree), BitValues(ops[2], n)]
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


def flat(words: Words) -> Words:
    """A contiguous one-dimensional array of the same words."""
    return np.ascontiguousarray(words).reshape(-1)
