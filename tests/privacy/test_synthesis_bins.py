"""Columns as finitely many values: what is declared, what is learned, and what comes back."""
from __future__ import annotations

import numpy as np

from mpc.privacy.synthesis.bins import Choices, Ranges, learned, public


def test_ranges_hold_what_they_say() -> None:
    rng = np.random.default_rng(0)
    whole = public("w", (np.int64(3), np.int64(12)), 4)
    assert isinstance(whole, Ranges) and whole.edges.tolist() == [3, 5, 8, 10, 13]
    assert whole.codes(np.array([-5, 3, 4, 5, 12, 13, 99])).tolist() == [0, 0, 0, 1, 3, 3, 3]
    assert np.unique(whole.drawn(np.repeat(np.arange(4), 200), rng)).tolist() == list(range(3, 13))
    assert public("few", (1, 3), 16).size == 3
    edges = public("e", (0, 1, 10, 100), 16)
    assert isinstance(edges, Ranges) and edges.size == 3 and edges.drawn(np.full(500, 2), rng).max() == 100
    real = public("r", (0.0, 1.0), 4)
    assert real.limits == [0.25, 0.5, 0.75] and real.codes(np.array([0.25])).tolist() == [1]


def test_round_decimals_fall_into_their_own_ranges() -> None:
    tenths = np.arange(10) / 10
    assert public("tenths", (0.0, 1.0), 10).codes(tenths).tolist() == list(range(10))
    assert public("small", (0.0, 1e-9), 10).codes(tenths * 1e-9).tolist() == list(range(10))
    assert (np.diff(public("narrow", (1.0, 1.0 + 1e-15), 3).edges) > 0).all()


def test_many_distinct_numbers_are_no_categories() -> None:
    column = learned("v", np.arange(250), 300)
    assert isinstance(column, Ranges) and column.size == 250


def test_learned_ranges_leave_frequent_values_alone() -> None:
    rng = np.random.default_rng(0)
    gains = np.where(rng.random(2000) < 0.9, 0, rng.integers(1, 50_000, 2000))
    column = learned("gain", gains, 16)
    assert isinstance(column, Ranges) and column.whole
    drawn = column.drawn(column.codes(gains), rng)
    assert np.array_equal(drawn == 0, gains == 0) and drawn.max() <= gains.max()
    few = learned("few", np.array([1.5, 2.5, 1.5]), 16)
    assert isinstance(few, Choices) and few.categories.tolist() == [1.5, 2.5]
    real = learned("real", np.r_[np.zeros(500), rng.normal(size=500)], 8)
    assert (real.drawn(real.codes(np.zeros(9)), rng) == 0).all()
