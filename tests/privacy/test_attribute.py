"""The audit: known leaks are found at their size, intervals draw people, and claims are refused."""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mpc.errors import ConfigError, ShapeError
from mpc.privacy import audit
from mpc.privacy.audit.attackers import ATTACKERS, scores
from mpc.privacy.audit.attribute import _Attack
from mpc.privacy.audit.intervals import Counts, estimate, resamples, student

RNG = np.random.default_rng(0)
FAST: dict[str, Any] = {"attackers": ("logistic",), "queries": ()}


def noisy_bit(bits: Any, wrong: float) -> Any:
    """One column: the bit, wrong with this probability."""
    return np.where(np.random.default_rng(1).random(len(bits)) < wrong, 1 - bits, bits)[:, None].astype(float)


def test_counts_give_balanced_accuracy_and_draws_weigh_people() -> None:
    from sklearn.metrics import balanced_accuracy_score

    truth, guesses, groups = RNG.integers(3, size=300), RNG.integers(3, size=(2, 300)), RNG.integers(7, size=300)
    counts = Counts.of(guesses, truth, groups, 3)

    def want(rows: Any) -> float:
        return max(balanced_accuracy_score(truth[rows], g[rows], adjusted=True) for g in guesses)

    drawn = np.array([2, 0, 1, 1, 0, 3, 0])
    rows = np.concatenate([np.tile(np.flatnonzero(groups == g), n) for g, n in enumerate(drawn)])
    got = counts.advantages(np.array([np.ones(7), drawn], float))
    assert got == pytest.approx([want(np.arange(300)), want(rows)])
    plain = counts.accuracies(np.array([drawn], float))[0]
    assert plain == pytest.approx(max((g[rows] == truth[rows]).mean() for g in guesses))


def test_interval_of_a_mean_is_the_textbooks() -> None:
    values = RNG.normal(size=400)
    weights = resamples(400)
    got = estimate(weights @ values / 400)
    half = 1.96 * values.std() / 20
    assert got.value == pytest.approx(values.mean())
    assert (got.high - got.low) / 2 == pytest.approx(half, rel=0.1)


@pytest.mark.parametrize("rows", [1800, 2500])  # a network stops by itself from 2,000 on
@pytest.mark.parametrize("name", ATTACKERS)
def test_every_attacker_finds_what_is_there_and_nothing_else(name: str, rows: int) -> None:
    y = RNG.permutation(np.arange(rows + 1000) % 4 == 0).astype(int)  # one in four: a guess must still weigh both classes alike
    x = RNG.normal(size=(rows + 1000, 3)) + 1.5 * y[:, None]
    guess = scores(name, x[:rows], y[:rows], x[rows:], 3).argmax(1)
    recall = [(guess[y[rows:] == c] == c).mean() for c in (0, 1)]
    assert min(recall) > 0.75 and 2 not in guess
    with pytest.raises(ValueError, match="one class"):
        scores(name, x[:10], np.zeros(10, int), x, 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_is_not_content_with_the_frequent_class(seed: int) -> None:
    """To guess it always is right in nine of ten records: who stops there overlooks the leak."""
    y = RNG.permutation(np.arange(4000) % 10 == 0).astype(int)
    x = RNG.normal(size=(4000, 3)) + 1.5 * y[:, None]
    guess = scores("mlp", x[:3000], y[:3000], x[3000:], 2, seed).argmax(1)
    assert min((guess[y[3000:] == c] == c).mean() for c in (0, 1)) > 0.75


def test_known_leaks_have_their_size() -> None:
    private = np.arange(4000) % 2
    raw = np.c_[private, RNG.normal(size=4000)].astype(float)
    report = audit.attribute_inference(lambda x: noisy_bit(private, 0.2), raw=raw, private=private, **FAST)
    assert report.raw_leak.value == 1
    assert report.leak.value == pytest.approx(0.6, abs=0.05) and report.leak.low < 0.6 < report.leak.high
    assert report.reduction.value == pytest.approx(1 - report.leak.value)
    assert abs(report.null.value) < 1  # on one bit, trained on noise, it may only be the bit or its opposite
    same = audit.attribute_inference(lambda x: x, raw=raw, private=private, baseline=report, **FAST)
    assert same.reduction.value == 0
    nothing = audit.attribute_inference(lambda x: np.zeros((len(x), 2)), raw=raw, private=private, **FAST)
    assert nothing.leak.value == 0 and nothing.reduction.value == 1
    assert report.floor is report.task_loss is report.task_accuracy is report.person is None


def test_floor_is_what_the_task_says() -> None:
    private = np.arange(4000) % 2
    task = noisy_bit(private, 0.3)[:, 0]
    raw = np.c_[private, task]
    report = audit.attribute_inference(lambda x: x[:, 1:], raw=raw, private=private, task=task, **FAST)
    assert report.floor is not None and report.floor.value == report.leak.value == pytest.approx(0.4, abs=0.06)
    assert report.excess_reduction is not None and report.excess_reduction.value == 1 > report.reduction.value + 0.3
    assert report.task_loss is not None and report.task_loss.value == 0
    assert not report.at_least(0.9)


def test_many_records_of_a_person_and_many_queries_bring_a_leak_back() -> None:
    person = np.repeat(np.arange(40), 50)
    private = person % 2
    raw = np.c_[private, private].astype(float)
    rng = np.random.default_rng(3)
    report = audit.attribute_inference(
        lambda x: x + 3 * rng.normal(size=x.shape), raw=raw, private=private, groups=person,
        attackers=("logistic",), queries=(30,),
    )  # fmt: skip
    assert report.groups == 20 and report.records == 1000  # half of the people, all their records
    assert report.leak.value < 0.35 < 0.55 < report.queries[30].value
    assert report.person is not None and report.person.value > 0.6
    easy = audit.attribute_inference(lambda x: x, raw=raw, private=private, groups=person, task=private, **FAST)
    assert easy.leak.low == pytest.approx(2 * 0.025 ** (1 / 20) - 1)  # twenty people, not 1000 records
    assert easy.task_accuracy is not None and easy.task_accuracy[1].low == pytest.approx(0.025 ** (1 / 20))
    wide, records = report.leak, Counts(report.counts[0]["leak"].hits, report.counts[0]["leak"].totals)
    assert wide.low < wide.value < wide.high and records.totals.shape == (20, 2)


def test_ninety_percent_is_said_only_when_all_conditions_hold() -> None:
    private = np.arange(3000) % 2
    task = np.arange(3000) // 2 % 2
    raw = np.c_[private, task].astype(float)

    def at_least(encoder: Any, records: int = 3000, **more: Any) -> bool:
        return audit.attribute_inference(
            encoder, raw=raw[:records], private=private[:records], **{"task": task[:records], **FAST, **more}
        ).at_least(0.9)

    noise = np.random.default_rng(2).normal(size=(3000, 1))
    good = lambda x: np.c_[x[:, 1], noise[: len(x)]]  # noqa: E731
    assert at_least(good)
    assert not at_least(good, task=None)  # nobody looked at the task
    assert not at_least(lambda x: np.c_[noise_task(x[:, 1]), noise])  # it was lost
    assert not at_least(good, records=100)  # too few records: the lower limit
    assert not at_least(lambda x: x)


def noise_task(task: Any) -> Any:
    return noisy_bit(task, 0.1)


def test_seeds_are_combined_and_folds_pooled() -> None:
    private = np.arange(400) % 2
    raw = np.c_[private, RNG.normal(size=400)].astype(float)
    owned = np.arange(400) < 200
    reports = [
        audit.attribute_inference(lambda x, w=w: noisy_bit(private, w), raw=raw, private=private, attacker=owned, **FAST)
        for w in (0.0, 0.4)
    ]
    both = audit.combine(reports)
    assert both.seeds == 2 and both.reduction.value == pytest.approx(np.mean([r.reduction.value for r in reports]))
    flipped = audit.attribute_inference(lambda x: noisy_bit(private, 0.4), raw=raw, private=private, attacker=~owned, **FAST)
    folds = audit.pool([reports[0], flipped])
    assert folds.records == 400 and folds.groups == 400
    assert folds.leak.value == pytest.approx((1 + flipped.leak.value) / 2, abs=1e-9)
    assert json.loads(json.dumps(both.to_dict()))["seeds"] == 2 and "reduction" in str(both)
    fewer = audit.attribute_inference(lambda x: x, raw=raw, private=private, attacker=np.arange(400) < 100, **FAST)
    with pytest.raises(ConfigError, match="different records"):
        audit.combine([reports[0], fewer])
    with pytest.raises(ConfigError, match="no reports"):
        audit.combine([])
    with pytest.raises(ConfigError, match="several seeds"):
        audit.pool([both, flipped])
    with pytest.raises(ConfigError, match="baseline"):
        audit.attribute_inference(lambda x: x, raw=raw, private=private, attacker=owned, baseline=fewer, **FAST)


def test_intervals_of_few_people_cover_as_often_as_they_say() -> None:
    """Normal values of eight people, 1500 times: 94 %, as measured 3000 times. Plain percentiles cover 88 %."""
    rng, weights = np.random.default_rng(11), resamples(8)
    found = [estimate(weights @ rng.normal(size=8) / 8, 8) for _ in range(1500)]
    assert 0.925 < np.mean([e.low <= 0 <= e.high for e in found]) < 0.965


def test_students_quantiles() -> None:
    table = {1: 12.706, 2: 4.303, 3: 3.182, 5: 2.571, 23: 2.069, 1000: 1.962}
    assert [student(0.975, free) for free in table] == pytest.approx(list(table.values()), rel=2e-3)
    one = estimate(np.ones(100), 1)
    assert one.value == 1 and np.isnan([one.low, one.high]).all()  # one person: no interval
    assert estimate(np.ones(100), 12).low == pytest.approx(2 * 0.025 ** (1 / 12) - 1)  # twelve without exception


def test_seeds_that_differ_widen_the_interval() -> None:
    private = np.arange(4000) % 2
    raw, owned = np.c_[private, private].astype(float), np.arange(4000) < 2000
    wrong = {"alike": (0.25, 0.25, 0.25, 0.25), "apart": (0.05, 0.45, 0.05, 0.45)}
    width = {}
    for name, rates in wrong.items():
        reports = [
            audit.attribute_inference(lambda x, w=w: noisy_bit(private, w), raw=raw, private=private, attacker=owned, **FAST)
            for w in rates
        ]
        both = audit.combine(reports)
        width[name] = both.reduction.high - both.reduction.low
        assert both.leak.value == pytest.approx(0.5, abs=0.05)
        single = [r.leak.high - r.leak.low for r in reports]
        assert (name == "apart") == (both.leak.high - both.leak.low > 3 * max(single))
    assert width["apart"] > 3 * width["alike"]


def test_nothing_to_hide_is_no_reduction() -> None:
    private = np.arange(400) % 2
    raw = np.zeros((400, 2))  # says nothing
    found = audit.attribute_inference(lambda x: x, raw=raw, private=private, task=np.arange(400) // 2 % 2, **FAST)
    assert found.raw_leak.value == 0 and found.reduction == audit.Estimate(0, 0, 0)
    assert found.excess_reduction == audit.Estimate(0, 0, 0) and not found.at_least(0.5)
    noise = RNG.normal(size=(400, 3))
    some = audit.attribute_inference(lambda x: noise, raw=noise + 0 * raw[:, :1], private=private, **FAST)
    assert some.reduction.high <= 1  # also in draws where the raw leak is below zero
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_null_deals_labels_to_people_where_people_are_attacked() -> None:
    """Records of one person keep one label, as in the attack itself; unless the adversary knows the very people it attacks."""
    person = np.repeat(np.arange(24), 10)
    private, others = person % 2, person < 12

    def dealt(owned: Any, secret: Any = private) -> Any:
        return _Attack(owned, secret, person, ("logistic",), 3).shuffled()[owned].reshape(12, 10)

    people = dealt(others)
    assert (people == people[:, :1]).all() and people[:, 0].sum() == 6 and (people[:, 0] != private[::10][:12]).any()
    half = np.tile(np.arange(10) < 5, 24)
    known = _Attack(half, private, person, ("logistic",), 3).shuffled()[half].reshape(24, 5)
    assert (known != known[:, :1]).any() and known.sum() == 60
    mixed = np.arange(240) % 2  # people with several values: records are what is private
    assert (dealt(others, mixed) != dealt(others, mixed)[:, :1]).any()


def test_errors() -> None:
    raw, private = np.zeros((10, 2)), np.arange(10) % 2
    with pytest.raises(ShapeError, match="private of shape"):
        audit.attribute_inference(lambda x: x, raw=raw, private=private[:3])
    with pytest.raises(ConfigError, match="private with 1 value"):
        audit.attribute_inference(lambda x: x, raw=raw, private=np.zeros(10))
    with pytest.raises(ConfigError, match="owns 10 of 10"):
        audit.attribute_inference(lambda x: x, raw=raw, private=private, attacker=np.ones(10, bool))
    with pytest.raises(ShapeError, match="booleans"):
        audit.attribute_inference(lambda x: x, raw=raw, private=private, attacker=np.arange(10))
    with pytest.raises(ConfigError, match="no attackers"):
        audit.attribute_inference(lambda x: x, raw=raw, private=private, attackers=())
