"""Every function against float64 of the encoded input: on a dense grid, at the edges of its domain, and outside of it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np
import pytest

import mpc
from tests.owners import mixed

UNIT = 2.0**-16
LOWEST = np.log(UNIT)
ERF = np.vectorize(erf)
SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]


@dataclass(frozen=True)
class Case:
    """A method's accuracy: ``grid`` inside the domain; error <= max(relative |value|, absolute, 2 units)."""

    name: str
    method: Callable[[Any], Any]
    reference: Callable[[np.ndarray], np.ndarray]
    grid: np.ndarray
    absolute: float = 0.0
    relative: float = 0.0
    outside: tuple[tuple[float, float], ...] = ()  # (x, value) beyond the domain, met within the same bounds


def line(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 4001)


def octaves(low: float, high: float) -> np.ndarray:
    """A geometric grid, and the powers of two with their neighbours."""
    powers = 2.0 ** np.arange(np.log2(low), np.log2(high) + 0.5)
    near = np.concatenate([powers, powers - UNIT, powers + UNIT])
    grid = np.concatenate([np.geomspace(low, high, 4001), near])
    return grid[(grid >= low) & (grid <= high)]


POSITIVE = octaves(2.0**-8, 2.0**13)
SIGNED = np.concatenate([-octaves(2.0**-6, 2.0**13), octaves(2.0**-6, 2.0**13)])
CASES = [
    Case("sigmoid", lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x)), line(-32, 32), 1e-4, outside=((3e4, 1), (-3e4, 0))),
    Case("tanh", lambda x: x.tanh(), np.tanh, line(-16, 16), 2e-4, outside=((3e4, 1), (-3e4, -1))),
    Case("erf", lambda x: x.erf(), ERF, line(-16, 16), 6e-5, outside=((3e4, 1), (-3e4, -1))),
    Case("gelu", lambda x: x.gelu(), lambda x: x * (1 + ERF(x / 2**0.5)) / 2, line(-16, 16), 4e-4, outside=((-3e4, 0),)),
    Case("exp of negatives", lambda x: x.exp(), np.exp, line(-16, 0), 1e-4, outside=((-3e4, 0),)),
    Case("exp", lambda x: x.exp(), np.exp, line(-16, 10), relative=1e-5, outside=((3e4, np.exp(10)), (10.01, np.exp(10)))),
    Case("reciprocal", lambda x: x.reciprocal(), lambda x: 1 / x, SIGNED, relative=1.1e-4, outside=((0, 0), (-2e-3, 0))),
    Case("quotient", lambda x: 3 / x, lambda x: 3 / x, SIGNED, 1e-4, relative=1e-4),
    Case("sqrt", lambda x: x.sqrt(), np.sqrt, POSITIVE, relative=5e-5, outside=((0, 0), (-1, 0), (-3e4, 0), (UNIT, 2**-8))),
    Case("rsqrt", lambda x: x.rsqrt(), lambda x: x**-0.5, POSITIVE, relative=5e-5, outside=((0, 256), (-1, 256), (UNIT, 256))),
    Case("log", lambda x: x.log(), np.log, POSITIVE, 5e-5, outside=((0, LOWEST), (-1, LOWEST), (UNIT, LOWEST))),
    Case("floor", lambda x: x.floor(), np.floor, line(-300, 300), -1),
    Case("remainder", lambda x: x % 4, lambda x: x % 4, line(-300, 300), -1),
    Case("sign", lambda x: x.sign(), np.sign, np.concatenate([line(-1, 1), [UNIT, -UNIT, 0, 3e4, -3e4]]), -1),
    Case("abs", abs, np.abs, np.concatenate([line(-1, 1), [UNIT, -UNIT, 0, 3e4, -3e4]]), -1),
]  # an absolute bound of -1: exact


def _encoded(case: Case) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([np.round(case.grid / UNIT) * UNIT, [p for p, _ in case.outside]])
    x = np.round(x / UNIT) * UNIT
    return x, np.concatenate([case.reference(x[: case.grid.size]), [v for _, v in case.outside]])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("protocol,parties", SETTINGS, ids=str)
def test_error_on_a_dense_grid_at_the_edges_and_outside(protocol: str, parties: int, case: Case) -> None:
    x, want = _encoded(case)

    def program():
        with mpc.session():
            return case.method(mixed(x)).reveal(reason="test")

    got = mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]
    if case.absolute < 0:
        np.testing.assert_array_equal(got, want)
        return
    excess = np.abs(got - want) - np.maximum(np.maximum(case.relative * np.abs(want), case.absolute), 2 * UNIT)
    worst = int(excess.argmax())
    assert excess[worst] <= 0, f"{case.name}({x[worst]!r}) = {got[worst]!r}, want {want[worst]!r}"


@pytest.mark.parametrize("frac_bits", [8, 12, 13, 20, 24])
def test_other_scales_keep_the_errors_down_to_their_unit(frac_bits: int) -> None:
    unit, top = 2.0**-frac_bits, 2.0 ** (31 - frac_bits)
    x = np.round(np.geomspace(2.0**-5, min(top / 2, 900), 300) / unit) * unit
    y = np.round(np.linspace(-6, min(4, np.log(top) - 0.1), 300) / unit) * unit

    def program():
        with mpc.session():
            a, b = (mpc.share(v, owner=0) + mpc.share(np.zeros(1), owner=1) for v in (x, y))
            product = a * mpc.share(np.ones(()), owner=0)  # pending, at twice the scale
            outs = [a.reciprocal(), product.reciprocal(), product.log(), product.sqrt(), a.rsqrt(), b.exp(), b.tanh(), b.gelu()]
            outs.append(b.reshape(30, 10).softmax(1).reshape(-1))
            return [t.reveal(reason="test") for t in outs]

    rows = np.exp(y.reshape(30, 10))
    phi = y * (1 + ERF(y / 2**0.5)) / 2
    softmax = (rows / rows.sum(1, keepdims=True)).reshape(-1)
    want = [1 / x, 1 / x, np.log(x), np.sqrt(x), x**-0.5, np.exp(y), np.tanh(y), phi, softmax]
    for parties in (2, 3):
        got = mpc.local(program, parties=parties, threads=True, frac_bits=frac_bits)[0]
        for k, (mine, true) in enumerate(zip(got, want, strict=True)):
            bound = np.maximum(2.5 * unit * np.maximum(1, np.abs(y) if k == 7 else 1), 1.5e-4 * np.maximum(1, np.abs(true)))
            assert np.all(np.abs(mine - true) <= bound), (k, np.abs(mine - true).max())


@pytest.mark.parametrize("columns", [2, 10, 16, 17, 100, 1000])
@pytest.mark.parametrize("parties", [2, 3])
def test_softmax_from_ten_to_a_thousand_classes(parties: int, columns: int) -> None:
    x = np.round(np.random.default_rng(columns).normal(0, 6, (20, columns)) / UNIT) * UNIT
    x[0], x[1], x[2, :] = 0, 30_000, -30_000
    x[1, 0], x[2, -1] = -30_000, 30_000

    def program():
        with mpc.session():
            a = mixed(x)
            return a.softmax(1).reveal(reason="test"), a.log_softmax(1).reveal(reason="test", check_range=False)

    got, logs = mpc.local(program, parties=parties, threads=True)[0]
    shifted = x - x.max(1, keepdims=True)
    want_logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    assert np.abs(got - np.exp(want_logs)).max() <= 1.2e-4
    assert np.abs(logs - want_logs).max() <= 1e-4


def test_functions_reveal_nothing() -> None:
    def program():
        with mpc.session() as s:
            x = mixed(np.linspace(0.5, 5, 12).reshape(3, 4))
            for name in "exp log sqrt rsqrt reciprocal tanh erf gelu max sort sign floor".split():
                getattr(x, name)()
            x.softmax(1), x.log_softmax(1), x.argmax(0), x.topk(2), x.median(0), x / x
            return len(s.ledger)

    assert mpc.local(program, parties=3, threads=True) == [0, 0, 0]


def _counts() -> Any:
    """Bits of data that two parties hold together: sums and means of them have scales from 0 to 5."""
    bits = mpc.share(np.array([[1.0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]]), 0) + mpc.share(np.full((3, 4), 0.25), 1) > 0.5
    return bits


@pytest.mark.parametrize("protocol,parties", SETTINGS, ids=str)
def test_bits_counts_and_their_means_are_inputs_like_any_other(protocol: str, parties: int) -> None:
    """Their scale is coarser than a function's limits: what lies at 0 or at a window's end must not slip through."""

    def program():
        with mpc.session():
            bits = _counts()
            votes, rare = bits.sum(0), bits[0] * 0.25
            zero = bits[:, 3]
            outs = [votes.softmax(0), votes.log_softmax(0), (bits.sum(1) / 32).reciprocal(), (zero / 2).reciprocal()]
            outs += [zero.sqrt(), zero.log(), zero.rsqrt(), zero.reciprocal(), rare.sqrt(), votes.exp(), (-votes).exp()]
            outs += [votes.gelu(), votes.erf(), (bits * 0).softmax(1), votes.sort().values, votes.max(), votes % 2]
            return [out.reveal(reason="test") for out in outs]

    got = mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]
    votes = np.array([3.0, 1, 1, 0])
    softmax = np.exp(votes) / np.exp(votes).sum()
    zero = np.zeros(3)
    want = [softmax, np.log(softmax), 32 / np.array([1.0, 2, 2]), zero, zero, zero + LOWEST, zero + 256, zero]
    want += [np.array([0.5, 0, 0, 0]), np.exp(votes), np.exp(-votes), votes * (1 + ERF(votes / 2**0.5)) / 2, ERF(votes)]
    want += [np.full((3, 4), 0.25), np.sort(votes), np.array(3.0), votes % 2]
    for k, (mine, true) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_allclose(mine, true, atol=2e-4, rtol=1.2e-4, err_msg=str(k))


@pytest.mark.parametrize("frac_bits", [4, 5, 8, 22, 24])
def test_the_ends_of_other_scales(frac_bits: int) -> None:
    unit, top = 2.0**-frac_bits, 2.0 ** (31 - frac_bits)
    x = np.array([0, unit, -unit, -1, 1, top - unit])

    def program():
        with mpc.session():
            a = mpc.share(x - 0.5, 0) + mpc.share(np.full(1, 0.5), 1)
            pending = a * mpc.share(np.ones(()), 1)
            outs = [a.sqrt(), a.log(), a.rsqrt(), pending.sqrt(), pending.log(), a[3:].reciprocal(), a[:1].reciprocal()]
            outs += [pending[:5].exp(), pending.sort().values, pending.tanh(), pending.log_softmax(0)[5:]]
            return [out.reveal(reason="test") for out in outs]

    got = mpc.local(program, parties=2, threads=True, frac_bits=frac_bits)[0]
    positive = np.maximum(x, 0)
    low = -2 * ((frac_bits + 1) // 2)
    end = max(low, -2 * (30 - frac_bits))  # what 1 / sqrt still has
    logs = np.log(np.maximum(x, 2.0**low))
    roots = np.maximum(x, 2.0**end) ** -0.5
    want = [positive**0.5, logs, roots, positive**0.5, logs, 1 / x[3:], np.zeros(1)]
    want += [np.exp(x[:5]), np.sort(x), np.tanh(x), np.zeros(1)]
    for k, (mine, true) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_allclose(mine, true, atol=max(2 * unit, 2e-4), rtol=1.2e-4, err_msg=str(k))


def test_no_classes_and_no_elements_are_refused() -> None:
    def program():
        with mpc.session():
            nothing = mpc.share(np.zeros((3, 0)), 0)
            for name in ("softmax", "log_softmax", "median", "max"):
                with pytest.raises(mpc.ShapeError):
                    getattr(nothing, name)(1)
            return nothing.softmax(0).shape

    assert mpc.local(program, parties=2, threads=True)[0] == (3, 0)


def test_narrow_integers_do_not_wrap_and_the_twin_refuses_what_a_root_cannot_take() -> None:
    def program():
        with mpc.session():
            x = mixed(np.full(1, 0.5))
            small = np.array([-128], np.int8)
            outs = [x - small, small - x, mpc.where(x > 0, np.array([100], np.int8), small)]
            return [float(out.reveal(reason="test")[0]) for out in outs]

    assert mpc.local(program, parties=2, threads=True)[0] == [128.5, -128.5, 100.0]

    def beyond():
        with mpc.session():
            x = mpc.share(np.full(4, 20_000.0), 0)
            x.sum().reciprocal()

    with pytest.raises(mpc.FixedPointRangeError, match="function"):
        mpc.local(beyond, parties=2, threads=True, protocol="clear")
