"""reveal(dp=...): exact integers, the ledger, budgets that refuse before anything opens, parties that disagree."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import NotSupported, ProgramMismatch
from mpc.party import Party
from mpc.privacy import Binomial, Budget, BudgetExceeded, DiscreteLaplace, Exponential, Gaussian, Laplace
from mpc.privacy.dp.grid import Grid
from mpc.privacy.dp.mechanisms import Mechanism
from tests.privacy.noise import run, shared


class Silent(Laplace):
    """Laplace with the noise taken out: what is opened is then the exact value."""

    def noise(self, steps: float, size: int) -> Mechanism:
        class Zero(DiscreteLaplace):
            def circuit(self, coins: Any) -> np.ndarray:
                return coins.total(coins.zeros(1), [0])

        return Zero(self.epsilon / steps)


@pytest.mark.parametrize("protocol", ["additive", "clear"])
def test_only_noise_comes_between_a_value_and_what_is_opened(protocol: str) -> None:
    """Sums, integers, pending products and public factors are exact but for the noise."""
    values = np.array([0.25, 0.5, -0.125, 3.0])

    def program(s: Party) -> list[Any]:
        x = shared(s, values)
        dp = Silent(1.0, 1.0)
        opened = [x.sum(), (x > 0.3).sum(), (x * x).sum(), x * 0.5, -x, x.mean(), x]
        return [y.reveal(dp=dp) for y in opened]

    want = [values.sum(), 2, (values**2).sum(), values / 2, -values, values.mean(), values]
    for party in run(program, protocol=protocol):
        for got, wanted in zip(party, want, strict=True):
            assert got == pytest.approx(wanted, abs=2**-16)


def test_noise_has_the_size_it_should_at_every_scale() -> None:
    """The spread of many releases of the same value: sqrt(2) * sensitivity / epsilon, in the value's own units."""

    def program(s: Party) -> list[np.ndarray]:
        x = shared(s, np.full(4000, 2.0))
        dp = Laplace(8000.0 / 2000, 4000.0)  # 4,000 numbers that may each move by 1
        return [y.reveal(dp=dp) for y in (x, x * x, x * 0.25, x > 1.0)]

    for got, centre in zip(run(program)[0], (2.0, 4.0, 0.5, 1.0), strict=True):
        assert got.mean() == pytest.approx(centre, abs=7 * np.sqrt(2) * 1000 / np.sqrt(4000))
        assert got.std() == pytest.approx(np.sqrt(2) * 1000, rel=0.15)


def test_the_ledger_says_what_was_guaranteed() -> None:
    def program(s: Party) -> tuple[list[str], str]:
        x = shared(s, np.linspace(0, 1, 20))
        x.sum().reveal(dp=Laplace(0.5, 1.0), reason="ages")
        x.reveal(dp=Gaussian(1.0, 1e-5, 2.0), reason="all", to=1)
        x.sum().reveal(reason="plain")
        return [line.privacy for line in s.ledger], str(s.report())

    for privacy, text in run(program):
        assert privacy[0] == "epsilon=0.5, delta=1e-09" and privacy[2] == ""
        assert privacy[1].startswith("epsilon=") and privacy[1].endswith("delta=1e-05")
        assert 0.97 < float(privacy[1].split("=")[1].split(",")[0]) <= 1.0
        assert "ages [epsilon=0.5, delta=1e-09]" in text and "test_dp_reveal.py" in text


def test_truncations_count() -> None:
    dp = Laplace(1.0, 4.0)
    seen: list[float] = []

    class Watched(Laplace):
        def enlarged(self, steps: float, size: int, truncations: int) -> float:
            seen.append(super().enlarged(steps, size, truncations))
            return seen[-1]

    def program(s: Party) -> None:
        x = shared(s, np.ones(3))
        for y, given in [(x, None), (x, 0), (x, 5), (x * x, None), (x > 0.5, None)]:
            y.reveal(dp=Watched(1.0, 4.0, truncations=given))

    run(program)
    step = 65536 * 4
    assert dp.enlarged(step, 3, 1) == step + 3
    assert sorted(set(seen)) == sorted({step + 3, step, step + 15, 4.0 * 2**32, 4.0})
    assert Gaussian(noise_multiplier=1, sensitivity=1).enlarged(100.0, 16, 2) == 108


# --- budgets
def counted(s: Party) -> tuple[Any, ...]:
    meter = s.transport.meter
    return (
        dict(meter.bytes_sent), dict(meter.bytes_received), s.total.rounds, s.total.bytes_sent, len(s.ledger), s._op,
    )  # fmt: skip


def test_a_budget_refuses_before_anything_opens() -> None:
    def program(s: Party) -> tuple[Any, ...]:
        x = shared(s, np.ones(8)).sum()
        scores = x.reshape(1)
        s.barrier()
        with Budget(1.0, 1e-6) as budget:
            x.reveal(dp=Laplace(0.4, 1.0), reason="first")
            x.reveal(dp=Laplace(0.4, 1.0), reason="second")
            before, used = counted(s), budget.used
            with pytest.raises(BudgetExceeded, match=r"ends at 1.*Nothing was opened"):
                x.reveal(dp=Laplace(0.4, 1.0), reason="third")
            with pytest.raises(BudgetExceeded):
                Exponential(0.9, 1.0).select(scores, reason="choice")
            after = counted(s)
            assert budget.used == used and len(budget.spent) == 2
            x.reveal(dp=Laplace(0.1, 1.0), reason="what still fits")
        assert "budget 0.4 of 1 at delta 1e-06" in s.ledger[0].privacy
        assert "budget " in str(s.report()) and "first [epsilon=0.4, delta=1e-09, budget" in str(s.report())
        return before, after, budget.used, [line.reason for line in s.ledger], repr(budget)

    for before, after, used, reasons, text in run(program, 3):
        assert before == after
        assert reasons == ["first", "second", "what still fits"]
        assert 0.8 < used <= 1.0 and "releases=3" in text


def test_budgets_nest_and_continue() -> None:
    def program(s: Party) -> None:
        x = shared(s, np.ones(8)).sum()
        outer, inner = Budget(1.0, 1e-6), Budget(0.5, 1e-6)
        dp = Laplace(0.3, 1.0)
        with outer:
            with inner:
                x.reveal(dp=dp)
                with pytest.raises(BudgetExceeded):
                    x.reveal(dp=dp)  # the inner one refuses, the outer one is not charged
                with inner, outer:
                    with pytest.raises(BudgetExceeded):
                        x.reveal(dp=dp)
            assert (len(outer.spent), len(inner.spent)) == (1, 1)
            x.reveal(dp=dp)
            x.reveal(dp=dp)
            with Budget(100.0, 1e-6) as roomy, pytest.raises(BudgetExceeded):
                x.reveal(dp=dp)  # the outer one refuses
            assert not roomy.spent and roomy.used == 0 and roomy.guarantee is None
        x.reveal(dp=dp)  # outside: charged to nobody
        with outer, pytest.raises(BudgetExceeded):
            x.reveal(dp=dp)  # it goes on where it stopped
        assert len(outer.spent) == 3

    run(program)


def test_composition_is_exact_rather_than_a_sum() -> None:
    """A hundred releases of epsilon 0.05 cost far less than 5."""
    budget = Budget(3.0, 1e-6)
    for _ in range(100):
        budget.charge(Laplace(0.05, 1.0, grid=1.0).privacy(), "one of many")
    assert 1.0 < budget.used < 2.6


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0, 1e-6), (-1, 1e-6), (float("nan"), 1e-6), (float("inf"), 1e-6), (1, 0), (1, 1)]
)
def test_budgets_that_cannot_be_are_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ValueError, match="want"):
        Budget(epsilon, delta)


# --- parties that disagree
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (lambda: Laplace(0.5, 1.0), lambda: Laplace(0.6, 1.0)),
        (lambda: Laplace(0.5, 1.0), lambda: Laplace(0.5, 2.0)),
        (lambda: Laplace(0.5, 1.0), lambda: Laplace(0.5, 1.0, truncations=0)),
        (lambda: Laplace(0.5, 1.0), lambda: Gaussian(0.5, 1e-6, 1.0)),
        (lambda: Laplace(0.5, 1.0), lambda: None),
        (lambda: None, lambda: Gaussian(0.5, 1e-6, 1.0)),
    ],
)
def test_parties_must_agree_on_the_noise(mine: Callable[[], Grid | None], theirs: Callable[[], Grid | None]) -> None:
    ledgers: dict[int, int] = {}

    def program(s: Party) -> None:
        x = shared(s, np.ones(8)).sum()
        try:
            x.reveal(dp=mine() if s.rank == 0 else theirs(), reason="sum")
        finally:
            ledgers[s.rank] = len(s.ledger)

    with pytest.raises(ProgramMismatch):
        run(program)
    assert ledgers == {0: 0, 1: 0}


def test_parties_must_agree_on_the_budget() -> None:
    def program(s: Party) -> None:
        x = shared(s, np.ones(8)).sum()
        with Budget(1.0 if s.rank else 2.0, 1e-6):
            x.reveal(dp=Laplace(0.5, 1.0), reason="sum")

    with pytest.raises(ProgramMismatch):
        run(program)


# --- what is refused
@pytest.mark.parametrize("bad", [None, 0, 0.0, -1.0, float("nan"), float("inf"), True, "1"])
def test_a_sensitivity_is_a_positive_number(bad: Any) -> None:
    for make in (
        lambda: Laplace(0.5, bad), lambda: Gaussian(0.5, 1e-6, bad).privacy(), lambda: Exponential(0.5, bad),
        lambda: Gaussian(noise_multiplier=1.0, sensitivity=bad).privacy(),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="sensitivity"):
            make()


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), 13, 1e300])
def test_an_epsilon_is_positive_and_means_something(bad: float) -> None:
    for make in (lambda: Laplace(bad, 1.0), lambda: Exponential(bad, 1.0)):
        with pytest.raises(ValueError, match="epsilon"):
            make()
    if not 0 < bad < float("inf"):
        with pytest.raises(ValueError, match="epsilon"):
            Gaussian(bad, 1e-6, 1.0)
    for wrong in ({}, {"epsilon": 1.0, "noise_multiplier": 1.0}):
        with pytest.raises(ValueError, match="one of the two"):
            Gaussian(sensitivity=1.0, **wrong)


def test_noise_without_a_sensitivity_and_sensitivities_beyond_the_ring_are_refused() -> None:
    def program(s: Party) -> None:
        x = shared(s, np.ones(8)).sum()
        for integer in (DiscreteLaplace(0.1), Binomial(64)):
            with pytest.raises(NotSupported, match="sensitivity"):
                x.reveal(dp=integer)
        with pytest.raises(ValueError, match="want fewer than 2"):
            x.reveal(dp=Laplace(0.5, 1e12))
        with pytest.raises(ValueError, match="nothing to reveal"):
            (x * 0.0).reveal(dp=Laplace(0.5, 1.0))
        assert not s.ledger

    run(program)


def test_a_budget_that_party_threads_would_share_is_refused() -> None:
    def program() -> None:
        with mpc.session() as s:
            mpc.share(np.ones(3) if s.rank == 0 else None, owner=0).reveal(dp=Laplace(epsilon=0.5, sensitivity=1), reason="x")

    with Budget(epsilon=3, delta=1e-6) as budget:
        with pytest.raises(mpc.ConfigError, match="opened outside the parties' threads"):
            mpc.local(program, parties=2, threads=True)
    assert budget.spent == []
