"""Two groups of scores told apart: ROC curve, AUC, advantage, true positives at few false ones, each with an interval."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.intervals import DRAWS, LEVEL, Estimate, Floats, Labels, estimate
from mpc.privacy.audit.rates import best_threshold, difference, share

Bools = npt.NDArray[np.bool_]

FEW: Final = 0.01  # false positives at which true ones are counted
MIXES: Final = 200
LEAST_RECORDS: Final = 4  # of either side
_AT_ONCE: Final = 1 << 21  # weights in memory


@dataclass(frozen=True)
class Scores:
    """An attacker's scores of ``positives`` and ``negatives`` (members and others); a higher score says "positive".

    ``positive_groups``, ``negative_groups``: whose record each is, numbered from 0 over both sides; intervals draw groups, and
    a group with records on both sides is drawn as one. A score that every record shares is no evidence: ties count half in the
    AUC and are never cut through. Intervals (95 %) are about records such as these and this attack on this one model: another
    training run differs as well.
    """

    positives: Floats
    negatives: Floats
    positive_groups: Labels
    negative_groups: Labels
    seed: int = 0

    @classmethod
    def of(
        cls, positives: Any, negatives: Any, positive_groups: Any = None, negative_groups: Any = None, seed: int = 0
    ) -> Scores:
        """Checks and numbers the groups; without groups every record is its own. Equal groups on both sides are the same one.

        Raises ShapeError, ConfigError (NaN).
        """
        arrays = [np.asarray(a, np.float64) for a in (positives, negatives)]
        for name, a in zip(("positives", "negatives"), arrays, strict=True):
            if a.ndim != 1 or len(a) < LEAST_RECORDS:
                raise ShapeError(f"scores: got {name} of shape {a.shape}; want one dimension, at least {LEAST_RECORDS} records")
            if np.isnan(a).any():
                raise ConfigError(f"scores: got NaN at {int(np.flatnonzero(np.isnan(a))[0])} of the {name}; want numbers")
        p, n = arrays
        return cls(p, n, *numbered(positive_groups, negative_groups, len(p), len(n)), seed)

    # --- what is measured
    @cached_property
    def auc(self) -> Estimate:
        """Probability that a positive scores above a negative, ties half: 0.5 is chance, 1 is certainty."""
        order = np.sort(self.negatives)
        below = np.searchsorted(order, self.positives, "left"), np.searchsorted(order, self.positives, "right")

        def value(w: Floats, v: Floats) -> Floats:
            run = _run(v[:, np.argsort(self.negatives, kind="stable")])
            mid = (run[:, below[0]] + run[:, below[1]]) / 2
            return np.asarray((w * mid).sum(1) / (w.sum(1) * v.sum(1)))

        return self._rate(value)

    @cached_property
    def advantage(self) -> Estimate:
        """True minus false positive rate of a threshold chosen on one half of the groups and used on the other, both ways.

        0 is chance, 1 is certainty, below 0 bad luck. The interval takes the two thresholds as they are.
        """
        return self.advantage_at(LEVEL)

    def advantage_at(self, level: float) -> Estimate:
        """The same with an interval of another level. Where all or none of one side are called positive no draw differs
        there: exact limits of that rate count too."""
        p, n = self.guesses()
        found = self._estimate(lambda w, v: np.asarray((w @ p) / w.sum(1) - (v @ n) / v.sum(1)), level)
        if 0 < p.sum() < len(p) and 0 < n.sum() < len(n):
            return found
        exact = difference(self._share(p, self.positive_groups), self._share(n, self.negative_groups))
        return Estimate(found.value, max(-1.0, min(found.low, exact.low)), min(1.0, max(found.high, exact.high)))

    @cached_property
    def rate_at_few(self) -> Estimate:
        """`rate_at` one in a hundred."""
        return self.rate_at()

    def rate_at(self, false_positives: float = FEW) -> Estimate:
        """True positive rate of the lowest threshold with at most this rate of false positives; chance: the same rate.

        The threshold is read off the same records (as in the literature), in every draw again. With fewer negatives than
        1 / ``false_positives`` it stands for no false positive at all; with fewer than 3.7 times as many (groups) no threshold
        is sure to have so few in truth, and the lower limit is 0: it takes more records.
        """
        at = np.unique(self.negatives)
        above_n, above_p = (np.searchsorted(np.sort(a), at, "right") for a in (self.negatives, self.positives))
        chosen: list[int] = []

        def value(w: Floats, v: Floats) -> Floats:
            of_n = v.sum(1, keepdims=True) - _run(v[:, np.argsort(self.negatives, kind="stable")])[:, above_n]
            of_p = w.sum(1, keepdims=True) - _run(w[:, np.argsort(self.positives, kind="stable")])[:, above_p]
            first = (of_n <= (false_positives + 1e-12) * v.sum(1, keepdims=True)).argmax(1)  # thresholds ascend
            chosen.append(int(first[0]))
            return np.asarray(of_p[np.arange(len(w)), first] / w.sum(1))

        found = self._rate(value)
        exact = self._share(self.positives > at[chosen[0]], self.positive_groups)
        unknown = (1 - false_positives) ** len(np.unique(self.negative_groups)) > (1 - LEVEL) / 2
        low = 0.0 if unknown else min(found.low, exact.low)
        return Estimate(found.value, low, max(found.high, exact.high))

    def guesses(self) -> tuple[Bools, Bools]:
        """"Positive" or not for each record, by the threshold that was best on the other half."""
        chosen = self._half()
        halves = [chosen[g] for g in (self.positive_groups, self.negative_groups)]
        out = np.zeros(len(self.positives), np.bool_), np.zeros(len(self.negatives), np.bool_)
        for side in (False, True):
            t = best_threshold(self.positives[halves[0] == side], self.negatives[halves[1] == side])
            for guess, scores, half in zip(out, (self.positives, self.negatives), halves, strict=True):
                guess[half != side] = scores[half != side] > t
        return out

    def curve(self, most: int = 200) -> list[tuple[float, float]]:
        """(false, true) positive rates from (0, 0) to (1, 1), each threshold that occurs, thinned to about ``most`` points."""
        at = np.unique(np.concatenate([self.positives, self.negatives]))[::-1]
        rates = [1 - np.searchsorted(np.sort(a), at, "left") / len(a) for a in (self.negatives, self.positives)]
        points = [(0.0, 0.0), *((float(f), float(t)) for f, t in zip(*rates, strict=True))]
        corners = [p for k, p in enumerate(points) if k in (0, len(points) - 1) or _corner(points[k - 1], p, points[k + 1])]
        if len(corners) <= most:
            return corners
        few = [p for p in corners if p[0] <= 5 * FEW]  # a logarithmic axis shows these
        rest = corners[len(few) :]
        kept = [rest[k] for k in np.unique(np.linspace(0, len(rest) - 1, most).astype(int))]
        return few[:: max(1, len(few) // most)] + kept

    @cached_property
    def null(self) -> Estimate:
        """The advantage where there is nothing to find: mean and middle 95 % over `MIXES` times that sides are dealt to whole
        groups by chance (a permutation test)."""
        rng = np.random.default_rng(self.seed + 1)
        guesses = [self._mixed(rng).guesses() for _ in range(MIXES)]
        values = [float(p.mean() - n.mean()) for p, n in guesses]
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(float(np.mean(values)), float(low), float(high))

    def _mixed(self, rng: np.random.Generator) -> Scores:
        first, both, last = self._strata
        side = np.zeros(len(first) + len(both) + len(last), np.int64)
        apart = rng.permutation(np.concatenate([first, last]))
        side[apart[: len(first)]] = 1
        groups, of = np.concatenate([self.positive_groups, self.negative_groups]), np.r_[self.positives, self.negatives]
        now = side[groups] == 1
        turned = np.isin(groups, both[rng.random(len(both)) < 0.5])  # records of both sides change places
        was = np.arange(len(groups)) < len(self.positives)
        now = np.where(np.isin(groups, both), was ^ turned, now)
        return Scores.of(of[now], of[~now], groups[now], groups[~now], int(rng.integers(1 << 32)))

    # ---
    @cached_property
    def _strata(self) -> tuple[Labels, Labels, Labels]:
        """Groups with positives alone, with both, with negatives alone."""
        p, n = np.unique(self.positive_groups), np.unique(self.negative_groups)
        return np.setdiff1d(p, n), np.intersect1d(p, n), np.setdiff1d(n, p)

    def _half(self) -> Bools:
        """Half of the groups by chance, and half of those of either side."""
        first, both, last = self._strata
        if min(len(first), len(last)) + len(both) < 2:
            raise ConfigError("scores: got records of one group; want at least 2 groups on each side to split")
        rng = np.random.default_rng(self.seed)
        order = np.concatenate([rng.permutation(some) for some in (first, both, last)])  # either side is a stretch of it
        chosen = np.zeros(len(order), np.bool_)
        chosen[order[1::2]] = True
        return chosen

    def _share(self, hits: Bools, groups: Labels) -> Estimate:
        of = np.unique(groups, return_inverse=True)[1]
        return share(np.bincount(of, hits).astype(np.float64), np.bincount(of).astype(np.float64))

    def _rate(self, value: Callable[[Floats, Floats], Floats]) -> Estimate:
        """Of what goes from 0 to 1, where advantages go from -1."""
        found = self._estimate(lambda w, v: 2 * value(w, v) - 1)
        return Estimate(*((v + 1) / 2 for v in (found.value, found.low, found.high)))

    def _estimate(self, value: Callable[[Floats, Floats], Floats], level: float = LEVEL) -> Estimate:
        """Row 0 with every group once, then `DRAWS` draws of groups; those of positives, of negatives and of both apart."""
        rows = [value(w[:, self.positive_groups], w[:, self.negative_groups]) for w in self._draws()]
        first, both, last = map(len, self._strata)
        return estimate(np.concatenate(rows), min(first, last) + both, level)

    def _draws(self) -> Iterator[Floats]:
        rng = np.random.default_rng(self.seed)  # an interval is no secret, and a report can be computed again
        groups = sum(map(len, self._strata))
        yield np.ones((1, groups))
        size = max(1, _AT_ONCE // (len(self.positives) + len(self.negatives)))
        for start in range(0, DRAWS, size):
            weights = np.zeros((min(size, DRAWS - start), groups))
            for some in self._strata:
                if len(some):
                    weights[:, some] = _drawn(rng, len(some), len(weights))
            yield weights


def numbered(positive: Any, negative: Any, positives: int, negatives: int) -> tuple[Labels, Labels]:
    """Groups of both sides numbered together from 0; each record its own without any."""
    for given, rows in ((positive, positives), (negative, negatives)):
        if given is not None and np.shape(given) != (rows,):
            raise ShapeError(f"scores: got groups of shape {np.shape(given)}; want ({rows},), one a record")
    if positive is not None and negative is not None:
        both = np.unique(np.concatenate([np.asarray(positive), np.asarray(negative)]), return_inverse=True)[1].astype(np.int64)
        return both[:positives], both[positives:]
    first, last = (
        np.arange(rows) if given is None else np.unique(np.asarray(given), return_inverse=True)[1].astype(np.int64)
        for given, rows in ((positive, positives), (negative, negatives))
    )
    return first, last + int(first.max()) + 1


def _drawn(rng: np.random.Generator, groups: int, count: int) -> Floats:
    """How often each group is drawn, ``count`` times; ten times faster than multinomial numbers, which are the same."""
    cells = rng.integers(groups, size=(count, groups)) + groups * np.arange(count)[:, None]
    return np.bincount(cells.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def _run(weights: Floats) -> Floats:
    """Cumulative sums from 0: one column more."""
    return np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)


def _corner(before: tuple[float, float], here: tuple[float, float], after: tuple[float, float]) -> bool:
    """Does the curve turn here?"""
    (a, b), (c, d) = ((here[i] - before[i], after[i] - here[i]) for i in (0, 1))
    return abs(a * d - b * c) > 1e-15
