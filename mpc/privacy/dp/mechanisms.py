"""The contract of every noise: what it is exactly, how it is drawn, and what it guarantees.

Noise here is a random *integer*, a number of grid steps. Floating-point noise added to floating-point values leaks the values
through the spacing of the floats (Mironov, "On significance of the least significant bits for differential privacy", 2012);
integers modulo 2^64 have no such holes. Every sampler is a circuit of coins (`mpc.privacy.dp.coins`) that runs in
clear and on shares alike, so `pmf` describes what runs.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.errors import NotSupported, ShapeError
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.coins import ClearCoins, Coins, CountedCoins, SharedCoins
from mpc.protocols.base import FREE, Cost
from mpc.sharing import Share

Integers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
BATCH = 1 << 17  # samples that are drawn side by side: bounds memory


class Mechanism(ABC):
    """Integer noise of a known distribution."""

    @abstractmethod
    def pmf(self) -> tuple[Integers, Probabilities]:
        """(support, probabilities): of the circuit itself, with the finite resolution of its coins."""

    @abstractmethod
    def circuit(self, coins: Coins) -> Words:
        """``coins.n`` samples as ring words: the one definition of the sampler."""

    @abstractmethod
    def privacy(
        self, l1: float | None = None, l2: float | None = None, linf: float | None = None, size: int = 1
    ) -> Guarantee:
        """What adding this noise to an integer vector of ``size`` values guarantees, where neighbouring data sets differ by at
        most these norms in grid steps (norms that are not given follow from those that are)."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """Name and public parameters: what parties compare."""

    @property
    @abstractmethod
    def std(self) -> float:
        """Standard deviation in grid steps."""

    def sample(self, shape: int | Sequence[int] = ()) -> Integers:
        """Noise in clear, int64 grid steps, from the operating system's entropy; it cannot be seeded."""
        shape = _shape(shape)
        parts = [self.circuit(ClearCoins(n)) for n in _batches(prod(shape))]
        return np.concatenate([np.empty(0, np.uint64), *parts]).view(np.int64).reshape(shape)

    def sample_shares(self, party: Party, shape: int | Sequence[int] = ()) -> Share:
        """Shares of noise that nobody knows: one honest party's private coins suffice, and the dealer has none (scale 0).

        Under protocol "clear", which hides nothing, party 0 draws it."""
        shape = _shape(shape)
        with party.scope("noise"):
            party.note("noise", self.key, shape)
            if party.protocol.name == "clear":
                words = self.sample(shape).view(np.uint64) if party.first else None
                return party.protocol.input(words, party.next_op(), 0, 0)
            parts = [self.circuit(SharedCoins(party, n)) for n in _batches(prod(shape))]
            return Share(np.concatenate([np.empty(0, np.uint64), *parts]).reshape(shape), 0)

    def cost(self, size: int) -> Cost:
        """Rounds, and bytes to each other party, of `sample_shares` for so many values."""
        out = FREE
        for n in _batches(size):
            coins = CountedCoins(n)
            self.circuit(coins)
            out += coins.cost
        return out

    def release(self, value: Any, reason: str = "") -> Any:
        """What ``reveal(dp=...)`` calls; here: NotSupported, integer noise knows nothing of what it would protect."""
        raise NotSupported(f"reveal(dp={self!r}): noise in grid steps knows no sensitivity; want privacy.Laplace(epsilon, "
                           "sensitivity) or privacy.Gaussian(epsilon, delta, sensitivity)")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mechanism) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        name, *rest = self.key
        return f"{name}({', '.join(map(str, rest))})"


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    out = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(n < 0 for n in out):
        raise ShapeError(f"noise of shape {out}; want no negative length")
    return out


def _batches(size: int) -> list[int]:
    return [min(BATCH, size - at) for at in range(0, size, BATCH)]


class Norms:
    """Bounds on an integer difference vector, each implied by the others where it is not given."""

    __slots__ = ("l1", "l2", "linf", "size")

    def __init__(self, l1: float | None, l2: float | None, linf: float | None, size: int) -> None:
        given = [n for n in (l1, l2, linf) if n is not None]
        if not given or not all(np.isfinite(n) and n > 0 for n in given):
            raise ValueError(f"sensitivity l1={l1}, l2={l2}, linf={linf}; want at least one, positive and finite")
        if size < 1:
            raise ValueError(f"noise for {size} values; want at least 1")
        inf = float("inf")
        a, b, c = (inf if n is None else float(n) for n in (l1, l2, linf))
        c = min(c, b, a)
        # values are integers, so |v| <= v^2: the squared L2 norm bounds the L1 norm as well as sqrt(size) times it does
        a = min(a, size * c, size**0.5 * b, b * b)
        b = min(b, a, (a * c) ** 0.5, size**0.5 * c)
        self.linf = max(1, int(np.floor(min(c, a, b) * (1 + 1e-12))))
        self.l1, self.l2, self.size = max(a, 1.0), max(b, 1.0), size

    @property
    def single(self) -> bool:
        """Only one value can differ, or it is as if."""
        return self.size == 1 or self.l1 < 2

    @property
    def changed(self) -> int:
        """How many values can differ at most."""
        return int(min(self.size, np.floor(self.l1 * (1 + 1e-12))))
