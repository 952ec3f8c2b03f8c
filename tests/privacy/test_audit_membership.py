"""Membership inference: it wins where records were memorised, and nowhere else; guarantees stand beside."""
from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import mpc
from mpc.errors import ConfigError, ShapeError
from mpc.privacy import audit
from mpc.privacy.audit.confidence import confidences
from mpc.privacy.audit.membership import _design, likelihood_ratios
from mpc.privacy.audit.roc import Scores

RNG = np.random.default_rng(0)
WIDE = 90  # columns: enough for a linear model to memorise more labels than that


def records(count: int, seed: int = 0) -> tuple[Any, Any]:
    """Features that say nothing of their random labels: whoever knows a label remembers it."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, WIDE)), rng.integers(2, size=count)


MEMBERS, OTHERS = records(120, 1), records(120, 2)


def weights(x: Any, y: Any) -> Any:
    """Logits' weights by least squares: a model that takes no time to train."""
    return 4 * np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ (2 * y - 1))


def fitted(x: Any, y: Any, seed: int = 0) -> Any:
    w = weights(x, y)
    return lambda asked: 1 / (1 + np.exp(-(asked @ w)))


def audited(model: Any, **options: Any) -> audit.MembershipReport:
    return audit.membership_inference(model, MEMBERS, OTHERS, **options)


@pytest.fixture(scope="module")
def memorised() -> audit.MembershipReport:
    return audited(fitted(*MEMBERS), train=fitted, shadows=8, epsilon=0.2, delta=1e-5)


def test_a_model_that_memorised_gives_its_records_away(memorised: audit.MembershipReport) -> None:
    for attack in ("threshold", "likelihood ratio"):
        assert memorised.advantage(attack).low > 0.2 and memorised.auc(attack).low > 0.55
    assert memorised.leak.value == max(memorised.advantage(a).value for a in memorised.attacks)
    assert memorised.null.low < memorised.null.value < memorised.null.high < memorised.leak.value
    assert abs(memorised.null.value) < 0.05 and memorised.null.high < 0.25
    train, test = memorised.accuracy or (None, None)
    assert train is not None and test is not None and train.low > 0.7 > test.value


def test_a_guarantee_that_cannot_hold_is_contradicted(memorised: audit.MembershipReport) -> None:
    assert memorised.bound == pytest.approx(audit.bound(0.2, 1e-5)) and memorised.contradicts
    assert memorised.least_epsilon > 0.2
    assert audit.bound(memorised.least_epsilon, 1e-5) == pytest.approx(memorised.certain, abs=1e-6)
    # the strongest of two attacks was picked: each may be wrong in half as many cases
    limits = [scores.advantage_at(0.975).low for scores in memorised.attacks.values()]
    assert memorised.certain == max(limits) < memorised.leak.low
    assert "CONTRADICTED" in str(memorised) and json.loads(json.dumps(memorised.to_dict()))["contradicts"]


@pytest.mark.parametrize("model", ["fresh data", "null"])
def test_nothing_is_found_where_nothing_was_learnt(model: str) -> None:
    """A model of other records, and one that answers by chance: both attacks must be at chance."""
    asked = fitted(*records(120, 3)) if model == "fresh data" else lambda x: np.random.default_rng(7).dirichlet([1, 1], len(x))
    report = audited(asked, train=fitted, shadows=8)
    for scores in report.attacks.values():  # 4 standard deviations of a difference of two shares of 120
        assert abs(scores.advantage.value) < 4 * math.sqrt(0.5 / 120) and abs(scores.auc.value - 0.5) < 4 * math.sqrt(1 / 720)
    assert not report.contradicts and report.bound is None


def test_likelihood_ratio_finds_what_a_threshold_cannot() -> None:
    """Some records are easy for every model: only a comparison with other models tells who was there."""

    def drawn(seed: int) -> Any:
        x, y = records(200, seed)
        x = x[:, :60]
        x[:, 0] = (2 * y - 1) * np.random.default_rng(seed).exponential(3.0, 200)
        return x, y

    members, others = drawn(21), drawn(22)
    report = audit.membership_inference(fitted(*members), members, others, train=fitted, shadows=16)
    assert report.strongest == "likelihood ratio"
    assert report.auc("likelihood ratio").low > report.auc("threshold").value


@pytest.mark.parametrize("epsilon, delta", [(0.5, 0.0), (2.0, 0.0), (1.0, 0.1), (0.0, 0.0)])
def test_the_bound_is_reached_by_a_mechanism_that_leaks_all_it_may(epsilon: float, delta: float) -> None:
    """Randomised response on the membership bit, which with probability delta tells the bit outright."""
    rng = np.random.default_rng(1)
    keep = math.exp(epsilon) / (1 + math.exp(epsilon))
    size = 2000

    def told(bit: int) -> Any:
        lied = np.where(rng.random(size) < keep, bit, 1 - bit).astype(float)
        return np.where(rng.random(size) < delta, 3.0 * bit - 1, lied)  # -1 and 2 are certain

    scores = Scores.of(told(1), told(0))
    largest = audit.bound(epsilon, delta)
    reached = delta + (1 - delta) * (2 * keep - 1)
    assert reached <= largest + 1e-12
    assert largest == pytest.approx((math.exp(epsilon) - 1 + 2 * delta) / (math.exp(epsilon) + 1))
    if delta == 0:
        assert reached == pytest.approx(largest)
    assert scores.advantage.low <= reached <= scores.advantage.high


def test_a_bound_never_exceeds_certainty() -> None:
    assert audit.bound(800.0) == 1.0 and 0.99 < audit.bound(10.0, 0.9) <= 1.0


def test_every_kind_of_answer_gives_the_same_confidence() -> None:
    x, y = MEMBERS
    model = LogisticRegression(C=0.1).fit(x, y)
    logit = model.decision_function(x)
    want = np.where(y == 1, logit, -logit)
    linear = torch.nn.Linear(WIDE, 1).double()
    with torch.no_grad():
        linear.weight[:], linear.bias[:] = torch.tensor(model.coef_), torch.tensor(model.intercept_)
    linear.train()
    p = model.predict_proba(x)
    loss = -np.log(p[np.arange(len(y)), y])
    answers = {
        "sklearn": confidences(model, x, y), "function": confidences(model.predict_proba, x, y),
        "one column": confidences(lambda x: p[:, 1], x, y),
        "logits": confidences(lambda x: np.c_[0 * logit, logit], x, y, "logits"),
        "torch": confidences(linear, x, y, "logits"), "losses": confidences(lambda x, y: loss, x, y, "losses"),
    }  # fmt: skip
    for name, (got, right) in answers.items():
        assert got == pytest.approx(want, rel=1e-6, abs=1e-6), name
        assert right is None if name == "losses" else (right == (want > 0)).all()
    assert linear.training
    named = LogisticRegression(C=0.1).fit(x, np.where(y, 7, 3))
    assert confidences(named, x, np.where(y, 7, 3))[0] == pytest.approx(want, rel=1e-3)


def test_a_model_on_secret_shares_is_asked_like_any_other() -> None:
    w = weights(*MEMBERS)

    def secret(x: Any) -> Any:
        def program() -> Any:
            with mpc.session() as s:
                rows = mpc.share(x if s.rank == 0 else None, owner=0)
                model = mpc.share(w if s.rank == 1 else None, owner=1)
                return (rows @ model).reveal(reason="answers of the model")

        return mpc.local(program, parties=2, threads=True)[0]

    clear = audited(fitted(*MEMBERS))
    shared = audited(secret, output="logits")
    assert shared.leak.low > 0.2
    assert shared.auc().value == pytest.approx(clear.auc().value, abs=2e-3)


def test_people_are_drawn_whole_and_seeds_repeat(memorised: audit.MembershipReport) -> None:
    again = audited(fitted(*MEMBERS), train=fitted, shadows=8, epsilon=0.2, delta=1e-5)
    assert again.to_dict() == memorised.to_dict()
    other = audited(fitted(*MEMBERS), train=fitted, shadows=8, seed=5)
    assert other.advantage("likelihood ratio") != memorised.advantage("likelihood ratio")
    people = np.arange(120) // 6
    grouped = audited(fitted(*MEMBERS), groups=(people, people))
    assert grouped.attacks["threshold"].positive_groups.max() == 19
    assert grouped.auc().value == memorised.auc().value


@pytest.mark.parametrize("shadows, part", [(4, 0.5), (8, 0.25), (9, 0.9)])
def test_every_record_is_in_as_many_shadows(shadows: int, part: float) -> None:
    used = _design(200, part, shadows, seed=0)
    assert set(used.sum(0)) == {min(max(round(part * shadows), 2), shadows - 2)}
    assert used.sum(1).std() < 12 and len({tuple(row) for row in used}) == shadows


def test_a_record_s_own_variance_counts_where_many_shadows_show_it() -> None:
    """Models whose answers are normal with known means and deviations of each record: the score is near the exact ratio."""
    rng = np.random.default_rng(5)
    size, shadows = 200, 300
    mean = np.stack([rng.normal(size=size), rng.normal(size=size) + 2])  # without, with
    deviation = np.exp(rng.uniform(-1.5, 1.5, (2, size)))
    x, y = np.arange(size, dtype=float)[:, None], np.ones(size, np.int64)

    def train(rows: Any, labels: Any, seed: int) -> Any:
        inside = np.isin(x[:, 0], rows[:, 0]).astype(int)
        own = np.random.default_rng(seed)
        at = np.arange(size)
        logit = mean[inside, at] + deviation[inside, at] * own.normal(size=size)
        return lambda asked: logit[asked[:, 0].astype(int)]

    sure = rng.normal(size=size)
    half = size // 2
    found = likelihood_ratios(sure, [(x[:half], y[:half]), (x[half:], y[half:])], train, shadows, "logits")
    without, with_ = (-((sure - m) ** 2) / (2 * d**2) - np.log(d) for m, d in zip(mean, deviation, strict=True))
    assert np.corrcoef(np.clip(found, -20, 20), np.clip(with_ - without, -20, 20))[0, 1] > 0.98


def test_no_shadow_has_the_seed_of_the_model_or_of_another_audit() -> None:
    seen: dict[int, list[int]] = {}
    for seed in (0, 1):
        audited(fitted(*MEMBERS), train=lambda x, y, s: seen.setdefault(seed, []).append(s) or fitted(x, y), seed=seed)
    assert [len(set(s)) for s in seen.values()] == [8, 8] and not set(seen[0]) & set(seen[1])
    assert min(seen[0] + seen[1]) > 1000


def test_what_cannot_be_is_refused() -> None:
    model = fitted(*MEMBERS)
    with pytest.raises(ConfigError, match="3 shadows"):
        audited(model, train=fitted, shadows=3)
    with pytest.raises(ConfigError, match="output 'scores'"):
        audited(model, output="scores")
    with pytest.raises(ConfigError, match="epsilon -1"):
        audited(model, epsilon=-1)
    with pytest.raises(ConfigError, match="NaN"):
        audited(lambda x: np.full((len(x), 2), np.nan))
    with pytest.raises(ShapeError, match="one row a record"):
        audited(lambda x: np.ones((3, 2)))
    with pytest.raises(ConfigError, match="label .*5.*; want one of 2 classes"):
        confidences(lambda x: np.ones((2, 2)), np.ones((2, 1)), [0, 5])
    with pytest.raises(ConfigError, match="a function, a torch module or predict_proba"):
        audited("model")
    with pytest.raises(ShapeError, match="want \\(features, labels\\)"):
        audit.membership_inference(model, MEMBERS[0], OTHERS)  # type: ignore[arg-type]


@pytest.mark.parametrize(("epsilon", "delta"), [(-1.0, 0.0), (float("nan"), 0.0), (1.0, -0.1), (1.0, 1.5), (1.0, float("nan"))])
def test_a_bound_of_no_guarantee_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ValueError, match="want epsilon of at least 0"):
        audit.bound(epsilon, delta)
