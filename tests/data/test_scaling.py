"""StandardScaler against scikit-learn's, for columns of all sizes."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import data
from tests.data.test_joining import WORLDS, run
from tests.owners import mixed

RNG = np.random.default_rng(29)
SIZES = np.array([2.0**-9, 0.02, 0.3, 1.0, 5.0, 60.0, 250.0])
ROWS = 200
X = RNG.normal(size=(ROWS, SIZES.size)) * SIZES + RNG.normal(size=SIZES.size) * SIZES * 3
X[:, 2] = RNG.integers(0, 2, ROWS)  # bits
X = np.column_stack([X, np.full(ROWS, 7.3), np.zeros(ROWS)])  # constants
X = np.round(X * 65536) / 65536  # what the parties hold


def fitted(**options: Any) -> Any:
    """scikit-learn's."""
    preprocessing = pytest.importorskip("sklearn.preprocessing", reason="scikit-learn is the reference")
    return preprocessing.StandardScaler(**options).fit(X)


@pytest.mark.parametrize("protocol,parties", WORLDS)
@pytest.mark.parametrize("options", [{}, {"with_mean": False}, {"with_std": False}], ids=str)
def test_it_follows_scikit_learn(protocol: str, parties: int, options: dict[str, Any]) -> None:
    want = fitted(**options)

    def program(s: Any) -> Any:
        x = mixed(X)
        scaler = data.StandardScaler(**options)
        z = scaler.fit_transform(x)
        other = scaler.transform(X[:5])
        back = scaler.inverse_transform(z)
        ledger = len(s.ledger)
        return z.reveal(), other.reveal(), back.reveal(), scaler.reveal(), scaler.n_samples_seen_, ledger

    for z, other, back, found, rows, ledger in run(program, parties, protocol):
        expected = want.transform(X)
        bound = 2**-12 * np.abs(expected) + 2**-15
        if options.get("with_mean", True) and options.get("with_std", True):
            bound = bound + 2**-15 / np.maximum(np.where(X.std(0) == 0, 1, X.std(0)), 2**-10)  # the mean is rounded
        assert np.all(np.abs(z - expected) <= bound), np.abs((z - expected) / bound).max(0)
        assert np.all(np.abs(other - expected[:5]) <= bound[:5])
        scale = 1.0 if want.scale_ is None else want.scale_
        assert np.all(np.abs(back - X) <= scale * (2**-11 * np.abs(expected) + 2**-14) + 2**-14)
        if options.get("with_mean", True):
            np.testing.assert_allclose(found["mean"], want.mean_, atol=2**-15, rtol=2**-20)
        if options.get("with_std", True):
            np.testing.assert_allclose(found["scale"], want.scale_, atol=2**-15, rtol=2**-12)
        assert set(found) == {"mean", "scale"} - {name.replace("with_std", "scale").replace("with_", "") for name in options}
        assert rows == ROWS and ledger == 0


def test_large_columns_scaled_by_their_owners() -> None:
    """Incomes and grams: the owners divide by public powers of two; what is found is in the units they know."""
    left = np.column_stack([RNG.normal(3e5, 1e5, 300), RNG.normal(40, 12, 300)])
    right = RNG.normal(2e-4, 5e-5, (300, 1))
    both = np.column_stack([left, right])

    def program(s: Any) -> Any:
        x, exponents = data.by_columns(left if s.rank == 0 else right if s.rank == 1 else None, scale=True)
        scaler = data.StandardScaler(exponents=exponents).fit(x)
        z = scaler.transform(x)
        back = scaler.inverse_transform(z)
        return z.reveal(), scaler.reveal(reason="means"), back.reveal(check_range=False), [line.reason for line in s.ledger]

    for z, found, back, reasons in run(program):
        np.testing.assert_allclose(z, (both - both.mean(0)) / both.std(0), atol=2e-3)
        np.testing.assert_allclose(found["mean"], both.mean(0), rtol=2e-4)
        np.testing.assert_allclose(found["scale"], both.std(0), rtol=5e-4)
        assert np.all(np.abs(back - both) < 1e-3 * both.std(0) + 2**-15)
        assert "means: StandardScaler.mean_" in reasons


def test_it_can_be_saved(tmp_path: Path) -> None:
    def program(s: Any) -> Any:
        x = mpc.share(X, 0)
        scaler = data.StandardScaler(exponents=np.zeros(X.shape[1], np.int64)).fit(x)
        mpc.save({"scaler": scaler}, tmp_path / "s.shares")
        other = data.StandardScaler(with_mean=False)
        mpc.load(tmp_path / "s.shares", into={"scaler": other})
        assert other.with_mean and other.exponents.tolist() == [0] * X.shape[1]
        with pytest.raises(mpc.ConfigError, match="one of a StandardScaler"):
            other.load_state_dict({"mean_": None})
        return scaler.transform(x[:5]).reveal(), other.transform(x[:5]).reveal()

    for mine, loaded in run(program, protocol="clear"):
        np.testing.assert_array_equal(mine, loaded)


def test_it_refuses() -> None:
    def program(s: Any) -> None:
        x = mpc.share(X, 0)
        with pytest.raises(mpc.SessionError, match="not fitted"):
            data.StandardScaler().transform(x)
        with pytest.raises(mpc.ShapeError, match="rows, features"):
            data.StandardScaler().fit(x[0])
        with pytest.raises(mpc.ConfigError, match="9 integers"):
            data.StandardScaler(exponents=[1, 2]).fit(x)
        with pytest.raises(mpc.ShapeError, match=r"want \(rows, 9\)"):
            data.StandardScaler().fit(x).transform(x[:, :2])
        assert repr(data.StandardScaler(with_std=False)) == "StandardScaler(with_mean=True, with_std=False, exponents=None)"

    run(program, protocol="clear")


def test_as_many_rows_as_fixed_point_numbers_do_not_count_to() -> None:
    x = np.random.default_rng(5).normal(2.0, 3.0, (40_000, 1))

    def program() -> dict[str, Any]:
        with mpc.session() as s:
            halves = [mpc.share(x[k::2] if s.rank == k else None, owner=k) for k in (0, 1)]
            return mpc.data.StandardScaler().fit(mpc.cat(halves)).reveal()

    (found, _) = mpc.local(program, parties=2, threads=True)
    assert abs(found["mean"].item() - x.mean()) < 1e-3 and abs(found["scale"].item() / x.std() - 1) < 1e-3
