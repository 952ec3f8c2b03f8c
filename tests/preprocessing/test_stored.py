"""Sessions without a dealer: right results, dealings used once, and the right error at every party."""
from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.party import Party
from mpc.preprocessing import reading
from mpc.preprocessing.store import Store
from tests.preprocessing.stores import X, compare, failures, functions, opened, perceptron, product, run, stored


def used(folder: Path, rank: int) -> int:
    with closing(opened(folder, rank)) as store:
        return store.used


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_results_are_those_with_a_dealer(parties: int, tmp_path: Path) -> None:
    """Within truncation: against the plaintext twin, which truncates by floor."""
    seed = 3  # no ReLU is so near its edge that a truncation decides, which with some weights changes a whole gradient
    folder = stored(perceptron, tmp_path, parties, runs=2, seed=seed)
    with closing(opened(folder, 0)) as store:
        assert store.plan.seed == seed

    def seeded(s: Party) -> Any:
        s.manual_seed(seed)
        return perceptron(s)

    exact = run(seeded, parties, protocol="clear")[0]
    dealer = run(seeded, parties)[0]
    for _ in range(2):
        for got in run(perceptron, parties, store=folder):
            assert np.abs(got - exact).max() < 2 * max(np.abs(dealer - exact).max(), 2.0**-10)


def test_functions_from_a_store(tmp_path: Path) -> None:
    folder = stored(functions, tmp_path, 3)
    got = run(functions, 3, store=folder)[0]
    want = run(functions, 3, protocol="clear")[0]
    for a, b in zip(got, want, strict=True):
        assert np.abs(a - b).max() < 1e-3 + 1e-3 * np.abs(b).max()


def test_nothing_comes_from_a_dealer(tmp_path: Path) -> None:
    folder = stored(compare, tmp_path)

    def program(s: Party) -> Any:
        compare(s)
        return s.total.offline_bytes, s.transport.meter.bytes_received.get(s.world_size, 0), s.config.needs_dealer

    assert run(program, store=folder) == [(0, 0, False)] * 2


def test_large_corrections_are_read_ahead_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than what is held: the thread waits for the program, and the end of the session stops it."""
    monkeypatch.setattr(reading, "AHEAD", 2)
    x = np.linspace(-3, 3, 200_000)

    def program(s: Party) -> Any:
        a = mpc.share(x, 0) * mpc.share(np.ones_like(x), 1)
        return (a > 0).reveal()

    folder = stored(program, tmp_path)
    assert os.path.getsize(folder / "rank-1.store") > 8 << 20
    for got in run(program, store=folder):
        np.testing.assert_array_equal(got, x > 0)


# --- once
def test_a_dealing_serves_one_session(tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, runs=2)
    keys = [run(lambda s: (compare(s), s.dealt)[1], store=folder) for _ in range(2)]
    assert len({key for each in keys for key in each}) == 4, "every party of every run has a key of its own"
    assert [used(folder, rank) for rank in (0, 1)] == [2, 2]
    for error in failures(compare, store=folder):
        assert isinstance(error, mpc.PreprocessingExhausted)
        assert "1 dealing is missing: all 2 of" in str(error) and "mpc preprocess" in str(error)


def test_a_dealing_is_used_up_by_a_session_that_fails(tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, runs=2)

    def program(s: Party) -> None:
        raise mpc.ConfigError("stop at once")

    failures(program, store=folder)
    assert [used(folder, rank) for rank in (0, 1)] == [1, 1]


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_one_partys_older_file_cannot_bring_a_dealing_back(rank: int, tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, 3, runs=2)
    shutil.copy(folder / f"rank-{rank}.store", tmp_path / "old")
    first = run(lambda s: (compare(s), s.dealt)[1], 3, store=folder)
    shutil.copy(tmp_path / "old", folder / f"rank-{rank}.store")
    assert used(folder, rank) == 0
    second = run(lambda s: (compare(s), s.dealt)[1], 3, store=folder)
    assert not set(first) & set(second)
    assert [used(folder, r) for r in range(3)] == [2, 2, 2]
    shutil.copy(tmp_path / "old", folder / f"rank-{rank}.store")
    for error in failures(compare, 3, store=folder):
        assert isinstance(error, mpc.PreprocessingExhausted)


def test_all_have_noted_the_use_before_anything_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One party cannot write its mark: no party sends a share, and the dealing is not lost where it was not noted."""
    folder = stored(compare, tmp_path, runs=2)
    plain = Store.use

    def use(self: Store, number: int) -> None:
        if self.header.rank == 1:
            raise mpc.ConfigError("no space left")
        plain(self, number)

    def program(s: Party) -> None:
        raise AssertionError("the session began")

    monkeypatch.setattr(Store, "use", use)
    for error in failures(program, store=folder):
        assert isinstance(error, mpc.ConfigError)
    monkeypatch.undo()
    assert [used(folder, rank) for rank in (0, 1)] == [1, 0]
    run(compare, store=folder)
    assert [used(folder, rank) for rank in (0, 1)] == [2, 2]


# --- other programs
def test_another_program_is_refused_by_all_parties(tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, 3, runs=2)

    def wider(s: Party) -> Any:
        x, y = mpc.share(np.ones((25, 4)), 0), mpc.share(np.ones((25, 4)), 1)
        return (x * y > 0).reveal()

    for rank, error in enumerate(failures(wider, 3, store=folder)):
        assert isinstance(error, mpc.ProgramMismatch)
        if error.echo is None:
            assert f"party {rank}, request 1: the program asks for operation" in str(error)
            assert "Product of 100" in str(error) and "Product of 96" in str(error) and "run `mpc preprocess`" in str(error)
    for error in failures(product, 3, store=folder):
        assert isinstance(error, mpc.ProgramMismatch)


def test_asking_for_more_than_the_plan_says_how_much_is_missing(tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, runs=3)

    def longer(s: Party) -> Any:
        compare(s)
        return (mpc.share(X, 0) * mpc.share(X, 1)).reveal()

    for error in failures(longer, store=folder):
        assert isinstance(error, mpc.PreprocessingExhausted)
        if error.echo is None:
            text = str(error)
            assert "Product of 96" in text and "768 bytes that are missing" in text and "2 more dealings" in text


def test_fewer_requests_than_planned_are_no_error(tmp_path: Path) -> None:
    def longer(s: Party) -> Any:
        compare(s)
        return compare(s)

    folder = stored(longer, tmp_path)
    assert run(compare, store=folder)[0].shape == X.shape


def test_shuffles_are_the_plans(tmp_path: Path) -> None:
    """Index lists are in the requests: without a seed of its own a run takes the plan's."""
    def program(s: Party) -> Any:
        x = mpc.share(X, 0) + mpc.share(X, 1)
        return [(xb * xb).reveal() for xb in mpc.data.batches(x, size=5, epochs=1, shuffle=True)]

    folder = stored(program, tmp_path, runs=2)
    first, second = (run(program, store=folder)[0] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, atol=2.0**-14)
