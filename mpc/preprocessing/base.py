"""One class per correlation: which parts it has, and how the dealer computes each part.

Every part is shared so that all parties but the last hold a stream (regenerated from its name, sent by nobody), and the
last party, the *receiver*, holds the correction: target minus the sum of the others' streams. Masks, dealt bits and
r need no correction at all. A correlation names the masks it works on and carries public structure only.

Tensor numbers below separate the streams of one operation number; `Part.tensor` is the stream of a part.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Union

import msgspec
import numpy as np
import numpy.typing as npt

from mpc import prg, ring
from mpc.errors import CorruptFrame
from mpc.fixed_point import Words
from mpc.masks import Name, Then, matmul_shape

if TYPE_CHECKING:
    from mpc.party import Party

MASK, PRODUCT, LOW, TOP, BIT = 0, 1, 2, 3, 4  # BIT: XOR planes of the dealt bit s, uncorrected
TABLES, MASKS_1, MONOMIALS_1, MASKS_2, MONOMIALS_2 = 5, 6, 7, 8, 9
BIT_WORDS, BIT_R, BIT_LOW, BIT_TOP, BIT_PRODUCT, BIT_PAIR = 10, 11, 12, 13, 14, 15
HARMONICS = 16
POWERS, BIT_POWERS = 17, 18
COINS = 19  # of a private key: bits that nobody else knows

TABLE_PLANES, BYTE_TABLE_WORDS = 233, 30  # of chunks of 4 bits; of 8 bits, for each value
LEVELS = {  # masks and monomials of the two levels
    "tree": (27, 81, 6, 15),
    "equal": (16, 44, 4, 11),
    "four": (0, 0, 4, 11),  # the second level of equal alone
    "tree8": (14, 367, 0, 0),  # of chunks of 8 bits: one level
    "equal8": (8, 247, 0, 0),
}


class Part(NamedTuple):
    """One corrected tensor: ``size`` values of ``dtype``, its stream under the correlation's operation number."""

    tensor: int
    size: int
    dtype: str = "<u8"

    @property
    def words(self) -> int:
        """Words it takes in a correction frame."""
        return -(-self.size * np.dtype(self.dtype).itemsize // 8)


class Dealing(Protocol):
    """What a correlation needs of the dealer: totals over all parties' streams."""

    keys: bytes  # every party's dealt key
    others: bytes  # every key but the receiver's

    def total(self, name: Name) -> Words:
        """The mask behind a name, summed over all parties. Callers do not write to what these return."""

    def r(self, name: Name) -> Words:
        """r = -A, flat: an opening E = x - A is d = x + r."""

    def cut(self, name: Name, bits: int) -> tuple[Words, Words]:
        """(r mod 2^63) >> bits and r >> 63: the two dealt parts of a truncation."""


class Correlation(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A request's unit. ``op`` names its streams and is used once."""

    op: int

    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The corrected parts, in the order of the frame."""

    @abstractmethod
    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        """Write the correction of part ``k`` into ``out`` (`Part.words` words)."""


def _sized(words: Words, size: int) -> Words:
    """What a name stands for, if it has the size that the request says."""
    if words.size != size:
        raise CorruptFrame(f"a request for {size} values of a mask of {words.size}")
    return words


def _shift(bits: int) -> int:
    if not 1 <= bits <= 62:
        raise CorruptFrame(f"a truncation by {bits} bits; want 1 to 62")
    return bits


def _store(target: Words, part: Part, dealer: Dealing, op: int, out: Words) -> None:
    """out = target - sum of the other parties' streams, in the part's dtype."""
    if part.dtype == "<u8":
        out[:] = target
        ring.streams(dealer.others, op, part.tensor, 0, out, prg.SUB)
        return
    out[-1:] = 0  # what the last word does not use must not be the dealer's old memory
    narrow = out.view(part.dtype)[: part.size]
    narrow[:] = target  # modulo the dtype's range
    for k in range(0, len(dealer.others), ring.KEY_BYTES):  # one by one: sums of words would carry across values
        narrow -= _stream(dealer.others[k : k + ring.KEY_BYTES], op, part)


def _stream(key: bytes, op: int, part: Part) -> npt.NDArray[np.unsignedinteger[Any]]:
    """One party's uniform values of a part, as many to a word as its dtype allows."""
    words = prg.words(key, op, part.tensor, part.words)
    return words if part.dtype == "<u8" else words.view(part.dtype)[: part.size]


def narrow(bits: int) -> str:
    """The smallest dtype for values modulo 2^bits."""
    return "<u2" if bits <= 16 else "<u4" if bits <= 32 else "<u8"


class Product(Correlation, frozen=True, tag=True, array_like=True):
    """[A B] for a bilinear map of two masks (protocols.md, section 4). ``kind``: mul, square or matmul."""

    kind: str
    x: Name
    y: Name
    size: int
    then: Then | None = None

    def parts(self) -> tuple[Part, ...]:
        return (Part(PRODUCT, self.size),)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        a, b = dealer.total(self.x), dealer.total(self.y)
        if self.kind == "matmul" and self.then is not None:
            out[:] = _sized(np.ascontiguousarray(self.then.of(ring.matmul(a, b))).reshape(-1), self.size)
        elif self.kind == "matmul":
            ring.matmul(a, b, out=out.reshape(matmul_shape(a.shape, b.shape)))
        elif self.kind in ("mul", "square"):
            np.multiply(a, b, out=out.reshape(np.broadcast_shapes(a.shape, b.shape)))
        else:
            raise CorruptFrame(f"product of kind {self.kind!r}; want mul, square or matmul")
        ring.streams(dealer.others, self.op, PRODUCT, 0, out, prg.SUB)


class Truncation(Correlation, frozen=True, tag=True, array_like=True):
    """[rc], [rb] of an opened tensor's r = -A (section 5). rb is needed modulo 2^(bits + 1) only."""

    r: Name
    size: int
    bits: int

    def parts(self) -> tuple[Part, ...]:
        return Part(LOW, self.size), Part(TOP, self.size, "<u4" if self.bits < 32 else "<u8")

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        _store(_sized(dealer.cut(self.r, _shift(self.bits))[k], self.size), self.parts()[k], dealer, self.op, out)


class TruncatedProduct(Correlation, frozen=True, tag=True, array_like=True):
    """[rc B], [rb B]: an opened tensor's truncation by ``bits`` times a mask B, without opening the truncated value."""

    r: Name
    y: Name
    size: int
    bits: int

    def parts(self) -> tuple[Part, ...]:
        return Part(BIT_LOW, self.size), Part(BIT_TOP, self.size)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        part = _sized(dealer.cut(self.r, _shift(self.bits))[k], self.size)
        np.multiply(part, np.ascontiguousarray(dealer.total(self.y)).reshape(-1), out=out)
        ring.streams(dealer.others, self.op, self.parts()[k].tensor, 0, out, prg.SUB)


class TwoPartyTruncation(Correlation, frozen=True, tag=True, array_like=True):
    """[s0 s1] modulo 2^bits for the dealt bits s0, s1 of two parties (section 5, one opened bit each)."""

    size: int
    bits: int

    def parts(self) -> tuple[Part, ...]:
        return (Part(BIT_PAIR, self.size, narrow(self.bits)),)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        width = len(dealer.others)
        planes = ring.planes_words(self.size)
        both = prg.words(dealer.keys[:width], self.op, BIT, planes) & prg.words(dealer.keys[width:], self.op, BIT, planes)
        pair = np.empty(self.size, np.uint64)
        ring.unpack_bits(both, pair)
        _store(pair, self.parts()[0], dealer, self.op, out)


class Tables(Correlation, frozen=True, tag=True, array_like=True):
    """XOR-shared thermometers of the chunks of r mod 2^63, and r63 (section 6). ``low_bits`` > 0: of r mod 2^low_bits."""

    r: Name
    size: int
    low_bits: int = 0

    def parts(self) -> tuple[Part, ...]:
        return (Part(TABLES, TABLE_PLANES * ring.planes_words(self.size)),)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        r = _sized(dealer.r(self.r), self.size)
        if not 0 <= self.low_bits <= 62:
            raise CorruptFrame(f"tables of the low {self.low_bits} bits; want 0 to 62")
        if self.low_bits:
            r = low_part(r, self.low_bits)
        self._write(r, dealer.others, out)

    def _write(self, r: Words, others: bytes, out: Words) -> None:
        ring.deal_tables(r, others, self.op, TABLES, out)


class ByteTables(Tables, frozen=True, tag=True, array_like=True):
    """`Tables` of chunks of 8 bits: one merge compares them."""

    def parts(self) -> tuple[Part, ...]:
        return (Part(TABLES, BYTE_TABLE_WORDS * self.size),)

    def _write(self, r: Words, others: bytes, out: Words) -> None:
        ring.deal_tables8(r, others, self.op, TABLES, out)


class Merges(Correlation, frozen=True, tag=True, array_like=True):
    """Monomials of the masks of one run of a tree: ``kind`` tree (d < r), equal (AND of 16 bits) or four (AND of 4); of
    `ByteTables` tree8 or equal8 (AND of 8)."""

    size: int
    kind: str

    def parts(self) -> tuple[Part, ...]:
        if self.kind not in LEVELS:
            raise CorruptFrame(f"comparison of kind {self.kind!r}; want one of {', '.join(LEVELS)}")
        w = ring.planes_words(self.size)
        _, first, _, second = LEVELS[self.kind]
        return Part(MONOMIALS_1, first * w), Part(MONOMIALS_2, second * w)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        if not out.size:
            return
        masks, monomials = ((MASKS_1, MONOMIALS_1), (MASKS_2, MONOMIALS_2))[k]
        level = self.kind if self.kind.endswith("8") else f"{'equal' if self.kind == 'four' else self.kind}{k + 1}"
        ring.deal_monomials(
            level, self.size, dealer.keys, self.op, masks, dealer.others, self.op, monomials, out
        )


class BitValues(Correlation, frozen=True, tag=True, array_like=True):
    """[s] and [s v] for the dealt bit s (planes of tensor BIT) and what a selection needs of r = -A.

    ``values``: any of "r" (selection of x itself), "low" and "top" (selection of a truncation by ``bits``).
    """

    size: int
    values: tuple[str, ...] = ()
    r: Name | None = None
    bits: int = 0

    def parts(self) -> tuple[Part, ...]:
        tensors = {"r": BIT_R, "low": BIT_LOW, "top": BIT_TOP}
        if not set(self.values) <= set(tensors):
            raise CorruptFrame(f"bit values {self.values}; want r, low, top")
        return Part(BIT_WORDS, self.size), *(Part(tensors[v], self.size) for v in self.values)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        s = prg.words(dealer.keys, self.op, BIT, ring.planes_words(self.size), prg.XOR_SET)
        value = None
        if k:
            assert self.r is not None
            which = self.values[k - 1]
            value = dealer.r(self.r) if which == "r" else dealer.cut(self.r, _shift(self.bits))[which == "top"]
            _sized(value, self.size)
        ring.deal_select(s, value, dealer.others, self.op, self.parts()[k].tensor, out)


class BitProduct(Correlation, frozen=True, tag=True, array_like=True):
    """[B s] for an opened bit's s (operation ``bit_op``) and a mask B (section 6, ReLU's gradient)."""

    bit_op: int
    y: Name
    size: int

    def parts(self) -> tuple[Part, ...]:
        return (Part(BIT_PRODUCT, self.size),)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        s = prg.words(dealer.keys, self.bit_op, BIT, ring.planes_words(self.size), prg.XOR_SET)
        b = np.ascontiguousarray(dealer.total(self.y)).reshape(-1)
        ring.deal_select(s, b, dealer.others, self.op, BIT_PRODUCT, out)


class Conjunctions(Correlation, frozen=True, tag=True, array_like=True):
    """XOR shares of m_i AND m_j for the masks m (planes of tensor MASKS_1) of ``planes`` planes of ``width`` words:
    i, j run through ``left``, ``right``. ANDs of shared bits after one opening of each plane."""

    planes: int
    width: int
    left: tuple[int, ...]
    right: tuple[int, ...]

    def parts(self) -> tuple[Part, ...]:
        pairs = len(self.left)
        if len(self.right) != pairs or not 0 < self.planes <= 2 * pairs or self.width < 0:
            raise CorruptFrame(f"{self.planes} planes of {self.width} words for {pairs} and {len(self.right)} operands of ANDs")
        if not all(0 <= i < self.planes for i in (*self.left, *self.right)):
            raise CorruptFrame(f"ANDs of planes beyond 0 to {self.planes - 1}")
        return (Part(MONOMIALS_1, pairs * self.width),)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        masks = prg.words(dealer.keys, self.op, MASKS_1, self.planes * self.width, prg.XOR_SET)
        masks = masks.reshape(self.planes, self.width)
        pairs = out.reshape(-1, self.width) if self.width else out.reshape(0, 1)
        for row, i, j in zip(pairs, self.left, self.right, strict=False):
            np.bitwise_and(masks[i], masks[j], out=row)
        ring.streams(dealer.others, self.op, MONOMIALS_1, 0, out, prg.XOR)


class Harmonics(Correlation, frozen=True, tag=True, array_like=True):
    """[cos k t], [sin k t] at ``scale`` fraction bits for k = 1..orders, t = 2 pi r / 2^period_bits (section 7)."""

    r: Name
    size: int
    period_bits: int
    orders: int
    scale: int

    def parts(self) -> tuple[Part, ...]:
        return (Part(HARMONICS, 2 * self.orders * self.size),)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        ring.harmonics(_sized(dealer.r(self.r), self.size), self.period_bits, self.orders, self.scale, out)
        ring.streams(dealer.others, self.op, HARMONICS, 0, out, prg.SUB)


class Powers(Correlation, frozen=True, tag=True, array_like=True):
    """[e^(W - r')] at ``scale`` and [s e^(W - r')] for the dealt bit s: r' = r mod 2^bits in units of 2^-frac,
    W = 2^(bits - frac) (section 7, exp)."""

    r: Name
    size: int
    bits: int
    frac: int
    scale: int

    def parts(self) -> tuple[Part, ...]:
        return Part(POWERS, self.size), Part(BIT_POWERS, self.size)

    def deal(self, dealer: Dealing, k: int, out: Words) -> None:
        if not 1 <= self.bits <= 52 or not 0 <= self.bits - self.frac <= 5:
            raise CorruptFrame(f"powers of {self.bits} bits, {self.frac} of them fraction bits; want a window of 1 to 32")
        powers = np.empty(self.size, np.uint64)
        window = 2.0 ** (self.bits - self.frac)
        r = low_part(_sized(dealer.r(self.r), self.size), self.bits)
        ring.exponentials(np.negative(r), self.frac, window, self.scale, powers)
        if k:
            s = prg.words(dealer.keys, self.op, BIT, ring.planes_words(self.size), prg.XOR_SET)
            ring.deal_select(s, powers, dealer.others, self.op, BIT_POWERS, out)
            return
        out[:] = powers
        ring.streams(dealer.others, self.op, POWERS, 0, out, prg.SUB)


AnyCorrelation = Union[
    Product, Truncation, TruncatedProduct, TwoPartyTruncation, Tables, ByteTables, Merges, BitValues, BitProduct, Harmonics,
    Powers, Conjunctions,
]


def low_part(words: Words, bits: int) -> Words:
    """words mod 2^bits."""
    return words & np.uint64((1 << bits) - 1)


class Dealt(Protocol):
    """A party's hold on one correlation it asked for."""

    layout: Sequence[Part]  # its parts

    def corrected(self, k: int) -> Words | None:
        """At the receiver: the correction of part ``k`` (its share), waiting for it; None at the others."""


class Source(Protocol):
    """Where correlated randomness comes from: a dealer, a store, or another protocol."""

    def ask(self, correlations: Sequence[AnyCorrelation]) -> Sequence[Dealt]:
        """Ask for correlations that belong together; answers arrive while the program goes on."""


def share_words(party: Party, item: AnyCorrelation, dealt: Dealt, k: int = 0) -> Words:
    """This party's share of part ``k``, in the part's dtype; writable."""
    part = dealt.layout[k]
    got = dealt.corrected(k)
    if got is None:
        return _stream(party.dealt, item.op, part)
    return got if part.dtype == "<u8" else got.view(part.dtype)[: part.size]
