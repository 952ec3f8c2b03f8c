"""Guarantees against what they stand for, computed the long way; and an attacker who tries."""
from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mpc.privacy import Binomial, DiscreteGaussian, DiscreteLaplace, Exponential, Gaussian, Laplace
from mpc.privacy.dp import accounting, renyi
from mpc.privacy.dp.accounting import ORDERS, Guarantee
from mpc.privacy.dp.exponential import Geometric
from mpc.privacy.dp.gaussian import binomial
from mpc.privacy.dp.mechanisms import Mechanism, Norms
from tests.privacy.noise import attack, on_shares

EPSILONS = (0.0, 0.1, 0.3, 0.7, 1.0, 2.0, 4.0)


def hockey_stick(p: np.ndarray, q: np.ndarray, epsilon: float) -> float:
    return float(np.maximum(p - math.exp(epsilon) * q, 0).sum())


def shifted(mechanism: Mechanism, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """The noise and the noise plus ``shift`` on one support."""
    _, p = mechanism.pmf()
    return np.concatenate([p, np.zeros(shift)]), np.concatenate([np.zeros(shift), p])


def exact_delta(mechanism: Mechanism, shift: int, epsilon: float) -> float:
    p, q = shifted(mechanism, shift)
    return max(hockey_stick(p, q, epsilon), hockey_stick(q, p, epsilon))


@pytest.mark.parametrize("shift", [1, 3, 8])
@pytest.mark.parametrize(
    "mechanism", [DiscreteLaplace(0.3), DiscreteLaplace(0.003), DiscreteGaussian(4.0), Binomial(64), Binomial(64, 2)], ids=repr
)
def test_one_value_is_accounted_for_as_it_is(mechanism: Mechanism, shift: int) -> None:
    guarantee = mechanism.privacy(linf=shift)
    for epsilon in EPSILONS:
        want = exact_delta(mechanism, shift, epsilon)
        got = guarantee.delta(epsilon)
        coarse = mechanism.privacy(linf=4 * -(-shift // 4)).delta(epsilon) if isinstance(mechanism, Binomial) else want
        assert want - 1e-13 <= got <= max(want, coarse) * 1.002 + 2e-4 * math.exp(-epsilon) + 1e-10


@pytest.mark.parametrize("smaller", [1, 2, 5])
def test_smaller_differences_are_covered(smaller: int) -> None:
    for mechanism in (DiscreteLaplace(0.2), Binomial(64), Binomial(64, 2), DiscreteGaussian(3.0)):
        guarantee = mechanism.privacy(linf=6)
        for epsilon in EPSILONS:
            assert exact_delta(mechanism, smaller, epsilon) <= guarantee.delta(epsilon) + 1e-15


@pytest.mark.parametrize("finest", [6, 2, 1])
@pytest.mark.parametrize(("coins", "fine", "linf"), [(64, 0, 9), (64, 3, 40), (100, 4, 100)])
def test_renyi_coefficients_bound_every_shift(
    coins: int, fine: int, linf: int, finest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R(s) <= A s^2 + B for every integer shift, found by summing all of them; and A is not far above."""
    monkeypatch.setattr(renyi, "RUN", 4)
    renyi._coefficients.cache_clear()
    mechanism = Binomial(coins, fine)
    a, b, lost = renyi._coefficients(mechanism.coarse.tobytes(), fine, min(fine, finest), linf)
    renyi._coefficients.cache_clear()
    _, p = mechanism.pmf()
    usable = ORDERS < 12
    slack = []
    for s in range(1, linf + 1):
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log(p[s:]), np.log(p[:-s])
        left_out = p[:s].sum()
        assert left_out <= lost + 1e-15
        # what is summed here is all the overlap: where the ladder leaves tails out this is larger by next to nothing
        m = np.array([np.exp(o * log_p + (1 - o) * log_q).sum() for o in ORDERS[usable]])
        divergence = np.log(np.maximum(m, 1.0)) / (ORDERS[usable] - 1)
        bound = (a * s**2 + b)[usable]
        assert (divergence <= bound * (1 + 1e-9) + 1e-12).all(), s
        slack.append(bound / np.maximum(divergence, 1e-300))
    assert np.min(np.array(slack)[-1]) < 1.5


@pytest.mark.parametrize(("coins", "fine", "linf", "finest"), [(100, 6, 1500, 4), (36, 5, 500, 3), (1024, 3, 600, 2)])
def test_what_is_claimed_from_renyi_divergences_covers_the_exact_delta(coins: int, fine: int, linf: int, finest: int) -> None:
    """At shifts on and between the ladder's grids, edges of the support and tails included; and not by much."""
    mechanism = Binomial(coins, fine)
    a, b, lost = renyi._coefficients(mechanism.coarse.tobytes(), fine, finest, linf)
    share = []
    for s in range(1, linf, 23):
        guarantee = Guarantee(None, a * s * s + b, 0.0, lost)
        share += [exact_delta(mechanism, s, e) / guarantee.delta(e) for e in (0.0, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0)]
    assert 0.9 < max(share) <= 1.0


def test_vectors_against_all_their_values() -> None:
    """Two values that differ by (2, 1): the exact divergence of the product is within the guarantee for l2 = sqrt(5)."""
    mechanism = Binomial(32)
    guarantee = mechanism.privacy(l2=math.sqrt(5), size=2)
    (p2, q2), (p1, q1) = shifted(mechanism, 2), shifted(mechanism, 1)
    for epsilon in (0.5, 1.0, 2.0, 3.0):
        want = hockey_stick(np.outer(p2, p1).ravel(), np.outer(q2, q1).ravel(), epsilon)
        assert want <= guarantee.delta(epsilon)
    laplace = DiscreteLaplace(0.4)
    p, q = shifted(laplace, 1)
    for epsilon in (0.5, 0.79, 0.81):
        want = hockey_stick(np.outer(p, p).ravel(), np.outer(q, q).ravel(), epsilon)
        assert want <= laplace.privacy(l1=2, size=5).delta(epsilon) + 1e-12


def test_the_binomial_is_nearly_a_gaussian() -> None:
    """At 1,024 coins and more, epsilon of 101,770 values is within 2 % of the ideal Gaussian's under the same conversion."""
    for multiplier in (1.0, 2.0, 8.0):
        noise, guarantee = Gaussian(noise_multiplier=multiplier, sensitivity=1.0).on_grid(2.0**-16, 101_770)
        ideal = accounting.concentrated(1 / (2 * multiplier**2))
        ratio = guarantee.epsilon(1e-6) / ideal.epsilon(1e-6)
        assert 1.0 <= ratio < 1.02, (noise, ratio)
        assert guarantee.repeated(30).epsilon(1e-6) / accounting.concentrated(15 / multiplier**2).epsilon(1e-6) < 1.008


def test_fewer_coins_than_a_closed_formula_asks_for() -> None:
    assert Binomial(1028).privacy(linf=1).epsilon(1e-6) < 0.27


@pytest.mark.parametrize("times", [1, 2, 7])
def test_composition(times: int) -> None:
    for mechanism, size in ((DiscreteLaplace(0.3), 1), (Binomial(256), 10)):
        one = mechanism.privacy(l2=3, size=size)
        together = one
        for _ in range(times - 1):
            together = together + one
        assert together.epsilon(1e-6) == pytest.approx(one.repeated(times).epsilon(1e-6), rel=1e-4, abs=2e-4)
    p, q = shifted(DiscreteLaplace(0.3), 1)
    twice = hockey_stick(np.outer(p, p).ravel(), np.outer(q, q).ravel(), 0.4)
    assert twice <= DiscreteLaplace(0.3).privacy(linf=1).repeated(2).delta(0.4) <= twice + 3e-4


def test_kinds_compose_with_each_other() -> None:
    scalar, vector = Laplace(0.5, 1.0).on_grid(2**-16)[1], Gaussian(noise_multiplier=4, sensitivity=1).on_grid(2**-16, 50)[1]
    both = scalar + vector
    assert max(scalar.epsilon(1e-6), vector.epsilon(1e-6)) < both.epsilon(1e-6)
    assert both.epsilon(1e-6) <= scalar.epsilon(5e-7) + vector.epsilon(5e-7) + 0.1


def test_epsilon_and_delta_are_each_others_inverse() -> None:
    for guarantee in (Laplace(0.5, 1.0).privacy(), Gaussian(1.0, 1e-6, 1.0).privacy(), Guarantee(total_variation=1e-9)):
        for delta in (1e-7, 1e-5, 1e-3):
            epsilon = guarantee.epsilon(delta)
            assert guarantee.delta(epsilon) <= delta
            assert epsilon == 0 or guarantee.delta(epsilon * 0.999 - 1e-4 if epsilon > 1e-4 else 0.0) > delta * 0.9
    assert Guarantee(total_variation=1e-3).epsilon(1e-6) == math.inf
    assert Laplace(0.5, 1.0).privacy().epsilon(0.0) == math.inf  # the coins have 40 bits


@pytest.mark.parametrize("epsilon", [1e-4, 0.1, 1.0, 8.0, 12.0])
def test_laplace_keeps_its_promise_from_tiny_to_huge_epsilon(epsilon: float) -> None:
    for step in (2.0**-16, 1.0):
        noise, guarantee = Laplace(epsilon, 1.0).on_grid(step)
        assert guarantee.epsilon(1e-9) <= epsilon * (1 + 1e-6)
        assert noise.std == pytest.approx(math.sqrt(2) / epsilon / step, rel=0.05) or (step == 1.0 and epsilon > 0.5)


@pytest.mark.parametrize(
    ("epsilon", "delta", "size"),
    [(0.05, 1e-6, 1), (1.0, 1e-6, 1), (1.0, 1e-10, 1), (6.0, 1e-5, 1), (0.3, 1e-6, 10), (1.0, 1e-6, 500), (6.0, 1e-5, 500)],
)
def test_gaussian_is_calibrated(epsilon: float, delta: float, size: int) -> None:
    noise, guarantee = Gaussian(epsilon, delta, 1.0).on_grid(2.0**-16, size)
    assert guarantee.delta(epsilon) <= delta
    assert binomial(noise.std * 0.97).privacy(l2=65536, size=size).delta(epsilon) > delta  # no more noise than it takes


def test_norms_follow_from_each_other() -> None:
    norms = Norms(None, 3.0, None, 100)
    assert (norms.linf, norms.l1, norms.changed) == (3, 9.0, 9)  # nine ones have norm 3
    assert Norms(4.0, None, None, 100).changed == 4
    assert Norms(1.0, None, None, 100).single and not Norms(2.0, None, None, 100).single
    assert Norms(None, None, 2.0, 3).l1 == 6
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="sensitivity"):
            Norms(bad, None, None, 1)
    with pytest.raises(ValueError, match="at least one"):
        Norms(None, None, None, 1)


def test_noise_far_too_small_guarantees_nothing() -> None:
    assert Binomial(64).privacy(l2=200, size=5).epsilon(1e-6) == math.inf
    assert Binomial(64).privacy(linf=200).epsilon(1e-6) == math.inf


# --- an attacker
@pytest.mark.parametrize("on", ["clear", "shares"])
def test_an_attacker_on_neighbouring_data_never_beats_epsilon(on: str) -> None:
    """Sums of 100 and 101 people. The same attacker does beat a claim of half of that epsilon, so the test can fail."""
    noise, _ = Laplace(1.0, 1.0).on_grid(1.0)
    samples = [noise.sample(120_000) if on == "clear" else on_shares(noise, 120_000) for _ in range(2)]
    found = attack(101 + samples[0], 100 + samples[1])
    assert 0.7 < found <= 1.0
    gaussian, guarantee = Gaussian(1.0, 1e-2, 1.0).on_grid(1 / 64)
    near, far = 64 + gaussian.sample(120_000), gaussian.sample(120_000)
    assert 0.5 < attack(near, far, 1e-2) <= guarantee.epsilon(1e-2)


def test_an_attacker_on_selections_never_beats_epsilon() -> None:
    """Scores (0, 1, 1) and (1, 0, 0): the place of the largest noisy score, rate epsilon / 2."""
    noise = Geometric(Exponential(1.0, 1.0).epsilon / 2)
    draws = 150_000
    chosen = [
        np.argmax(np.array(scores)[:, None] + np.stack([noise.sample(draws) for _ in scores]), axis=0)
        for scores in ([1, 0, 0], [0, 1, 1])
    ]
    assert noise.privacy(linf=1, size=3).epsilon(1e-9) <= 1.0 + 1e-6
    for first, second in itertools.permutations(chosen):
        found = attack((first == 0).astype(int), (second == 0).astype(int)) if (first == 0).mean() > (second == 0).mean() else 0
        assert found <= 1.0
    assert attack((chosen[0] == 0).astype(int), (chosen[1] == 0).astype(int)) > 0.5  # and one step is not all there is to see
