"""Scores, rates and intervals against scikit-learn, textbooks and repeated draws."""
from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit import roc
from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.rates import clopper_pearson, difference, share
from mpc.privacy.audit.roc import Scores, best_threshold

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
    given = lambda value: Estimate(float(value(*weights)[0]), 0, 0)  # noqa: E731
    object.__setattr__(scores, "_estimate", given)
    again = Scores.of(repeated, n)
    assert scores.auc.value == pytest.approx(again.auc.value)
    assert scores.rate_at(0.1).value == pytest.approx(again.rate_at(0.1).value)


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
    of, other = np.repeat(np.arange(30), 20), np.repeat(np.arange(30, 60), 20)
    shift = RNG.normal(size=30)[of]
    p, n = shift + RNG.normal(size=600) / 10 + 0.5, RNG.normal(size=30)[of] + RNG.normal(size=600) / 10
    single, grouped = Scores.of(p, n), Scores.of(p, n, of, other)
    assert grouped.auc.value == single.auc.value
    assert grouped.auc.high - grouped.auc.low > 2.5 * (single.auc.high - single.auc.low)
    half = grouped._half()
    assert half[grouped.positive_groups].sum() == half[grouped.negative_groups].sum() == 300


def test_a_person_with_records_on_both_sides_is_one_person() -> None:
    """What is easy is easy in both of a person's records: a difference that draws of whole people know to be sure."""
    rng = np.random.default_rng(3)
    easy = 5 * rng.normal(size=200)
    p, n, names = easy + 0.5 + rng.normal(size=200) / 5, easy + rng.normal(size=200) / 5, [f"p{k}" for k in range(200)]
    apart, together = Scores.of(p, n), Scores.of(p, n, names, names)
    assert together.positive_groups.tolist() == together.negative_groups.tolist()
    assert together.auc.value == apart.auc.value
    assert together.auc.low > 0.5 > apart.auc.low
    assert together.auc.high - together.auc.low < 0.3 * (apart.auc.high - apart.auc.low)
    half = together._half()
    assert half.sum() == 100
    three = Scores.of(np.ones(6), np.ones(5), ["a", "a", "a", "b", "b", "c"], ["b", "c", "c", "d", "d"])
    for seed in range(20):  # either side of either half has somebody
        chosen = Scores.of(three.positives, three.negatives, three.positive_groups, three.negative_groups, seed)._half()
        for groups in (three.positive_groups, three.negative_groups):
            assert 0 < chosen[groups].sum() < len(groups)


def test_mixing_deals_whole_groups_and_finds_what_chance_gives() -> None:
    of, other = np.repeat(np.arange(20), 10), np.repeat(np.arange(20, 40), 10)
    shift = 3 * RNG.normal(size=40)
    p, n = shift[of] + RNG.normal(size=200) / 9 + 9, shift[other] + RNG.normal(size=200) / 9
    people, single = Scores.of(p, n, of, other), Scores.of(p, n)
    mixed = people._mixed(np.random.default_rng(0))
    assert not set(mixed.positive_groups) & set(mixed.negative_groups)
    assert len(mixed.positives) == 200 and sorted(np.r_[mixed.positives, mixed.negatives]) == sorted(np.r_[p, n])
    both = Scores.of(p, n, of, of)._mixed(np.random.default_rng(0))
    assert len(both.positives) == 200 and 40 < np.isin(both.positives, n).sum() < 160
    assert people.null.low < people.null.value < people.null.high and abs(people.null.value) < 0.1
    # 40 people tell less than 400 records: chance reaches further
    assert people.null.high - people.null.low > 2 * (single.null.high - single.null.low)
    assert single.advantage.low > 0.5 > single.null.high


def test_true_positives_at_few_false_ones_need_enough_others() -> None:
    far = Scores.of(np.ones(60) + RNG.normal(size=60) / 9, np.zeros(60)).rate_at()
    assert (far.value, far.low, far.high) == (1, 0, 1)  # 60 others cannot show one in a hundred
    enough = Scores.of(np.ones(400) + RNG.normal(size=400) / 9, np.zeros(400)).rate_at()
    assert enough.low == pytest.approx(0.025 ** (1 / 400)) and enough.high == 1
    none = Scores.of(np.zeros(400), np.ones(400)).rate_at()
    assert (none.value, none.low, none.high) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 400)), abs=1e-9)


def test_certainty_is_not_claimed_from_a_few_records() -> None:
    sure = Scores.of(np.arange(6) + 10.0, np.arange(6.0))
    assert sure.auc.value == sure.advantage.value == 1
    assert sure.auc.low == pytest.approx(0.025 ** (1 / 6)) and sure.advantage.low < 0.5
    assert sure.auc.high == sure.advantage.high == 1


def test_thresholds_and_shares_at_their_ends() -> None:
    assert 1 <= best_threshold(np.array([2.0, 3]), np.array([0.0, 1])) < 2
    assert best_threshold(np.array([0.0, 0]), np.array([1.0, 1])) in (-np.inf, 1.0)  # nobody or everybody, not the wrong half
    none, every = share(np.zeros(20), np.ones(20)), share(np.ones(20), np.ones(20))
    assert (none.value, none.low) == (0, 0) and none.high == pytest.approx(1 - 0.025 ** (1 / 20))  # Clopper and Pearson
    assert (every.value, every.high) == (1, 1) and every.low == pytest.approx(0.025 ** (1 / 20))
    some = share(np.r_[np.ones(5), np.zeros(15)], np.ones(20))
    assert (some.value, some.low, some.high) == pytest.approx((0.25, 0.08657147, 0.49104587))  # of the beta distribution
    people = share(np.r_[np.full(5, 9.0), np.zeros(15)], np.full(20, 9.0))
    assert people.value == 0.25 and 0 < people.low < 0.15 < 0.4 < people.high  # 20 people, not 180 records
    with pytest.raises(ValueError, match="7 hits of 5"):
        clopper_pearson(7, 5)


def test_a_difference_of_rates_is_newcombes() -> None:
    """His table of 1998, method 8: 56/70 - 48/80 by Wilson's limits (0.6924, 0.8794) and (0.4903, 0.7004)."""
    found = difference(Estimate(0.8, 0.69225, 0.87692), Estimate(0.6, 0.49043, 0.70009))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-3)


def test_wrong_scores_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least 4"):
        Scores.of([1.0, 2], np.ones(9))
    with pytest.raises(ConfigError, match="NaN at 3 of the negatives"):
        Scores.of(np.ones(5), [0, 0, 0, np.nan])
    with pytest.raises(ShapeError, match="groups"):
        Scores.of(np.ones(5), np.ones(5), np.ones(4))
    with pytest.raises(ConfigError, match="one group"):
        Scores.of(np.ones(5), np.ones(5), np.zeros(5)).guesses()
    with pytest.raises(ConfigError, match="one group"):
        Scores.of(np.ones(5), np.ones(5), np.zeros(5), np.zeros(5)).guesses()
