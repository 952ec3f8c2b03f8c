"""Least squares against scikit-learn."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.linear_model import LinearRegression, Ridge
from tests.linear_model.sets import Array, by_columns, by_rows, load, run, scaled, ways


def reference(alpha: float, **options: Any) -> Any:
    from sklearn import linear_model

    return linear_model.Ridge(alpha, **options) if alpha else linear_model.LinearRegression(**options)


def estimator(alpha: float) -> Ridge:
    return Ridge(alpha) if alpha else LinearRegression()


def deviation(got: Array, want: Array, y: Array) -> float:
    """The root mean square difference in standard deviations of y."""
    return float(np.sqrt(np.mean((got - want) ** 2)) / y.std())


def diabetes(scale: float) -> tuple[Array, Array]:
    x, y = load("diabetes")
    return x * scale * np.logspace(-0.5, 0.5, x.shape[1]), y / 40


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 20.0, 500.0])
@ways
def test_diabetes_at_any_scale(protocol: str, parties: int, scale: float, alpha: float) -> None:
    """Columns of standard deviations from 0.015 to 75."""
    x, y = diabetes(scale)

    def program() -> Any:
        with mpc.session() as s:
            features = by_rows(x)
            model = estimator(alpha).fit(features, mpc.share(y, 1))
            assert not s.ledger  # fit reveals nothing
            score = model.score(features, y)
            assert [(line.shape, line.reason) for line in s.ledger] == [((), f"{type(model).__name__}.score: R^2")]
            assert s.ledger[0].site.startswith("test_ridge.py")
            return score, model.predict(x).reveal(), model.coef_.reveal()

    score, predicted, coef = run(program, protocol, parties)
    want = reference(alpha).fit(x, y)
    assert score == pytest.approx(want.score(x, y), abs=1e-3)
    assert deviation(predicted, want.predict(x), y) < 1e-3
    np.testing.assert_allclose(coef * x.std(0) / y.std(), want.coef_ * x.std(0) / y.std(), atol=3e-3)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@ways
def test_collinear_columns(protocol: str, parties: int, alpha: float) -> None:
    """Breast cancer: the smallest eigenvalue of the correlations is 1.3e-4, and radius predicts area."""
    x, y = scaled("breast_cancer")

    def program() -> Any:
        with mpc.session():
            model = estimator(alpha).fit(by_columns(x), mpc.share(y, 1))
            return model.predict(x).reveal(), model.coef_.reveal()

    predicted, coef = run(program, protocol, parties)
    want = reference(alpha).fit(x, y)
    assert deviation(predicted, want.predict(x), y) < 1e-3
    np.testing.assert_allclose(coef, want.coef_, atol=4e-3)


def test_equal_and_constant_columns() -> None:
    """No unique solution, but its predictions are."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    x = np.c_[x, x[:, 0], np.full(60, 3.0)]
    y = x[:, 0] - x[:, 1] + 2 + 0.1 * rng.normal(size=60)

    def program() -> Any:
        with mpc.session():
            model = LinearRegression().fit(mpc.share(x, 0), mpc.share(y, 1))
            return model.predict(x).reveal()

    assert deviation(run(program, "additive"), reference(0.0).fit(x, y).predict(x), y) < 1e-3


@ways
def test_several_targets(protocol: str, parties: int) -> None:
    x, y = diabetes(20.0)
    y = np.c_[y, 100 * x[:, 0] - x[:, 5], 0.2 * x[:, 2]]

    def program() -> Any:
        with mpc.session():
            model = Ridge(0.5).fit(mpc.share(x, 0), mpc.share(y, 1))
            return model.predict(x).reveal(), model.coef_.reveal(), model.intercept_.reveal(), model.score(x, y)

    predicted, coef, intercept, score = run(program, protocol, parties)
    want = reference(0.5).fit(x, y)
    assert coef.shape == want.coef_.shape and intercept.shape == want.intercept_.shape
    for got, expected, column in zip(predicted.T, want.predict(x).T, y.T, strict=True):
        assert deviation(got, expected, column) < 1e-3
    assert score == pytest.approx(want.score(x, y), abs=2e-3)


@pytest.mark.parametrize("frac_bits", [12, 20])
def test_other_precisions(frac_bits: int) -> None:
    x, y = diabetes(20.0)

    def program() -> Any:
        with mpc.session():
            return Ridge().fit(mpc.share(x, 0), mpc.share(y, 1)).predict(x).reveal()

    predicted = run(program, "additive", frac_bits=frac_bits)
    assert deviation(predicted, reference(1.0).fit(x, y).predict(x), y) < 2.0 ** (4 - frac_bits)


def test_without_intercept_and_public_features() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.01 * rng.normal(size=64)

    def program() -> Any:
        with mpc.session():
            model = LinearRegression(fit_intercept=False).fit(x, mpc.share(y[:, None], 1))
            return model.coef_.reveal(), model.intercept_.reveal()

    coef, intercept = run(program)
    np.testing.assert_allclose(coef, reference(0.0, fit_intercept=False).fit(x, y[:, None]).coef_, atol=1e-3)
    assert intercept.tolist() == [0]


def test_mistakes() -> None:
    def program() -> None:
        with mpc.session():
            assert LinearRegression().get_params() == {"fit_intercept": True, "refine": 3}
            assert Ridge(2.0).set_params(alpha=3.0).get_params()["alpha"] == 3.0
            assert repr(Ridge(2)) == "Ridge(alpha=2, fit_intercept=True, refine=3)"
            x = mpc.share(np.ones((4, 2)), 0)
            fitted = Ridge().fit(x, np.arange(4.0))
            for action, error, text in [
                (lambda: Ridge(-1.0), mpc.ConfigError, "alpha"),
                (lambda: Ridge(refine=-1), mpc.ConfigError, "refine"),
                (lambda: Ridge().set_params(beta=1), mpc.ConfigError, "beta"),
                (lambda: fitted.set_params(alpha=-1.0), mpc.ConfigError, "alpha=-1"),
                (lambda: Ridge().predict(x), mpc.SessionError, "fit"),
                (lambda: Ridge().score(x, np.ones(4)), mpc.SessionError, "fit"),
                (lambda: Ridge().fit(x, np.ones(3)), mpc.ShapeError, "rows"),
                (lambda: Ridge().fit(x[:, 0], np.ones(4)), mpc.ShapeError, "features"),
                (lambda: fitted.predict(np.ones((2, 3))), mpc.ShapeError, "2"),
            ]:
                with pytest.raises(error, match=text):
                    action()
            assert fitted.alpha == 1.0

    run(program)
