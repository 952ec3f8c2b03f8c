"""Sigmoid on additive shares by a sine series: one opening gives every harmonic (protocols.md, section 7).

With d = x + r public and cos kt, sin kt dealt for t = 2 pi r / period,
sin(k x) = sin(k c)[cos k t] - cos(k c)[sin k t] is local. The series fits 1 / (1 + exp(-x)) - 1/2 for |x| <= 12 with
period 32; two comparisons on the same opening replace it by 0 and 1 outside.
"""
from __future__ import annotations

from typing import Final

import numpy as np

from mpc import ring
from mpc.exchange import Pending
from mpc.fixed_point import Words
from mpc.masks import Mask
from mpc.preprocessing.base import MASK, BitValues, Harmonics, Merges, Tables, Truncation, share_words
from mpc.protocols.comparison import Asked, Comparison
from mpc.sharing import Opened, Share
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

PERIOD_LOG2: Final = 5
LIMIT: Final = 12.0
# Minimax sine coefficients on [0, 12] (linear program on 3,001 points): largest error 1.158e-4.
SINES: Final = (
    0.60089845, -0.00316113, 0.12687469, 0.00392643, 0.02841211, 0.00954301,
    0.00091895, 0.00811197, -0.00292261, 0.00380528, -0.00117003, 0.0009118,
)  # fmt: skip
MAX_ERROR: Final = 2e-4  # fit 1.16e-4, the rest rounding of dealt values and public coefficients


class Harmonic(Comparison):
    """The sigmoid kernel of `Additive`."""

    def sigmoid(self, x: Share, frac_bits: int) -> Share:
        """1 / (1 + exp(-x)) for x of any scale; the result has scale frac_bits, error at most 2e-4 beside rounding.

        Range |x| < 2^62 in units of its scale; no clamp is needed outside. Rounds: opening (if not open) + 3;
        64 + 64 + 2 * 33 + 2 bits: x, the series, two comparisons, two selection bits. The series is opened under a mask
        of its own, from which its truncation and its selection both follow.
        """
        party = self.party
        with party.scope("sigmoid"):
            fresh = self._masked((x,))
            assert x.opened is not None
            name, n = x.opened.name, x.size
            ops = [party.next_op() for _ in range(7)]
            series_op = party.next_op()
            party.note("sigmoid", ops[0], x.shape, x.scale)
            dealt_scale = max(frac_bits, 16) - 1
            public_scale = dealt_scale + 2
            cut = dealt_scale + public_scale - frac_bits
            series_mask = Mask(series_op, MASK, (n,))
            asked = self.ask(
                [
                    Harmonics(ops[0], name, n, PERIOD_LOG2 + x.scale, len(SINES), dealt_scale),
                    Tables(ops[1], name, n),
                    Merges(ops[2], n, "tree"),
                    Merges(ops[3], n, "tree"),
                    BitValues(ops[4], n, ("low", "top"), series_mask, cut),
                    BitValues(ops[5], n),
                    Truncation(ops[6], series_mask, n, cut),
                ]
            )
            self._exchange(fresh)
            d = np.ascontiguousarray(x.opened.public).reshape(-1)
            series = self._series(d, x.scale, asked[0], public_scale)
            if party.first:
                series += np.uint64(1 << (dealt_scale + public_scale - 1))  # one half
            y = Share(series, dealt_scale + public_scale, Opened(series, series_mask))
            return self._clamp(x, d, y, cut, asked).reshape(x.shape)

    def _series(self, d: Words, scale: int, harmonics: Asked, public_scale: int) -> Words:
        """Shares of sum_k b_k sin(2 pi k x / 32) at the dealt plus the public scale: local."""
        dealt = share_words(self.party, harmonics.item, harmonics.dealt)
        out = np.empty(d.size, np.uint64)
        ring.fourier_series(d, PERIOD_LOG2 + scale, np.zeros(len(SINES)), np.ldexp(SINES, public_scale), dealt, out)
        return out

    def _clamp(self, x: Share, d: Words, y: Share, bits: int, asked: list[Asked]) -> Share:
        """y / 2^bits where |x| < 12, else 0 or 1: the comparisons and y's opening share the rounds of one comparison."""
        party = self.party
        _, tables, above, below, inside_bit, top_bit, cut = asked
        limit = np.uint64(int(np.ldexp(LIMIT, x.scale)))
        opening = self._post_series(y)
        under_top, under_bottom = self.less([d - limit, d + limit], tables, [above, below])
        inside, beyond = self.open_bits([under_top ^ under_bottom, under_top], [inside_bit, top_bit])
        out = self.truncated_if(inside, inside_bit, opening.add(), cut, bits)
        is_below_top = self.bit_share(beyond, y.shape)
        one = np.uint64(1 << (y.scale - bits))
        out -= is_below_top.words * one  # + 1{x >= 12}
        if party.first:
            out += one
        return Share(out, y.scale - bits)

    def _post_series(self, y: Share) -> Pending:
        """Send E = y - A of the series now; it arrives while the tree's first round runs."""
        assert y.opened is not None and isinstance(y.opened.name, Mask)
        frame = frames.new(y.size)
        np.subtract(y.words, y.opened.mask_share(self.party.expand), out=frame[HEADER_WORDS:])
        return self.party.post(Kind.OPEN, y.opened.name.op, frame, y.shape, beside=True)
