"""Guessing the next request of a loop; a guess never changes what is sent."""
from __future__ import annotations

import msgspec
import numpy as np
import pytest

import mpc
from mpc.masks import Mask, Moved
from mpc.preprocessing.ahead import MAX_PERIOD, Ahead
from mpc.preprocessing.base import Product, Tables, Truncation
from mpc.preprocessing.dealer import AHEAD_VARIABLE, _Session


def encoded(*correlations) -> bytes:
    return msgspec.msgpack.encode(list(correlations))


def turn(op: int) -> list[bytes]:
    """Three requests of one turn of a loop that begins at ``op``: x is fixed, w is opened anew."""
    x, w = Mask(1, 0, (5, 3)), Mask(op, 0, (3,))
    return [
        encoded(Product(op + 1, "matmul", x, w, 5)),
        encoded(Tables(op + 3, Mask(op + 2, 0, (5,)), 5), Truncation(op + 4, Mask(op + 2, 0, (5,)), 5, 16)),
        encoded(Product(op + 6, "matmul", Moved(x, "transpose", (1, 0)), Mask(op + 5, 0, (5,)), 3)),
    ]


def test_a_loop_is_guessed_from_its_third_turn_on() -> None:
    ahead = Ahead()
    bodies = [body for k in range(6) for body in turn(10 + 7 * k)]
    hits = []
    for body in bodies:
        hits.append(ahead.guess() == body)
        ahead.record(body)
    assert all(hits[7:])
    assert not any(hits[:6])


def test_a_batch_that_changes_is_not_guessed_and_what_surrounds_it_is() -> None:
    ahead, hits = Ahead(), []
    for k in range(6):
        rows = Moved(Mask(1, 0, (50, 3)), "index", [["int64", [5], np.arange(k, k + 5).tobytes()]])
        bodies = turn(10 + 8 * k)
        bodies.append(encoded(Product(10 + 8 * k + 7, "matmul", rows, Mask(10 + 8 * k, 0, (3,)), 5)))
        for j, body in enumerate(bodies):
            hits.append((j, ahead.guess() == body))
            ahead.record(body)
    late = hits[12:]
    assert not any(hit for j, hit in late if j == 3)
    assert all(hit for j, hit in late if j in (1, 2))


def test_programs_without_loops_guess_nothing_in_particular() -> None:
    ahead = Ahead()
    rng = np.random.default_rng(0)
    op = 1
    for _ in range(3 * MAX_PERIOD):
        op += int(rng.integers(1, 50))
        body = encoded(Truncation(op, Mask(op - 1, 0, (int(rng.integers(1, 99)),)), int(rng.integers(1, 99)), 16))
        assert ahead.guess() != body
        ahead.record(body)


@pytest.mark.parametrize("wanted", [True, False], ids=["ahead", "asked"])
def test_results_do_not_depend_on_it(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AHEAD_VARIABLE, "1" if wanted else "0")
    used: list[bool] = []
    answer = _Session.answer

    def recorded(self, body):
        used.append(self._guessed is not None and self._guessed[0] == body)
        answer(self, body)

    monkeypatch.setattr(_Session, "answer", recorded)

    def main():
        with mpc.session() as s:
            x = mpc.share([1.5, -2.0] if s.rank == 0 else None, owner=0)
            y = mpc.share([0.5, 0.25] if s.rank == 1 else None, owner=1)
            for _ in range(40):
                x = (x * y + 1).relu()
                s.barrier()  # gives the dealer's thread its turn
            return x.reveal().tolist()

    got = mpc.local(main, parties=2, threads=True, deadline=10)
    a, b = 1.5, -2.0
    for _ in range(40):
        a, b = max(a * 0.5 + 1, 0), max(b * 0.25 + 1, 0)
    np.testing.assert_allclose(got, [[a, b]] * 2, atol=2e-4)
    assert any(used) == wanted
