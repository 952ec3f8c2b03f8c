"""What a secret tensor refuses, how it prints, and the tape's own rules."""
from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc

ARRAY = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


def raised(action: Callable[[Any], Any], value: Any = ARRAY) -> BaseException:
    """What ``action(x)`` raises at party 0."""

    def program() -> BaseException:
        with mpc.session():
            x = mpc.share(value, 0)
            try:
                action(x)
            except Exception as error:
                return error
            raise AssertionError("nothing was raised")

    return run(program)


@pytest.mark.parametrize(
    "action,error,text",
    [
        (bool, TypeError, "where"),
        (lambda x: 1 if x > 0 else 2, TypeError, "where"),
        (lambda x: not x, TypeError, "where"),
        (float, TypeError, "reveal"),
        (int, TypeError, "reveal"),
        (np.asarray, TypeError, "reveal"),
        (np.sum, Exception, ""),
        (lambda x: 0.5 in x, TypeError, "where"),
        (pickle.dumps, TypeError, "reveal"),
        (lambda x: range(3)[x], TypeError, "reveal"),
        (lambda x: x.item(), mpc.NotSupported, "reveal"),
        (lambda x: x.numpy(), mpc.NotSupported, "reveal"),
        (lambda x: x.argsort(), mpc.NotSupported, "argsort"),
        (lambda x: x % 3, mpc.NotSupported, "power of two"),
        (lambda x: x % x, mpc.NotSupported, "power of two"),
        (lambda x: x.topk(9), mpc.ShapeError, "topk"),
        (lambda x: x / 0, ZeroDivisionError, "zero"),
        (lambda x: x**0.3, mpc.NotSupported, "integer"),
        (lambda x: x**x, mpc.NotSupported, "integer"),
        (lambda x: x + "1", mpc.NotSupported, "dtype"),
        (lambda x: x * np.array([object()]), mpc.NotSupported, "object"),
        (lambda x: x * [1, [2, 3]], mpc.NotSupported, "ragged"),
        (lambda x: x + 1j, mpc.NotSupported, "complex"),
        (lambda x: x + float("nan"), mpc.FixedPointRangeError, "nan"),
        (lambda x: x * float("inf"), mpc.FixedPointRangeError, "inf"),
        (lambda x: x + 1e6, mpc.FixedPointRangeError, "2^15"),
        (lambda x: x * np.array([1.0, np.nan, 2.0]), mpc.FixedPointRangeError, "(1,)"),
        (lambda x: x + np.array([2**63], np.uint64), mpc.FixedPointRangeError, "index"),
        (lambda x: x + np.ones(2), mpc.ShapeError, "(2, 3)"),
        (lambda x: x * np.ones(2), mpc.ShapeError, "(2,)"),
        (lambda x: x + x.T, mpc.ShapeError, "(3, 2)"),
        (lambda x: x * x.T, mpc.ShapeError, "(3, 2)"),
        (lambda x: x > x.T, mpc.ShapeError, "(3, 2)"),
        (lambda x: x @ x, mpc.ShapeError, "(2, 3)"),
        (lambda x: x @ np.ones(2), mpc.ShapeError, "(2, 3)"),
        (lambda x: np.ones((2, 3)) @ x, mpc.ShapeError, "(2, 3)"),
        (lambda x: x @ 2, mpc.ShapeError, "number"),
        (lambda x: x.dot(x), mpc.ShapeError, "vectors"),
        (lambda x: x.sum(2), mpc.ShapeError, "axis 2"),
        (lambda x: x.mean((0, 0)), mpc.ShapeError, "distinct"),
        (lambda x: x.reshape(4, 2), mpc.ShapeError, "(4, 2)"),
        (lambda x: x.reshape(-1, -1), mpc.ShapeError, "(-1, -1)"),
        (lambda x: x.permute(0), mpc.ShapeError, "every axis"),
        (lambda x: x.broadcast_to(3), mpc.ShapeError, "(2, 3)"),
        (lambda x: mpc.cat([x, x.T]), mpc.ShapeError, "differ"),
        (lambda x: mpc.stack([x, x.T]), mpc.ShapeError, "one shape"),
        (lambda x: x[5], IndexError, "5"),
        (lambda x: x[x > 0], mpc.NotSupported, "where"),
        (lambda x: x[0.5], mpc.NotSupported, "index"),
        (lambda x: x.__setitem__(0, 1), mpc.NotSupported, "where"),
        (lambda x: mpc.where(x, x, 0), mpc.NotSupported, "comparison"),
        (lambda x: mpc.where(np.array([2.0]), x, 0), mpc.NotSupported, "ones"),
        (lambda x: x.clip(), mpc.NotSupported, "bounds"),
        (lambda x: x.clip(x, 1), mpc.NotSupported, "public"),
        (lambda x: x.clip(1, 0), ValueError, "above"),
        (lambda x: x.backward(), mpc.NotSupported, "requires_grad"),
        (lambda x: x.requires_grad_().relu().backward(), mpc.ShapeError, "scalar"),
        (lambda x: mpc.share(ARRAY, 5), mpc.ConfigError, "owner"),
    ],
)
def test_refusals_say_what_to_do(action: Callable[[Any], Any], error: type[Exception], text: str) -> None:
    got = raised(action)
    assert isinstance(got, error)
    assert text in str(got)


@pytest.mark.parametrize("value", [np.array([1.0, np.nan]), np.array([40000.0]), np.array([np.inf])])
def test_a_bad_input_is_one_error_at_every_party(value: np.ndarray) -> None:
    errors: list[BaseException] = []

    def program() -> None:
        with mpc.session() as s:
            try:
                mpc.share(value if s.rank == 0 else None, owner=0)
            except Exception as error:
                errors.append(error)
                raise

    with pytest.raises(mpc.FixedPointRangeError):
        mpc.local(program, parties=2, protocol="additive", threads=True)
    assert [type(e) for e in errors] == [mpc.FixedPointRangeError] * 2


def test_outside_a_session() -> None:
    with pytest.raises(mpc.SessionError, match="session"):
        mpc.share(ARRAY, 0)


def test_shape_repr_and_protocols() -> None:
    def program() -> Any:
        with mpc.session():
            x = mpc.share(ARRAY, 0)
            assert repr(x) == "SecretTensor(shape=(2, 3))"
            assert (x.shape, x.ndim, x.dim(), x.size(), x.size(1), len(x), x.numel()) == ((2, 3), 2, 2, (2, 3), 3, 2, 6)
            assert not hasattr(x, "argsort") and getattr(x, "item", None) is None
            assert [row.shape for row in x] == [(3,), (3,)]
            y = x
            y += 1  # rebinds
            assert y is not x and hash(x) != hash(y)
            both = [copy.copy(x), copy.deepcopy(x.requires_grad_())]
            assert both[1].requires_grad and both[1] is not x
            left = np.ones((2, 3)) * x + np.float64(1)
            assert type(left) is mpc.SecretTensor
            return [t.reveal().tolist() for t in (x, y, *both, left)]

    x, y, first, second, left = run(program)
    assert x == first == second == ARRAY.tolist()
    assert y == left == (ARRAY + 1).tolist()


def test_torch_operands() -> None:
    torch = pytest.importorskip("torch", reason="torch is an extra")

    def program() -> Any:
        with mpc.session():
            x = mpc.share(torch.tensor(ARRAY), 0)
            index = torch.tensor([1, 0])
            return (x * torch.tensor([1.0, 2.0, 0.5]) + torch.tensor(1))[index].reveal()

    np.testing.assert_array_equal(run(program), (ARRAY * [1, 2, 0.5] + 1)[[1, 0]])


def test_reveal_to_one_party_and_the_ledger() -> None:
    def program() -> Any:
        with mpc.session() as s:
            got = mpc.share(ARRAY, 0).sum(0).reveal(to=1, reason="column sums")
            line = s.ledger[-1]
            return got, line.site, line.shape, line.recipients if hasattr(line, "recipients") else None, line.reason

    results = mpc.local(program, parties=3, protocol="additive", threads=True)
    assert results[0][0] is None and results[2][0] is None
    np.testing.assert_allclose(results[1][0], ARRAY.sum(0))
    assert results[0][1].startswith("test_tensor.py:") and results[0][2] == (3,) and results[0][4] == "column sums"


def test_values_beyond_the_range_are_refused_at_reveal() -> None:
    def program() -> Any:
        with mpc.session():
            x = mpc.share(np.array([30000.0]), 0)
            wide = (x + x + x).reveal(check_range=False)
            try:
                (x + x + x).reveal()
            except mpc.FixedPointRangeError:
                return wide.tolist()

    assert run(program) == [90000.0]


def test_no_grad_accumulation_and_detach() -> None:
    def program() -> Any:
        with mpc.session():
            x = mpc.share(ARRAY, 0, requires_grad=True)
            with mpc.no_grad():
                assert not (x * 2).requires_grad
            assert not x.detach().requires_grad and (x * 2).requires_grad
            for _ in range(2):
                (x * x).sum().backward()
            (x.detach() * x).sum().backward()
            both = (x * 3).sum()
            both.backward()
            weighted = x * 2
            weighted.backward(np.full((2, 3), 0.5))
            return x.grad.reveal()

    np.testing.assert_allclose(run(program), 5 * ARRAY + 4, atol=1e-3)


def test_a_long_chain_needs_no_recursion() -> None:
    def program() -> Any:
        with mpc.session():
            x = y = mpc.share(np.ones(2), 0, requires_grad=True)
            for _ in range(3000):
                y = y + 0.001
            y.sum().backward()
            return x.grad.reveal().tolist()

    assert run(program) == [1.0, 1.0]
