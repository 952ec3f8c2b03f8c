"""L1 penalties against scikit-learn's coordinate descent."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.linear_model import ElasticNet, Lasso
from tests.linear_model.sets import Array, by_columns, by_rows, load, run, scaled, ways


def references(alpha: float, l1_ratio: float) -> Any:
    from sklearn import linear_model

    return linear_model.ElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000)


def strongest(x: Array, y: Array) -> float:
    """The smallest alpha at which every coefficient is zero."""
    return float(np.abs((x - x.mean(0)).T @ (y - y.mean())).max() / len(y))


def check(x: Array, y: Array, alpha: float, got: dict[str, Any], l1_ratio: float = 1.0) -> None:
    want = references(alpha, l1_ratio).fit(x, y)
    size = x.std(0) / y.std()
    np.testing.assert_allclose(got["coef"] * size, want.coef_ * size, atol=1e-3)
    assert got["coef"].shape == want.coef_.shape and np.shape(got["intercept"]) == ()
    assert ((got["coef"] != 0) == (want.coef_ != 0)).all()
    assert np.sqrt(np.mean((got["predicted"] - want.predict(x)) ** 2)) < 1e-3 * y.std()
    assert got["score"] == pytest.approx(want.score(x, y), abs=1e-3)


def opened(model: ElasticNet, x: Array, y: Array) -> dict[str, Any]:
    return {
        "coef": model.coef_.reveal(),
        "intercept": model.intercept_.reveal(),
        "predicted": model.predict(x).reveal(),
        "score": model.score(x, y),
    }


@pytest.mark.parametrize("strength", [2.0, 0.3, 0.03, 0.003])
@ways
def test_diabetes(protocol: str, parties: int, strength: float) -> None:
    x, y = load("diabetes")
    alpha = strength * strongest(x, y)

    def program() -> Any:
        with mpc.session() as s:
            model = Lasso(alpha).fit(by_rows(x), mpc.share(y, 1))
            assert not s.ledger and model.n_iter_ == 100
            return opened(model, x, y)

    check(x, y, alpha, run(program, protocol, parties))


@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_collinear_and_constant_columns(name: str) -> None:
    """11 of 30 columns, of which the worst are alike to 1e-4, and 50 of 64, of which three are constant."""
    x, y = scaled(name)
    alpha = (0.03 if name == "breast_cancer" else 0.003) * strongest(x, y)

    def program() -> Any:
        with mpc.session():
            return opened(Lasso(alpha, max_iter=60).fit(by_columns(x), mpc.share(y, 1)), x, y)

    got = run(program, "additive")
    constant = x.std(0) == 0
    assert (got["coef"][constant] == 0).all()
    got["coef"] = got["coef"][~constant]
    check_x = x[:, ~constant]
    check(check_x, y, alpha, got)


@ways
def test_elastic_net(protocol: str, parties: int) -> None:
    x, y = scaled("diabetes")
    alpha = 0.05 * strongest(x, y)

    def program() -> Any:
        with mpc.session():
            return opened(ElasticNet(alpha, l1_ratio=0.7).fit(mpc.share(x, 0), mpc.share(y, 1)), x, y)

    check(x, y, alpha, run(program, protocol, parties), l1_ratio=0.7)


def test_stops_where_asked() -> None:
    x, y = scaled("diabetes")
    alpha = 0.03 * strongest(x, y)

    def program() -> Any:
        with mpc.session() as s:
            model = Lasso(alpha, tol=1e-3, max_iter=500).fit(mpc.share(x, 0), mpc.share(y, 1))
            assert {line.shape for line in s.ledger} == {()} and all("tol" in line.reason for line in s.ledger)
            assert {line.site.partition(":")[0] for line in s.ledger} == {"test_lasso.py"}
            assert model.n_iter_ == 10 * len(s.ledger) < 60
            return opened(model, x, y)

    check(x, y, alpha, run(program, "additive"))


def test_without_intercept() -> None:
    x, y = scaled("diabetes")

    def program() -> Any:
        with mpc.session():
            model = Lasso(1.0, fit_intercept=False).fit(mpc.share(x, 0), mpc.share(y / 10, 1))
            return model.coef_.reveal(), float(model.intercept_.reveal())

    from sklearn.linear_model import Lasso as Reference

    coef, intercept = run(program)
    np.testing.assert_allclose(coef, Reference(1.0, fit_intercept=False, tol=1e-9).fit(x, y / 10).coef_, atol=5e-3)
    assert intercept == 0


def test_mistakes() -> None:
    def program() -> None:
        with mpc.session():
            assert "l1_ratio" not in Lasso().get_params() and ElasticNet().get_params()["l1_ratio"] == 0.5
            x = mpc.share(np.ones((4, 2)), 0)
            for action, error, text in [
                (lambda: Lasso(0), mpc.ConfigError, "alpha"),
                (lambda: ElasticNet(l1_ratio=0), mpc.ConfigError, "Ridge"),
                (lambda: Lasso(max_iter=0), mpc.ConfigError, "max_iter"),
                (lambda: Lasso(tol=0), mpc.ConfigError, "tol"),
                (lambda: Lasso().fit(x, np.ones((4, 2))), mpc.ShapeError, "one target"),
                (lambda: Lasso().predict(x), mpc.SessionError, "fit"),
            ]:
                with pytest.raises(error, match=text):
                    action()

    run(program)
