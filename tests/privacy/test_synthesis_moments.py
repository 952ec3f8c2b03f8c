"""Class moments and what is drawn from them: exact without noise, noise of the stated size, shares as in clear."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError, ShapeError
from mpc.privacy import Budget, BudgetExceeded, Gaussian, MomentSynthesizer
from mpc.privacy.synthesis import gaussians
from mpc.privacy.synthesis.records import ClearRecords, SecretRecords, triangle

RNG = np.random.default_rng(0)
Y = RNG.integers(3, size=240)
X = RNG.normal(size=(240, 4)) @ RNG.normal(size=(4, 4)) * 0.3 + Y[:, None] * [1.0, 0.5, 0.0, -1.0]
BOUNDS = {"low": -4.0, "high": 4.0}
TIGHT = {**BOUNDS, "max_norm": 0.6, "max_residual": 0.3}


def residuals() -> Any:
    return X - np.stack([X[Y == k].mean(0) for k in range(3)])[Y]


def test_moments_without_noise_are_those_of_the_data() -> None:
    pooled = MomentSynthesizer(**BOUNDS).fit(X, Y)
    assert pooled.counts_.tolist() == np.bincount(Y).tolist() and pooled.guarantee_ is None
    np.testing.assert_allclose(pooled.means_, [X[Y == k].mean(0) for k in range(3)], atol=4 * 2**-12)
    np.testing.assert_allclose(pooled.covariances_[0], residuals().T @ residuals() / 240, atol=5e-3)
    apart = MomentSynthesizer(**BOUNDS, covariance="class").fit(X, Y)
    for k in range(3):
        np.testing.assert_allclose(apart.covariances_[k], np.cov(X[Y == k].T, bias=True), atol=5e-3)


def test_samples_have_these_moments() -> None:
    synthesiser = MomentSynthesizer(low=-20, high=20, covariance="class").fit(X, Y)
    x, y = synthesiser.sample(60_000)
    np.testing.assert_allclose(np.bincount(y) / 60_000, np.bincount(Y) / 240, atol=0.01)
    for k in range(3):
        np.testing.assert_allclose(x[y == k].mean(0), synthesiser.means_[k], atol=0.03)
        np.testing.assert_allclose(np.cov(x[y == k].T), synthesiser.covariances_[k], atol=0.03)
    x, y = synthesiser.sample(labels=[2, 0, 2])
    assert y.tolist() == [2, 0, 2] and x.shape == (3, 4)


def test_samples_stay_in_the_range_of_the_data() -> None:
    x, _ = MomentSynthesizer().fit(X, Y).sample(5_000)
    assert (x >= X.min(0)).all() and (x <= X.max(0)).all()


def test_the_noise_is_as_large_as_it_is_said_to_be() -> None:
    records = ClearRecords(np.zeros((50, 30)), np.zeros(50, np.int64), 10, (-np.ones(30), np.ones(30)), None)
    noise = Gaussian(sensitivity=1.0, noise_multiplier=2.0, truncations=0)
    zeros = np.zeros(12_000)
    for what, value in (("class counts", zeros), ("class sums", records.sums().repeat(40)), ("sum", zeros)):
        opened = records.open(value, noise, what)
        assert abs(opened.std() / 2.0 - 1) < 0.06 and abs(opened.mean()) < 0.15  # 9 and 8 standard errors of 12,000


def test_epsilon_is_kept_and_used() -> None:
    with Budget(epsilon=3.01, delta=1e-5) as budget:
        synthesiser = MomentSynthesizer(3, 1e-5, **TIGHT).fit(X, Y, classes=3)
    assert synthesiser.guarantee_ is not None and 2.9 < synthesiser.guarantee_.epsilon(1e-5) <= 3
    assert len(budget.spent) == 3 and budget.used == pytest.approx(synthesiser.guarantee_.epsilon(1e-5), rel=1e-3)
    exact = MomentSynthesizer(**TIGHT).fit(X, Y, classes=3)
    again = MomentSynthesizer(3, 1e-5, **TIGHT).fit(X, Y, classes=3)
    counts = np.stack([synthesiser.counts_, again.counts_])  # by noise of deviation 17 all six stay alike once in 6 10^9
    assert (counts != exact.counts_).any() and np.abs(synthesiser.means_ - exact.means_).max() > 1e-3
    with budget, pytest.raises(BudgetExceeded):
        synthesiser.fit(X, Y, classes=3)
    with Budget(epsilon=2.9, delta=1e-5) as small, pytest.raises(BudgetExceeded):  # two of the three would fit
        synthesiser.fit(X, Y, classes=3)
    assert small.spent == [] and synthesiser.guarantee_ is None


@pytest.mark.parametrize("record", [np.full(4, 4.0), np.array([4.0, 0, 0, 0]), np.array([99.0, -99, 1, 0]), X[3]])
@pytest.mark.parametrize("norms", [(None, None), (0.6, 0.3), (1.2, 1.4)])
def test_one_record_moves_no_release_further_than_its_sensitivity(record: Any, norms: tuple[Any, Any]) -> None:
    synthesiser = MomentSynthesizer(1.0, **BOUNDS, max_norm=norms[0], max_residual=norms[1])
    synthesiser._scale(None, 4)
    more, less = (synthesiser._clear(x, y, 3) for x, y in ((np.vstack([X, record]), np.append(Y, 1)), (X, Y)))
    means = RNG.uniform(-1, 1, (3, 4))
    moved = [np.linalg.norm(a - b) for a, b in (
        (more.counts(), less.counts()), (more.sums(), less.sums()),
        (more.scatter(means, norms[1], False), less.scatter(means, norms[1], False)),
        (more.scatter(means, norms[1], True), less.scatter(means, norms[1], True)))]  # fmt: skip
    bounds = [r.sensitivity for r in synthesiser.releases(less, 3)]
    assert all(m <= b for m, b in zip(moved, [*bounds, bounds[2]], strict=True))
    if norms[0] == 0.6 and np.abs(record).max() >= 4:
        assert moved[1] > 0.99 * bounds[1]  # and it is no larger than it must be


@pytest.mark.parametrize("norms", [(None, None), (0.5, None), (None, 0.7)])
@pytest.mark.parametrize("centre", [0.0, 0.1, 0.5, 1.0])
def test_a_record_outside_the_range_moves_no_release_further_wherever_the_centre_is(centre: float, norms: Any) -> None:
    """Scaled to -1 .. 1 about a centre at the edge of low .. high, half of that range is outside."""
    synthesiser = MomentSynthesizer(1.0, low=0.0, high=1.0, centre=centre, max_norm=norms[0], max_residual=norms[1])
    synthesiser._scale(None, 2)
    x, y = np.array([[0.2, 0.9], [-50.0, -50.0], [50.0, -50.0], [1.0, 1.0]]), np.zeros(4, np.int64)
    low, high = synthesiser._range()
    for out in range(4):
        more, less = synthesiser._clear(x, y, 1), synthesiser._clear(np.delete(x, out, 0), y[1:], 1)
        bounds = [r.sensitivity for r in synthesiser.releases(more, 1)]
        assert np.linalg.norm(more.sums() - less.sums()) <= bounds[1]
        for mean in (low, high, np.array([low[0], high[1]]), (low + high) / 2):
            moved = more.scatter(mean[None], norms[1], False) - less.scatter(mean[None], norms[1], False)
            assert np.linalg.norm(moved) <= bounds[2]


def secret(protocol: str, parties: int = 2, x: Any = X, y: Any = Y, **settings: Any) -> Any:
    def program() -> Any:
        with mpc.session() as s:
            a, b = mpc.share(x if s.rank == 0 else None, owner=0), mpc.share(y if s.rank == 1 else None, owner=1)
            out = MomentSynthesizer(**settings).fit(a, b, classes=3)
            return out, [(line.reason, tuple(line.shape), line.recipients) for line in s.ledger]

    return mpc.local(program, parties=parties, protocol=protocol, threads=True)


@pytest.mark.parametrize("covariance", ["pooled", "class"])
def test_shares_give_the_moments_of_the_clear_way_and_reveal_three_tensors(covariance: str) -> None:
    (got, lines), (other, _) = secret("additive", covariance=covariance, **TIGHT)
    want = MomentSynthesizer(covariance=covariance, **TIGHT).fit(X, Y)
    assert got.counts_.tolist() == want.counts_.tolist()
    np.testing.assert_allclose(got.means_, want.means_, atol=4 * 2**-11)  # the clear way rounds to 12 bits
    np.testing.assert_allclose(got.covariances_, want.covariances_, atol=16 * 2**-11)
    assert np.array_equal(got.means_, other.means_) and np.array_equal(got.sample(5)[0], other.sample(5)[0])
    matrices = 1 if covariance == "pooled" else 3
    assert lines == [(f"MomentSynthesizer: {name}, without differential privacy", shape, (0, 1)) for name, shape in
                     (("class counts", (3,)), ("class sums", (3, 4)), ("sum of outer products", (matrices, 10)))]  # fmt: skip


def test_on_shares_a_stranger_counts_for_nothing_and_a_long_row_for_its_bound() -> None:
    x, y = np.vstack([X, [[300.0, -2, 5, 80], [0, 0, 0, 1]]]), np.append(Y, [1, 7])
    (got, _), _ = secret("additive", x=x, y=y, **TIGHT)
    want = MomentSynthesizer(**TIGHT).fit(x[:-1], y[:-1])
    assert got.counts_.tolist() == want.counts_.tolist()
    np.testing.assert_allclose(got.means_, want.means_, atol=4 * 2**-11)
    np.testing.assert_allclose(got.covariances_, want.covariances_, atol=16 * 2**-11)


def test_on_shares_with_noise() -> None:
    (got, lines), (other, _) = secret("additive", epsilon=3, **TIGHT)
    assert got.guarantee_ is not None and 2.9 < got.guarantee_.epsilon(1e-5) <= 3
    assert [shape for _, shape, _ in lines] == [(3,), (3, 4), (1, 10)]
    assert not any("without" in reason for reason, _, _ in lines)
    assert np.array_equal(got.covariances_, other.covariances_)
    assert (np.linalg.eigvalsh(got.covariances_) > 0).all()
    assert (got.counts_ % 1 == 0).all() and np.abs(got.counts_ - np.bincount(Y)).max() < 200


def test_on_shares_no_row_exceeds_its_norm() -> None:
    def program() -> Any:
        with mpc.session():
            x = mpc.share(X * [1, 10, 100, 0.001], owner=0)
            records = SecretRecords(x * (1 / 4), mpc.share(Y, owner=0), 3, (-np.ones(4), np.ones(4)), 0.6)
            scatter = records.scatter(np.zeros((3, 4)), 0.3, False)
            return records.u.reveal(), records.one_hot.reveal(), scatter.reveal()

    u, one_hot, scatter = mpc.local(program, parties=2, threads=True)[0]
    norms = np.linalg.norm(u, axis=1)
    assert norms.max() <= 0.6 and norms.max() > 0.599 and one_hot.sum() == len(X)
    diagonal = gaussians.symmetric(scatter[0], 4).diagonal().sum()
    assert diagonal <= len(X) * 0.3**2


def test_on_shares_a_row_far_beyond_its_norm_is_not_lost_and_the_range_holds() -> None:
    x = RNG.uniform(0, 1, (60, 400))
    x[0] = -30.0  # outside the range, not outside -1 .. 1 about the centre 0 by its sign alone

    def program() -> Any:
        with mpc.session():
            x_, y_ = mpc.share(x, owner=0), mpc.share(np.zeros(60, int), owner=0)
            ends = np.zeros(400), np.ones(400)
            short = [SecretRecords(x_, y_, 1, ends, norm) for norm in (1.0, 0.3)]
            return SecretRecords(x_, y_, 1, ends, None).u.reveal(), [(r.u.reveal(), r.one_hot.reveal()) for r in short]

    u, short = mpc.local(program, parties=2, threads=True)[0]
    assert u.min() == 0.0 and u.max() <= 1.0
    for norm, (rows, counted) in zip((1.0, 0.3), short, strict=True):
        lengths = np.linalg.norm(rows[1:], axis=1)
        assert counted.sum() == 60 and lengths.max() <= norm and lengths.min() > 0.98 * norm


@pytest.mark.parametrize("half", [0.001, 0.02, 0.05, 40.0])
def test_on_shares_an_outlier_stays_on_its_side_however_narrow_the_range(half: float) -> None:
    far = np.array([20000.0, 30000.0, 32767.0, -32767.0, -20000.0, 0.0])

    def program() -> Any:
        with mpc.session():
            x, y = mpc.share(np.tile(far[:, None], (1, 2)), owner=0), mpc.share(np.arange(6), owner=1)
            return MomentSynthesizer(low=-half, high=half).fit(x * np.full(2, 1000), y, classes=6).means_

    means = mpc.local(program, parties=3, threads=True)[0]
    wanted = np.stack([np.clip(far, -half, half)] * 2, 1)
    np.testing.assert_allclose(means, wanted, atol=0.02 * half)  # the quotient by 0.001 came back with either sign


def test_a_refused_fit_forgets_the_last_one() -> None:
    maker = MomentSynthesizer(1.0, low=-4, high=4).fit(X, Y, classes=3)
    with pytest.raises(ValueError, match="not finite"):
        maker.fit(np.full((9, 4), np.nan), np.arange(9) % 3, classes=3)
    with pytest.raises(ConfigError, match="call fit first"):
        maker.sample(5)
    assert maker.guarantee_ is None


def test_repair_makes_a_covariance_of_any_symmetric_matrix() -> None:
    broken = np.array([[1.0, 2.0], [2.0, 1.0]])
    fixed = gaussians.repaired(broken, 0.01)
    np.testing.assert_allclose(np.linalg.eigvalsh(fixed), [0.01, 3.0])
    np.testing.assert_allclose(gaussians.root(fixed) @ gaussians.root(fixed).T, fixed)
    good = np.array([[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(gaussians.repaired(good), good)
    assert np.array_equal(gaussians.symmetric(good[triangle(2)], 2), good)


@pytest.mark.parametrize(("settings", "wrong", "error", "says"), [
    ({"epsilon": -1.0}, {}, ValueError, "epsilon"),
    ({"epsilon": float("nan"), **BOUNDS}, {}, ValueError, "epsilon"),
    ({"epsilon": 3}, {}, ConfigError, "low= and high="),
    ({"epsilon": 3, **BOUNDS}, {"classes": None}, ConfigError, "classes="),
    ({"delta": 0.0}, {}, ValueError, "delta"),
    ({"covariance": "full"}, {}, ConfigError, "pooled"),
    ({"low": 1, "high": -1}, {}, ConfigError, "low <= high"),
    ({"epsilon": 3, **BOUNDS, "centre": 5.0}, {}, ConfigError, "between low and high"),
    ({}, {"X": np.where(X > 2, np.nan, X)}, ConfigError, "not finite"),
    (BOUNDS, {"X": np.where(X > 2, np.nan, X)}, ValueError, "not finite"),
    ({}, {"y": Y + 1}, ConfigError, "got the label 3"),
    ({}, {"y": np.where(np.arange(240) < 1, 2, np.minimum(Y, 1))}, ValueError, "a class of 1 records"),
    ({}, {"y": Y[:-1]}, ShapeError, "y of shape"),
    ({}, {"X": X[0]}, ShapeError, "X of shape"),
])  # fmt: skip
def test_refusals(settings: dict[str, Any], wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        MomentSynthesizer(**settings).fit(**{"X": X, "y": Y, "classes": 3, **wrong})


def test_nothing_to_sample_before_fit() -> None:
    with pytest.raises(ConfigError, match="call fit first"):
        MomentSynthesizer().sample(3)
