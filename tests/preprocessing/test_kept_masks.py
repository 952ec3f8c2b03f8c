"""Which expanded masks the dealer keeps: those that are named again, not every one of a long training."""
from __future__ import annotations

import numpy as np
import pytest

from mpc import prg
from mpc.masks import Mask
from mpc.preprocessing import dealing

KEYS = [prg.derive(prg.fresh_secret(), "dealt") for _ in range(2)]


def test_old_masks_go_and_used_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that every batch names, and the weights of each step, which only that step does."""
    monkeypatch.setattr(dealing, "CACHE_NUMBERS", 20)
    kept = dealing.KeyedDealing(KEYS)
    data = kept.total(Mask(1, 0, (50,)))
    for op in range(10, 500, 10):
        kept._last = op
        assert kept.total(Mask(1, 0, (50,))) is data
        weights = kept.total(Mask(op, 0, (8,)))
        assert kept.total(Mask(op, 0, (8,))) is weights
        assert len(kept._cache) <= 4 and kept._cached <= 8 * (50 + 3 * 8)
        np.testing.assert_array_equal(weights, sum(prg.words(key, op, 0, 8) for key in KEYS))
    again = kept.total(Mask(10, 0, (8,)))
    np.testing.assert_array_equal(again, sum(prg.words(key, 10, 0, 8) for key in KEYS))


def test_bytes_are_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "CACHE_BYTES", 1000)
    kept = dealing.KeyedDealing(KEYS)
    for op in range(1, 30):
        kept.total(Mask(op, 0, (50,)))
        assert kept._cached == 400 * len(kept._cache) <= 1000
    large = kept.total(Mask(30, 0, (500,)))
    assert large.shape == (500,) and list(kept._cache) == [(30, 0, -1)] and kept._cached == 4000
    assert kept.total(Mask(30, 0, (20, 25))).shape == (20, 25) and kept._cached == 4000
