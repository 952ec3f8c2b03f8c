"""Server optimisers against the formulas of Reddi et al., and that their linear part is theirs."""
from __future__ import annotations

import numpy as np
import pytest

from mpc.errors import ConfigError
from mpc.federated import Averaging, FedAdam, FedAvgM, ServerOptimizer, splits

RNG = np.random.default_rng(0)
START, DELTAS = RNG.normal(size=20), RNG.normal(scale=0.1, size=(6, 20))


def run(optimizer: ServerOptimizer) -> np.ndarray:
    weights = START
    for delta in DELTAS:
        weights = optimizer.step(weights, delta)
    return weights


def test_averaging_adds() -> None:
    assert np.allclose(run(Averaging()), START + DELTAS.sum(0))
    assert np.allclose(run(Averaging(0.5)), START + 0.5 * DELTAS.sum(0))


def test_momentum_is_torch_s() -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")
    parameter = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.SGD([parameter], lr=0.7, momentum=0.9)
    for delta in DELTAS:
        parameter.grad = torch.tensor(-delta)
        optimizer.step()
    assert np.allclose(run(FedAvgM(0.7, 0.9)), parameter.detach().numpy())


def test_adam_is_the_paper_s() -> None:
    lr, b1, b2, tau = 0.05, 0.9, 0.99, 1e-3
    x, m, v = START.copy(), 0.0, tau**2
    for delta in DELTAS:
        m = b1 * m + (1 - b1) * delta
        v = b2 * v + (1 - b2) * delta**2
        x = x + lr * m / (np.sqrt(v) + tau)
    adam = FedAdam(lr, (b1, b2), tau)
    assert np.allclose(run(adam), x)
    adam.reset()
    assert np.allclose(run(adam), x)


@pytest.mark.parametrize("optimizer", [Averaging(0.5), FedAvgM(0.7, 0.8)])
def test_a_linear_step_is_what_is_known_before_and_lr_times_delta(optimizer: ServerOptimizer) -> None:
    weights = START
    for delta in DELTAS:
        ahead = optimizer.ahead(weights)
        weights = optimizer.step(weights, delta)
        assert np.allclose(ahead + optimizer.lr * delta, weights)


def test_adam_has_no_linear_step() -> None:
    with pytest.raises(ConfigError, match="FedAvgM"):
        FedAdam().ahead(START)


@pytest.mark.parametrize("wrong", [lambda: Averaging(0), lambda: FedAvgM(momentum=1), lambda: FedAdam(tau=-1)])
def test_numbers_that_cannot_work(wrong: object) -> None:
    with pytest.raises(ConfigError):
        wrong()  # type: ignore[operator]


# --- splits
LABELS = RNG.integers(0, 10, 1000)


@pytest.mark.parametrize(
    "rows",
    [
        splits.iid(1000, 7, seed=1),
        splits.by_label(LABELS, 10, seed=1),
        splits.dirichlet(LABELS, 10, alpha=0.1, seed=1),
    ],
)
def test_a_split_gives_every_record_to_one_client(rows: list[np.ndarray]) -> None:
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(1000)) and min(map(len, rows)) > 0


def test_splits_are_as_skewed_as_they_say_and_repeat() -> None:
    def labels(rows: list[np.ndarray]) -> float:
        return float(np.mean([len(np.unique(LABELS[r])) for r in rows]))

    shards = splits.by_label(LABELS, 10, shards=2, seed=1)
    assert labels(shards) <= 4 and {len(r) for r in shards} == {100}
    even, skewed = (splits.dirichlet(LABELS, 10, alpha=a, at_least=5, seed=2) for a in (100.0, 0.1))
    assert labels(even) == 10 and labels(skewed) < 7
    assert all(np.array_equal(a, b) for a, b in zip(shards, splits.by_label(LABELS, 10, shards=2, seed=1), strict=True))
    assert not np.array_equal(shards[0], splits.by_label(LABELS, 10, shards=2, seed=2)[0])


def test_splits_that_cannot_be() -> None:
    for wrong in (
        lambda: splits.iid(3, 4, seed=0),
        lambda: splits.dirichlet(LABELS, 10, alpha=0, seed=0),
        lambda: splits.by_label(LABELS[:5], 3, seed=0),
        lambda: splits.dirichlet(np.zeros(20), 10, alpha=0.01, at_least=2, seed=0),
    ):
        with pytest.raises(ConfigError):
            wrong()
