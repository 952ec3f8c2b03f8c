"""Networks of dense layers against scikit-learn's, from the same initial weights or by accuracy."""
from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.neural_network import MLPClassifier, MLPRegressor
from tests.linear_model.sets import Array, by_columns, by_rows, run, scaled, ways


def initial(kind: Any, x: Array, y: Array, options: dict[str, Any]) -> Any:
    """Weights before training: those after one step of no length."""
    with warnings.catch_warnings():
        still = kind(**{**options, "learning_rate_init": 2.0**-30, "max_iter": 1, "batch_size": len(x)}).fit(x, mpc.share(y, 0))
    return [[w.reveal() for w in part] for part in (still.coefs_, still.intercepts_)]


def trained_by_sklearn(kind: str, start: Any, x: Array, y: Array, options: dict[str, Any]) -> Any:
    """scikit-learn's estimator, trained from the weights ``start``."""
    from sklearn import neural_network
    from sklearn.exceptions import ConvergenceWarning

    options = {"tol": 0.0, "n_iter_no_change": 10**6, "warm_start": True, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = getattr(neural_network, kind)(**{**options, "max_iter": 1}).fit(x, y)
        model.coefs_, model.intercepts_ = [[w.copy() for w in part] for part in start]
        return model.set_params(max_iter=options["max_iter"]).fit(x, y)


CASES: dict[str, dict[str, Any]] = {
    "two classes": {"kind": MLPClassifier, "set": "breast_cancer", "hidden_layer_sizes": (8,), "alpha": 0.5},
    "three classes": {"kind": MLPClassifier, "set": "wine", "hidden_layer_sizes": (6, 5), "activation": "logistic"},
    "plain descent": {"kind": MLPClassifier, "set": "iris", "hidden_layer_sizes": 7, "momentum": 0.0},
    "heavy ball": {"kind": MLPClassifier, "set": "iris", "hidden_layer_sizes": (7,), "nesterovs_momentum": False},
    "one target": {"kind": MLPRegressor, "set": "diabetes", "hidden_layer_sizes": (6,), "activation": "tanh"},
    "two targets": {"kind": MLPRegressor, "set": "diabetes", "hidden_layer_sizes": (6,), "alpha": 1.0},
    "no hidden layer": {"kind": MLPRegressor, "set": "diabetes", "hidden_layer_sizes": ()},
    "adam": {"kind": MLPClassifier, "set": "wine", "hidden_layer_sizes": (6,), "solver": "adam", "learning_rate_init": 0.01},
}


@pytest.mark.parametrize("case", CASES)
@ways
def test_same_steps_as_sklearn(protocol: str, parties: int, case: str) -> None:
    """Three epochs of unshuffled batches, the last one smaller: the same weights, so the same gradients, penalty, momentum."""
    options = {"solver": "sgd", "learning_rate_init": 0.05, "max_iter": 3, "batch_size": 40, "shuffle": False, **CASES[case]}
    options["random_state"] = 3
    kind, name = options.pop("kind"), options.pop("set")
    x, y = scaled(name)
    x, y = x[:135], y[:135] if name != "diabetes" else (y[:135] - y.mean()) / y.std()
    if case == "two targets":
        y = np.c_[y, x[:, 0] * x[:, 1]]
    extra = {"classes": len(set(y))} if kind is MLPClassifier else {}

    def program() -> Any:
        with mpc.session() as s:
            start = initial(kind, x, y, {**options, **extra})
            lines = len(s.ledger)
            model = kind(**options, **extra).fit(by_columns(x), mpc.share(y, 1))
            assert len(s.ledger) == lines and model.n_iter_ == 3  # fit reveals nothing
            weights = [[w.reveal() for w in part] for part in (model.coefs_, model.intercepts_)]
            out = model.predict_proba(x) if kind is MLPClassifier else model.predict(mpc.share(x, 0))
            return start, weights, out.reveal(), model.score(x, y)

    start, weights, out, score = run(program, protocol, parties)
    want = trained_by_sklearn(kind.__name__, start, x, y, options)
    close = 2e-3 if protocol == "additive" else 8e-3  # the twin truncates by floor, and momentum gathers that bias
    moved = max(float(np.abs(a - b).max()) for a, b in zip(weights[0], start[0], strict=True))
    assert moved > 0.05
    for got, expected in zip([*weights[0], *weights[1]], [*want.coefs_, *want.intercepts_], strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=close)
    np.testing.assert_allclose(out, want.predict_proba(x) if kind is MLPClassifier else want.predict(x), atol=close)
    assert score == pytest.approx(want.score(x, y), abs=4e-3 if kind is MLPRegressor else 0.01)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_digits(solver: str) -> None:
    """Ten classes; within a point of the middle one of scikit-learn's runs."""
    from sklearn.neural_network import MLPClassifier as Reference

    x, y = scaled("digits")
    train = np.arange(len(y)) % 4 != 0

    def program() -> Any:
        with mpc.session():
            model = MLPClassifier((48,), solver=solver, max_iter=10, batch_size=100, classes=10, random_state=1)
            model.fit(by_rows(x[train]), mpc.share(y[train], 0))
            return model.score(x[~train], y[~train]), model.predict(x[~train]).reveal()

    score, predicted = run(program, "additive")
    assert score == pytest.approx((predicted == y[~train]).mean(), abs=1e-3)
    rate = 0.1 if solver == "sgd" else 0.005
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        others = [
            Reference((48,), solver=solver, max_iter=10, batch_size=100, learning_rate_init=rate, random_state=seed)
            .fit(x[train], y[train]).score(x[~train], y[~train])
            for seed in range(3)
        ]
    assert score > np.median(others) - 0.01


def test_losses_are_revealed_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = scaled("wine")

    def program() -> Any:
        with mpc.session() as s:
            options: dict[str, Any] = {"hidden_layer_sizes": (6,), "classes": 3, "batch_size": 50, "random_state": 0}
            seen = MLPClassifier(max_iter=4, verbose=True, **options).fit(mpc.share(x, 0), mpc.share(y, 1))
            lines = [(line.shape, line.reason, line.site.partition(":")[0]) for line in s.ledger]
            assert lines == [
                ((), f"MLPClassifier.fit: mean loss of epoch {k}, for verbose", "test_mlp.py") for k in (1, 2, 3, 4)
            ]
            early = MLPClassifier(max_iter=50, tol=0.05, n_iter_no_change=2, **options).fit(x, mpc.share(y, 1))
            assert len(s.ledger) == 4 + early.n_iter_ and "tol" in s.ledger[-1].reason
            return seen.loss_curve_, early.loss_curve_, early.n_iter_

    curve, early, epochs = run(program, "additive")
    assert curve[-1] < 0.5 * curve[0] and len(early) == epochs < 20
    np.testing.assert_allclose(early[:4], curve, atol=2e-3)  # the same public seed: the same training
    assert min(early[-2:]) > min(early[:-2]) - 0.05 and early[-3] < early[-4]
    assert capsys.readouterr().out.count("mean loss") == 4  # rank 0 only


def test_seeds_are_public_and_leave_the_session_alone() -> None:
    x, y = scaled("iris")

    def program() -> Any:
        with mpc.session() as s:
            mpc.manual_seed(5)
            before = s.public_rng.bit_generator.state
            one, same = (MLPRegressor((4,), max_iter=1, random_state=7).fit(mpc.share(x, 0), y / 2.0) for _ in range(2))
            assert s.public_rng.bit_generator.state == before
            other = MLPRegressor((4,), max_iter=1).fit(mpc.share(x, 0), y / 2.0)
            return [m.coefs_[0].reveal() for m in (one, same, other)]

    one, same, other = run(program)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_mistakes() -> None:
    def program() -> None:
        with mpc.session():
            assert MLPClassifier().get_params()["classes"] is None and "classes" not in MLPRegressor().get_params()
            assert MLPRegressor(5, alpha=0.1).set_params(solver="adam").get_params()["hidden_layer_sizes"] == 5
            assert repr(MLPRegressor((4,), "tanh")).startswith("MLPRegressor(hidden_layer_sizes=(4,), activation='tanh', ")
            x = mpc.share(np.ones((4, 2)), 0)
            for action, error, text in [
                (lambda: MLPClassifier((0,)), mpc.ConfigError, "hidden_layer_sizes"),
                (lambda: MLPClassifier(activation="gelu"), mpc.ConfigError, "tanh"),
                (lambda: MLPClassifier(solver="lbfgs"), mpc.ConfigError, "adam"),
                (lambda: MLPClassifier(batch_size="all"), mpc.ConfigError, "auto"),
                (lambda: MLPRegressor(max_iter=0), mpc.ConfigError, "epoch"),
                (lambda: MLPRegressor(tol=-1), mpc.ConfigError, "tol"),
                (lambda: MLPRegressor().set_params(classes=3), mpc.ConfigError, "no parameter"),
                (lambda: MLPRegressor().predict(x), mpc.SessionError, "fit"),
                (lambda: MLPClassifier().fit(x, np.ones(3)), mpc.ShapeError, "4 rows"),
                (lambda: MLPRegressor((3,), max_iter=1).fit(x, np.ones(4)).predict(x[:, :1]), mpc.ShapeError, "2"),
            ]:
                with pytest.raises(error, match=text):
                    action()

    run(program)
