"""Estimators against scikit-learn."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.linear_model import LinearRegression, LogisticRegression, Ridge

sklearn = pytest.importorskip("sklearn", reason="scikit-learn (the extra 'demo') is the reference")


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


def cancer() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), y


def diabetes(scale: float) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return x * scale * np.logspace(-0.5, 0.5, x.shape[1]), y / 40


@pytest.mark.parametrize("protocol,parties", [("clear", 2), ("additive", 2), ("additive", 3)])
def test_logistic_regression_on_breast_cancer(protocol: str, parties: int) -> None:
    from sklearn.linear_model import LogisticRegression as Reference

    x, y = cancer()
    train = np.arange(len(y)) % 4 != 0

    def program() -> Any:
        with mpc.session() as s:
            features = mpc.cat([mpc.share(x[train][:, :15], 0), mpc.share(x[train][:, 15:], 1)], 1)
            model = LogisticRegression().fit(features, mpc.share(y[train], 1))
            assert not s.ledger  # fit reveals nothing
            bits = model.predict(x[~train]).reveal()
            probabilities = model.predict_proba(x[~train]).reveal()
            score = model.score(x[~train], y[~train])
            assert s.ledger[-1].shape == () and "accuracy" in s.ledger[-1].reason
            assert s.ledger[-1].site.startswith("test_linear_model.py")
            return bits, probabilities, score, model.coef_.reveal(), model.intercept_.reveal()

    bits, probabilities, score, coef, intercept = run(program, parties, protocol)
    reference = Reference().fit(x[train], y[train])
    right = (bits == y[~train]).sum()
    assert right >= (reference.predict(x[~train]) == y[~train]).sum() - 1
    assert score == pytest.approx(right / len(bits), abs=1e-3)
    assert coef.shape == (1, 30) and intercept.shape == (1,)
    error = np.abs(probabilities[:, 1] - reference.predict_proba(x[~train])[:, 1])
    assert np.quantile(error, 0.95) < 0.05
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-4)


def test_more_iterations_reach_the_optimum() -> None:
    from sklearn.linear_model import LogisticRegression as Reference

    x, y = cancer()

    def program() -> Any:
        with mpc.session():
            return LogisticRegression(max_iter=400).fit(mpc.share(x, 0), mpc.share(y, 1)).coef_.reveal()

    np.testing.assert_allclose(run(program), Reference().fit(x, y).coef_, atol=0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 20.0, 500.0])
@pytest.mark.parametrize("protocol,parties", [("clear", 2), ("additive", 2), ("additive", 3)])
def test_least_squares_on_diabetes(protocol: str, parties: int, scale: float, alpha: float) -> None:
    """Columns of any size: standard deviations from 0.015 to 75."""
    from sklearn.linear_model import Ridge as Reference

    x, y = diabetes(scale)

    def program() -> Any:
        with mpc.session() as s:
            model = Ridge(alpha) if alpha else LinearRegression()
            model.fit(mpc.share(x, 0), mpc.share(y, 1))
            assert not s.ledger
            return model.score(mpc.share(x, 0), y), model.predict(x).reveal(), model.coef_.reveal()

    score, predicted, coef = run(program, parties, protocol)
    reference = Reference(alpha).fit(x, y)
    assert score == pytest.approx(reference.score(x, y), abs=1e-3)
    assert np.sqrt(np.mean((predicted - reference.predict(x)) ** 2)) < 4e-3 * y.std()
    assert coef.shape == (10,)


@pytest.mark.parametrize("frac_bits", [12, 20])
def test_other_precisions(frac_bits: int) -> None:
    from sklearn.linear_model import Ridge as Reference

    x, y = diabetes(20.0)
    labels = (y > y.mean()).astype(int)

    def program() -> Any:
        with mpc.session():
            features = mpc.share(x, 0)
            ridge = Ridge().fit(features, mpc.share(y, 1))
            logistic = LogisticRegression(max_iter=50).fit(features, mpc.share(labels, 1))
            return ridge.score(features, y), logistic.score(features, labels)

    (r2, accuracy), *_ = mpc.local(program, parties=2, threads=True, frac_bits=frac_bits)
    assert r2 == pytest.approx(Reference().fit(x, y).score(x, y), abs=2e-3)
    assert accuracy > 0.72


def test_without_intercept_and_public_features() -> None:
    from sklearn.linear_model import LinearRegression as Reference

    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.01 * rng.normal(size=64)

    def program() -> Any:
        with mpc.session():
            model = LinearRegression(fit_intercept=False).fit(x, mpc.share(y, 1))
            return model.coef_.reveal(), float(model.intercept_.reveal())

    coef, intercept = run(program)
    np.testing.assert_allclose(coef, Reference(fit_intercept=False).fit(x, y).coef_, atol=1e-3)
    assert intercept == 0


def test_parameters_and_mistakes() -> None:
    def program() -> None:
        with mpc.session():
            assert LinearRegression().get_params() == {"fit_intercept": True, "refine": 4}
            assert Ridge(2.0).set_params(alpha=3.0).get_params()["alpha"] == 3.0
            assert "max_iter=100" in repr(LogisticRegression())
            x = mpc.share(np.ones((4, 2)), 0)
            for action, error, text in [
                (lambda: Ridge(-1.0), mpc.ConfigError, "alpha"),
                (lambda: Ridge().set_params(beta=1), mpc.ConfigError, "beta"),
                (lambda: LogisticRegression(C=0), mpc.ConfigError, "C=0"),
                (lambda: LogisticRegression(max_iter=0), mpc.ConfigError, "max_iter"),
                (lambda: Ridge().predict(x), mpc.SessionError, "fit"),
                (lambda: Ridge().fit(x, np.ones(3)), mpc.ShapeError, "rows"),
                (lambda: Ridge().fit(x, np.arange(4.0)).predict(np.ones((2, 3))), mpc.ShapeError, "2"),
            ]:
                with pytest.raises(error, match=text):
                    action()

    run(program)
