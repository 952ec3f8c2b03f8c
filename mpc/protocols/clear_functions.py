"""The plaintext twin's functions of one secret: the same fits and windows in double precision."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from mpc.fixed_point import Floats, Words
from mpc.protocols.series import SCALE, Saturated, Series, Window
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.party import Party


DIFFERENCE_BITS: Final = 63  # of what is compared


class ClearFunctions:
    """The function kernels of `Clear`."""

    party: Party

    @abstractmethod
    def _check(self, what: str, real: np.ndarray, scale: int, bits: int, shift: int = 0) -> None:
        """Refuse values of 2^bits or more, and note how close they came."""

    def _compares(self, differences: Floats, scale: int) -> None:
        self._check("comparison", differences, scale, DIFFERENCE_BITS)

    def at_least(self, x: Share, thresholds: Sequence[int]) -> Share:
        with self.party.scope("at_least"):
            ends = np.array([min(thresholds, default=0), max(thresholds, default=0)], np.float64)
            values = signed(x).astype(np.float64)
            if x.size:
                self._compares(np.array([values.min() - ends[1], values.max() - ends[0]]), x.scale)
            limits = np.array(thresholds, np.int64).reshape(-1, *(1 for _ in x.shape))
            return Share((signed(x) >= limits).astype(np.uint64), 0)

    def series(self, x: Share, fit: Series) -> Share:
        with self.party.scope("series"):
            return Share(_encoded(fit.at(_value(x)), SCALE), SCALE)

    def saturated(self, x: Share, fit: Saturated, frac_bits: int) -> Share:
        with self.party.scope("saturated"):
            self._compares(signed(x).astype(np.float64), x.scale)
            return Share(_encoded(fit.at(_value(x)), frac_bits), frac_bits)

    def exp(self, x: Share, window: Window, scale: int, bounded: bool = False) -> Share:
        with self.party.scope("exp"):
            self._compares(signed(x).astype(np.float64), x.scale)
            real = _value(x)
            value = np.where(real < window.low, 0.0, np.exp(np.clip(real, window.low, window.high)))
            return Share(_encoded(value, scale), scale)

    def largest(self, x: Share) -> tuple[Share, Share]:
        with self.party.scope("largest"):
            value = signed(x)
            if x.size:
                self._compares((value.max(axis=0).astype(np.float64) - value.min(axis=0)), x.scale)
            first = np.expand_dims(value.argmax(axis=0), 0)
            one_hot = np.zeros(x.shape, np.uint64)
            np.put_along_axis(one_hot, first, 1, axis=0)
            return Share(np.take_along_axis(np.asarray(x.words), first, axis=0)[0], x.scale), Share(one_hot, 0)


def signed(x: Share) -> np.ndarray:
    """The ring integers with their sign."""
    return np.asarray(x.words, order="C").view(np.int64)


def _value(x: Share) -> Floats:
    return np.ldexp(signed(x).astype(np.float64), -x.scale)


def _encoded(real: Floats, scale: int) -> Words:
    return np.asarray(np.rint(np.ldexp(real, scale))).astype(np.int64).view(np.uint64)
