"""Shares and the mathematics on them: additive modulo 2^64, XOR on bits. Pure: no party, no I/O.

``Share`` is what protocols see: this party's words, the scale (fraction bits of the fixed-point value, 0 for bits and
integers) and, once the secret was opened under a mask, its opened form. Linear maps carry the opened form along, so
that a secret is opened once however often it is used (protocols.md, section 4).
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpc import fixed_point, masks, prg
from mpc.errors import ConfigError, ShapeError
from mpc.fixed_point import Floats, Words
from mpc.masks import Joined, Mask, Moved, Name, Shape

NAME_DEPTH = 24  # linear maps that a mask's name may carry; behind more of them the tensor is opened afresh
NAME_NODES = 64
MAX_WAITING = 32  # local operations behind a message that is on its way; the next one waits for it
CHEAP = ("reshape", "transpose", "broadcast", "scale")  # linear maps whose result's shape is known without computing it
REORDERS = ("reshape", "transpose", "broadcast", "pad", "unfold")  # opening one opens its origin, once for all views


class Opened:
    """E = x - A, public and the same at every party, with the name of A. E may still be on its way: ``public`` is then a
    function that waits for it, called at the first use."""

    __slots__ = ("_public", "depth", "name", "nodes", "share")

    def __init__(
        self, public: Words | Callable[[], Words], name: Name, share: Words | None = None, depth: int = 0, nodes: int = 1
    ) -> None:
        self._public = public
        self.name = name
        self.share = share  # this party's A_i; regenerated from the name when absent
        self.depth = depth
        self.nodes = nodes

    @property
    def public(self) -> Words:
        if not isinstance(self._public, np.ndarray):
            self._public = self._public()
        return self._public

    def arrives(self, public: Callable[[], Words]) -> None:
        """It was sent: this is how to wait for it."""
        self._public = public

    def mask_share(self, expand: Callable[[Mask], Words]) -> Words:
        """This party's share of A, regenerated at its first use and kept while the opened form lives."""
        if self.share is None:
            self.share = masks.evaluate(self.name, expand)
        return self.share

    def moved(self, kind: str, arg: Any) -> Opened | None:
        """The opened form under a linear map; None where its name would grow too long for a request."""
        if self.depth >= NAME_DEPTH or self.nodes >= NAME_NODES:
            return None
        return Opened(
            self.then(lambda public: masks.move(public, kind, arg)),
            Moved(self.name, kind, arg),
            None if self.share is None else masks.move(self.share, kind, arg),
            self.depth + 1,
            self.nodes + 1,
        )

    def then(self, function: Callable[[Words], Words]) -> Words | Callable[[], Words]:
        """A function of E: now, or once E is there."""
        return function(self._public) if isinstance(self._public, np.ndarray) else lambda: function(self.public)


class OpenedBit:
    """e = b XOR s, public, with the name of the dealt bit s and this party's additive share of s.

    b = e + (1 - 2e) s, so a product of b with an opened tensor needs no further opening (protocols.md, section 6). Both e
    and [s] may still be on their way, as in `Opened`.
    """

    __slots__ = ("_public", "_share", "op", "tensor")

    def __init__(
        self, public: Words | Callable[[], Words], op: int, tensor: int, share: Words | Callable[[], Words]
    ) -> None:
        self._public = public
        self.op = op  # s is the plane tensor (op, tensor) of all dealt streams
        self.tensor = tensor
        self._share = share

    @property
    def public(self) -> Words:
        """e, packed, lane order of the flattened tensor."""
        if not isinstance(self._public, np.ndarray):
            self._public = self._public()
        return self._public

    @property
    def share(self) -> Words:
        """[s], flat."""
        if not isinstance(self._share, np.ndarray):
            self._share = self._share()
        return self._share

    def complement(self) -> OpenedBit:
        """Of 1 - b: e becomes its complement."""
        return OpenedBit(lambda: ~self.public, self.op, self.tensor, lambda: self.share)


class Share:
    """This party's part of one secret tensor. ``repr`` never shows words.

    A kernel whose last message is still on its way returns a share that knows its shape and computes its words at their
    first use (`later`): the program meanwhile names the masks of what comes next and asks the dealer for it.
    """

    __slots__ = ("_compute", "_depth", "_shape", "_words", "base", "bit", "opened", "owner", "scale")

    def __init__(
        self,
        words: Words | None,
        scale: int,
        opened: Opened | None = None,
        bit: OpenedBit | None = None,
        owner: int | None = None,
        base: tuple[Share, str, Any] | None = None,
    ) -> None:
        self._words = words
        self.scale = scale
        self.opened = opened
        self.bit = bit
        self.owner = owner  # the party whose words are the value itself: all others hold zeros
        self.base = base  # what this reorders or repeats: opening it here opens it there, once for both
        self._compute: Callable[[], Words] | None = None
        self._shape: Shape = ()  # where the words are not there yet
        self._depth = 0

    @classmethod
    def later(
        cls, compute: Callable[[], Words], shape: Shape, scale: int, owner: int | None = None, of: Sequence[Share] = ()
    ) -> Share:
        """Words of ``shape`` that ``compute`` gives at their first use; at once where the words it is made ``of`` are
        there already. ``compute`` sends nothing and gives the same whenever it is called."""
        depth = 1 + max((x._depth for x in of), default=0)
        if of and (depth > MAX_WAITING or all(x._words is not None for x in of)):
            return cls(compute(), scale, owner=owner)
        made = cls(None, scale, owner=owner)
        made._compute, made._shape, made._depth = compute, tuple(shape), depth
        return made

    @property
    def words(self) -> Words:
        if self._words is None:
            assert self._compute is not None
            self._words = self._compute()
            self._compute, self._depth = None, 0
        return self._words

    @property
    def shape(self) -> Shape:
        return self._shape if self._words is None else self._words.shape

    @property
    def size(self) -> int:
        return math.prod(self._shape) if self._words is None else self._words.size

    def __repr__(self) -> str:
        return f"Share(shape={self.shape}, scale={self.scale}, opened={self.opened is not None})"

    def __reduce__(self) -> Any:
        raise TypeError("a Share cannot be pickled; mpc.save writes this party's shares to a file")

    def move(self, kind: str, arg: Any) -> Share:
        """A public linear map (reshape, transpose, index, broadcast, scale): the opened form is carried along."""
        if self._words is None and kind in CHEAP:
            shape = masks.move(np.broadcast_to(np.uint64(0), self._shape), kind, arg).shape if kind != "scale" else self._shape
            moved = Share.later(lambda: masks.move(self.words, kind, arg), shape, self.scale, self.owner, of=(self,))
        else:
            moved = Share(masks.move(self.words, kind, arg), self.scale, None, None, self.owner)
        if self.opened is not None:
            moved.opened = self.opened.moved(kind, arg)
        elif kind in REORDERS and self._reordered() < NAME_DEPTH:
            moved.base = (self, kind, arg)
        if self.bit is not None and kind == "reshape":
            moved.bit = self.bit
        return moved

    def _reordered(self) -> int:
        """How many reorderings lie between this and the tensor that would be opened for it."""
        steps, base = 0, self.base
        while base is not None:
            steps, base = steps + 1, base[0].base
        return steps

    def reshape(self, shape: Sequence[int]) -> Share:
        return self.move("reshape", tuple(shape))

    def transpose(self, axes: Sequence[int]) -> Share:
        return self.move("transpose", tuple(axes))

    def __getitem__(self, index: Any) -> Share:
        return self.move("index", masks.pack_index(index))

    def broadcast_to(self, shape: Sequence[int]) -> Share:
        return self if tuple(shape) == self.shape else self.move("broadcast", tuple(shape))

    def __neg__(self) -> Share:
        return self.move("scale", (1 << 64) - 1)

    def times(self, factor: int) -> Share:
        """The value times a public integer, same scale."""
        return self.move("scale", factor % (1 << 64))

    def lifted(self, scale: int) -> Share:
        """The same value at a larger scale (exact: a shift to the left)."""
        if scale == self.scale:
            return self
        if scale < self.scale:
            raise ValueError(f"cannot lift from scale {self.scale} to the smaller {scale}: truncate instead")
        lifted = self.times(1 << (scale - self.scale))
        lifted.scale = scale
        return lifted

    def rescaled(self, scale: int) -> Share:
        """The same words read at another scale: the value times 2^(old - new), exact and free."""
        same = Share.later(lambda: self.words, self.shape, scale, self.owner, of=(self,))
        same.opened = self.opened
        return same


def common_owner(*shares: Share) -> int | None:
    """The party that holds all of them alone; None where several take part."""
    owners = {s.owner for s in shares}
    return owners.pop() if len(owners) == 1 else None


def concatenate(shares: Sequence[Share], axis: int) -> Share:
    """Shares of equal scale joined along an axis; opened if all are."""
    scale = max(s.scale for s in shares)
    shares = [s.lifted(scale) for s in shares]
    joined = Share(np.concatenate([s.words for s in shares], axis=axis), scale, owner=common_owner(*shares))
    forms = [s.opened for s in shares]
    opened = [f for f in forms if f is not None]
    depth, nodes = 1 + max((f.depth for f in opened), default=0), 1 + sum(f.nodes for f in opened)
    if len(opened) == len(shares) and depth <= NAME_DEPTH and nodes <= NAME_NODES:
        def public() -> Words:
            return np.concatenate([f.public for f in opened], axis=axis)

        joined.opened = Opened(public, Joined([f.name for f in opened], axis), None, depth, nodes)
    return joined


def add(x: Share, y: Share, minus: bool = False) -> Share:
    """x + y, or x - y, with broadcasting, at the larger of the two scales."""
    scale = max(x.scale, y.scale)
    function = np.subtract if minus else np.add

    def words() -> Words:
        return np.asarray(function(_words_at(x, scale), _words_at(y, scale)))

    return Share.later(words, np.broadcast_shapes(x.shape, y.shape), scale, common_owner(x, y), of=(x, y))


def sub(x: Share, y: Share) -> Share:
    """x - y with broadcasting, at the larger of the two scales."""
    return add(x, y, minus=True)


def _words_at(x: Share, scale: int) -> Words:
    return x.words if x.scale == scale else np.asarray(np.left_shift(x.words, np.uint64(scale - x.scale)))


def total(x: Share, axes: tuple[int, ...] | None, keepdims: bool) -> Share:
    """Sum over axes."""
    return Share(np.asarray(x.words.sum(axis=axes, keepdims=keepdims, dtype=np.uint64)), x.scale, owner=x.owner)


def split(words: Words, parties: int, key: bytes | None = None) -> list[Words]:
    """Additive shares of ring words: all but the last uniform, from a fresh key of the operating system."""
    key = prg.derive(prg.fresh_secret(), "split") if key is None else key
    parts = [prg.words(key, 0, i, words.size).reshape(words.shape) for i in range(parties - 1)]
    last = words.copy()
    for part in parts:
        last -= part
    return [*parts, last]


def join(shares: Sequence[Words]) -> Words:
    """The words whose additive shares these are."""
    out = np.zeros(shares[0].shape, np.uint64)
    for share in shares:
        out += share
    return out


def secret_share(value: Any, parties: int = 3, frac_bits: int = 16) -> list[Share]:
    """Additive shares of a real array for ``parties`` holders, without any network: any ``parties - 1`` of them are
    uniform. Raises FixedPointRangeError, NotSupported, ConfigError."""
    if not 2 <= parties <= 8:
        raise ConfigError(f"got {parties} parties; want 2 to 8")
    return [Share(words, frac_bits) for words in split(fixed_point.encode(value, frac_bits), parties)]


def reconstruct(shares: Sequence[Share]) -> Floats:
    """The real array whose shares these are (all of them, in any order). Raises ShapeError on shares that do not fit."""
    if len(shares) < 2:
        raise ConfigError(f"got {len(shares)} shares; want all of them (at least 2)")
    if len({(s.shape, s.scale) for s in shares}) != 1:
        raise ShapeError(f"shares of different tensors: shapes and scales {[(s.shape, s.scale) for s in shares]}")
    return fixed_point.decode(join([s.words for s in shares]), shares[0].scale)
