"""Ways in which a claim could be larger than what holds, each of them closed: words out of range, rows of other batches, a
resumed training, threads that share a budget, noise too coarse for many values."""
from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.errors import ConfigError, NotSupported
from mpc.ops.value import Value
from mpc.party import Party
from mpc.privacy import DPSGD, Budget, BudgetExceeded, Exponential, Gaussian, Laplace, sensitivity
from mpc.privacy.dp import budget, clipping, steps
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.circuits import below
from mpc.privacy.dp.coins import ClearCoins
from mpc.privacy.dp.steps import Kind, Steps
from mpc.sharing import Share
from mpc.tensor import SecretTensor
from tests.privacy.noise import run, shared

# --- clipping on shares
ENDS = [(1 << 63) + d for d in (-(5 << 16), -(1 << 16), -1, 0, 1, 1 << 16, 5 << 16)]
WORDS = np.array([0, 1 << 16, 3 << 16, -(2 << 16) % 2**64, 1 << 62, 3 << 62, *ENDS], np.uint64)


@pytest.mark.parametrize("protocol", ["additive", "clear"])
def test_no_word_whatever_moves_a_sum_or_a_histogram_further_than_it_says(protocol: str) -> None:
    """A computed value may have wrapped: x.clip() then gives numbers of the order of 2^47 for words near the ring's ends."""

    def program(s: Party) -> tuple[Any, list[Any]]:
        def secret(words: np.ndarray) -> SecretTensor:
            mine = words + np.uint64(7) if s.first else np.full(words.shape, -7 % 2**64, np.uint64)
            if protocol == "clear":
                mine = words
            return SecretTensor(Value(s, Share(mine, 16)))

        columns = np.stack([WORDS] * 3, 1).reshape(1, -1)
        low, high = np.tile([-1.0, 0.0, 1.5], len(WORDS)), np.tile([2.0, 1.0, 3.0], len(WORDS))
        sums = sensitivity.total(secret(columns), low, high).value.reveal(check_range=False)
        rows = [sensitivity.histogram(secret(WORDS[k : k + 1]), [-2.0, 0.0, 3.0]).value.reveal() for k in range(len(WORDS))]
        return (sums.reshape(-1, 3), rows)

    sums, rows = run(program, protocol=protocol)[0]
    assert (sums >= [-1.0, 0.0, 1.5]).all() and (sums <= [2.0, 1.0, 3.0]).all()
    assert sums[:4].tolist() == [[0, 0, 1.5], [1, 1, 1.5], [2, 1, 3], [-1, 0, 1.5]]
    for a in rows:
        for b in rows:
            assert np.abs(a - b).sum() <= 2 and ((a - b) ** 2).sum() <= 2
    assert [r.tolist() for r in rows[:4]] == [[0, 1], [0, 1], [0, 0], [1, 0]]


def test_a_product_that_left_the_range_is_clipped_all_the_same() -> None:
    """Inputs in range, whose sum of products is not: x.clip(0, 1) then gives numbers like 2^32."""

    def program(s: Party) -> Any:
        x = shared(s, np.repeat([20000.0, 30000.0, 32000.0, -25000.0], 10)[:, None] * np.ones(3))
        y = mpc.share(np.full((40, 3), 20000.0) if s.rank else None, owner=1)
        return sensitivity.total((x * y).sum(1).reshape(1, 40), 0, 1).value.reveal(check_range=False)

    for parties in (2, 3):
        contributed = run(program, parties)[0]
        assert ((contributed >= 0) & (contributed <= 1)).all()


def test_bounds_of_the_whole_range_can_be_clipped_to() -> None:
    def program(s: Party) -> tuple[Any, Any]:
        x = shared(s, [-30000.0, 5.0, 31000.0])
        return sensitivity.total(x, -32000, 32000).value.reveal(), sensitivity.histogram(x, [-32000, 0, 32000]).value.reveal()

    total, counts = run(program)[0]
    assert total == 1005.0 and counts.tolist() == [1, 2]


@pytest.mark.parametrize(("bound", "f"), [(1024.0, 21), (65.0, 24), (600.0, 22)])
def test_norms_whose_square_leaves_the_ring_are_refused(bound: float, f: int) -> None:
    with pytest.raises(ConfigError, match="want 2"):
        clipping.checked(bound, f)
    clipping.checked(2.0 ** (30 - f), f)


# --- DP-SGD on shares
def test_a_batch_norm_without_parameters_and_statistics_mixes_examples_too() -> None:
    def program(s: Party) -> None:
        for norm in (nn.BatchNorm1d(5, affine=False, track_running_stats=False), nn.BatchNorm1d(5, affine=False)):
            with pytest.raises(NotSupported, match="mix examples"):
                DPSGD(nn.Sequential(nn.Linear(6, 5), norm))

    run(program)


def test_an_epochs_price_is_for_the_batches_rows_alone() -> None:
    def program(s: Party) -> None:
        x, model = shared(s, np.ones((12, 3))), nn.Linear(3, 1)
        optimizer = DPSGD(model, noise_multiplier=3.0, coins=16)
        for xb in optimizer.batches(x, size=4):
            optimizer.zero_grad()
            model(x).mean().backward()  # all rows, in every step
            with pytest.raises(ConfigError, match="gradients of 12 examples; the batch has 4"):
                optimizer.step()
            optimizer.zero_grad()
            model(xb).mean().backward()
            optimizer.step()
        assert optimizer.steps == 3 and list(optimizer.releases.values()) == [1]

    run(program)


def test_the_ledger_says_what_protects_a_model_as_the_last_step_left_it() -> None:
    def program(s: Party) -> list[str]:
        x, model = shared(s, np.ones((4, 3))), nn.Linear(3, 1)
        optimizer = DPSGD(model, noise_multiplier=3.0, coins=256)
        model(x).mean().backward()
        optimizer.step()
        model.reveal(reason="model")
        model.weight.reveal(reason="weight")
        (model.weight * 2.0).reveal(reason="something else")
        model.load_state_dict({"weight": np.zeros((1, 3)), "bias": np.zeros(1)})
        model.reveal(reason="other values")
        said = f"DP-SGD, 1 steps: epsilon={optimizer.epsilon(1e-6):.4g}, delta=1e-06"
        assert said in str(s.report())
        assert [line.privacy for line in s.ledger] == [said, said, said, "", "", ""]
        return [line.reason for line in s.ledger]

    assert run(program)[0][:3] == ["model: weight", "model: bias", "weight"]


# --- a training that goes on
def trained(s: Party, steps_: int) -> tuple[Any, Callable[[], None]]:
    x, model = shared(s, np.ones((4, 3))), nn.Linear(3, 1)
    optimizer = DPSGD(model, noise_multiplier=4.0, coins=256)

    def step() -> None:
        optimizer.zero_grad()
        model(x).mean().backward()
        optimizer.step()

    for _ in range(steps_):
        step()
    return optimizer, step


def test_a_resumed_training_does_not_spend_its_budget_again() -> None:
    def program(s: Party) -> None:
        state = trained(s, 3)[0].state_dict()
        resumed, step = trained(s, 0)
        price = resumed.released(next(iter(trained(s, 1)[0].releases)))
        limit = price.repeated(4).epsilon(1e-6) * 1.001
        with Budget(limit, 1e-6) as inside:  # loaded inside
            resumed.load_state_dict(state)
            assert len(inside.spent) == 1 and inside.used == pytest.approx(price.repeated(3).epsilon(1e-6))
            step()
            with pytest.raises(BudgetExceeded):
                step()
            resumed.load_state_dict(state)  # the same optimiser goes back: nothing new was released
            assert len(inside.spent) == 2
        resumed, step = trained(s, 0)
        resumed.load_state_dict(state)  # before any budget
        with Budget(limit, 1e-6) as later:
            step()
            assert [line.what for line in later.spent] == ["SecretDPSGD: 3 releases before", "SecretDPSGD step 4"]
            assert later.used == pytest.approx(resumed.epsilon(1e-6))
            with pytest.raises(BudgetExceeded):
                step()
        resumed, _ = trained(s, 0)
        with Budget(limit / 2, 1e-6) as small, pytest.raises(BudgetExceeded):
            resumed.load_state_dict(state)
        assert not small.spent and resumed.steps == 0 and not resumed.releases

    run(program)


# --- budgets
def test_threads_that_share_a_budget_do_not_overlook_each_other() -> None:
    class Slow(Guarantee):
        def __add__(self, other: Guarantee) -> Guarantee:
            time.sleep(0.02)
            return Slow(total_variation=self.total_variation + other.total_variation)

    with Budget(1.0, 0.5) as shared_budget:
        def spend() -> None:
            budget.charge(None, Slow(total_variation=0.01), "one")

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(spend,)) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert shared_budget.guarantee is not None and len(shared_budget.spent) == 8
    assert shared_budget.guarantee.total_variation == pytest.approx(0.08)


@pytest.mark.parametrize("rest", [None, Laplace(0.2, 1.0, grid=1.0).privacy()])
def test_a_budget_looks_ahead_and_decides_as_if_it_did_not(rest: Guarantee | None, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    real = steps._composed
    monkeypatch.setattr(steps, "_composed", lambda *a: composed.append(a) or real(*a))
    steps._limits.cache_clear()
    kind = Kind(1.2, 0.1)
    asked = [Steps({kind: n}, rest) for n in range(1, 120)]
    decided = [g.within(3.0, 1e-6) for g in asked]
    assert len(composed) < 20
    edge = decided.index(False)
    assert edge > 15 and all(decided[:edge]) and not any(decided[edge:])
    assert asked[edge - 1].delta(3.0) <= 1e-6 < asked[edge].delta(3.0)


# --- noise for many values, and sensitivities that come from elsewhere
def test_laplace_noise_for_many_values_is_private_at_the_delta_it_reports() -> None:
    for size in (1, 1000, 101_770):
        dp = Laplace(0.5, 1000.0)
        _, guarantee = dp.on_grid(2.0**-16, size)
        assert guarantee.epsilon(dp.delta) <= 0.5 * (1 + 1e-6)
    choice = run(lambda s: (Exponential(0.5, 1.0).select(shared(s, np.zeros(3000)) > 1.0), s.ledger))[0][1]
    assert choice[0].privacy.startswith("epsilon=0.5,")


def test_a_gaussian_without_a_sensitivity_opens_nothing_by_itself() -> None:
    def program(s: Party) -> None:
        with Budget(1.0, 1e-6) as spent, pytest.raises(ValueError, match="without a sensitivity"):
            shared(s, np.ones(4)).reveal(dp=Gaussian(noise_multiplier=1.0))
        assert not s.ledger and not spent.spent

    run(program)
    for use in (lambda g: g.sample(3), lambda g: g.pmf(), lambda g: g.std, lambda g: g.privacy(), lambda g: g.grid):
        with pytest.raises(ValueError, match="without a sensitivity"):
            use(Gaussian(noise_multiplier=1.0))


def test_a_noisy_mean_loss_is_drawn_as_what_was_revealed() -> None:
    """The public factor of a mean is applied after the noise, and in the report's curve too."""

    def program(s: Party) -> tuple[float, float]:
        got = (shared(s, np.full(400, 3.0)).mean()).reveal(dp=Laplace(12.0, 3 / 400), reason="mean loss")
        return float(got), s.report().points[0].value

    got, drawn = run(program)[0]
    assert got == drawn == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("dp", [Laplace(1.0, 1.0), Gaussian(1.0, 1e-5, 1.0), Laplace(1.0, 1.0, grid=0.3)])
def test_numbers_in_clear_keep_no_digits_below_the_grid(dp: Any) -> None:
    """The sum of an arbitrary number and noise in steps would be told from any other by its last digits."""
    with Budget(3.0, 1e-4) as spent:
        a, b = (dp.noisy(np.full(500, v)) / dp.grid for v in (0.123456789, 0.987654321))
    assert len(spent.spent) == 2 and spent.spent[0].guarantee.epsilon(1e-5) <= 1.001
    assert np.abs(np.concatenate([a, b]) - np.rint(np.concatenate([a, b]))).max() < 1e-6
    assert len(set(a)) > 100 or dp.grid == 0.3
    with pytest.raises(ValueError, match="want finite"):
        dp.noisy([1.0, float("nan")])


def test_a_threshold_of_the_whole_range_is_refused() -> None:
    coins = ClearCoins(64)
    with pytest.raises(ValueError, match="thresholds"):
        below(coins, coins.fair(3), [1, 8])
