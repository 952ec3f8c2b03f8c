"""FedAvg(dp=...): noise that nobody knows in every round's sum."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mpc.errors import ConfigError, NotSupported
from mpc.federated import FedAvg, SharesAggregator
from mpc.privacy import Budget, BudgetExceeded, Gaussian, Laplace
from tests.privacy.noise import SIGNIFICANCE

LENGTH = 900


def test_a_sum_opens_with_noise_of_the_promised_variance_and_is_charged_once() -> None:
    aggregator = SharesAggregator(2, max_norm=0.5, max_weight=1, dp=Gaussian(noise_multiplier=2.0, sensitivity=0.5))
    rng = np.random.default_rng(0)
    values = [u * 0.5 / np.linalg.norm(u) for u in rng.normal(size=(3, LENGTH))]
    sent = [aggregator.client_message(u, client=f"c{i}", round=1) for i, u in enumerate(values)]
    with Budget(epsilon=5, delta=1e-6) as budget:
        got = aggregator.combine(sent, round=1, length=LENGTH)
    assert got.accepted == (0, 1, 2) and len(budget.spent) == 1
    z = (np.asarray(got.mean) * 3 - np.sum(values, axis=0)) / (2.0 * 0.5)
    assert SIGNIFICANCE < stats.chi2.sf((z**2).sum(), LENGTH) < 1 - SIGNIFICANCE
    assert stats.kstest(z, "norm").pvalue > SIGNIFICANCE
    units = np.ceil(2.0**19 * (1 + 2.0**-20) + np.sqrt(LENGTH) / 2)  # the largest norm that the parties let pass
    price = Gaussian(noise_multiplier=2.0, sensitivity=float(units) * 2.0**-20, truncations=0).on_grid(2.0**-20, LENGTH)[1]
    assert budget.used == pytest.approx(price.epsilon(1e-6), rel=1e-6)


def test_a_budget_ends_the_training_before_the_round_that_would_exceed_it() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: want the extra `torch`")
    from mpc.federated import Client, weights

    rng = np.random.default_rng(1)
    clients = [Client(rng.normal(size=(8, 4)), rng.integers(0, 2, 8), f"c{i}") for i in range(3)]
    fed = FedAvg(
        lambda: torch.nn.Linear(4, 2), "shares", weights="equal", max_norm=1.0, seed=0,
        dp=Gaussian(noise_multiplier=6.0, coins=64),  # its sensitivity is max_norm
    )  # fmt: skip
    with Budget(epsilon=1.8, delta=1e-6) as budget:
        with pytest.raises(BudgetExceeded):
            fed.fit(clients, rounds=9)
        done = weights.flatten(fed.model)
        with pytest.raises(BudgetExceeded):
            fed.fit(clients, rounds=1)
    assert 1 <= len(fed.history) == len(budget.spent) < 9 and budget.used <= 1.8
    assert (weights.flatten(fed.model) == done).all()


def test_what_would_not_be_private_is_refused() -> None:
    dp = Gaussian(noise_multiplier=1.0, sensitivity=1.0)
    pytest.importorskip("torch", reason="torch is not installed: want the extra `torch`")
    from torch.nn import Linear

    def net() -> Linear:
        return Linear(2, 2)

    with pytest.raises(ConfigError, match="want 'equal'"):
        FedAvg(net, "shares", max_norm=1.0, dp=dp)
    with pytest.raises(ConfigError, match="without max_norm"):
        FedAvg(net, "shares", weights="equal", dp=dp)
    with pytest.raises(NotSupported, match="hides nothing"):
        FedAvg(net, "paillier", weights="equal", max_norm=1.0, dp=dp)
    with pytest.raises(ConfigError, match="max_weight=1"):
        SharesAggregator(max_norm=1.0, dp=dp)
    with pytest.raises(ConfigError, match="want max_norm"):
        SharesAggregator(max_norm=2.0, max_weight=1, dp=dp)
    with pytest.raises(NotSupported, match=r"want privacy\.Gaussian"):
        SharesAggregator(max_norm=1.0, max_weight=1, dp=Laplace(1.0, 1.0))
    with pytest.raises(NotSupported, match="keep_secret with dp"):
        SharesAggregator(max_norm=1.0, max_weight=1, dp=dp).combine(None, round=1, length=2, keep_secret=True)
