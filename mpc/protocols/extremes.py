"""The largest of up to 16 columns: all pairs are compared at once, and a bit says of each column that it beats the rest."""
from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mpc import masks, ring
from mpc.fixed_point import Words
from mpc.masks import Moved
from mpc.preprocessing.base import BitProduct, BitValues, Merges, share_words
from mpc.protocols.alone import alone
from mpc.protocols.comparison import Comparison, flat
from mpc.protocols.trees import Asked
from mpc.sharing import Share

MOST_COLUMNS: Final = 16


class Extremes(Comparison):
    """The maximum kernel of `Additive`."""

    @alone
    def largest(self, x: Share) -> tuple[Share, Share]:
        """x (columns, rows), 2 to 16 columns: (maximum (rows,) at x's scale, one-hot bits (columns, rows) of scale 0).

        Exact; of equal columns the first one counts. Range |difference| < 2^63. Rounds: opening (if not open) + 5, or + 4 for
        up to 5 columns; per row 64 bits per column, 33 per pair, 21 (5) per column; a round and 19 bits per pair less
        with chunks of 8 bits. The differences are public linear
        maps of the opened columns, and so is the product of bits and columns.
        """
        party = self.party
        columns, rows = x.shape
        with party.scope("largest"):
            fresh = self._masked((x,))
            assert x.opened is not None
            pairs = columns * (columns - 1) // 2
            small = columns <= 5
            tables_op, tree_op, all_op, bit_op, product_op = (party.next_op() for _ in range(5))
            party.note("largest", tables_op, x.shape)
            name, n = x.opened.name, columns * rows
            form = self.variant(pairs * rows, pairs * rows)
            tables, tree, everything, bit, product = self.ask(
                [
                    form.tables(tables_op, Moved(name, "pairs", None), pairs * rows),
                    Merges(tree_op, pairs * rows, form.tree),
                    Merges(all_op, n, "four" if small else "equal"),
                    BitValues(bit_op, n),
                    BitProduct(product_op, bit_op, name, n),
                ]
            )
            self._exchange(fresh)
            d = flat(masks.move(x.opened.public, "pairs", None))
            (less,) = self.less([d], [tables], [tree])
            winners = self._beats_all(less, columns, rows, everything)
            (opened,) = self.open_bits([winners], [bit])
            one_hot = self.bit_share(opened, x.shape)
            e = flat(x.opened.public)

            def words() -> Words:
                ys, values = share_words(party, product.item, product.dealt), np.empty(n, np.uint64)
                ring.mul_add(opened.share, e, ys)
                ring.select_finish(opened.public, flat(x.words), ys, values)
                return values.reshape(x.shape).sum(axis=0, dtype=np.uint64)

            return party.later(words, (rows,), x.scale), one_hot

    def _beats_all(self, less: Words, columns: int, rows: int, merge: Asked) -> Words:
        """A plane over (columns, rows): the AND over all other columns of "above it" (before it) or "not below it" (behind)."""
        pairs = columns * (columns - 1) // 2
        bits = np.unpackbits(less.view(np.uint8), count=pairs * rows, bitorder="little").reshape(pairs, rows)
        slots = 4 if columns <= 5 else 16
        leaves = np.full((slots, columns, rows), self.party.first, np.uint8)
        filled = [0] * columns
        for bit, i, j in zip(bits, *np.triu_indices(columns, 1), strict=True):
            leaves[filled[i], i] = bit ^ np.uint8(self.party.first)
            leaves[filled[j], j] = bit
            filled[i], filled[j] = filled[i] + 1, filled[j] + 1
        n = columns * rows
        planes = _packed(leaves.reshape(slots, n))
        if slots == 4:
            return self.all_of_four(ring.group_planes(planes), n, merge, 1)
        lteq = ring.group_planes(np.concatenate([np.zeros_like(planes), planes]))
        return self.all_of_four(self.all_of_sixteen(lteq, n, merge), n, merge, 1)


def _packed(bits: npt.NDArray[np.uint8]) -> Words:
    """Planes [P, W] of bits [P, lanes]; padding lanes are 0."""
    width = ring.planes_words(bits.shape[1])
    padded = np.zeros((bits.shape[0], 8 * width), np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)
