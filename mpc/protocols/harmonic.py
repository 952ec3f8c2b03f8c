"""Fourier series on additive shares: one opening gives every harmonic (protocols.md, section 7).

With d = x + r public and cos kt, sin kt dealt for t = 2 pi r / period, cos k(c - t) and sin k(c - t) are local for the
angle c of d. A saturated series is replaced by constants outside its limits, by two comparisons on the same opening.
"""
from __future__ import annotations

import math

import numpy as np

from mpc import ring
from mpc.exchange import Pending
from mpc.fixed_point import Words
from mpc.masks import Mask
from mpc.preprocessing.base import MASK, BitValues, Harmonics, Merges, Truncation, share_words
from mpc.protocols.alone import alone
from mpc.protocols.comparison import Comparison, flat
from mpc.protocols.series import DEALT_SCALE, PUBLIC_SCALE, SCALE, Saturated, Series
from mpc.protocols.trees import Asked
from mpc.sharing import Opened, Share
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind


class Harmonic(Comparison):
    """The series kernels of `Additive`."""

    @alone
    def series(self, x: Share, fit: Series) -> Share:
        """fit(x) at scale `SCALE`, for x of any scale up to 63 - period_log2. Rounds: the opening (if not open).

        Rounding of dealt and public factors: 2^-22 of the sum of the coefficients' magnitudes.
        """
        party = self.party
        with party.scope("series"):
            fresh = self._masked((x,))
            assert x.opened is not None
            op = party.next_op()
            party.note("series", op, x.shape, x.scale, fit.key)
            (asked,) = self.ask([self._harmonics(op, x, fit)])
            self._exchange(fresh)
            form = x.opened

            def words() -> Words:
                return self._combine_series(flat(form.public), x.scale, asked, fit).reshape(x.shape)

            return party.later(words, x.shape, SCALE)

    def _harmonics(self, op: int, x: Share, fit: Series) -> Harmonics:
        assert x.opened is not None
        return Harmonics(op, x.opened.name, x.size, fit.period_log2 + x.scale, fit.orders, DEALT_SCALE)

    def _combine_series(self, d: Words, scale: int, harmonics: Asked, fit: Series) -> Words:
        """Shares of the series at `SCALE`: local."""
        dealt = share_words(self.party, harmonics.item, harmonics.dealt)
        out = np.empty(d.size, np.uint64)
        cosines, sines = np.ldexp(fit.cosines, PUBLIC_SCALE), np.ldexp(fit.sines, PUBLIC_SCALE)
        ring.fourier_series(d, fit.period_log2 + scale, cosines, sines, dealt, out)
        if self.party.first:
            out += np.uint64(round(np.ldexp(fit.constant, SCALE)) % 2**64)
        return out

    @alone
    def saturated(self, x: Share, fit: Saturated, frac_bits: int) -> Share:
        """fit(x) for x of any scale; the result has scale frac_bits, its error the fit's beside rounding.

        Range |x| < 2^62 in units of its scale; no clamp is needed outside. Rounds: opening (if not open) + 3;
        64 + 64 + 2 * 33 + 2 bits (chunks of 8 bits: + 2, 2 * 14): x, the series, two comparisons, two selection bits. The
        series is opened under a mask of its own, from which its truncation and its selection both follow.
        """
        party = self.party
        with party.scope("saturated"):
            fresh = self._masked((x,))
            assert x.opened is not None
            name, n = x.opened.name, x.size
            ops = [party.next_op() for _ in range(7)]
            mask = Mask(party.next_op(), MASK, (n,))
            party.note("saturated", ops[0], x.shape, x.scale, frac_bits, fit.key)
            cut = SCALE - frac_bits
            form = self.variant(n, 2 * n)
            asked = self.ask(
                [
                    self._harmonics(ops[0], x, fit),
                    form.tables(ops[1], name, n),
                    Merges(ops[2], n, form.tree),
                    Merges(ops[3], n, form.tree),
                    BitValues(ops[4], n, ("low", "top"), mask, cut),
                    BitValues(ops[5], n),
                    Truncation(ops[6], mask, n, cut),
                ]
            )
            self._exchange(fresh)
            d = flat(x.opened.public)
            words = self._combine_series(d, x.scale, asked[0], fit)
            if party.first:
                words -= np.uint64(round(np.ldexp(fit.low, SCALE)) % 2**64)  # so that 0 stands for ``low``
            y = Share(words, SCALE, Opened(words, mask))
            return self._clamp(x, d, y, fit, cut, asked).reshape(x.shape)

    def _clamp(self, x: Share, d: Words, y: Share, fit: Saturated, bits: int, asked: list[Asked]) -> Share:
        """low + y / 2^bits where |x| < limit, else low or high: comparisons and y's opening share the rounds of one."""
        party = self.party
        _, tables, above, below, inside_bit, top_bit, cut = asked
        exact = math.ldexp(fit.limit, x.scale)
        top, bottom = np.uint64(math.ceil(exact)), np.uint64(math.floor(exact))
        opening = self.post_opening(y)
        under_top, under_bottom = self.less([d - top, d + bottom], [tables, tables], [above, below])
        inside, beyond = self.open_bits([under_top ^ under_bottom, under_top], [inside_bit, top_bit])
        scale = y.scale - bits
        step = round(np.ldexp(fit.high - fit.low, scale))

        def words() -> Words:
            out = self.truncated_if(inside, inside_bit, opening.add(), cut, bits)
            if step:  # + (high - low) 1{x >= limit}
                out -= self.bit_words(beyond) * np.uint64(step % 2**64)
            if party.first:
                out += np.uint64((round(np.ldexp(fit.low, scale)) + step) % 2**64)
            return out

        return party.later(words, y.shape, scale)

    def post_opening(self, y: Share, beside: bool = True) -> Pending:
        """Send E = y - A of a share whose mask is named already; ``beside``: in the round of the next exchange."""
        assert y.opened is not None and isinstance(y.opened.name, Mask)
        frame = frames.new(y.size)
        np.subtract(y.words, y.opened.mask_share(self.party.expand), out=frame[HEADER_WORDS:])
        return self.party.post(Kind.OPEN, y.opened.name.op, frame, y.shape, beside)
