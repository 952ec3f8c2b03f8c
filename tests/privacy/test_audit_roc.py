"""Scores, rates and intervals against scikit-learn, textbooks and repeated draws."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit import roc
from mpc.privacy.audit.roc import Scores, best_threshold, share

RNG = np.random.default_rng(0)
TRUE_ADVANTAGE = math.erf(0.5 / math.sqrt(2))  # of the best threshold between N(0, 1) and N(1, 1)
TRUE_AUC = 0.5 * (1 + math.erf(0.5))


def normal(rng: np.random.Generator, size: int, apart: float = 1.0) -> Scores:
    return Scores.of(rng.normal(size=size) + apart, rng.normal(size=size), seed=int(rng.integers(1 << 30)))


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_rates_are_scikit_learns(ties: bool) -> None:
    p, n = RNG.normal(size=300) + 0.7, RNG.normal(size=500)
    if ties:
        p, n = np.round(p), np.round(n)
    scores, truth, both = Scores.of(p, n), np.r_[np.ones(300), np.zeros(500)], np.r_[p, n]
    false, true, _ = roc_curve(truth, both, drop_intermediate=False)
    assert scores.auc.value == pytest.approx(roc_auc_score(truth, both))
    for f in (0.01, 0.1):
        assert scores.rate_at(f).value == pytest.approx(true[false <= f + 1e-12].max())
    curve = np.array(scores.curve(10**6))
    assert curve[0].tolist() == [0, 0] and curve[-1].tolist() == [1, 1]
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(scores.auc.value)
    assert len(scores.curve(50)) < 200
    assert np.trapezoid(*np.array(scores.curve(50)).T[::-1]) == pytest.approx(scores.auc.value, abs=0.01)


def test_weighted_draws_are_those_of_repeated_records() -> None:
    groups = RNG.integers(5, size=60)
    p, n = RNG.normal(size=60), RNG.normal(size=40)
    scores = Scores.of(p, n, groups)
    drawn = np.array([2.0, 0, 1, 1, 1])
    weights = drawn[scores.positive_groups][None], np.ones((1, 40))
    repeated = np.concatenate([np.tile(p[groups == g], int(c)) for g, c in enumerate(drawn)])
    seen: list[Any] = []
    object.__setattr__(scores, "_estimate", lambda value: seen.append(float(value(*weights)[0])))
    scores.auc, scores.rate_at(0.1)
    again = Scores.of(repeated, n)
    assert seen == pytest.approx([again.auc.value, again.rate_at(0.1).value])


def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roc, "DRAWS", 300)
    rng = np.random.default_rng(4)
    found = [normal(rng, 150) for _ in range(100)]
    # 95 of 100 on average; 87 is 3.7 standard deviations below
    assert sum(s.auc.low <= TRUE_AUC <= s.auc.high for s in found) >= 87
    chosen = []
    for scores in found:  # the thresholds are not drawn again: what they reach is the truth, by the normal distribution
        phi = [0.5 * (1 + math.erf(x / math.sqrt(2))) for x in (0.5, -0.5)]
        chosen.append(scores.advantage.low <= phi[0] - phi[1] <= scores.advantage.high)
    assert sum(chosen) >= 87
    assert np.mean([s.advantage.value for s in found]) == pytest.approx(TRUE_ADVANTAGE, abs=0.03)


def test_nothing_to_find_gives_zero_on_average_not_more() -> None:
    rng = np.random.default_rng(5)
    guesses = [normal(rng, 100, apart=0).guesses() for _ in range(400)]
    mean = np.mean([p.mean() - n.mean() for p, n in guesses])
    assert abs(mean) < 4 * math.sqrt(0.25 * 2 / 100 / 400)  # a threshold tested where it was chosen would give 0.09


def test_groups_widen_the_interval_and_are_split_whole() -> None:
    of = np.repeat(np.arange(30), 20)
    shift = RNG.normal(size=30)[of]
    p, n = shift + RNG.normal(size=600) / 10 + 0.5, RNG.normal(size=30)[of] + RNG.normal(size=600) / 10
    single, grouped = Scores.of(p, n), Scores.of(p, n, of, of)
    assert grouped.auc.value == single.auc.value
    assert grouped.auc.high - grouped.auc.low > 2.5 * (single.auc.high - single.auc.low)
    halves = roc._halves(of, np.random.default_rng(0))
    assert all(len(set(halves[of == g])) == 1 for g in range(30)) and halves.sum() == 300


def test_thresholds_and_shares_at_their_ends() -> None:
    assert 1 <= best_threshold(np.array([2.0, 3]), np.array([0.0, 1])) < 2
    assert best_threshold(np.array([0.0, 0]), np.array([1.0, 1])) in (-np.inf, 1.0)  # nobody or everybody, not the wrong half
    none, every = share(np.zeros(20), np.ones(20)), share(np.ones(20), np.ones(20))
    assert (none.value, none.low) == (0, 0) and none.high == pytest.approx(1 - 0.025 ** (1 / 20))  # Clopper and Pearson
    assert (every.value, every.high) == (1, 1) and every.low == pytest.approx(0.025 ** (1 / 20))
    some = share(np.r_[np.ones(5), np.zeros(15)], np.ones(20))
    assert 0 < some.low < 0.25 < some.high < 0.6


def test_wrong_scores_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least 4"):
        Scores.of([1.0, 2], np.ones(9))
    with pytest.raises(ConfigError, match="NaN at 3 of the negatives"):
        Scores.of(np.ones(5), [0, 0, 0, np.nan])
    with pytest.raises(ShapeError, match="groups"):
        Scores.of(np.ones(5), np.ones(5), np.ones(4))
    with pytest.raises(ConfigError, match="one group"):
        Scores.of(np.ones(5), np.ones(5), np.zeros(5)).guesses()
