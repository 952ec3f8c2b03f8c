"""Samplers are what they say: exactly, over all outcomes of their coins, and statistically, in clear and on shares."""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from mpc.errors import NotSupported
from mpc.privacy import Binomial, DiscreteGaussian, DiscreteLaplace
from mpc.privacy.dp.circuits import below, biased, compressed
from mpc.privacy.dp.coins import Coins
from mpc.privacy.dp.exponential import Geometric
from mpc.privacy.dp.mechanisms import Mechanism
from tests.privacy.noise import SIGNIFICANCE, EveryCoin, chi_square, coarse_laplace, enumerated, on_shares

NOISES = [DiscreteLaplace(0.3), DiscreteLaplace(2.0), DiscreteGaussian(2.5), Binomial(64), Binomial(36, 2), Geometric(0.4)]


def ones(planes: np.ndarray, lanes: int) -> list[int]:
    return [int(np.unpackbits(p.view(np.uint8), bitorder="little")[:lanes].sum()) for p in np.atleast_2d(planes)]


# --- exact: every outcome of the coins
@pytest.mark.parametrize("bits", [1, 2, 3, 5])
def test_a_biased_coin_has_exactly_its_bias(bits: int) -> None:
    for t in range((1 << bits) + 1):
        digits = 0 if t in (0, 1 << bits) else bits - ((t & -t).bit_length() - 1)
        every = EveryCoin(digits)
        got = ones(biased(every, [t], bits), every.n)
        assert got == [t * every.n >> bits], f"T = {t}"


def test_several_thresholds_of_one_number_are_nested() -> None:
    every = EveryCoin(5)
    thresholds = list(range(1, 32))
    planes = below(every, every.fair(5), thresholds)
    bits = np.array([np.unpackbits(p.view(np.uint8), bitorder="little")[:32] for p in planes])
    assert bits.sum(1).tolist() == thresholds
    assert sorted(bits.sum(0).tolist()) == list(range(32))  # lane by lane: one for each threshold above u


@pytest.mark.parametrize("counts", [[1], [2], [3], [9], [2, 2, 7], [0, 5], [4, 0, 3]])
def test_coins_are_counted_with_their_weights(counts: list[int]) -> None:
    every = EveryCoin(sum(counts))
    columns = [every.fair(c) for c in counts]
    lanes = np.arange(every.n)
    want, at = np.zeros(every.n, int), 0
    for weight, c in enumerate(counts):
        for _ in range(c):
            want += (lanes >> at & 1) << weight
            at += 1
    planes, weights = compressed(every, columns)
    assert every.total(planes, weights).tolist() == want.tolist()
    assert all(weights.count(w) <= 2 for w in weights)


@pytest.mark.parametrize("thresholds", [[1, 2, 3], [3, 1, 1], [2, 0, 1], [4, 3, 2]])
def test_discrete_laplace_over_all_coins(thresholds: list[int]) -> None:
    mechanism = coarse_laplace(thresholds)
    coins = 1 + sum({0: 0, 1: 2, 2: 1, 3: 2, 4: 0}[t] for t in thresholds)
    support, p = mechanism.pmf()
    got = enumerated(mechanism, coins)
    assert [got.get(int(n), 0.0) for n in support] == pytest.approx(p.tolist(), abs=1e-15)
    assert set(got) <= set(support.tolist())


@pytest.mark.parametrize(("m", "fine"), [(2, 0), (6, 0), (10, 0), (2, 1), (4, 3), (8, 2)])
def test_binomial_over_all_coins(m: int, fine: int) -> None:
    mechanism = Binomial(m, fine)
    support, p = mechanism.pmf()
    got = enumerated(mechanism, m + 2 * fine)
    assert [got.get(int(n), 0.0) for n in support] == pytest.approx(p.tolist(), abs=1e-15)
    assert sum(n * q for n, q in got.items()) == pytest.approx(0, abs=1e-12)
    assert sum(n * n * q for n, q in got.items()) == pytest.approx(mechanism.std**2)


def test_discrete_gaussian_over_all_coins() -> None:
    mechanism = DiscreteGaussian(0.6, bits=16)
    support, p = mechanism.pmf()
    got = enumerated(mechanism, 17)
    assert [got.get(int(n), 0.0) for n in support] == pytest.approx(p.tolist(), abs=1e-15)


# --- the formulas
@pytest.mark.parametrize("rate", [0.01, 0.3, 1.0, 5.0])
def test_discrete_laplace_is_within_its_total_variation_of_the_formula(rate: float) -> None:
    mechanism = DiscreteLaplace(rate)
    support, p = mechanism.pmf()
    q = math.exp(-rate)
    ideal = (1 - q) / (1 + q) * q ** np.abs(support)
    beyond = 2 * q ** (support[-1] + 1) / (1 + q)
    distance = (np.abs(p - ideal).sum() + beyond) / 2
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert distance <= mechanism.total_variation < 1e-11
    assert np.sqrt((p * support**2).sum()) == pytest.approx(mechanism.std, rel=1e-6)


@pytest.mark.parametrize("sigma", [0.5, 3.0, 20.0])
def test_discrete_gaussian_is_within_its_total_variation_of_the_formula(sigma: float) -> None:
    mechanism = DiscreteGaussian(sigma)
    support, p = mechanism.pmf()
    n = np.arange(-2000, 2001)
    ideal = np.exp(-(n**2) / (2 * sigma**2))
    ideal /= ideal.sum()
    whole = np.zeros(len(n))
    whole[support + 2000] = p
    assert np.abs(whole - ideal).sum() / 2 <= mechanism.total_variation + 1e-15
    assert mechanism.total_variation < 1e-9


# --- statistically
@pytest.mark.parametrize("mechanism", NOISES, ids=repr)
def test_samples_in_clear_follow_the_pmf(mechanism: Mechanism) -> None:
    assert chi_square(mechanism.sample(60_000), *mechanism.pmf()) > SIGNIFICANCE


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("mechanism", NOISES, ids=repr)
def test_samples_on_shares_follow_the_pmf(mechanism: Mechanism, parties: int) -> None:
    assert chi_square(on_shares(mechanism, 20_000, parties), *mechanism.pmf()) > SIGNIFICANCE


class Mutant(Mechanism):
    """A sampler with a mistake."""

    def __init__(self, base: Mechanism, circuit: Callable[[Coins], np.ndarray]) -> None:
        self.base, self._circuit = base, circuit
        self.pmf = base.pmf  # type: ignore[method-assign]

    key = ("Mutant",)
    std = 0.0

    def pmf(self):  # type: ignore[no-untyped-def]
        raise AssertionError

    def privacy(self, l1=None, l2=None, linf=None, size=1):  # type: ignore[no-untyped-def]
        raise AssertionError

    def circuit(self, coins: Coins) -> np.ndarray:
        return self._circuit(coins)


def two_sided(coins: Coins, weights: list[int], drop_z: bool = False) -> np.ndarray:
    """DiscreteLaplace(0.3) with other weights of the sign and of z, or z always 1."""
    base = DiscreteLaplace(0.3)
    thresholds = [1 << base.bits if drop_z else base.thresholds[0], *base.thresholds[1:]]
    drawn, k = biased(coins, thresholds, base.bits), base.places
    sign = coins.fair(1)
    kept = coins.both(np.concatenate([drawn[:1], drawn[1:] ^ sign, sign]), [0] * (k + 1), range(1, k + 2))
    return coins.total(np.concatenate([kept, drawn[:1]]), [*(1 << i for i in range(k)), *weights])


def shifted_bias(coins: Coins) -> np.ndarray:
    base = DiscreteLaplace(0.3)
    base.thresholds = [base.thresholds[0], *base.thresholds[2:], base.thresholds[1]]
    return base.circuit(coins)


K = DiscreteLaplace(0.3).places
MUTANTS = {
    "nothing": (DiscreteLaplace(0.3), lambda c: two_sided(c, [-(1 << K) - 1, 1])),
    "sign forgets the one": (DiscreteLaplace(0.3), lambda c: two_sided(c, [-(1 << K), 1])),
    "zero is never special": (DiscreteLaplace(0.3), lambda c: two_sided(c, [-(1 << K) - 1, 1], True)),
    "off by one": (DiscreteLaplace(0.3), lambda c: DiscreteLaplace(0.3).circuit(c) + c.constant(1)),
    "biases of other bits": (DiscreteLaplace(0.3), shifted_bias),
    "twelve percent more coins": (Binomial(64), lambda c: Binomial(72).circuit(c)),
    "another centre": (Binomial(64), lambda c: Binomial(64).circuit(c) + c.constant(1)),
    "fine digits lost": (Binomial(36, 2), lambda c: Binomial(36).circuit(c) * np.uint64(4)),
    "sigma an eighth too small": (DiscreteGaussian(2.5), lambda c: DiscreteGaussian(2.2).circuit(c)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_chi_square_test_finds_mistakes(name: str) -> None:
    base, circuit = MUTANTS[name]
    p_value = chi_square(Mutant(base, circuit).sample(60_000), *base.pmf())
    assert (p_value > SIGNIFICANCE) == (name == "nothing"), p_value


def test_noise_is_fresh_each_time_and_cannot_be_seeded() -> None:
    np.random.seed(0)
    first = Binomial(1024).sample(64)
    np.random.seed(0)
    assert (first != Binomial(1024).sample(64)).any()
    assert DiscreteLaplace(0.1).sample((3, 5)).shape == (3, 5)
    assert DiscreteLaplace(0.1).sample().shape == ()
    assert DiscreteLaplace(0.1).sample(0).shape == (0,)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: DiscreteLaplace(0.0), ValueError),
        (lambda: DiscreteLaplace(-1.0), ValueError),
        (lambda: DiscreteLaplace(float("nan")), ValueError),
        (lambda: DiscreteLaplace(float("inf")), ValueError),
        (lambda: DiscreteGaussian(1000.0), NotSupported),
        (lambda: DiscreteGaussian(float("nan")), NotSupported),
        (lambda: Binomial(3), ValueError),
        (lambda: Binomial(0), ValueError),
        (lambda: Binomial(1 << 20), ValueError),
        (lambda: Binomial(4, -1), ValueError),
        (lambda: DiscreteLaplace(1e-9).pmf(), NotSupported),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error, match="want|listed"):
        make()
