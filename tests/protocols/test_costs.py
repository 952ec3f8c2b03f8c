"""Declared rounds and bytes equal what the transport counted."""
from __future__ import annotations

import numpy as np
import pytest

from mpc.functions.fits import RECIPROCAL, SIGMOID
from mpc.protocols import costs
from mpc.protocols.base import FREE, Cost
from mpc.protocols.choice import NIBBLES
from mpc.protocols.series import NONPOSITIVE, QUARTER
from tests.protocols.programs import run, shares_of, words

SIZES = (1, 64, 65, 1000, 4097)


def measured(program, n, *operands, scale=0):
    """(rounds, payload bytes to each peer) of one kernel call, checked to be alike at every party and peer."""

    def main(s, *shares):
        for x in shares:
            x.scale = scale
        before = [s.transport.meter.payload_sent(p) for p in s.peers]
        rounds = s.total.rounds
        program(s, *shares)
        sent = [s.transport.meter.payload_sent(p) - b for p, b in zip(s.peers, before, strict=True)]
        assert len(set(sent)) == 1
        return Cost(s.total.rounds - rounds, sent[0])

    results = run(main, n, *operands)
    assert len(set(results)) == 1
    return results[0]


def operand(size, n):
    return shares_of(words(np.arange(size)), n)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_declared_costs(n, size, form):
    x, y = operand(size, n), operand(size, n)
    assert measured(lambda s, a, b: s.protocol.mul(a, b), n, x, y) == costs.product(2 * size)
    assert measured(lambda s, a: s.protocol.square(a), n, x) == costs.product(size)
    assert measured(lambda s, a: s.protocol.truncate(a, 16), n, x) == costs.truncate(size, n, size)
    assert measured(lambda s, a: s.protocol.truncate(a, 16, exact=True), n, x) == costs.truncate(size, n, size, True, form)
    assert measured(lambda s, a: s.protocol.negative(a), n, x) == costs.comparison(size, size, form)
    assert measured(lambda s, a: s.protocol.is_zero(a), n, x) == costs.equality(size, size, form)
    assert measured(lambda s, a: s.protocol.relu(a), n, x) == costs.relu(size, size, form)
    assert measured(lambda s, a: s.protocol.relu(a, 16), n, x) == costs.relu(size, size, form)
    assert measured(lambda s, a: s.protocol.saturated(a, SIGMOID, 16), n, x, scale=16) == costs.saturated(size, size, form)
    assert measured(lambda s, a: s.protocol.series(a, RECIPROCAL), n, x, scale=16) == costs.series(size)
    assert measured(lambda s, a: s.protocol.at_least(a, [1, 2, 3]), n, x) == costs.at_least(size, 3, size, form)
    assert measured(lambda s, a: s.protocol.exp(a, QUARTER, 22), n, x, scale=16) == costs.exp(size, size, form=form)
    bounded = measured(lambda s, a: s.protocol.exp(a, NONPOSITIVE, 22, bounded=True), n, x, scale=16)
    assert bounded == costs.exp(size, size, bounded=True, form=form)
    assert measured(lambda s, a: s.reveal(a), n, x) == costs.reveal(size)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("columns", [2, 5, 6, 16])
def test_declared_cost_of_the_maximum(n, columns, form):
    x = operand(columns * 100, n)
    got = measured(lambda s, a: s.protocol.largest(a.reshape((columns, 100))), n, x)
    assert got == costs.largest(columns, 100, columns * 100, form)


@pytest.mark.parametrize("n", [2, 3])
def test_what_is_open_costs_no_opening(n, form):
    x = operand(100, n)

    def after_opening(kernel):
        def program(s, a):
            s.protocol.open(a)
            before, sent = s.total.rounds, s.transport.meter.payload_sent(s.peers[0])
            kernel(s, a)
            return Cost(s.total.rounds - before, s.transport.meter.payload_sent(s.peers[0]) - sent)

        return run(program, n, x)[0]

    assert after_opening(lambda s, a: s.protocol.mul(a, a)) == FREE
    assert after_opening(lambda s, a: s.protocol.truncate(a, 16)) == FREE
    assert after_opening(lambda s, a: s.protocol.negative(a)) == costs.comparison(100, 0, form)
    assert after_opening(lambda s, a: s.protocol.relu(a, 16)) == costs.relu(100, 0, form)


def test_dense_layer_with_relu_takes_five_rounds_or_four(form):
    n = 3
    x, w = shares_of(words(np.ones((8, 4), int)), n), shares_of(words(np.ones((4, 5), int)), n)
    cost = measured(lambda s, a, b: s.protocol.relu(s.protocol.matmul(a, b), 16), n, x, w)
    assert cost == costs.product(32 + 20) + costs.relu(40, 40, form)
    assert cost.rounds == (5 if form is NIBBLES else 4)


def test_input_sharing_sends_no_words():
    def program(s):
        before = [s.transport.meter.payload_sent(p) for p in s.peers]  # the handshake's
        s.share(np.ones(1000) if s.rank == 0 else None, owner=0)
        return [s.transport.meter.payload_sent(p) for p in s.peers] == before

    assert run(program, 3) == [True, True, True]
