"""Clipping inside the engine: what a query is, that one row cannot move it further than it says, and private selection."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpc.errors import ShapeError
from mpc.party import Party
from mpc.privacy import Budget, BudgetExceeded, Exponential, sensitivity
from mpc.privacy.dp.exponential import Geometric
from mpc.privacy.dp.sensitivity import Query
from tests.privacy.noise import SIGNIFICANCE, chi_square, run, shared

VALUES = np.array([-7.0, 0.0, 0.3, 1.0, 2.5, 2.5, 3.999, 4.0, 9.9, 30000.0])


def first(program: Callable[[Party], Any], *arguments: Any, **options: Any) -> Any:
    return run(program, *arguments, **options)[0]


def exact(query: Query) -> Any:
    got = query.value.reveal(reason="test")
    return None if got is None else got * query.factor


@pytest.mark.parametrize("protocol", ["additive", "clear"])
def test_queries_are_what_numpy_says(protocol: str) -> None:
    columns = np.stack([VALUES, -VALUES, VALUES / 3], 1)

    def program(s: Party) -> list[Any]:
        x = shared(s, VALUES)
        y = shared(s, columns) * 0.5  # a public factor: pending
        return [
            exact(sensitivity.total(x, 0, 4)), exact(sensitivity.mean(x, -1, 1)), exact(sensitivity.count(x > 2.0)),
            exact(sensitivity.histogram(x, [0, 1, 2.5, 4])), exact(sensitivity.total(y, [0, -1, 0.5], [1, 0, 2])),
            exact(sensitivity.mean(shared(s, [[1.0, 2.0]]), 0, 3)),
        ]  # fmt: skip

    got = first(program, protocol=protocol)
    halves = np.clip(columns / 2, [0, -1, 0.5], [1, 0, 2])
    want = [np.clip(VALUES, 0, 4).sum(), np.clip(VALUES, -1, 1).mean(), (VALUES > 2).sum(), [2, 1, 3], halves.sum(0), [1, 2]]
    for a, b in zip(got, want, strict=True):
        assert a == pytest.approx(b, abs=10 * 2**-16)
    assert got[2] == 6 and got[3].tolist() == [2, 1, 3]  # integers, exactly


def test_no_row_moves_a_query_further_than_it_says() -> None:
    """One row replaced by anything that can be shared: the exact integers differ by the declared L1 and L2 norm at most."""
    rng = np.random.default_rng(5)
    base = rng.uniform(-3, 3, (6, 2))
    extremes = [-32767.0, -0.1, 0.1 + 2**-17, 0.7, 32767.0]

    def program(s: Party) -> list[tuple[float, float, float, float]]:
        found = []
        makers = [
            lambda x: sensitivity.total(x, [-0.3, 0.1], [0.7, 2.30001]), lambda x: sensitivity.total(x[:, 0], 0.1, 1.1),
            lambda x: sensitivity.count(x[:, 0]), lambda x: sensitivity.histogram(x[:, 0], [-1, 0.1, 1, 5]),
        ]  # fmt: skip
        for make in makers:
            query = make(shared(s, base))
            before = exact(query)
            for a in extremes:
                other = base.copy()
                other[3] = a, -a
                moved = np.atleast_1d(exact(make(shared(s, other))) - before)
                found.append((np.abs(moved).sum(), query.l1, np.sqrt((moved**2).sum()), query.l2))
        return found

    found = first(program)
    for l1, most_l1, l2, most_l2 in found:
        assert l1 <= most_l1 and l2 <= most_l2 * (1 + 1e-12)
    assert any(l1 > 0.6 * most for l1, most, *_ in found)
    assert any(l1 == most for l1, most, *_ in found)  # the bound is reached: nothing is given away


def test_released_queries_are_near_and_in_the_ledger() -> None:
    def program(s: Party) -> tuple[Any, ...]:
        x = shared(s, np.repeat(VALUES[1:8], 50))
        answers = (
            sensitivity.mean(x, 0, 4).reveal(epsilon=2.0, reason="mean"),
            sensitivity.histogram(x, [0, 1, 2, 5]).reveal(epsilon=2.0, delta=1e-6, reason="histogram"),
            sensitivity.quantile(x, 0.5, np.linspace(0, 5, 51).tolist(), epsilon=2.0, reason="median"),
            sensitivity.quantile(x, 0.5, [0.0, 2.0], epsilon=2.0, to=1, reason="median, for one"),
        )
        return *answers, [(line.reason, line.privacy, line.site.split(":")[0]) for line in s.ledger]

    mean, histogram, median, nothing, ledger = first(program)
    data = np.repeat(VALUES[1:8], 50)
    assert mean == pytest.approx(data.mean(), abs=21 * 4 / 2 / len(data))  # Laplace noise beyond 21 scales: e^-21 = 8e-10
    assert histogram == pytest.approx(np.histogram(data, [0, 1, 2, 5])[0], abs=40)
    assert 1.0 <= median <= 4.1 and nothing is None
    assert [line[0] for line in ledger] == ["mean", "histogram", "median", "median, for one"]
    assert all(site == "test_dp_sensitivity.py" and "epsilon=" in privacy for _, privacy, site in ledger)


def test_budgets_hold_for_queries_and_selections() -> None:
    def program(s: Party) -> list[str]:
        x = shared(s, VALUES)
        with Budget(1.0, 1e-6):
            sensitivity.total(x, 0, 4).reveal(0.6, reason="one")
            with pytest.raises(BudgetExceeded):
                sensitivity.count(x > 1).reveal(0.6, reason="two")
            with pytest.raises(BudgetExceeded):
                sensitivity.quantile(x, 0.5, [0.0, 1.0], 0.6, reason="three")
        return [line.reason for line in s.ledger]

    assert first(program) == ["one"]


# --- selection
def permute_and_flip(scores: list[float], rate: float) -> np.ndarray:
    """The distribution of the place of the first largest score + geometric noise, summed up to far into the tail."""
    g = np.arange(400)
    p = (1 - np.exp(-rate)) * np.exp(-rate * g)
    out = np.zeros(len(scores))
    for i, own in enumerate(scores):
        win = p.copy()
        for j, other in enumerate(scores):
            if j != i:  # P(other + g' <= own + g), strictly below for those that come first
                room = own + g - other - (1 if j < i else 0)
                win *= np.where(room >= 0, 1 - np.exp(-rate * (room + 1)), 0.0)
        out[i] = win.sum()
    return out


def test_selection_follows_its_distribution_and_protects_as_it_says() -> None:
    rate = 0.5  # epsilon 1, sensitivity 1
    noise = Geometric(rate)
    scores = [3, 2, 2, 0]
    want = permute_and_flip(scores, rate)
    got = np.argmax(np.array(scores)[:, None] + np.stack([noise.sample(100_000) for _ in scores]), axis=0)
    assert want.sum() == pytest.approx(1)
    assert chi_square(got, np.arange(4), want) > SIGNIFICANCE
    near = [2, 3, 3, 1]  # every score moved by one
    ratio = np.abs(np.log(want / permute_and_flip(near, rate)))
    assert ratio.max() <= 1.0 + 1e-12


def test_selection_on_shares() -> None:
    """Many selections at once would need many sessions: the noisy maximum itself on shares, for scores far apart and equal."""

    def program(s: Party) -> list[int | None]:
        clear_winner = shared(s, [0.0, 50.0, 10.0])
        equal = (shared(s, np.zeros(3)) > 1.0) * -1.0  # integers, behind a public factor
        far = [Exponential(4.0, 1.0).select(clear_winner, reason="far apart") for _ in range(3)]
        negative = Exponential(4.0, 1.0).select(-clear_winner, reason="smallest")
        return [*far, negative, *(Exponential(0.2, 1.0).select(equal, reason="equal") for _ in range(60))]

    got = first(program)
    assert got[:4] == [1, 1, 1, 0]
    assert set(got[4:]) == {0, 1, 2}  # misses one of them once in 10^10 runs: 3 (2/3)^60


@pytest.mark.parametrize("protocol", ["additive", "clear"])
def test_what_makes_no_sense_is_refused(protocol: str) -> None:
    def program(s: Party) -> None:
        x = shared(s, VALUES)
        for low, high in ((1, 1), (2, 1)):
            with pytest.raises(ValueError, match="low < high"):
                sensitivity.total(x, low, high)
        with pytest.raises(ValueError, match="rising"):
            sensitivity.histogram(x, [1, 0])
        with pytest.raises(ValueError, match="rising"):
            sensitivity.quantile(x, 0.5, [], 1.0)
        with pytest.raises(ValueError, match="0 to 1"):
            sensitivity.quantile(x, 1.5, [0.0, 1.0], 1.0)
        for bad in (x.reshape(2, 5), x.sum()):
            with pytest.raises(ShapeError):
                sensitivity.count(bad)
            with pytest.raises(ShapeError):
                Exponential(1.0, 1.0).select(bad)
        assert not s.ledger

    first(program, protocol=protocol)
