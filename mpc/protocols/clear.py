"""The plaintext twin: every kernel on plaintext words, with the same ring arithmetic and truncation by floor.

It is the specification the other protocols are tested against and what debugging starts with: a product or truncation
that leaves the range, which nobody can see in shares, is a FixedPointRangeError here, and the report says how close every
kernel's values came to it (`Report.headroom`). It hides nothing: every party sees every value.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc import ring
from mpc.errors import FixedPointRangeError
from mpc.fixed_point import Words
from mpc.masks import Then, matmul_shape
from mpc.protocols.base import Protocol, broadcast_shape
from mpc.protocols.clear_functions import ClearFunctions, signed
from mpc.report import where
from mpc.sharing import Share
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

PRODUCT_BITS = 63  # what a word can hold
TRUNCATION_BITS = 62
_KINDS = {"truncation": "the input of a truncation", "comparison": "the input of a comparison"}


class Clear(ClearFunctions, Protocol):
    """Plaintext words at every party; no communication but the owner's broadcast of its input."""

    name = "clear"

    def input(self, words: Words | None, op: int, owner: int, scale: int) -> Share:
        """The owner sends the plaintext to everybody."""
        frame = None
        if words is not None:
            frame = frames.new(words.size)
            frame[HEADER_WORDS:] = words.reshape(-1)
        shape = words.shape if words is not None else ()
        shape, got = self.party.from_owner(owner, frame, shape, op, Kind.BROADCAST)
        self.party.note("shape", shape)
        return Share(got.reshape(shape).copy(), scale)

    def public(self, words: Words) -> Words:
        return words

    def reveal(self, x: Share, op: int, receivers: Sequence[int]) -> Words | None:
        return np.asarray(x.words, order="C") if self.party.rank in receivers else None

    def mul(self, x: Share, y: Share) -> Share:
        broadcast_shape(x.shape, y.shape, "product")
        with self.party.scope("mul"):
            self._check("product", np.multiply(_real(x), _real(y)), x.scale + y.scale, PRODUCT_BITS)
            return Share(np.asarray(np.multiply(x.words, y.words)), x.scale + y.scale)

    def mul_public(self, x: Share, words: Words, scale: int) -> Share:
        self._check("product", np.multiply(_real(x), _float(words)), x.scale + scale, PRODUCT_BITS)
        return super().mul_public(x, words, scale)

    def matmul_public(self, x: Share, words: Words, scale: int, left: bool = False) -> Share:
        pair = (_float(words), _real(x)) if left else (_real(x), _float(words))
        self._check("matrix product", np.matmul(*pair), x.scale + scale, PRODUCT_BITS)
        return super().matmul_public(x, words, scale, left)

    def total(self, x: Share, axes: tuple[int, ...] | None, keepdims: bool) -> Share:
        self._check("sum", _real(x).sum(axis=axes), x.scale, PRODUCT_BITS)
        return super().total(x, axes, keepdims)

    def square(self, x: Share) -> Share:
        with self.party.scope("square"):
            self._check("square", np.square(_real(x)), 2 * x.scale, PRODUCT_BITS)
            return Share(np.asarray(np.multiply(x.words, x.words)), 2 * x.scale)

    def matmul(self, x: Share, y: Share, then: Then | None = None) -> Share:
        matmul_shape(x.shape, y.shape)
        with self.party.scope("matmul"):
            self._check("matrix product", np.matmul(_real(x), _real(y)), x.scale + y.scale, PRODUCT_BITS)
            product = ring.matmul(x.words, y.words)
            return Share(product if then is None else np.asarray(then.of(product)), x.scale + y.scale)

    def expect(self, x: Share, bits: int) -> None:
        self._check("function's argument", signed(x), x.scale, bits)

    def truncate(self, x: Share, bits: int, exact: bool = False) -> Share:
        with self.party.scope("truncate"):
            return self._truncated(x, bits)

    def _truncated(self, x: Share, bits: int) -> Share:
        self._check("truncation", signed(x), x.scale, TRUNCATION_BITS, bits)
        return Share(np.asarray(signed(x) >> bits).view(np.uint64), x.scale - bits)

    def negative(self, x: Share) -> Share:
        with self.party.scope("compare"):
            self._check("comparison", signed(x), x.scale, PRODUCT_BITS)
            return Share(np.asarray(x.words >> np.uint64(63)), 0)

    def is_zero(self, x: Share) -> Share:
        with self.party.scope("equal"):
            return Share(np.asarray(x.words == 0).astype(np.uint64), 0)

    def relu(self, x: Share, bits: int = 0) -> tuple[Share, Share]:
        with self.party.scope("relu"):
            bit = self.complement(Share(np.asarray(x.words >> np.uint64(63)), 0))
            kept = self._truncated(x, bits) if bits else x
            return Share(np.asarray(np.multiply(kept.words, bit.words)), kept.scale), bit

    def _check(self, what: str, real: np.ndarray, scale: int, bits: int, shift: int = 0) -> None:
        """Refuse values of 2^bits or more and note how close they came; ``real``: the ring integers, as floats or words
        with a sign. ``shift``: of a truncation, what it cuts off."""
        worst = float(max(real.max(), -float(real.min()))) if real.size else 0.0
        books = self.party.books
        books.observe(what, worst, scale, bits, shift)
        if worst >= 2.0**bits:
            raise FixedPointRangeError(
                f"{_KINDS.get(what, 'a ' + what)} ({where(books.account.row)}) reaches {np.ldexp(worst, -scale):g}, beyond "
                f"2^{bits - scale} = {2.0 ** (bits - scale):g} at {scale} fraction bits. Scale what goes in (standardise "
                "inputs, smaller weights or learning rate), sum less at once, or use fewer frac_bits; print(s.report()) in a "
                "finally block lists the headroom of every layer up to here"
            )


def _real(x: Share) -> np.ndarray:
    return signed(x).astype(np.float64)


def _float(words: Words) -> np.ndarray:
    return np.asarray(words, order="C").view(np.int64).astype(np.float64)
