"""Both truncations of section 5 end to end on shares, against exact arithmetic."""

import numpy as np
import pytest

from mpc._native import core

WORD = np.uint64


def share(words, secret, parties):
    shares = [words(secret.size) for _ in range(parties - 1)]
    return [*shares, secret - sum(shares, np.zeros(secret.size, WORD))]


def secrets(words, size):
    """Values of every magnitude below 2^62, both ends of the range included."""
    x = words.generator.integers(-(2**62), 2**62, size) >> words.generator.integers(0, 62, size)
    x[:8] = [0, 1, -1, 2**62 - 1, -(2**62), 2**62 - 2, 1 - 2**62, 65536]
    return x


@pytest.mark.parametrize("parties", (2, 3, 5))
@pytest.mark.parametrize("shift", (1, 16, 40, 62))
@pytest.mark.parametrize("selected", (False, True))
def test_any_number_of_parties(isa, words, parties, shift, selected):
    size = 4099
    x, r, s = secrets(words, size), words(size), words(size) & WORD(1)
    c = x.astype(WORD) + WORD(1 << 62) + r
    rc, rb = (r << WORD(1)) >> WORD(shift + 1), r >> WORD(63)
    bit = s if selected else WORD(1)
    rc_shares, rb_shares, s_shares = (share(words, v, parties) for v in (rc * bit, rb * bit, s))
    if shift < 32:
        rb_shares = [(v & WORD((2 << shift) - 1)).astype(np.uint32) for v in rb_shares]
    total = np.zeros(size, WORD)
    for i in range(parties):
        out = np.empty(size, WORD)
        core.truncate_finish(c, rc_shares[i], rb_shares[i], s_shares[i] if selected else None, i == 0, shift, out)
        total += out
    y = total.astype(np.int64)
    exact = x >> shift
    if selected:
        np.testing.assert_array_equal(y[s == 0], 0)
        y, exact, x, c = (v[s == 1] for v in (y, exact, x, c))
    rounded_up = y - exact
    assert set(np.unique(rounded_up)) <= {0, 1}
    np.testing.assert_array_equal(y, exact + ((x & ((1 << shift) - 1)).astype(WORD) > (c & WORD((1 << shift) - 1))))


def test_unbiased(isa, words):
    """A constant fraction rounds up as often as it is large: 100,000 draws, six standard deviations."""
    size, shift = 100_000, 16
    fraction = 0x4000
    r = words.generator.integers(0, 2**64, size, np.uint64)
    c = WORD(7 << shift | fraction) + WORD(1 << 62) + r
    out = np.empty(size, WORD)
    core.truncate_finish(c, (r << WORD(1)) >> WORD(shift + 1), r >> WORD(63), None, True, shift, out)
    mean = (out.astype(np.int64) - 7).mean()
    assert abs(mean - fraction / 2**shift) < 6 * (0.25 * 0.75 / size) ** 0.5


@pytest.mark.parametrize("shift", (1, 16, 40, 62))
def test_two_parties(isa, words, shift):
    size = 4099
    x = secrets(words, size)
    x[x == -(2**62)] += 1  # |x| < 2^62
    # both halves of section 5's case distinction at their edges
    x0 = words(size)
    x0[:2000] = words.generator.choice(
        np.array([0, 1, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 1, 2**63, 3 * 2**62 - 1, 3 * 2**62, 2**64 - 1], WORD), 2000
    )
    shares = [x0, x.astype(WORD) - x0]
    s = [words(65), words(65)]
    both = np.empty(size, WORD)
    core.unpack_bits(s[0] & s[1], both)
    ss = share(words, both, 2)
    opened = [np.empty(65, WORD), np.empty(65, WORD)]
    for rank in (0, 1):
        core.truncate2_bits(shares[rank], rank, s[rank], opened[rank])
    total = np.zeros(size, WORD)
    for rank in (0, 1):
        out = np.empty(size, WORD)
        dealt = ss[rank] & WORD((1 << shift) - 1)
        core.truncate2_finish(shares[rank], *opened, s[rank], dealt, rank, shift, out)
        total += out
    difference = total.astype(np.int64) - (x >> shift)
    assert set(np.unique(difference)) <= {0, 1}
