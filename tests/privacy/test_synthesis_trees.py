"""Trees of columns: the nearest consistent counts, ties beyond noise, draws for whatever the counts are."""
from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from mpc.privacy.synthesis import trees


@pytest.mark.parametrize("seed", range(5))
def test_the_simplex_is_met_at_the_nearest_point(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 10, (4, 6))
    got = trees.simplex(values, 7.0)
    assert got.sum() == pytest.approx(7.0) and got.min() >= 0
    moved = (values - got)[got > 0]
    np.testing.assert_allclose(moved, moved[0])  # where it is not clipped, the same step for all,
    assert (values[got == 0] <= moved[0] + 1e-9).all()  # and what is clipped would have gone below 0


def test_a_fitted_table_has_its_margins() -> None:
    rng = np.random.default_rng(2)
    true = rng.dirichlet(np.ones(12), 2).reshape(2, 3, 4) * 500
    got = trees.fitted(true + rng.normal(0, 5, true.shape), true.sum(2), true.sum(1), np.full(2, 500.0))
    np.testing.assert_allclose(got.sum(2), true.sum(2), rtol=1e-3)
    np.testing.assert_allclose(got.sum(1), true.sum(1), rtol=1e-6)
    assert got.min() >= 0 and np.abs(got - true).max() < 20


def test_noise_alone_ties_nothing() -> None:
    rng = np.random.default_rng(4)
    independent = np.full((1, 10, 10), 3.0)
    ties = [trees.tie(rng.poisson(3.0, (1, 10, 10)) + rng.normal(0, 20, (1, 10, 10)), independent, 20.0) for _ in range(300)]
    assert abs(np.mean(ties)) < 4 * np.std(ties) / math.sqrt(300)


def test_noise_alone_ties_nothing_also_where_few_values_are_frequent() -> None:
    """What is expected of independence is noisy itself, most where one value has nearly all records."""
    rng, rows, noise, ties = np.random.default_rng(4), 30_000, 40.0, []
    chances = [np.r_[0.9, np.full(39, 0.1 / 39)], np.r_[0.9, 0.1]]
    for _ in range(150):
        true = rng.multinomial(rows, np.outer(*chances).ravel()).reshape(1, 40, 2)
        single = [trees.simplex(v + rng.normal(0, noise, v.shape), rows)[None] for v in (true[0].sum(1), true[0].sum(0))]
        independent = trees._independent(single, 0, 1, np.array([float(rows)]))
        ties.append(trees.tie(true + rng.normal(0, noise, true.shape), independent, noise))
    assert np.mean(ties) < 4 * np.std(ties) / math.sqrt(150)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_counts_are_there_is_a_tree_to_draw_from(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(all="raise", under="ignore"):
        for _ in range(25):
            sizes, classes = rng.choice([1, 2, 3, 8, 30], rng.integers(1, 7)), rng.integers(1, 4)
            noise, level = rng.choice([0.0, 0.7, 300.0, 1e7]), rng.choice([0.0, 1.0, -50.0, 1e6])

            def table(*shape: int, noise: float = noise, level: float = level) -> Any:
                return np.rint(level * (rng.random(shape) < 0.3) + rng.normal(0, noise, shape))

            pairs = {(i, j): table(classes, sizes[i], sizes[j]) for i, j in itertools.combinations(range(len(sizes)), 2)}
            tree = trees.grow(trees.Counts([table(classes, n) for n in sizes], pairs, noise))
            assert sorted(tree.order) == list(range(len(sizes))) and (tree.records >= 1).all()
            places = {j: at for at, j in enumerate(tree.order)}
            assert all(p is None or places[p] < places[j] for j, p in enumerate(tree.parents))
            for chances in tree.chances:
                assert (np.diff(chances, axis=2) >= 0).all() and chances.min() >= 0
                np.testing.assert_allclose(chances[:, :, -1], 1, atol=1e-9)
            drawn = tree.draw(rng.integers(0, classes, 100), rng)
            assert (drawn >= 0).all() and (drawn < sizes).all()


def test_chances_that_are_rounded_to_less_than_one_draw_the_last_value() -> None:
    class Highest:
        def random(self, n: int) -> Any:
            return np.full(n, np.nextafter(1.0, 0.0))

    tree = trees.Tree(np.ones(1), [0, 1], [None, 0], [np.full((1, 1, 3), 1 - 1e-9), np.full((1, 3, 2), 1 - 1e-9)])
    assert tree.draw(np.zeros(4, np.int64), Highest()).tolist() == [[2, 1]] * 4  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_no_forest_of_ties_is_heavier(seed: int) -> None:
    """Against every set of edges without a circle."""
    rng, n = np.random.default_rng(seed), 5
    ties = rng.normal(0.3, 1, (n, n))
    ties = np.where(rng.random((n, n)) < 0.2, -np.inf, ties)
    ties = np.triu(ties, 1) + np.triu(ties, 1).T
    ties[np.diag_indices(n)] = -np.inf
    best, edges = 0.0, list(itertools.combinations(range(n), 2))
    for chosen in itertools.chain.from_iterable(itertools.combinations(edges, k) for k in range(1, n)):
        group = list(range(n))
        for a, b in chosen:
            if group[a] == group[b]:
                break
            group = [group[a] if g == group[b] else g for g in group]
        else:
            best = max(best, sum(ties[e] for e in chosen))
    parents, order = trees._spanning(ties)
    assert sum(ties[j, p] for j, p in enumerate(parents) if p is not None) == pytest.approx(best)
    assert sorted(order) == list(range(n))
    assert trees._spanning(np.full((3, 3), -np.inf))[0] == [None] * 3
    assert trees._spanning(np.full((1, 1), -np.inf)) == ([None], [0])
