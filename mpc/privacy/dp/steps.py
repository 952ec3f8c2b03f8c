"""Accounting of many alike steps of Gaussian noise with Poisson subsampling, exact by dp-accounting.

A budget that is asked before every step answers by looking ahead (`Steps.within`). Everything else that it holds is kept beside
the steps.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from mpc.privacy.dp.accounting import INTERVAL, LOG_CUT, Guarantee
from mpc.privacy.extras import needed

COARSE_INTERVAL: Final = 1e-3  # of the privacy loss of steps alone; pessimistic, below 0.1 % of epsilon
KEPT: Final = 6

Counts = Mapping["Kind", int]


class Kind(NamedTuple):
    """One step: noise of standard deviation ``noise_multiplier`` times the sensitivity, on a sample that every record is in
    with probability ``rate``."""

    noise_multiplier: float
    rate: float = 1.0
    total_variation: float = 0.0

    def pld(self, interval: float) -> Any:
        """Of one step. Neighbours: a record added or removed."""
        return _one(self.noise_multiplier, self.rate, interval)


@lru_cache(maxsize=16)
def _one(noise_multiplier: float, rate: float, interval: float) -> Any:
    needed("dp_accounting")
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier, sampling_prob=rate, value_discretization_interval=interval, log_mass_truncation_bound=LOG_CUT
    )


class Steps(Guarantee):
    """So many steps of each kind, and ``rest``: whatever else was released. Composed when it is asked for."""

    __slots__ = ("_whole", "counts", "rest")

    def __init__(self, counts: Counts, rest: Guarantee | None = None) -> None:
        self.counts = dict(counts)
        self.rest = rest
        self._whole: Guarantee | None = None

    @property
    def whole(self) -> Guarantee:
        """All of it as a `Guarantee` of its own."""
        if self._whole is None:
            alone = self.rest is None or self.rest.pld is None
            own = _composed(frozenset(self.counts.items()), COARSE_INTERVAL if alone else INTERVAL)
            far = sum(kind.total_variation * n for kind, n in self.counts.items())
            self._whole = Guarantee(own, None, far)
            if self.rest is not None:
                self._whole = self._whole + self.rest
        return self._whole

    def delta(self, epsilon: float) -> float:
        return self.whole.delta(epsilon)

    def within(self, epsilon: float, delta: float) -> bool:
        """`Guarantee.within`, for a budget that asks before every step: looks ahead, to twice as many steps of the commonest
        kind, and remembers how many are within. So n steps take about 2 log2(n) compositions rather than n."""
        kind = max(self.counts, key=lambda k: self.counts[k])
        n = self.counts[kind]
        limits = _limits(kind, frozenset((k, c) for k, c in self.counts.items() if k != kind), self.rest, epsilon, delta)
        while limits.fine < n < limits.over:
            ahead = min(2 * n, (n + limits.over) // 2)
            if Guarantee.within(Steps({**self.counts, kind: ahead}, self.rest), epsilon, delta):
                limits.fine = ahead  # fewer steps are these steps, the last ones forgotten
            else:
                limits.over = ahead
        return n <= limits.fine

    def epsilon(self, delta: float) -> float:
        return self.whole.epsilon(delta)

    def __add__(self, other: Guarantee) -> Guarantee:
        if not isinstance(other, Steps):
            return Steps(self.counts, _both(self.rest, other))
        counts = dict(self.counts)
        for kind, n in other.counts.items():
            counts[kind] = counts.get(kind, 0) + n
        return Steps(counts, _both(self.rest, other.rest))

    def __radd__(self, other: Guarantee) -> Guarantee:
        return self + other

    def repeated(self, times: int) -> Guarantee:
        if times < 1:
            raise ValueError(f"{times} releases; want at least 1")
        rest = None if self.rest is None else self.rest.repeated(times)
        return Steps({kind: n * times for kind, n in self.counts.items()}, rest)


class _Limits:
    """So many steps are known to be within a bound, and so many (infinite: none) known not to be."""

    def __init__(self) -> None:
        self.fine, self.over = 0, 1 << 62


@lru_cache(maxsize=16)
def _limits(kind: Kind, others: frozenset[tuple[Kind, int]], rest: Guarantee | None, epsilon: float, delta: float) -> _Limits:
    """Of that kind beside the others; ``rest`` is told apart by identity."""
    return _Limits()


def _both(x: Guarantee | None, y: Guarantee | None) -> Guarantee | None:
    return y if x is None else x if y is None else x + y


_FOUND: OrderedDict[tuple[frozenset[tuple[Kind, int]], float], Any] = OrderedDict()


def _composed(counts: frozenset[tuple[Kind, int]], interval: float) -> Any:
    """The privacy loss of all these steps: one convolution where that of one step less is known."""
    key = counts, interval
    if key in _FOUND:
        _FOUND.move_to_end(key)
        return _FOUND[key]
    out = None
    for kind, n in counts:
        before = _FOUND.get(((counts - {(kind, n)}) | ({(kind, n - 1)} if n > 1 else set()), interval))
        if before is not None:
            out = before.compose(kind.pld(interval))
            break
    else:
        for kind, n in counts:
            part = kind.pld(interval) if n == 1 else kind.pld(interval).self_compose(n)
            out = part if out is None else out.compose(part)
    _FOUND[key] = out
    while len(_FOUND) > KEPT:
        _FOUND.popitem(last=False)
    return out
