"""The plaintext twin: every kernel on plaintext words, with the same ring arithmetic and truncation by floor.

It is the specification the other protocols are tested against and what debugging starts with: a product or truncation
that leaves the range, which nobody can see in shares, is a FixedPointRangeError here. It hides nothing: every party sees
every value.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc import ring
from mpc.errors import FixedPointRangeError
from mpc.fixed_point import Words
from mpc.masks import matmul_shape
from mpc.protocols.base import Protocol, broadcast_shape
from mpc.sharing import Share
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

PRODUCT_BITS = 63  # what a word can hold
TRUNCATION_BITS = 62


class Clear(Protocol):
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
        self._check("a product", np.multiply(_real(x), _real(y)), x.scale + y.scale, PRODUCT_BITS)
        return Share(np.asarray(np.multiply(x.words, y.words)), x.scale + y.scale)

    def total(self, x: Share, axes: tuple[int, ...] | None, keepdims: bool) -> Share:
        self._check("a sum", _real(x).sum(axis=axes), x.scale, PRODUCT_BITS)
        return super().total(x, axes, keepdims)

    def square(self, x: Share) -> Share:
        return self.mul(x, x)

    def matmul(self, x: Share, y: Share) -> Share:
        matmul_shape(x.shape, y.shape)
        self._check("a matrix product", np.matmul(_real(x), _real(y)), x.scale + y.scale, PRODUCT_BITS)
        return Share(ring.matmul(x.words, y.words), x.scale + y.scale)

    def truncate(self, x: Share, bits: int, exact: bool = False) -> Share:
        self._check("the input of a truncation", _real(x), x.scale, TRUNCATION_BITS)
        return Share(np.asarray(_signed(x) >> bits).view(np.uint64), x.scale - bits)

    def negative(self, x: Share) -> Share:
        return Share(np.asarray(x.words >> np.uint64(63)), 0)

    def is_zero(self, x: Share) -> Share:
        return Share(np.asarray(x.words == 0).astype(np.uint64), 0)

    def relu(self, x: Share, bits: int = 0) -> tuple[Share, Share]:
        bit = self.complement(self.negative(x))
        kept = self.truncate(x, bits) if bits else x
        return Share(np.asarray(np.multiply(kept.words, bit.words)), kept.scale), bit

    def sigmoid(self, x: Share, frac_bits: int) -> Share:
        real = np.ldexp(_signed(x).astype(np.float64), -x.scale)
        value = np.exp(-np.logaddexp(0.0, -real))
        return Share(np.asarray(np.rint(np.ldexp(value, frac_bits))).astype(np.int64).view(np.uint64), frac_bits)

    def _check(self, what: str, real: np.ndarray, scale: int, bits: int) -> None:
        """Refuse values of 2^bits or more; ``real`` are the ring integers as floats."""
        worst = float(np.abs(real).max()) if real.size else 0.0
        if worst >= 2.0**bits:
            raise FixedPointRangeError(
                f"{what} in {self.party.row.label or 'the program'} reaches {np.ldexp(worst, -scale):g}, beyond "
                f"2^{bits - scale} = {2.0 ** (bits - scale):g} at {scale} fraction bits: scale what goes in, or sum less"
            )


def _signed(x: Share) -> np.ndarray:
    return np.asarray(x.words, order="C").view(np.int64)


def _real(x: Share) -> np.ndarray:
    return _signed(x).astype(np.float64)
