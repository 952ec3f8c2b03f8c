"""Centred binomial noise: fair coins, counted."""
from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Final

import numpy as np

from mpc.errors import NotSupported
from mpc.fixed_point import Words
from mpc.privacy.dp import accounting
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.circuits import compressed
from mpc.privacy.dp.coins import Coins
from mpc.privacy.dp.mechanisms import Integers, Mechanism, Norms, Probabilities
from mpc.privacy.dp.renyi import Ladder, refined

MOST_COINS: Final = 1 << 16
MOST_FINE: Final = 40
FEW_STEPS: Final = 8
MOST_SUPPORT: Final = 1 << 22


class Binomial(Mechanism):
    """2^fine (B - coins / 2) + U + V - (2^fine - 1) in grid steps: B counts ``coins`` fair coins, U and V are uniform on
    0 .. 2^fine - 1. Standard deviation about 2^fine sqrt(coins) / 2.

    With fine = 0 this is the centred binomial (coins must be even then, for an integer centre). The uniform digits fill the
    steps between its values, so that a *fine* grid can be used without truncating what is protected: a truncation before the
    noise would add one step to the sensitivity of every value. Full adders on shares count the coins: about one AND per coin,
    2 coins bits each way and ``coins`` bits dealt; then 2 fine + 2 log2(coins) bits become integers. Rounds: about 1.7
    log2(coins).
    """

    def __init__(self, coins: int, fine: int = 0) -> None:
        if not 2 <= coins <= MOST_COINS or coins % 2:
            raise ValueError(f"{coins} coins; want an even number from 2 to {MOST_COINS}")
        if not 0 <= fine <= MOST_FINE:
            raise ValueError(f"{fine} fine digits; want 0 to {MOST_FINE}")
        self.coins = int(coins)
        self.fine = int(fine)

    @property
    def key(self) -> tuple[Any, ...]:
        return "Binomial", self.coins, self.fine

    @property
    def std(self) -> float:
        return math.sqrt(4.0**self.fine * self.coins / 4 + (4.0**self.fine - 1) / 6)

    def circuit(self, coins: Coins) -> Words:
        drawn = coins.fair(2 * self.fine + self.coins)
        columns = [drawn[2 * i : 2 * i + 2] for i in range(self.fine)] + [drawn[2 * self.fine :]]
        planes, weights = compressed(coins, columns)
        return coins.total(planes, weights) - coins.constant(self.centre)

    @property
    def centre(self) -> int:
        """Half of the largest sum."""
        return (self.coins // 2 << self.fine) + (1 << self.fine) - 1

    @cached_property
    def coarse(self) -> Probabilities:
        """Of B."""
        k = np.arange(self.coins + 1)
        logs = np.concatenate([[0.0], np.cumsum(np.log((self.coins + 1 - k[1:]) / k[1:]))])
        logs = np.minimum(logs, logs[::-1])
        return np.asarray(np.exp(logs - self.coins * math.log(2)))

    def pmf(self) -> tuple[Integers, Probabilities]:
        if self.coins << self.fine > MOST_SUPPORT:
            raise NotSupported(f"{self!r} has {self.coins << self.fine} values; they are listed up to {MOST_SUPPORT}")
        p = refined(self.coarse, self.fine)
        return np.arange(len(p)) - self.centre, p

    def privacy(
        self, l1: float | None = None, l2: float | None = None, linf: float | None = None, size: int = 1
    ) -> Guarantee:
        """One value: the exact privacy loss; with fine digits that of B alone and the shift in its steps, rounded up (U + V
        is independent noise on top, and B is log-concave: smaller shifts are covered). Several values, or a shift so small
        that rounding up would cost more: Renyi divergences per value, see `mpc.privacy.dp.renyi`."""
        norms = Norms(l1, l2, linf, size)
        if norms.single and (not self.fine or norms.linf >> self.fine >= FEW_STEPS):
            support = np.arange(self.coins + 1)
            return accounting.from_pmf(support, self.coarse, -(-norms.linf // (1 << self.fine)))
        return Ladder(self.coarse, self.fine).guarantee(norms)

