"""Sharing without a network."""
from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mpc
from mpc import prg, sharing


@given(st.lists(st.floats(-32000, 32000), max_size=30), st.integers(2, 8))
def test_reconstruction_gives_the_encoded_values(values: list[float], parties: int) -> None:
    shares = mpc.secret_share(np.array(values), parties=parties)
    assert len(shares) == parties
    assert np.all(np.abs(mpc.reconstruct(shares) - np.array(values)) <= 2.0**-17)


def test_any_parties_but_one_hold_uniform_words() -> None:
    shares = mpc.secret_share(np.zeros(20_000), parties=3)
    for leave in range(3):
        view = sum(s.words for k, s in enumerate(shares) if k != leave)
        counts = np.bincount(view.view(np.uint8), minlength=256)
        expected = counts.sum() / 256
        assert ((counts - expected) ** 2 / expected).sum() < 447  # probability 1e-12 with 255 degrees of freedom
    again = mpc.secret_share(np.zeros(20_000), parties=3)
    assert not np.array_equal(shares[0].words, again[0].words)


def test_bad_calls_are_refused() -> None:
    with pytest.raises(mpc.ConfigError):
        mpc.secret_share(1.0, parties=1)
    with pytest.raises(mpc.FixedPointRangeError):
        mpc.secret_share([1.0, np.nan])
    with pytest.raises(mpc.ConfigError):
        mpc.reconstruct(mpc.secret_share(1.0)[:1])
    with pytest.raises(mpc.ShapeError):
        mpc.reconstruct([*mpc.secret_share([1.0]), *mpc.secret_share([[1.0]])])


def test_a_share_neither_prints_nor_pickles_its_words() -> None:
    share = mpc.secret_share(np.array([12345.0]))[0]
    assert str(int(share.words[0])) not in repr(share)
    with pytest.raises(TypeError):
        pickle.dumps(share)
    with pytest.raises(TypeError):
        copy.deepcopy(share)


def test_keys_differ_by_purpose_context_and_secret() -> None:
    secret = bytes(32)
    keys = {
        prg.derive(secret, "dealt"), prg.derive(secret, "input"), prg.derive(secret, "dealt", b"1"),
        prg.derive(bytes(31) + b"1", "dealt"), prg.derive(secret, "dealt", b"", b"1"),
    }  # fmt: skip
    assert len(keys) == 5
    assert prg.combine(b"a", b"b") != prg.combine(b"ab", b"") != prg.combine(b"b", b"a")


def test_scales_lift_exactly_and_never_fall() -> None:
    x = mpc.secret_share([1.25, -3.5])
    lifted = [s.lifted(30) for s in x]
    np.testing.assert_array_equal(mpc.reconstruct(lifted), [1.25, -3.5])
    with pytest.raises(ValueError, match="truncate"):
        x[0].lifted(3)
    total = [sharing.add(a, b) for a, b in zip(x, lifted, strict=True)]
    np.testing.assert_array_equal(mpc.reconstruct(total), [2.5, -7.0])
