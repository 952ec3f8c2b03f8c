"""Many public thresholds against one secret: one opening and one set of tables serve them all (protocols.md, section 6)."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.fixed_point import Words
from mpc.preprocessing.base import AnyCorrelation, BitValues, Merges
from mpc.protocols.alone import alone
from mpc.protocols.comparison import ALL_ONES, Comparison, flat
from mpc.sharing import Share


class Thresholds(Comparison):
    """The thresholds kernel of `Additive`."""

    @alone
    def at_least(self, x: Share, thresholds: Sequence[int]) -> Share:
        """Bits 1{x >= t} (scale 0) for ring integers t, shape (thresholds, *x.shape). Range |x - t| < 2^63.

        Rounds: opening (if not open) + 3; 64 + 34 bits for each threshold (chunks of 8 bits: + 2; 64 + 15).
        """
        party = self.party
        with party.scope("at_least"):
            fresh = self._masked((x,))
            assert x.opened is not None
            n, count = x.size, len(thresholds)
            ops = [party.next_op() for _ in range(1 + 2 * count)]
            party.note("at_least", ops[0], x.shape, tuple(thresholds))
            form = self.variant(n, count * n)
            items: list[AnyCorrelation] = [form.tables(ops[0], x.opened.name, n)]
            items += [Merges(op, n, form.tree) for op in ops[1 : 1 + count]]
            items += [BitValues(op, n) for op in ops[1 + count :]]
            tables, *rest = self.ask(items)
            self._exchange(fresh)
            d = flat(x.opened.public)
            below = self.less([d - np.uint64(t % 2**64) for t in thresholds], [tables] * count, rest[:count])
            if party.first:
                for plane in below:
                    plane ^= ALL_ONES
            bits = self.open_bits(below, rest[count:])

            def words() -> Words:
                return np.stack([self.bit_words(bit) for bit in bits]).reshape(count, *x.shape)

            return party.later(words, (count, *x.shape), 0)
