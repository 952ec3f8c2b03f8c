"""Logistic regression against scikit-learn."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.linear_model import LogisticRegression
from tests.linear_model.sets import Array, by_columns, by_rows, load, run, scaled, ways


def reference(x: Array, y: Array, **options: Any) -> Any:
    from sklearn.linear_model import LogisticRegression as Reference

    return Reference(max_iter=10_000, tol=1e-8, **options).fit(x, y)


def accuracy(got: Array, y: Array) -> float:
    return float((got == y).mean())


@ways
def test_two_classes(protocol: str, parties: int) -> None:
    x, y = scaled("breast_cancer")
    train = np.arange(len(y)) % 4 != 0

    def program() -> Any:
        with mpc.session() as s:
            model = LogisticRegression().fit(by_columns(x[train]), mpc.share(y[train], 1))
            assert not s.ledger and model.n_iter_ == 100  # fit reveals nothing
            score = model.score(x, mpc.share(y, 0))
            (line,) = s.ledger
            assert (line.shape, line.reason) == ((), "LogisticRegression.score: accuracy")
            assert line.site.startswith("test_logistic.py")
            return (
                model.predict(mpc.share(x, 0)).reveal(), model.predict_proba(x).reveal(), score,
                model.coef_.reveal(), model.intercept_.reveal(), model.decision_function(x).reveal(),
            )

    predicted, probabilities, score, coef, intercept, odds = run(program, protocol, parties)
    want = reference(x[train], y[train])
    assert accuracy(predicted, y) > want.score(x, y) - 0.005
    assert score == pytest.approx(accuracy(predicted, y), abs=1e-3)
    assert coef.shape == (1, 30) and intercept.shape == (1,) and odds.shape == (len(y),)
    np.testing.assert_allclose(probabilities, want.predict_proba(x), atol=0.02)
    np.testing.assert_allclose(coef, want.coef_, atol=0.08)
    np.testing.assert_array_equal(predicted, odds > 0)


@pytest.mark.parametrize("name", ["iris", "wine"])
@ways
def test_three_classes(protocol: str, parties: int, name: str) -> None:
    x, y = scaled(name)

    def program() -> Any:
        with mpc.session() as s:
            model = LogisticRegression(classes=3).fit(by_rows(x), mpc.share(y, 1))
            assert not s.ledger
            return (
                model.predict(x).reveal(), model.predict_proba(mpc.share(x, 1)).reveal(), model.coef_.reveal(),
                model.score(x, y), model.score(x, mpc.share(y, 0)), model.decision_function(x).shape,
            )

    predicted, probabilities, coef, score, secret_score, shape = run(program, protocol, parties)
    want = reference(x, y)
    assert accuracy(predicted, y) > want.score(x, y) - 0.005
    assert score == pytest.approx(accuracy(predicted, y), abs=1e-3) and secret_score == pytest.approx(score, abs=1e-3)
    assert coef.shape == (3, x.shape[1]) and shape == (len(y), 3)
    np.testing.assert_allclose(probabilities, want.predict_proba(x), atol=0.02)
    np.testing.assert_allclose(coef, want.coef_, atol=0.05)


def test_ten_classes() -> None:
    """Digits: 64 columns, of which three are constant."""
    x, y = scaled("digits")
    train = np.arange(len(y)) % 3 == 0

    def program() -> Any:
        with mpc.session():
            model = LogisticRegression(classes=10, max_iter=60).fit(by_columns(x[train]), mpc.share(y[train], 1))
            return model.predict(x).reveal()

    assert accuracy(run(program, "additive"), y) > reference(x[train], y[train]).score(x, y) - 0.005


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_columns_of_any_scale(name: str) -> None:
    """Standard deviations from 0.0026 to 570 as the files have them."""
    x, y = load(name)

    def program() -> Any:
        with mpc.session():
            return LogisticRegression(classes=len(set(y))).fit(mpc.share(x, 0), mpc.share(y, 1)).predict(x).reveal()

    assert accuracy(run(program, "additive"), y) > reference(x, y, solver="newton-cholesky").score(x, y) - 0.005


def test_labels_of_every_kind() -> None:
    """Public and secret, integers and one-hot rows: one model."""
    x, y = scaled("iris")
    hot = np.eye(3)[y]

    def program() -> Any:
        with mpc.session():
            features = mpc.share(x, 0)
            models = [
                LogisticRegression(max_iter=20).fit(features, y),
                LogisticRegression(max_iter=20).fit(features, hot),
                LogisticRegression(max_iter=20).fit(features, mpc.share(hot, 1)),
                LogisticRegression(max_iter=20, classes=3).fit(x, mpc.share(y[:, None], 1)),
                LogisticRegression(max_iter=20, classes=[10, 20, 40]).fit(features, mpc.share(np.choose(y, [10, 20, 40]), 1)),
            ]
            names = LogisticRegression(max_iter=20).fit(features, np.array(["a", "b", "c"])[y])
            assert names.classes_.tolist() == ["a", "b", "c"]
            with pytest.raises(mpc.ConfigError, match="indices"):
                names.predict(x)
            return (
                [m.coef_.reveal() for m in (*models, names)], models[-1].predict(x).reveal(), models[0].predict(x).reveal(),
                names.score(x, np.array(["a", "b", "c"])[y]), models[-1].score(x, mpc.share(np.choose(y, [10, 20, 40]), 0)),
            )

    coefs, predicted, plain, *scores = run(program, "additive")
    for coef in coefs[1:]:
        np.testing.assert_allclose(coef, coefs[0], atol=5e-3)
    np.testing.assert_array_equal(predicted, np.choose(plain.astype(int), [10, 20, 40]))
    assert scores == pytest.approx([accuracy(plain, y)] * 2, abs=0.01)


def test_two_classes_of_other_values() -> None:
    x, y = scaled("breast_cancer")
    signs = 2 * y - 1

    def program() -> Any:
        with mpc.session():
            model = LogisticRegression(max_iter=20, classes=[-1, 1]).fit(mpc.share(x, 0), mpc.share(signs, 1))
            public = LogisticRegression(max_iter=20).fit(mpc.share(x, 0), signs)
            return model.predict(x).reveal(), public.predict(x).reveal(), model.score(x, mpc.share(signs, 1))

    secret, public, score = run(program, "additive")
    assert set(secret) == {-1, 1} and accuracy(secret, public) > 0.99
    assert score == pytest.approx(accuracy(secret, signs), abs=1e-3)


@pytest.mark.parametrize("options", [{"C": 0.1}, {"fit_intercept": False}, {"C": math.inf}])
def test_options(options: dict[str, Any]) -> None:
    x, y = scaled("breast_cancer")
    x = x[:, :4] + 0.3  # not separable
    y = np.where(np.arange(len(y)) % 9 == 0, 1 - y, y)

    def program() -> Any:
        with mpc.session():
            model = LogisticRegression(**options).fit(mpc.share(x, 0), mpc.share(y, 1))
            return model.predict_proba(x).reveal(), model.intercept_.reveal()

    probabilities, intercept = run(program, "additive")
    want = reference(x, y, **options)
    np.testing.assert_allclose(probabilities, want.predict_proba(x), atol=0.01)
    np.testing.assert_allclose(intercept, want.intercept_, atol=0.05)


def test_stops_where_asked() -> None:
    x, y = scaled("iris")

    def program() -> Any:
        with mpc.session() as s:
            model = LogisticRegression(max_iter=500, tol=0.02).fit(mpc.share(x, 0), y)
            assert {(line.shape, line.site.partition(":")[0]) for line in s.ledger} == {((), "test_logistic.py")}
            assert all("tol" in line.reason for line in s.ledger)
            return model.n_iter_, len(s.ledger), model.predict_proba(x).reveal()

    iterations, looks, probabilities = run(program, "additive")
    assert iterations == 10 * looks < 200
    np.testing.assert_allclose(probabilities, reference(x, y).predict_proba(x), atol=0.03)


@pytest.mark.parametrize("frac_bits", [12, 20])
def test_other_precisions(frac_bits: int) -> None:
    x, y = scaled("breast_cancer")

    def program() -> Any:
        with mpc.session():
            return LogisticRegression(max_iter=40).fit(mpc.share(x, 0), mpc.share(y, 1)).score(x, y)

    assert run(program, "additive", frac_bits=frac_bits) > reference(x, y).score(x, y) - 0.005


def test_mistakes() -> None:
    def program() -> None:
        with mpc.session():
            assert "max_iter=100" in repr(LogisticRegression())
            x = mpc.share(np.eye(4), 0)
            bits, hot = mpc.share([0, 1, 0, 1], 0), mpc.share(np.eye(4), 0)
            for action, error, text in [
                (lambda: LogisticRegression(C=0), mpc.ConfigError, "C=0"),
                (lambda: LogisticRegression(max_iter=0), mpc.ConfigError, "max_iter"),
                (lambda: LogisticRegression().predict(x), mpc.SessionError, "fit"),
                (lambda: LogisticRegression().fit(x, bits[:3]), mpc.ShapeError, "labels"),
                (lambda: LogisticRegression(classes=3).fit(x, hot), mpc.ShapeError, "4 columns for 3"),
                (lambda: LogisticRegression(classes=1).fit(x, bits), mpc.ConfigError, "classes=1"),
                (lambda: LogisticRegression(classes=[1, 1]).fit(x, bits), mpc.ConfigError, "distinct"),
                (lambda: LogisticRegression(classes=["a", "b"]).fit(x, bits), mpc.ConfigError, "numbers"),
                (lambda: LogisticRegression(classes=2).fit(x, [0, 1, 2, 1]), mpc.ConfigError, "public labels"),
                (lambda: LogisticRegression().fit(x, [1, 1, 1, 1]), mpc.ConfigError, "two classes"),
                (lambda: LogisticRegression().fit(x, np.eye(4) * 2), mpc.ShapeError, "one-hot"),
            ]:
                with pytest.raises(error, match=text):
                    action()

    run(program)
