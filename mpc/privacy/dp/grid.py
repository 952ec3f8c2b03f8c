"""Mechanisms in the data's own units: the noise on whatever grid the protected value has.

A value of the engine is ``step`` times an integer that is a sum modulo 2^64. `Grid.on_grid` is the integer noise for that
step, and adding it is exact. Whoever uses such a mechanism by itself (`sample`, `pmf`, `privacy`) gets it on the grid
``grid``, by default a power of two about 2^-12 of the sensitivity.
"""
from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpc import sharing
from mpc.fixed_point import Floats, Words
from mpc.ops.value import LazyValue
from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.coins import Coins
from mpc.privacy.dp.mechanisms import Integers, Mechanism, Probabilities
from mpc.sharing import Share

if TYPE_CHECKING:
    from collections.abc import Sequence

FINE_STEPS = 12


class Released(NamedTuple):
    """What `SecretTensor.reveal` opens instead of the value, the ledger's remark, and the public factor of what was opened."""

    share: Share
    remark: str
    factor: float


class Grid(Mechanism):
    """A mechanism of a given ``sensitivity`` in real units.

    A sensitivity that rests on ``x.clip(low, high)`` holds while x is in the engine's range. Inputs are; a computed x, a sum of
    products above all, need not be, and then clip() may give anything: `mpc.privacy.sensitivity` clips any word.

    ``sensitivity``: how far one person can move the *encoded* value (`mpc.privacy.sensitivity` computes it): its L1 norm for
    Laplace, its L2 norm for Gaussian. ``truncations``: how many truncations lie between what a person contributed and the
    value; each may move each number by one step more, and so is added to the sensitivity. Default: 0 for integers and for
    products that are still pending (the noise is added before their truncation), 1 for any other fixed-point value, since a
    value does not know its history. A sum of values that were clipped last is exact: say truncations=0. Factors of a pending
    product that were rounded themselves are that history too: each unit of theirs counts as often as the other factor is
    large, in the sensitivity that is declared.
    """

    sensitivity: float | None
    delta: float

    def __init__(self, sensitivity: float | None, truncations: int | None, grid: float | None) -> None:
        self.sensitivity = None if sensitivity is None else positive("sensitivity", sensitivity)
        whole = isinstance(truncations, (int, np.integer)) and not isinstance(truncations, bool)
        if truncations is not None and not (whole and truncations >= 0):
            raise ValueError(f"truncations={truncations!r}; want an integer of at least 0")
        self.truncations = truncations
        self._grid = None if grid is None else positive("grid", grid)

    @property
    def grid(self) -> float:
        """The step of the noise where this mechanism is used by itself."""
        return self._grid or 2.0 ** (math.floor(math.log2(self.declared())) - FINE_STEPS)

    def declared(self) -> float:
        """The sensitivity. Raises ValueError where none was given."""
        if self.sensitivity is None:
            raise ValueError(f"{type(self).__name__} without a sensitivity: say by how much one person can move the value "
                             "(sensitivity=...), and clip inside the engine so that it holds; privacy.sensitivity helps")
        return self.sensitivity

    @abstractmethod
    def noise(self, steps: float, size: int) -> Mechanism:
        """The integer mechanism for a sensitivity of so many grid steps, ``size`` values."""

    @abstractmethod
    def enlarged(self, steps: float, size: int, truncations: int) -> float:
        """The sensitivity in steps, with that of the truncations."""

    @abstractmethod
    def guarantee(self, noise: Mechanism, steps: float, size: int) -> Guarantee:
        """Of that noise at that sensitivity."""

    def on_grid(self, step: float, size: int = 1, truncations: int = 0) -> tuple[Mechanism, Guarantee]:
        """(integer noise, guarantee) for ``size`` values that are multiples of ``step``."""
        steps = self.declared() / step
        if not steps < 2.0**52:
            raise ValueError(f"sensitivity {self.sensitivity} on a grid of {step}: {steps:.3g} steps; want fewer than 2^52")
        steps = self.enlarged(max(1.0, steps * (1 + 2.0**-48)) if steps % 1 else max(1.0, steps), size, truncations)
        noise = self.noise(steps, size)
        return noise, _guaranteed(self, noise, steps, size)

    # --- the contract, on its own grid
    @property
    def _alone(self) -> Mechanism:
        return self.on_grid(self.grid)[0]

    def pmf(self) -> tuple[Integers, Probabilities]:
        return self._alone.pmf()

    def circuit(self, coins: Coins) -> Words:
        return self._alone.circuit(coins)

    @property
    def std(self) -> float:
        return self._alone.std

    def privacy(
        self, l1: float | None = None, l2: float | None = None, linf: float | None = None, size: int = 1
    ) -> Guarantee:
        """In steps of ``grid``; without norms: at this mechanism's own sensitivity."""
        if l1 is l2 is linf is None:
            return self.on_grid(self.grid, size)[1]
        return self._alone.privacy(l1, l2, linf, size)

    def real(self, shape: int | Sequence[int] = ()) -> Floats:
        """Noise in clear, in real units: exact multiples of ``grid``. Not to be added to a number that is none: its digits
        below the grid would stay as they are, and tell whose it was. `noisy` rounds first."""
        return np.asarray(self.sample(shape) * self.grid)

    def noisy(self, values: Any) -> Floats:
        """Numbers in clear with noise, charged to the open budgets: rounded to multiples of ``grid``, which may move each by
        one step more, and then added as integers. Raises BudgetExceeded, ValueError beyond 2^48 steps."""
        x = np.asarray(values, np.float64)
        steps = np.rint(x / self.grid)
        if not (np.abs(steps) < 2.0**48).all():
            raise ValueError(f"values up to {np.abs(x).max(initial=0.0):.3g} on a grid of {self.grid:.3g}; want finite ones, "
                             "fewer than 2^48 steps")
        rounding = 1 if math.frexp(self.grid)[0] == 0.5 else 2  # a quotient that is rounded itself
        noise, guarantee = self.on_grid(self.grid, max(1, x.size), rounding)
        budget.charge(None, guarantee, str(self))
        return np.asarray((steps.astype(np.int64) + noise.sample(x.shape)) * self.grid)

    # --- what `SecretTensor.reveal(dp=...)` calls
    def release(self, value: Any, reason: str = "") -> Released:
        """value + noise that nobody knows, charged to the open budgets under that reason. Refuses before anything opens.

        The noise is added to the integers as they are, and these open: a pending truncation is left out and a public factor
        applied in clear, since noise may be larger than what can be truncated. Raises `BudgetExceeded`, ValueError.
        """
        if isinstance(value, LazyValue):
            value = value.forced()
        party, share, size = value.party, value.share, max(1, math.prod(value.shape))
        step = abs(value.gain) * 2.0**-share.scale
        if not step:
            raise ValueError("a value times 0: there is nothing to reveal")
        exact = share.scale == 0 or share.scale > party.frac_bits
        truncations = (0 if exact else 1) if self.truncations is None else self.truncations
        noise, guarantee = self.on_grid(step, size, truncations)
        party.note("dp", self.key, noise.key, truncations)
        budgets = budget.charge(party, guarantee, str(self), reason)
        noisy = sharing.add(share, noise.sample_shares(party, value.shape).rescaled(share.scale))
        epsilon, delta = self.claim(guarantee)
        return Released(noisy, f"epsilon={epsilon:.4g}, delta={delta:.3g}{budgets}", value.gain)

    def claim(self, guarantee: Guarantee) -> tuple[float, float]:
        """(epsilon, delta) for the ledger: epsilon at this mechanism's delta."""
        return guarantee.epsilon(self.delta), self.delta


@lru_cache(maxsize=256)
def _guaranteed(mechanism: Grid, noise: Mechanism, steps: float, size: int) -> Guarantee:
    return mechanism.guarantee(noise, steps, size)


def too_much(std: float, most: float) -> ValueError:
    """The error for noise of so many grid steps."""
    return ValueError(f"noise of standard deviation {std:.3g} in steps of the value's grid; want at most {most:.2g}: a larger "
                      "epsilon, a smaller sensitivity, or a coarser grid (a sum instead of its mean, fewer frac_bits)")


def positive(what: str, value: float) -> float:
    """A positive finite number. Raises ValueError."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not 0 < float(value) < math.inf:
        raise ValueError(f"{what} {value!r}; want a positive, finite number")
    return float(value)
