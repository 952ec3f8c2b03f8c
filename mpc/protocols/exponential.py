"""e^x on additive shares: a dealt power of the mask times a public power of what is opened (protocols.md, section 7).

Inside a window low <= x < low + W: u = x - low, c = u + r mod W is public and u = c - r' + b W with r' = r mod W and
b = 1{c < r'}, so e^x = e^(W - r') e^(low + c - W + b W): the first factor is dealt, the second one of two public ones.
"""
from __future__ import annotations

import math
from typing import Final

import numpy as np

from mpc import ring
from mpc.fixed_point import Words
from mpc.masks import Mask
from mpc.preprocessing.base import (
    MASK,
    AnyCorrelation,
    BitValues,
    Merges,
    Powers,
    Truncation,
    low_part,
    share_words,
)
from mpc.protocols.alone import alone
from mpc.protocols.comparison import ALL_ONES, flat
from mpc.protocols.harmonic import Harmonic
from mpc.protocols.series import Window
from mpc.protocols.trees import Asked
from mpc.sharing import Opened, Share

MOST_BITS: Final = 52  # of a window in units of x's scale: what a double holds


class Exponential(Harmonic):
    """The exponential kernel of `Additive`."""

    @alone
    def exp(self, x: Share, window: Window, scale: int, bounded: bool = False) -> Share:
        """e^x in the window, at ``scale``; x of any scale up to 52 - width_log2. ``bounded``: x <= high is known, and nothing
        compares it.

        Rounds: opening (if not open) + 4; 64 + 64 bits and 34 for each of three comparisons (two if bounded); with
        chunks of 8 bits + 3, and 15 for each.
        """
        party = self.party
        with party.scope("exp"):
            fresh = self._masked((x,))
            assert x.opened is not None
            name, n = x.opened.name, x.size
            bits, cut = x.scale + window.width_log2, window.scale - scale
            if bits > MOST_BITS:
                raise ValueError(f"exp of scale {x.scale}; want at most {MOST_BITS - window.width_log2}")
            start, end = (math.ceil(math.ldexp(t, x.scale)) for t in (window.low, window.high))
            top = round(math.ldexp(math.exp(window.high), scale))
            count = 2 if bounded else 3  # comparisons: the carry, below low, below high
            ops = [party.next_op() for _ in range(3 + 2 * count)]
            mask = Mask(party.next_op(), MASK, (n,))
            party.note("exp", ops[0], x.shape, x.scale, window, scale, bounded, top)
            form = self.variant(2 * n, count * n)
            items: list[AnyCorrelation] = [form.tables(ops[0], name, n, bits), form.tables(ops[1], name, n)]
            items += [Merges(op, n, form.tree) for op in ops[2 : 2 + count]]
            powers_op, inside_op, *high_op, cut_op = ops[2 + count :][: count + 1]
            items.append(Powers(powers_op, name, n, bits, x.scale, window.dealt_scale))
            items.append(BitValues(inside_op, n, ("low", "top"), mask, cut))
            items += [BitValues(op, n) for op in high_op]
            items.append(Truncation(cut_op, mask, n, cut))
            carries, tables, *rest = self.ask(items)
            merges, (powers, inside_bit, *high_bit, rounding) = rest[:count], rest[count:]
            self._exchange(fresh)
            d = flat(x.opened.public)
            low = d - np.uint64(start % 2**64)
            ds = [low_part(low, bits), low]
            if not bounded:
                ds.append(d - np.uint64(end % 2**64))
            carry, inside, *under = self.less(ds, [carries, tables, tables][:count], merges)
            if bounded:
                if party.first:
                    inside ^= ALL_ONES
            else:
                inside ^= under[0]
            opened = self.masked_bits([carry, inside, *under], [powers_op, inside_op, *high_op])
            product = self._powers(ds[0], opened[0](), powers, math.ldexp(start, -x.scale), window)
            y = Share(product, window.scale, Opened(product, mask))
            pending = self.post_opening(y, False)
            chosen = self.opened_bit(opened[1], inside_bit)

            def words() -> Words:
                out = self.truncated_if(chosen, inside_bit, pending.add(), rounding, cut)
                if not bounded:
                    out -= self.bit_words(self.opened_bit(opened[2], high_bit[0])) * np.uint64(top)
                    if party.first:
                        out += np.uint64(top)
                return out.reshape(x.shape)

            return party.later(words, x.shape, scale)

    def _powers(self, c: Words, carry: Words, powers: Asked, low: float, window: Window) -> Words:
        """P_0 [D] + (P_1 - P_0) [b D]: local. The wrong choice may wrap; it is multiplied by zero. ``low``: where the window
        starts, as x's scale can say it."""
        assert isinstance(powers.item, Powers)
        party, width = self.party, 2.0**window.width_log2
        public = [np.empty(c.size, np.uint64) for _ in range(2)]
        for b, out in enumerate(public):
            ring.exponentials(c, powers.item.frac, low - width * (1 - b), window.public_scale, out)
        dealt, times_s = (share_words(party, powers.item, powers.dealt, k) for k in (0, 1))
        chosen = np.empty(c.size, np.uint64)
        ring.select_finish(carry, dealt, times_s, chosen)
        ring.mul(public[0], dealt, dealt)
        public[1] -= public[0]
        ring.mul_add(public[1], chosen, dealt)
        return dealt
