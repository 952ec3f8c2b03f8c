"""The kernels a protocol provides, and the cost each one declares.

The tensor layer calls nothing else. `mpc.protocols.clear` computes the same kernels on plaintext words and is the
specification; every other protocol agrees with it within one unit per truncation. Kernels of one protocol run in the
same order at every party.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpc import ring
from mpc.errors import ShapeError
from mpc.fixed_point import Words
from mpc.masks import Shape, Then, matmul_shape
from mpc.protocols.series import Saturated, Series, Window
from mpc.sharing import Opened, Share, add, sub, total

if TYPE_CHECKING:
    from mpc.party import Party


class Cost(NamedTuple):
    """What one kernel call costs online: rounds, and payload bytes that each party sends to each other party."""

    rounds: int
    bytes: int

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.rounds + other.rounds, self.bytes + other.bytes)

    def beside(self, other: Cost) -> Cost:
        """Both in the same rounds."""
        return Cost(max(self.rounds, other.rounds), self.bytes + other.bytes)


FREE = Cost(0, 0)


class Protocol(ABC):
    """Arithmetic on shares of tensors over Z_2^64. One instance belongs to one `Party`.

    Scales add under multiplication; nothing truncates by itself but the kernels that say so. Range: every product or
    sum that is truncated, compared or passed to relu must lie in -2^62 <= z < 2^62.
    """

    name: str

    def __init__(self, party: Party) -> None:
        self.party = party

    # --- in and out
    @abstractmethod
    def input(self, words: Words | None, op: int, owner: int, scale: int) -> Share:
        """Share ``words`` that ``owner`` holds (None elsewhere, where the shape arrives with operation ``op``)."""

    @abstractmethod
    def public(self, words: Words) -> Words:
        """This party's words for a public constant: the constant itself or zeros."""

    @abstractmethod
    def reveal(self, x: Share, op: int, receivers: Sequence[int]) -> Words | None:
        """The words of x at the receivers, None elsewhere. `Party.reveal` is the only caller."""

    def open(self, *xs: Share) -> None:
        """Open under fresh masks whatever of ``xs`` is not open yet, in one flush: products then need no opening."""

    def expect(self, x: Share, bits: int) -> None:
        """A function's domain ends at 2^bits in units of x's scale: the plaintext twin refuses more, nobody else can see it."""

    # --- linear with public operands: local
    def add_public(self, x: Share, words: Words) -> Share:
        """x + public words given at x's scale, with broadcasting. Local; keeps the opened form where shapes agree."""
        shape = np.broadcast_shapes(x.shape, words.shape)
        mine = self.public(words) if x.owner is None else words if x.owner == self.party.rank else np.zeros_like(words)
        out = Share.later(lambda: np.asarray(x.words + mine), shape, x.scale, x.owner, of=(x,))
        form = x.opened
        if form is not None and shape == x.shape:
            public = form.then(lambda public: np.asarray(public + words))
            out.opened = Opened(public, form.name, form.share, form.depth, form.nodes)
        return out

    def mul_public(self, x: Share, words: Words, scale: int) -> Share:
        """Elementwise x * public words of the given scale, with broadcasting. Local; the scales add."""
        shape = np.broadcast_shapes(x.shape, words.shape)
        return Share.later(lambda: np.asarray(np.multiply(x.words, words)), shape, x.scale + scale, x.owner, of=(x,))

    def matmul_public(self, x: Share, words: Words, scale: int, left: bool = False) -> Share:
        """x @ public, or public @ x if ``left``. Local; the scales add."""
        if x.owner not in (None, self.party.rank):
            shape = matmul_shape(words.shape, x.shape) if left else matmul_shape(x.shape, words.shape)
            return Share(np.broadcast_to(np.uint64(0), shape), x.scale + scale, owner=x.owner)
        product = ring.matmul(words, x.words) if left else ring.matmul(x.words, words)
        return Share(product, x.scale + scale, owner=x.owner)

    def total(self, x: Share, axes: tuple[int, ...] | None, keepdims: bool) -> Share:
        """Sum over axes. Local."""
        return total(x, axes, keepdims)

    # --- products of secrets
    @abstractmethod
    def mul(self, x: Share, y: Share) -> Share:
        """Elementwise product with broadcasting; the scales add. Opens what is not open yet, one round."""

    @abstractmethod
    def square(self, x: Share) -> Share:
        """Elementwise square; the scale doubles."""

    @abstractmethod
    def matmul(self, x: Share, y: Share, then: Then | None = None) -> Share:
        """Matrix product as numpy.matmul (vectors and batches too), and ``then`` public linear maps of it; the scales
        add. One round at most."""

    # --- truncation, comparison, selection
    @abstractmethod
    def truncate(self, x: Share, bits: int, exact: bool = False) -> Share:
        """x / 2^bits; the scale falls by ``bits``. Result floor or floor + 1 in units of the result, unbiased;
        ``exact=True`` gives floor. Range -2^62 <= x < 2^62."""

    def mul_truncated(self, x: Share, bits: int, y: Share) -> tuple[Share, Share]:
        """(x / 2^bits, x / 2^bits * y) for y that broadcasts to x's shape: a truncation and the product behind it."""
        truncated = self.truncate(x, bits)
        return truncated, self.mul(truncated, y)

    @abstractmethod
    def negative(self, x: Share) -> Share:
        """1 where x < 0, else 0 (scale 0). Range -2^63 <= x < 2^63."""

    @abstractmethod
    def is_zero(self, x: Share) -> Share:
        """1 where x == 0, else 0 (scale 0). Range |x| < 2^63."""

    @abstractmethod
    def relu(self, x: Share, bits: int = 0) -> tuple[Share, Share]:
        """(max(x, 0) truncated by ``bits``, the bit 1{x >= 0} of scale 0) in one fused kernel."""

    # --- functions of one secret behind one opening
    @abstractmethod
    def at_least(self, x: Share, thresholds: Sequence[int]) -> Share:
        """Bits 1{x >= t} (scale 0) for ring integers t, shape (thresholds, *x.shape). Range |x - t| < 2^63."""

    @abstractmethod
    def series(self, x: Share, fit: Series) -> Share:
        """The Fourier series at x of any scale; the result has scale `mpc.protocols.series.SCALE`."""

    @abstractmethod
    def saturated(self, x: Share, fit: Saturated, frac_bits: int) -> Share:
        """The series inside its limits, constants outside, from any scale; the result has scale ``frac_bits``."""

    @abstractmethod
    def exp(self, x: Share, window: Window, scale: int, bounded: bool = False) -> Share:
        """e^x in the window (0 below it, e^high above it) at ``scale``; ``bounded``: x <= high is known."""

    @abstractmethod
    def largest(self, x: Share) -> tuple[Share, Share]:
        """x (columns, rows), 2 to 16 columns: (maximum (rows,) at x's scale, one-hot bits (columns, rows) of scale 0)."""

    # --- shared by all protocols
    def select(self, bit: Share, x: Share, y: Share) -> Share:
        """x where bit is 1, else y: y + bit * (x - y). The bit has scale 0, so nothing is truncated."""
        scale = max(x.scale, y.scale)
        x, y = x.lifted(scale), y.lifted(scale)
        shape = np.broadcast_shapes(bit.shape, x.shape, y.shape)
        chosen = self.mul(bit.broadcast_to(shape), sub(x, y).broadcast_to(shape))
        return add(chosen, y)

    def complement(self, bit: Share) -> Share:
        """1 - bit."""
        return self.add_public(-bit, np.ones((), np.uint64))


def broadcast_shape(x: Shape, y: Shape, what: str) -> Shape:
    """The common shape under broadcasting. Raises ShapeError naming both."""
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        raise ShapeError(f"{what} of shapes {x} and {y}: they do not broadcast") from None
