"""Two groups of scores told apart: ROC curve, AUC, advantage, true positives at few false ones, each with an interval."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.intervals import DRAWS, LEVEL, Estimate, Floats, Labels, estimate

Bools = npt.NDArray[np.bool_]

FEW: Final = 0.01  # false positives at which true ones are counted
_AT_ONCE: Final = 1 << 21  # weights in memory


@dataclass(frozen=True)
class Scores:
    """An attacker's scores of ``positives`` and ``negatives`` (members and others); a higher score says "positive".

    ``positive_groups``, ``negative_groups``: whose record each is, numbered from 0; intervals draw groups. A score that every
    record shares is no evidence: ties count half in the AUC and are never cut through.
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
        """Checks and numbers the groups; without groups every record is its own. Raises ShapeError, ConfigError (NaN)."""
        arrays = [np.asarray(a, np.float64) for a in (positives, negatives)]
        for name, a in zip(("positives", "negatives"), arrays, strict=True):
            if a.ndim != 1 or len(a) < 4:
                raise ShapeError(f"scores: got {name} of shape {a.shape}; want one dimension and at least 4 records")
            if np.isnan(a).any():
                raise ConfigError(f"scores: got NaN at {int(np.flatnonzero(np.isnan(a))[0])} of the {name}; want numbers")
        p, n = arrays
        return cls(p, n, numbered(positive_groups, len(p)), numbered(negative_groups, len(n)), seed)

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

        return self._estimate(value)

    @cached_property
    def advantage(self) -> Estimate:
        """True minus false positive rate of a threshold chosen on one half of the groups and used on the other, both ways.

        0 is chance, 1 is certainty, below 0 bad luck. The interval takes the two thresholds as they are.
        """
        p, n = self.guesses()
        return self._estimate(lambda w, v: np.asarray((w @ p) / w.sum(1) - (v @ n) / v.sum(1)))

    @cached_property
    def rate_at_few(self) -> Estimate:
        """`rate_at` one in a hundred."""
        return self.rate_at()

    def rate_at(self, false_positives: float = FEW) -> Estimate:
        """True positive rate of the lowest threshold with at most this rate of false positives; chance: the same rate.

        The threshold is read off the same records (as in the literature), in every draw again. It needs far more than
        1 / ``false_positives`` negatives; with fewer it stands for no false positive at all.
        """
        at = np.unique(self.negatives)
        above_n, above_p = (np.searchsorted(np.sort(a), at, "right") for a in (self.negatives, self.positives))

        def value(w: Floats, v: Floats) -> Floats:
            of_n = v.sum(1, keepdims=True) - _run(v[:, np.argsort(self.negatives, kind="stable")])[:, above_n]
            of_p = w.sum(1, keepdims=True) - _run(w[:, np.argsort(self.positives, kind="stable")])[:, above_p]
            first = (of_n <= (false_positives + 1e-12) * v.sum(1, keepdims=True)).argmax(1)  # thresholds ascend
            return np.asarray(of_p[np.arange(len(w)), first] / w.sum(1))

        return self._estimate(value)

    def guesses(self) -> tuple[Bools, Bools]:
        """"Positive" or not for each record, by the threshold that was best on the other half."""
        rng = np.random.default_rng(self.seed)
        halves = [_halves(g, rng) for g in (self.positive_groups, self.negative_groups)]
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

    # ---
    def _estimate(self, value: Callable[[Floats, Floats], Floats]) -> Estimate:
        """Row 0 with every group once, then `DRAWS` draws of groups, positives and negatives apart."""
        rows = [value(w[:, self.positive_groups], v[:, self.negative_groups]) for w, v in self._draws()]
        return estimate(np.concatenate(rows))

    def _draws(self) -> Iterator[tuple[Floats, Floats]]:
        rng = np.random.default_rng(self.seed)  # an interval is no secret, and a report can be computed again
        p, n = int(self.positive_groups.max()) + 1, int(self.negative_groups.max()) + 1
        yield np.ones((1, p)), np.ones((1, n))
        size = max(1, _AT_ONCE // (len(self.positives) + len(self.negatives)))
        for start in range(0, DRAWS, size):
            count = min(size, DRAWS - start)
            yield _drawn(rng, p, count), _drawn(rng, n, count)


def best_threshold(positives: Floats, negatives: Floats) -> float:
    """The t for which "score > t" has the largest true minus false positive rate; -inf says yes to all."""
    at = np.concatenate([[-np.inf], np.unique(np.concatenate([positives, negatives]))])
    rates = [1 - np.searchsorted(np.sort(a), at, "right") / len(a) for a in (positives, negatives)]
    gain = rates[0] - rates[1]
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(at[best[len(best) // 2]])


def share(hits: Floats, totals: Floats, seed: int = 0) -> Estimate:
    """sum(hits) / sum(totals) over groups, with the interval over groups.

    Where all or none are hits no draw can differ: there the exact limits for as many independent trials as groups,
    1 - (0.025)^(1/n), stand in.
    """
    if totals.sum() == 0:
        return Estimate(math.nan, math.nan, math.nan)
    n = len(totals)
    w = np.vstack([np.ones(n), np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), DRAWS)])
    with np.errstate(invalid="ignore"):
        found = estimate((w @ hits) / (w @ totals))
    far = 1 - ((1 - LEVEL) / 2) ** (1 / n)
    if hits.sum() == 0:
        return Estimate(0.0, 0.0, far)
    return Estimate(1.0, 1 - far, 1.0) if (hits == totals).all() else found


def plain(value: Estimate | None) -> list[float] | None:
    """[value, low, high] for JSON; None for what is not finite in there."""
    return None if value is None else [round(v, 5) if math.isfinite(v) else None for v in (value.value, value.low, value.high)]  # type: ignore[misc]


def numbered(groups: Any, rows: int) -> Labels:
    """Groups numbered from 0; each record its own without any."""
    if groups is None:
        return np.arange(rows)
    if np.shape(groups) != (rows,):
        raise ShapeError(f"scores: got groups of shape {np.shape(groups)}; want ({rows},), one a record")
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)


def _halves(groups: Labels, rng: np.random.Generator) -> Bools:
    """Half of the groups, by chance."""
    count = int(groups.max()) + 1
    if count < 2:
        raise ConfigError("scores: got records of one group; want at least 2 groups on each side to split")
    chosen = np.zeros(count, np.bool_)
    chosen[rng.permutation(count)[: count // 2]] = True
    return np.asarray(chosen[groups])


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
