"""Coins: random bits nobody knows, and the few operations that samplers are made of.

A sampler is written once against `Coins` and runs in clear (`ClearCoins`) or on shares (`SharedCoins`), so what is accounted
for is what runs. Bits are planes: rows of words, bit l of a row belongs to sample l. XOR of planes is ``^``.

On shares a fair coin is the XOR of one bit of every party's *private* stream (`mpc.prg`): it is uniform and unknown to
any coalition that lacks one party, the dealer included, which has no part in it. ANDs open both operands under dealt masks,
2 bits to each other party and 1 bit from the dealer; a bit becomes an integer by one opened bit and 8 dealt bytes.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np

from mpc import prg, ring
from mpc.errors import NotSupported
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.preprocessing.base import COINS, MASKS_1, BitValues, Conjunctions, share_words
from mpc.protocols.additive import Additive
from mpc.protocols.base import FREE, Cost
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

_ALL: Final = np.uint64(2**64 - 1)


class Coins(ABC):
    """Fair coins for ``n`` samples side by side."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.width = ring.planes_words(n)

    @abstractmethod
    def fair(self, count: int) -> Words:
        """``count`` new planes of fair coins, (count, width)."""

    @abstractmethod
    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        """planes[left] AND planes[right], row by row, (len(left), width). One round."""

    @abstractmethod
    def flip(self, planes: Words) -> Words:
        """NOT."""

    @abstractmethod
    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        """Sum over rows of weight * bit as integers modulo 2^64, (n,). One round."""

    @abstractmethod
    def constant(self, value: int) -> Words:
        """A public integer, to be added to totals."""

    def zeros(self, count: int) -> Words:
        """Planes of zeros."""
        return np.zeros((count, self.width), np.uint64)


class ClearCoins(Coins):
    """In clear, from a key of the operating system that lives as long as this object. There is no seed to give."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self._key = prg.derive(prg.fresh_secret(), "coins in clear")
        self._op = 0

    def fair(self, count: int) -> Words:
        self._op += 1
        return prg.words(self._key, self._op, COINS, count * self.width).reshape(count, self.width)

    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        return _rows(planes, left) & _rows(planes, right)

    def flip(self, planes: Words) -> Words:
        return ~planes

    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        out, lane = np.zeros(self.n, np.uint64), np.empty(self.n, np.uint64)
        for plane, weight in zip(planes, weights, strict=True):
            ring.unpack_bits(np.ascontiguousarray(plane), lane)
            out += lane * np.uint64(weight % 2**64)
        return out

    def constant(self, value: int) -> Words:
        return np.asarray(value % 2**64, np.uint64)


class SharedCoins(Coins):
    """On XOR shares among the parties of a session; see this module for who knows what (nobody, anything)."""

    def __init__(self, party: Party, n: int) -> None:
        super().__init__(n)
        if not isinstance(party.protocol, Additive):
            raise NotSupported(f"coins on shares under protocol {party.protocol.name!r}; want 'additive'")
        self.party = party
        self.protocol = party.protocol

    def fair(self, count: int) -> Words:
        """No traffic: each party's part of a coin is a bit of its own stream."""
        op = self.party.next_op()
        self.party.note("coins", op, count, self.n)
        return prg.words(self.party.private, op, COINS, count * self.width).reshape(count, self.width)

    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        """With e = x ^ a, f = y ^ b open: x y = e f ^ e b ^ f a ^ ab, the last one dealt. 1 bit per plane and sample each
        way."""
        party, count = self.party, planes.shape[0]
        op = party.next_op()
        party.note("both", op, planes.shape, len(left))
        item = Conjunctions(op, count, self.width, tuple(left), tuple(right))
        ((_, dealt),) = self.protocol.ask([item])
        masks = prg.words(party.dealt, op, MASKS_1, planes.size).reshape(planes.shape)
        frame = frames.new(planes.size)
        np.bitwise_xor(planes, masks, out=frame[HEADER_WORDS:].reshape(planes.shape))
        pending = party.post(Kind.BITS, op, frame, planes.shape)
        out = share_words(party, item, dealt).reshape(len(left), self.width)
        opened = pending.xor().reshape(planes.shape)
        e, f = _rows(opened, left), _rows(opened, right)
        term = e & _rows(masks, right)
        out ^= term
        np.bitwise_and(f, _rows(masks, left) ^ e if party.first else _rows(masks, left), out=term)
        out ^= term
        return out

    def flip(self, planes: Words) -> Words:
        return planes ^ _ALL if self.party.first else planes.copy()

    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        """[b] = e + (1 - 2e)[s] for the opened e = b ^ s (protocols.md, section 6): one bit each way, one word dealt, per
        bit."""
        party = self.party
        ops = [party.next_op() for _ in weights]
        party.note("total", ops[0], self.n, tuple(weights))
        asked = self.protocol.ask([BitValues(op, self.n) for op in ops])
        bits = self.protocol.open_bits(list(planes), asked)
        out = np.zeros(self.n, np.uint64)
        for bit, weight in zip(bits, weights, strict=True):
            out += self.protocol.bit_words(bit) * np.uint64(weight % 2**64)
        return out

    def constant(self, value: int) -> Words:
        return np.asarray(value % 2**64 if self.party.first else 0, np.uint64)


class CountedCoins(Coins):
    """No coins at all: what `SharedCoins` would cost. ``dealt``: bytes from the dealer to the receiver, without headers."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.sent, self.width = self.width, 1  # one word stands for all of a plane
        self.cost, self.dealt = FREE, 0

    def fair(self, count: int) -> Words:
        return np.zeros((count, 1), np.uint64)

    def both(self, planes: Words, left: Sequence[int], right: Sequence[int]) -> Words:
        self.cost += Cost(1, 8 * self.sent * len(planes))
        self.dealt += 8 * self.sent * len(left)
        return np.zeros((len(left), 1), np.uint64)

    def flip(self, planes: Words) -> Words:
        return planes.copy()

    def total(self, planes: Words, weights: Sequence[int]) -> Words:
        self.cost += Cost(1, 8 * self.sent * len(planes))
        self.dealt += 8 * self.n * len(planes)
        return np.zeros(1, np.uint64)

    def constant(self, value: int) -> Words:
        return np.zeros((), np.uint64)


def _rows(planes: Words, index: Sequence[int]) -> Words:
    """planes[index], without a copy where the index is a run."""
    if isinstance(index, range) and index.step == 1:
        return planes[index.start : index.stop]
    return planes[list(index)]
