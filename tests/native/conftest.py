"""Every instruction set of this machine in turn, and arrays with awkward sizes and values."""

import numpy as np
import pytest

from mpc._native import core

SIZES = (0, 1, 63, 64, 65, 1000, 4095, 4096, 4097, 10_000)
EXTREMES = np.array([0, 1, 2, 2**32 - 1, 2**32, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1], np.uint64)


@pytest.fixture(params=core.available_isas())
def isa(request):
    """Run the test with one instruction set; the fastest is restored."""
    before = core.isa()
    core.set_isa(request.param)
    yield request.param
    core.set_isa(before)


@pytest.fixture(params=SIZES)
def size(request):
    return request.param


class Words:
    """Reproducible test words: random, with the extremes mixed in."""

    def __init__(self):
        self.generator = np.random.default_rng(20)

    def __call__(self, *shape):
        array = self.generator.integers(0, 2**64, shape, np.uint64)
        extreme = self.generator.integers(0, 4, shape) == 0
        array[extreme] = self.generator.choice(EXTREMES, int(extreme.sum()))
        return array

    def key(self):
        return self.generator.bytes(16)


@pytest.fixture
def words():
    return Words()
