"""Fixed-point values: a Share, a public factor, and the rule by which it is truncated late and once.

A `Value` is ``gain * share``. Products leave the share at the sum of the factors' scales (*pending*, above frac_bits);
multiplication by a public number touches only ``gain``. Both are settled - one truncation that applies the factor too,
and replaces the share - when a product of shares or a reveal needs frac_bits. Range: a pending share must stay below
2^62 in units of the ring: 2^30 for a sum of products at f = 16, and the encoding bound 2^(31 - f) for what a gain is
applied to (after it) and for what is lifted to a larger scale.
"""
from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from mpc import fixed_point, sharing
from mpc.fixed_point import Words
from mpc.masks import Shape
from mpc.protocols.base import broadcast_shape
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.party import Party

SIGNIFICANT_BITS = 12  # of a public factor, at least: relative error 2^-13

Public = Union[float, npt.NDArray[Any]]


class Value:
    """``gain * share`` at ``party``. The gain is public, finite and the same at all parties."""

    __slots__ = ("gain", "number", "party", "remark", "share")

    remark: Callable[[], str]  # set where the ledger is to say something of this very value when it is revealed
    party: Party
    share: Share
    gain: float
    number: int  # its place among the program's values: what the transcript calls it

    def __init__(self, party: Party, share: Share, gain: float = 1.0) -> None:
        self.party = party
        self.share = share
        self.gain = gain
        self.number = party.number()

    @property
    def shape(self) -> Shape:
        return self.share.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def settled(self, exact: bool = False) -> Share:
        """The share with its factor applied, at scale frac_bits or less; kept, so truncated once.

        ``exact``: by floor, for what is about to be revealed: a random rounding of one value, revealed again and again
        from fresh computations, would tell its low bits.
        """
        share, f = self.share, self.party.frac_bits
        if self.gain == 1.0 and share.scale <= f:
            return share
        share = self.absorbed()
        if share.scale > f:
            share = self.party.protocol.truncate(share, share.scale - f, exact)
        self.share, self.gain = share, 1.0
        return share

    def said(self) -> str:
        """What the ledger is to say of this value."""
        return self.remark() if hasattr(self, "remark") else ""

    def factor(self, fold: bool) -> Share:
        """The share as a factor of a product, at scale frac_bits or less; kept. The gain stays outside, unless a
        truncation is due and ``fold`` says to apply it there. Gradients do not fold: 1/n would cost them log2(n) bits."""
        share, f = self.share, self.party.frac_bits
        if share.scale <= f:
            return share
        if fold:
            return self.settled()
        self.share = share = self.party.protocol.truncate(share, share.scale - f)
        return share

    def shrunk(self) -> None:
        """Apply a factor below one half before the share is multiplied: the product of the shares alone would be larger
        than the product of the values, and could leave the range although the values do not. (A pending share is truncated
        for the product anyway, and its factor with it.)"""
        if abs(self.gain) < 0.5 and self.share.scale <= self.party.frac_bits:
            self.settled()

    def keep(self, share: Share, folded: bool) -> None:
        """From now on this share, a truncation of the one held; ``folded``: with the gain applied."""
        self.share = share
        if folded:
            self.gain = 1.0

    def absorbed(self) -> Share:
        """The share with its factor multiplied in: at scale frac_bits + 31 or less, where every encodable value fits, or
        above that for powers of two and tiny factors. Not kept. Local, unless a pending share is too fine for the
        factor (a mean of products over a count that is no power of two): it is truncated as far as needed first."""
        share, gain = self.share, self.gain
        if gain == 1.0:
            return share
        f = self.party.frac_bits
        mantissa, shift = integer_factor(gain, f + 31 - share.scale, f + 60 - share.scale)
        scale = share.scale + shift
        if mantissa == 1:
            return share.rescaled(scale)
        if scale <= f:  # no truncation follows: the opened form stays useful
            share = share.times(mantissa)
            share.scale = scale
            return share
        excess = min(scale - (f + 31), share.scale - f)
        if excess > 0:
            self.share = share = self.party.protocol.truncate(share, excess)
        factor = np.uint64(mantissa % 2**64)

        def words() -> Words:
            return np.asarray(np.multiply(share.words, factor))

        return Share.later(words, share.shape, share.scale + shift, share.owner, of=(share,))

    def addend(self) -> Share:
        """The share with its factor multiplied in, at a scale to which any encodable value can be lifted."""
        share = self.absorbed()
        return self.settled() if share.scale > self.party.frac_bits + 31 else share

    def scaled(self, factor: float) -> Value:
        """The value times a public number: the same Share object, so what is opened stays opened."""
        return Value(self.party, self.share, self.gain * factor)

    def of(self, share: Share) -> Value:
        """A linear image of the share, under the same gain."""
        return Value(self.party, share, self.gain)

    def reshape(self, shape: Sequence[int]) -> Value:
        return self.of(self.share.reshape(shape))

    def transpose(self, axes: Sequence[int]) -> Value:
        return self.of(self.share.transpose(axes))

    def broadcast_to(self, shape: Shape) -> Value:
        """Repeat along new or unit axes; a pending value is settled before its copies have to be."""
        if shape == self.shape:
            return self
        self.factor(fold=True)
        return self.of(self.share.broadcast_to(shape))


Operand = Union[Value, Public]


def structure(arg: Any) -> Any:
    """What the transcript records of an operand: which value of the program it is, or the public thing itself."""
    if isinstance(arg, Value):
        return arg.number
    if isinstance(arg, np.ndarray):
        content = hashlib.blake2b(np.ascontiguousarray(arg).data, digest_size=16).digest()
        return arg.dtype.str, arg.shape, content
    return tuple(map(structure, arg)) if isinstance(arg, tuple) else arg


class LazyValue(Value):
    """A value computed at its first use: losses, whose gradient does not need them. ``compute`` runs at most once.

    Multiples and sums of lazy values are lazy. All parties use it at the same point of their program, or none does.
    """

    __slots__ = ("_compute", "_shape", "_value")

    def __init__(self, party: Party, shape: Shape, compute: Callable[[], Value]) -> None:
        self.party = party
        self.number = party.number()
        self._shape = shape
        self._compute: Callable[[], Value] | None = compute
        self._value: Value | None = None

    def forced(self) -> Value:
        """The value itself."""
        if self._value is None:
            assert self._compute is not None
            with self.party.scope("loss"):
                self._value, self._compute = self._compute(), None
        return self._value

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def share(self) -> Share:  # type: ignore[override]
        return self.forced().share

    @property
    def gain(self) -> float:  # type: ignore[override]
        return self.forced().gain

    def settled(self, exact: bool = False) -> Share:
        return self.forced().settled(exact)

    def factor(self, fold: bool) -> Share:
        return self.forced().factor(fold)

    def absorbed(self) -> Share:
        return self.forced().absorbed()

    def shrunk(self) -> None:
        self.forced().shrunk()

    def keep(self, share: Share, folded: bool) -> None:
        self.forced().keep(share, folded)

    def scaled(self, factor: float) -> Value:
        return LazyValue(self.party, self._shape, lambda: self.forced().scaled(factor))


def integer_factor(factor: float, room: int, limit: int = 60) -> tuple[int, int]:
    """(m, s) with factor ~ m * 2^-s and m odd where s > 0: s <= room, more only for `SIGNIFICANT_BITS`, never > limit.

    Powers of two come out exact with m = 1.
    """
    shift = min(max(room, SIGNIFICANT_BITS - math.frexp(factor)[1], 0), limit)
    mantissa = round(math.ldexp(factor, shift))
    if mantissa == 0:
        return 0, 0
    zeros = (mantissa & -mantissa).bit_length() - 1
    if zeros >= shift:
        return mantissa >> shift, 0
    return mantissa >> zeros, shift - zeros


def public(value: Any, frac_bits: int) -> Public:
    """A public operand: a float for numbers and 0-dimensional arrays, else a real NumPy array.

    Raises NotSupported for what is no real number, FixedPointRangeError for a number beyond the encoding bound.
    """
    kind = type(value)
    if kind is not float and kind is not int:
        array = fixed_point.as_array(value)
        if array.ndim:
            if array.dtype.kind == "u" and array.size and array.max() >= 1 << 31:
                fixed_point.encode(array, frac_bits)  # raises, before it would wrap
            return array.astype(np.int64) if array.dtype.kind in "biu" else array  # narrow ones would wrap
        value = array.item()
    if not abs(value) < fixed_point.bound(frac_bits):
        fixed_point.encode(value, frac_bits)  # raises
    return float(value)


def encode(array: npt.NDArray[Any], frac_bits: int) -> tuple[Words, int]:
    """(words, scale) of a public array: integers and bits at scale 0, others with frac_bits bits of their largest
    magnitude, or of 1 when that is larger. Raises FixedPointRangeError."""
    if array.dtype.kind in "biu":
        return fixed_point.encode(array, frac_bits, 0), 0
    top = float(np.abs(array).max(initial=0.0))
    spare = min(15, max(0, -math.frexp(top)[1])) if 0.0 < top < 1.0 else 0
    return fixed_point.encode(array, frac_bits, frac_bits + spare), frac_bits + spare


def from_public(party: Party, value: Public, scale: int | None = None) -> Value:
    """A public constant as a value: known to everybody, but usable where a secret is wanted."""
    words = fixed_point.encode(value, party.frac_bits, scale).reshape(np.shape(value))
    party.note("constant", structure(words))
    return Value(party, Share(party.protocol.public(words), party.frac_bits if scale is None else scale))


def add(x: Operand, y: Operand, sign: int = 1) -> Operand:
    """x + sign * y with broadcasting, at the larger scale. Local, unless a pending value is too fine to be added to."""
    if isinstance(x, Value):
        if isinstance(y, Value):
            return _add(x, y, sign)
        return _add_public(x, y if sign > 0 else np.negative(y))
    if isinstance(y, Value):
        return _add_public(y if sign > 0 else y.scaled(-1.0), x)
    return np.add(x, y) if sign > 0 else np.subtract(x, y)


def _add(x: Value, y: Value, sign: int) -> Value:
    if type(x) is LazyValue or type(y) is LazyValue:
        forced = [v.forced if type(v) is LazyValue else lambda v=v: v for v in (x, y)]
        shape = broadcast_shape(x.shape, y.shape, "sum")
        return LazyValue(x.party, shape, lambda: _add(forced[0](), forced[1](), sign))
    gain, other = x.gain, y.gain * sign
    if gain == other or gain == -other:
        a, b = x.share, y.share
        minus = gain != other
    else:
        a, b = x.addend(), y.addend()
        gain, minus = 1.0, sign < 0
    broadcast_shape(a.shape, b.shape, "sum")
    return Value(x.party, sharing.add(a, b, minus), gain)


def _add_public(x: Value, y: Any) -> Value:
    """x + y. A number that is an integer keeps x's scale; other numbers and float arrays want at least frac_bits."""
    if type(x) is LazyValue:
        return LazyValue(x.party, broadcast_shape(x.shape, np.shape(y), "sum"), lambda: _add_public(x.forced(), y))
    party = x.party
    share = x.share if x.gain == 1.0 else x.addend()
    f = party.frac_bits
    scalar = isinstance(y, float)
    if share.scale < f and not (y.is_integer() if scalar else y.dtype.kind in "biu"):
        share = share.lifted(f)
    if scalar:
        words = np.asarray(round(math.ldexp(y, share.scale)) % 2**64, np.uint64)
    else:
        words = fixed_point.encode(y, f, share.scale)
        broadcast_shape(share.shape, words.shape, "sum")
    return Value(party, party.protocol.add_public(share, words))


def total(v: Operand, axes: tuple[int, ...] | None, keepdims: bool) -> Operand:
    """Sum over axes (None: all)."""
    if isinstance(v, Value):
        return v.of(v.party.protocol.total(v.share, axes, keepdims))
    return np.asarray(np.sum(v, axis=axes, keepdims=keepdims))


def unbroadcast(v: Operand, shape: Shape) -> Operand:
    """The gradient of broadcasting ``shape`` to v's shape: sums over the repeated axes."""
    got: Shape = v.shape if isinstance(v, Value) else np.shape(v)
    if got == shape:
        return v
    extra = len(got) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and got[i + extra] != 1)
    summed = total(v, axes, True) if axes else v
    return summed.reshape(shape)  # type: ignore[union-attr]
