"""Rows and columns of several parties, splits, and columns too large for fixed-point numbers."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import data

RNG = np.random.default_rng(23)
A, B = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 3))
WORLDS = [("clear", 2), ("additive", 2), ("additive", 3)]


def run(program: Callable[..., Any], parties: int = 2, protocol: str = "additive") -> list[Any]:
    def main() -> Any:
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, protocol=protocol, threads=True, deadline=10)


def pick(s: Any, *parts: Any) -> Any:
    """Rank k's own part; None for ranks beyond."""
    return parts[s.rank] if s.rank < len(parts) else None


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, atol=2**-17)


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_rows(protocol: str, parties: int) -> None:
    def program(s: Any) -> Any:
        x, y = data.by_rows(pick(s, A, B), pick(s, [1, 0, 1, 1], [0, 0]))
        alone = data.by_rows(pick(s, None, B.reshape(2, 3, 1)))
        empty = data.by_rows(pick(s, A[:0], B))
        return x.reveal(), y.reveal(), alone.reveal(), empty.reveal(), s.ledger[0].reason

    for x, y, alone, empty, _ in run(program, parties, protocol):
        close(x, np.concatenate([A, B]))
        close(y, [1, 0, 1, 1, 0, 0])
        close(alone, B[:, :, None])
        close(empty, B)


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_columns(protocol: str, parties: int) -> None:
    def program(s: Any) -> Any:
        both = data.by_columns(pick(s, A, A[:, 0], np.arange(8).reshape(4, 2)))
        one = data.by_columns(pick(s, None, A[:, 1]))
        return both.reveal(), one.reveal()

    for both, one in run(program, parties, protocol):
        close(both, np.column_stack([A, A[:, 0], np.arange(8).reshape(4, 2)][:parties]))
        close(one, A[:, 1:2])


def test_nothing_but_shares_and_shapes_leaves() -> None:
    """The owner's rows arrive as everybody's shares; the exchange itself is one frame of 9 words per array."""

    def program(s: Any) -> Any:
        before = s.transport.meter.bytes_sent.copy()
        x = data.by_columns(pick(s, np.full((50, 2), 3.0), np.full((50, 1), 4.0)))
        sent = {p: s.transport.meter.bytes_sent[p] - before.get(p, 0) for p in s.peers}
        return sent, x._value.share.words

    (sent0, words0), (_sent1, words1) = run(program)
    assert sent0 == {1: 128 + 9 * 8 + 128}
    assert not words0[:, 2:].any() and not words1[:, :2].any(), "each holds its own columns, and zeros for the others'"
    np.testing.assert_array_equal((words0 + words1).view(np.int64), np.array([[3, 3, 4]] * 50) << 16)


REFUSED: list[tuple[str, Callable[[Any], Any], type[BaseException], str]] = [
    ("columns", lambda s: data.by_rows(pick(s, A, B[:, :2])), mpc.ShapeError, r"\(4, 3\) at party 0, \(2, 2\) at party 1"),
    ("dimensions", lambda s: data.by_rows(pick(s, A, A[0])), mpc.ShapeError, r"\(3,\) at party 1"),
    ("numbers", lambda s: data.by_rows(pick(s, 1.0, 2.0)), mpc.ShapeError, "want rows"),
    ("labels", lambda s: data.by_rows(pick(s, A, B), pick(s, [1.0] * 4, [1.0])), mpc.ShapeError, "party 1 brings arrays"),
    ("no labels", lambda s: data.by_rows(pick(s, A, B), pick(s, [1.0] * 4)), mpc.ShapeError, "party 1 brings arrays"),
    ("nobody", lambda s: data.by_rows(None), mpc.ConfigError, "every party passed None"),
    ("nobody's columns", lambda s: data.by_columns(None), mpc.ConfigError, "every party passed None"),
    ("rows", lambda s: data.by_columns(pick(s, A, B)), mpc.ShapeError, r"\(4, 3\) at party 0, \(2, 3\) at party 1"),
    ("cube", lambda s: data.by_columns(pick(s, A[None], A)), mpc.ShapeError, "want .rows, columns."),
    ("no arrays", lambda s: data.by_rows(), mpc.ConfigError, "no arrays"),
    ("two scaled", lambda s: data.by_rows(A, A, scale=True), mpc.ConfigError, "each of them"),
    ("vector scaled", lambda s: data.by_rows(pick(s, A[0], A[0]), scale=True), mpc.ShapeError, "columns"),
]


@pytest.mark.parametrize("name,call,kind,text", REFUSED, ids=[r[0] for r in REFUSED])
@pytest.mark.parametrize("parties", [2, 3])
def test_refused_alike_at_every_party(
    name: str, call: Callable[[Any], Any], kind: type[Exception], text: str, parties: int
) -> None:
    def program(s: Any) -> None:
        with pytest.raises(kind, match=text):
            call(s)
        s.barrier()  # the session goes on at all of them

    run(program, parties)


@pytest.mark.parametrize("bad", [np.nan, 1e9, "text"])
def test_what_one_party_cannot_share_stops_all(bad: Any) -> None:
    kinds: dict[int, type] = {}

    def main() -> None:
        try:
            with mpc.session() as s:
                rank = s.rank
                data.by_rows(pick(s, A, np.full((1, 3), bad)))
        except mpc.MPCError as error:
            kinds[rank] = type(error)

    mpc.local(main, parties=2, threads=True, deadline=10)
    assert set(kinds) == {0, 1} and len(set(kinds.values())) == 1


LARGE = np.array([[1e6, 3.0, 0.0, 2e-5, 128.0, -0.1], [-2.5e6, 40.0, 0.0, 1e-5, 1.0, 0.05]])


def test_powers_of_two() -> None:
    scaled, exponents = data.scale_by_power_of_two(LARGE)
    assert exponents.dtype == np.int64 and exponents[[1, 2, 4]].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(np.ldexp(scaled, exponents), LARGE)
    top = np.abs(scaled).max(0)
    assert np.all((top[[0, 1, 3, 4, 5]] >= 1 / 8) & (top[[0, 1, 3, 4, 5]] <= 128)) and 64 < top[0]
    for k in range(-40, 60):
        scaled, exponents = data.scale_by_power_of_two(np.array([[2.0**k, 2.0**k * 1.01]]))
        assert np.all((scaled <= 128) & (scaled >= 1 / 8)) and (exponents == 0).all() == (-3 <= k <= 6)
    with pytest.raises(mpc.FixedPointRangeError, match="row 1, column 0"):
        data.scale_by_power_of_two([[1.0], [np.inf]])
    with pytest.raises(mpc.ShapeError):
        data.scale_by_power_of_two([1.0])


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_scaled_on_the_way(protocol: str, parties: int) -> None:
    def program(s: Any) -> Any:
        x, by_column = data.by_columns(pick(s, LARGE[:, :2], LARGE[:, 2:]), scale=True)
        y, by_row = data.by_rows(pick(s, LARGE[:1], LARGE[1:]), scale=True)
        return x.reveal(), by_column, y.reveal(), by_row

    for x, by_column, y, by_row in run(program, parties, protocol):
        want, exponents = data.scale_by_power_of_two(LARGE)
        assert by_column.tolist() == exponents.tolist()
        close(x, want)
        assert by_row.tolist() == exponents.tolist(), "the larger of the two parties' exponents is the whole column's"
        np.testing.assert_allclose(np.ldexp(y, by_row) / (top := np.abs(LARGE).max(0) + 1e-99), LARGE / top, atol=2**-14)


@pytest.mark.parametrize("protocol", ["clear", "additive"])
def test_split(protocol: str) -> None:
    rows = np.arange(10.0)

    def program(s: Any) -> Any:
        x, y = mpc.share(rows[:, None] * [1.0, 2.0], 0), mpc.share(rows, 1)
        s.manual_seed(3)
        out = []
        for options in ({}, {}, {"test_size": 3}, {"train_size": 0.55, "test_size": 0.2}, {"shuffle": False}, {"train_size": 4},
                        {"random_state": 5}, {"random_state": 5}):  # fmt: skip
            x_train, x_test, y_train, y_test, n_train, n_test = data.train_test_split(x, y, rows, **options)
            got = [t.reveal() for t in (x_train, x_test, y_train, y_test)]
            np.testing.assert_array_equal(got[0], got[2][:, None] * [1, 2])
            np.testing.assert_array_equal(got[1], got[3][:, None] * [1, 2])
            np.testing.assert_array_equal(got[2], n_train)
            np.testing.assert_array_equal(got[3], n_test)
            out.append((n_train.tolist(), n_test.tolist()))
        return out

    results = run(program, protocol=protocol)
    assert results[0] == results[1]
    sizes = [(len(train), len(test)) for train, test in results[0]]
    assert sizes == [(7, 3), (7, 3), (7, 3), (5, 2), (7, 3), (4, 6), (7, 3), (7, 3)]
    assert all(not set(train) & set(test) for train, test in results[0])
    assert results[0][0] != results[0][1] and results[0][6] == results[0][7]
    assert results[0][4] == (rows[:7].tolist(), rows[7:].tolist())


def test_split_keeps_what_is_open() -> None:
    def program(s: Any) -> Any:
        x = mpc.share(A, 0)
        (x @ mpc.share(A.T, 1)).reveal()
        train, test = data.train_test_split(x)
        return train._value.share.opened is not None and test._value.share.opened is not None

    assert run(program) == [True, True]


def test_split_refuses() -> None:
    def program(s: Any) -> None:
        x = mpc.share(A, 0)
        for arguments, options, kind, text in [
            ((A,), {}, mpc.ConfigError, "no secret"),
            ((x, B), {}, mpc.ShapeError, "same number of rows"),
            ((x.sum(),), {}, mpc.ShapeError, "same number"),
            ((x,), {"test_size": 4}, mpc.ConfigError, "0 training and 4 test"),
            ((x,), {"test_size": 2, "train_size": 3}, mpc.ConfigError, "of 4"),
            ((x,), {"test_size": 1.5}, mpc.ConfigError, "fraction"),
            ((x,), {"train_size": True}, mpc.ConfigError, "fraction"),
            ((x,), {"shuffle": False, "random_state": 1}, mpc.ConfigError, "nothing is drawn"),
        ]:
            with pytest.raises(kind, match=text):
                data.train_test_split(*arguments, **options)

    run(program)
