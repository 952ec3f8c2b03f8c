"""What coalitions see is uniform whatever the secret: openings with N - 1 parties' masks, and N - 1 shares of results.

Thresholds are set so that a correct engine fails once in 10^9 runs; the secrets are fixed and extreme.
"""
from __future__ import annotations

import itertools

import numpy as np
import pytest

from mpc.functions.fits import RECIPROCAL, SIGMOID
from mpc.protocols.series import QUARTER
from tests.protocols.programs import run, shares_of, words

LANES = 16_384
# chi-square with 255 degrees of freedom exceeds this with probability 1e-12
CHI_SQUARE_255 = 447.0
SECRETS = [0, -1, 1 << 61, -(1 << 62), 12_345_678]


def assert_uniform(view: np.ndarray, what: str) -> None:
    """Every byte position of the words is uniform over 256 values."""
    columns = np.ascontiguousarray(view.reshape(-1)).view(np.uint8).reshape(-1, 8)
    for k in range(8):
        counts = np.bincount(columns[:, k], minlength=256)
        expected = len(columns) / 256
        statistic = ((counts - expected) ** 2 / expected).sum()
        assert statistic < CHI_SQUARE_255, f"{what}, byte {k}: chi-square {statistic:.0f}"


def assert_fair(planes: np.ndarray, what: str) -> None:
    """Bits are fair coins: the count is within 7 standard deviations."""
    ones = int(np.unpackbits(planes.view(np.uint8)).sum())
    count = planes.size * 64
    assert abs(ones - count / 2) < 7 * np.sqrt(count) / 2, f"{what}: {ones} ones of {count}"


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("secret", SECRETS)
def test_openings_and_shares_of_every_coalition_are_uniform(n: int, secret: int) -> None:
    x = words(np.full(LANES, secret))

    def program(s, a):
        kernel = s.protocol
        kernel.open(a)
        product = kernel.mul(a, a)
        truncated = kernel.truncate(a, 16)
        bit = kernel.negative(a)
        curve, _ = kernel.relu(a, 16)
        smooth = kernel.saturated(a.rescaled(16), SIGMOID, 16)
        wave = kernel.series(a.rescaled(16), RECIPROCAL)
        power = kernel.exp(a.rescaled(16), QUARTER, 22)
        bits = kernel.at_least(a, [0, 5])
        best, winner = kernel.largest(a.reshape((8, a.size // 8)))
        return {
            "E": a.opened.public,
            "A": a.opened.mask_share(s.expand),
            "e": bit.bit.public,
            "results": [
                x.words
                for x in (product, truncated, bit, curve, smooth, wave, power, bits[0], bits[1], best, winner)
            ],
        }

    views = run(program, n, shares_of(x, n))
    e = views[0]["E"]
    assert_uniform(e, "E")
    assert_fair(views[0]["e"], "opened bit")
    for coalition in itertools.combinations(range(n), n - 1):
        assert_uniform(e + sum(views[i]["A"] for i in coalition), f"E with the masks of {coalition}")
        for k in range(len(views[0]["results"])):
            assert_uniform(sum(views[i]["results"][k] for i in coalition), f"result {k} at {coalition}")


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("secret", [0.0, -1.0, 32767.5])
def test_inputs_are_the_owners_alone_and_open_under_the_owners_mask(n: int, secret: float) -> None:
    """The others hold zeros and receive nothing but a uniform opening, whose mask they know nothing of."""
    owner = n - 1

    def program(s):
        x = s.share(np.full(LANES, secret) if s.rank == owner else None, owner=owner)
        sent = [s.transport.meter.payload_sent(p) for p in s.peers]
        s.protocol.open(x)
        sent = [s.transport.meter.payload_sent(p) - b for p, b in zip(s.peers, sent, strict=True)]
        both = s.protocol.mul(x, s.share(np.ones(LANES) if s.rank == 0 else None, owner=0))
        return x.words, x.opened.public, x.opened.mask_share(s.expand), sent, both.words

    parts = run(program, n)
    for rank, (held, _, mask, sent, _) in enumerate(parts):
        assert set(sent) == {8 * LANES if rank == owner else 0}
        if rank != owner:
            assert not held.any() and not mask.any()
    np.testing.assert_array_equal(parts[0][1] + parts[owner][2], words(np.full(LANES, int(secret * 65536))))
    assert_uniform(parts[0][1], "E of an input")
    for coalition in itertools.combinations(range(n), n - 1):
        assert_uniform(sum(parts[i][4] for i in coalition), f"product of inputs at {coalition}")


@pytest.mark.parametrize("n", [2, 3])
def test_what_one_party_holds_it_computes_alone(n: int) -> None:
    """Products, squares and truncations of one owner's values cost nothing and are exact; others are right as ever."""

    def program(s):
        x, y, z = (s.share(np.arange(6.0).reshape(2, 3) + k if s.rank == k % 2 else None, owner=k % 2) for k in range(3))
        before = s.total.rounds, s.total.bytes_sent
        k = s.protocol
        own = [k.mul(x, z), k.square(x), k.matmul(x, z.transpose((1, 0))), k.truncate(k.mul(x, z), 16)]
        own += [-x, x[0], k.total(x, None, False)]
        assert (s.total.rounds, s.total.bytes_sent) == before and {o.owner for o in own} == {0}
        mixed = [k.mul(x, y), k.matmul(y.transpose((1, 0)), x), k.mul(k.add_public(x, np.asarray(np.uint64(65536))), x)]
        assert [o.owner for o in mixed] == [None, None, 0]
        return [s.reveal(o, check_range=False) for o in (*own, *mixed)]

    x, y, z = (np.arange(6.0).reshape(2, 3) + k for k in range(3))
    want = [x * z, x * x, x @ z.T, x * z, -x, x[0], x.sum(), x * y, y.T @ x, (x + 1) * x]
    for got in run(program, n):
        for mine, true in zip(got, want, strict=True):
            np.testing.assert_allclose(mine, true, atol=1e-9)


def test_revealed_shares_are_rerandomised() -> None:
    """What the receiver gets from the others is fresh at each reveal of the same tensor, and sums to the value."""

    def program(s, a):
        return [s.reveal(a, to=0, check_range=False) for _ in range(2)], a.words.copy()

    n = 3
    results = run(program, n, shares_of(words(np.arange(100)), n))
    first, second = results[0][0]
    np.testing.assert_array_equal(first, np.arange(100))
    np.testing.assert_array_equal(second, np.arange(100))
    assert results[1][0] == [None, None]


@pytest.mark.parametrize("n", [2, 3])
def test_an_owner_computes_every_function_of_its_inputs_alone(n: int) -> None:
    """No round, no byte, zeros at the others; the results are what shares of them would give."""

    def program(s):
        mine = s.share(np.linspace(-3, 3, 48).reshape(4, 12) if s.rank == 1 else None, owner=1)
        before = s.total.rounds, s.total.bytes_sent
        k = s.protocol
        outs = [k.negative(mine), k.is_zero(mine), *k.relu(mine), k.saturated(mine, SIGMOID, 16), k.exp(mine, QUARTER, 16)]
        outs += [*k.largest(mine), k.at_least(mine, [0, 65536]), k.truncate(k.series(mine, RECIPROCAL), 31)]
        outs += [k.matmul_public(mine, words(np.eye(12, dtype=int)), 0), k.add_public(mine, words(np.ones((4, 12), int)))]
        assert (s.total.rounds, s.total.bytes_sent) == before and {o.owner for o in outs} == {1}
        assert s.rank == 1 or not any(o.words.any() for o in outs)
        return [s.reveal(o, check_range=False) for o in outs]

    x = np.round(np.linspace(-3, 3, 48).reshape(4, 12) * 65536) / 65536
    want = [x < 0, x == 0, np.maximum(x, 0), x >= 0, 1 / (1 + np.exp(-x)), np.exp(np.minimum(x, 2.5)), x.max(0), x == x.max(0)]
    want += [np.stack([x >= 0, x >= 1]), RECIPROCAL.at(x), x, x + 2**-16]
    for got in run(program, n):
        for mine, true in zip(got, want, strict=True):
            np.testing.assert_allclose(mine, true, atol=1e-4)
