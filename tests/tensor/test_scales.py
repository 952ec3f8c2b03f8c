"""Truncate late and once; open each secret once; public factors cost nothing."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.ops.value import integer_factor
from tests.owners import mixed
from tests.tensor.recorder import Recorder


def run(program: Any, parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


def counted(expression: Any, shape: tuple[int, ...] = (4, 4)) -> dict[str, int]:
    """Kernel calls of ``expression(x, y)`` and the reveal of its result."""

    def program() -> dict[str, int]:
        with mpc.session() as s:
            recorder = Recorder(s)
            x, y = mpc.share(np.full(shape, 0.5), 0), mpc.share(np.full(shape, 0.25), 1)
            expression(x, y).reveal(reason="test")
            return recorder.counts()

    return run(program)


@pytest.mark.parametrize(
    "expression,want",
    [
        (lambda x, y: x * y, {"mul": 1, "truncate": 1}),
        (lambda x, y: x @ y + 1.5, {"matmul": 1, "truncate": 1}),
        (lambda x, y: x @ y + x, {"matmul": 1, "truncate": 1}),
        (lambda x, y: (x * y).sum(), {"mul": 1, "truncate": 1}),
        (lambda x, y: (x * y).sum() / 3 * 0.7, {"mul": 1, "truncate": 1}),
        (lambda x, y: x * y + x.square() - x @ y, {"mul": 1, "square": 1, "matmul": 1, "truncate": 1}),
        (lambda x, y: (x @ y).relu(), {"matmul": 1, "relu": 1}),
        (lambda x, y: (x @ y + 1).relu() * 2, {"matmul": 1, "relu": 1}),
        (lambda x, y: (x @ y) > 1, {"matmul": 1, "negative": 1}),
        (lambda x, y: (x > y) * (x @ y), {"negative": 1, "matmul": 1, "mul": 1, "truncate": 1}),
        (lambda x, y: (x > y) * (x < y) * x, {"negative": 2, "mul": 2}),
        (lambda x, y: x * np.arange(4) + y / 4 * 4, {}),
        (lambda x, y: x * 2 - y, {}),
        (lambda x, y: x / 4 + y * 0.25, {"truncate": 1}),
        (lambda x, y: x.mean(0), {"truncate": 1}),
        (lambda x, y: mpc.where(x > y, x, y), {"negative": 1, "mul": 1}),
        (lambda x, y: x.clip(0, 0.25), {"relu": 1}),
        (lambda x, y: (x * 0.3) * (y * 0.7) * 0.5, {"mul": 1, "truncate": 2}),  # 0.3 < 1/2 is applied to x first
        (lambda x, y: x**4, {"square": 2, "truncate": 2}),
        (lambda x, y: x * y * y * x, {"mul": 1, "mul_truncated": 2, "truncate": 1}),
        (lambda x, y: (x * y) * (y * y + x), {"mul": 1, "square": 1, "mul_truncated": 1, "truncate": 2}),
        (lambda x, y: (x * y * 0.3) * y, {"mul": 1, "mul_truncated": 1, "truncate": 1}),
    ],
)
def test_kernels_of_an_expression(expression: Any, want: dict[str, int]) -> None:
    assert counted(expression) == want


def test_a_product_used_often_is_truncated_once() -> None:
    def program() -> dict[str, int]:
        with mpc.session() as s:
            recorder = Recorder(s)
            x, y = mpc.share(np.ones((3, 3)), 0), mpc.share(np.ones((3, 3)), 1)
            z = x @ y
            (z * x) + (z @ y)
            z.reveal(reason="test")
            z.detach().reveal(reason="test")
            return recorder.counts()

    assert run(program) == {"matmul": 2, "mul_truncated": 1}


def _mlp_steps(steps: int) -> Any:
    def program() -> Any:
        with mpc.session() as s:
            recorder = Recorder(s)
            rng = np.random.default_rng(3)
            x = mpc.share(rng.normal(size=(16, 5)), 0)
            y = mpc.share((rng.random((16, 1)) > 0.5).astype(float), 1)
            model = mpc.nn.Sequential(mpc.nn.Linear(5, 4), mpc.nn.ReLU(), mpc.nn.Linear(4, 1))
            optimizer = mpc.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
            seen = []
            for xb, yb in mpc.data.batches(x, y, size=8, epochs=steps):
                loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                seen.append(list(recorder.calls))
                recorder.clear()
            return seen

    return program


@pytest.mark.parametrize("parties", [2, 3])
def test_a_training_step_opens_each_secret_once(parties: int) -> None:
    """Kernel, and whether each share was open before: x never opens again, W and h not in the backward pass."""
    first, *rest = run(_mlp_steps(2), parties, "additive")
    step = [
        ("matmul", (True, False)),  # x (open), W1
        ("relu", (False,)),  # with the truncation of x W1 + b1
        ("matmul", (False, False)),  # h, W2
        ("saturated", (False,)),  # from the product's scale
        ("matmul", (False, True)),  # dz2 (at frac_bits, without its 1/n), W2: dh
        ("matmul", (True, True)),  # h, dz2: dW2
        ("mul", (False, False)),  # ReLU's bit (open as a bit), dh
        ("truncate", (False,)),  # dz1
        ("matmul", (True, False)),  # x, dz1: dW1
        ("truncate", (False,)),  # all updates together
    ]
    assert first == [("open", (False,)), *step]
    assert rest == [step] * 3


@pytest.mark.parametrize(
    "factor,room,want",
    [(0.5, 31, (1, 1)), (2.0, 31, (2, 0)), (1.0, 15, (1, 0)), (-0.75, 15, (-3, 2)), (3.0, 0, (3, 0)), (0.0, 15, (0, 0))],
)
def test_integer_factor_is_exact_where_it_can_be(factor: float, room: int, want: tuple[int, int]) -> None:
    assert integer_factor(factor, room) == want


@pytest.mark.parametrize("room", [-5, 0, 15, 31])
@pytest.mark.parametrize("factor", [1 / 569, 0.1, 7.3, -1e-4, 12345.6])
def test_integer_factor_has_twelve_bits(factor: float, room: int) -> None:
    mantissa, shift = integer_factor(factor, room)
    assert abs(mantissa * 2.0**-shift - factor) <= abs(factor) * 2.0**-12


def test_a_sum_far_larger_than_its_mean() -> None:
    """Sums may reach 2^30, means the encoding bound, whatever the count."""

    def program() -> Any:
        with mpc.session():
            x, y = mixed(np.full(4000, 300.0)), mixed(np.full(1001, 50.0))
            means = ((x * 0.5).mean(), (x / 300).square().mean(), (y * (y + 50)).mean(), (y * y).mean() * 4)
            return [float(m.reveal()) for m in means]

    mean, ones, products, more = run(program)
    assert products == pytest.approx(5000, rel=2e-4)
    assert more == pytest.approx(10000, rel=2e-4)
    assert mean == pytest.approx(150, abs=1e-2)
    assert ones == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("protocol", ["clear", "additive"])
def test_what_is_scaled_into_range_stays_there(protocol: str) -> None:
    """A public factor is applied before the product, so that the product of the shares is no larger than the values'."""

    def main():
        with mpc.session():
            x = mixed(np.full((1, 5000), 30000.0))
            y, z = x / 10000, x / 1000
            out = [(y * y).mean(), (y * y).sum() / 9, (z @ z.T) / 1000, y.square().mean()]
            return [float(np.ravel(v.reveal())[0]) for v in out]

    for got in mpc.local(main, parties=2, protocol=protocol, threads=True, deadline=20):
        np.testing.assert_allclose(got, [9, 5000, 4500, 9], rtol=1e-3)


def test_clear_sees_a_sum_that_leaves_the_range() -> None:
    def main():
        with mpc.session() as s:
            x = mpc.share(np.full(1_000_000, 10000.0) if s.rank == 0 else None, owner=0)
            return (x * x).mean().reveal()

    with pytest.raises(mpc.FixedPointRangeError, match="a sum"):
        mpc.local(main, parties=2, protocol="clear", threads=True, deadline=20)
