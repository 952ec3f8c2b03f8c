"""Layouts: sizes, packing at its edges, and everything that is refused."""
from __future__ import annotations

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import example, given
from hypothesis import strategies as st

from mpc.errors import ConfigError, FixedPointRangeError, IntegrityError, NotSupported
from mpc.paillier import DEFAULT, Layout, mask_bits_for
from tests.paillier.keys import fixed_private

KEY = fixed_private(1024).public_key
layouts = st.builds(
    Layout,
    bound=st.sampled_from([0.3, 1.0, 2.5, 1000.0]),
    frac_bits=st.integers(2, 24),
    addends=st.integers(1, 300),
    mask_bits=st.sampled_from([0, 0, 1, 3, 9, 16, 27, 42, 300]),
    packed=st.sampled_from([True, True, False]),
)


@given(layouts, st.data())
def test_packing_and_unpacking_at_the_edges(layout: Layout, data: st.DataObject) -> None:
    most = layout.capacity
    edges = st.sampled_from([0, 1, -1, most, -most, most - 1, 1 - most])
    digits = data.draw(st.lists(edges | st.integers(-most, most), max_size=3 * min(20, layout.slots(1024))))
    plain = layout.pack(np.array(digits, np.int64), 1024)
    assert len(plain) == layout.plaintexts(len(digits), 1024)
    slots, k = layout.slots(1024), layout.slot_bits
    for number, m in enumerate(plain):  # the formula, value by value
        assert m == sum(v << (k * i) for i, v in enumerate(digits[number * slots : (number + 1) * slots]))
        assert abs(m) < KEY.n // 2
    back = layout.unpack([m % KEY.n for m in plain], len(digits), KEY.n)
    assert back.dtype == np.int64 and back.tolist() == digits


def test_many_values_cross_the_chunks() -> None:
    layout = Layout(1.0, 20, 3)
    digits = np.random.default_rng(0).integers(-layout.capacity, layout.capacity + 1, 150_001)
    plain = [m % KEY.n for m in layout.pack(digits, 1024)]
    np.testing.assert_array_equal(layout.unpack(plain, len(digits), KEY.n), digits)


@pytest.mark.parametrize(
    "layout, value_bits, slots",
    [
        (Layout(1.0, 24, 10), 28, 70),  # 10 * 2^24 < 2^28
        (Layout(1.0, 24, 10, mask_bits=mask_bits_for(3)), 28, 28),
        (Layout(1.0, 24, 1), 25, 78),  # 2^24 itself is admitted
        (Layout(1.0, 0, 1), 1, 1023),
        (Layout(1.0, 24, 10, weight_bound=3), 29, 68),
        (Layout(1.0, 24, 10, weight_bound=3, weight_frac_bits=8), 37, 53),
        (Layout(1.0, 24, 10, packed=False), 28, 1),
        (DEFAULT, 50, 40),
    ],
)
def test_sizes(layout: Layout, value_bits: int, slots: int) -> None:
    assert layout.value_bits == value_bits and layout.slots(2048) == slots
    assert layout.capacity < 1 << value_bits <= 2 * layout.capacity
    assert layout.slot_bits == value_bits + 1 + layout.mask_bits


@pytest.mark.parametrize("parties", range(1, 18))
def test_room_for_masks(parties: int) -> None:
    """N masks just below 2^(value_bits + 40), and a value at the capacity, stay inside the centred digit."""
    layout = Layout(1.0, 10, 7, mask_bits=mask_bits_for(parties))
    most = parties * ((1 << (layout.value_bits + 40)) - 1) + layout.capacity
    assert most < 1 << (layout.slot_bits - 1)


def test_unsigned_digits_of_a_whole_slot() -> None:
    layout = Layout(1.0, 10, 7, mask_bits=43)
    rows = np.random.default_rng(1).integers(0, 256, (40, -(-layout.slot_bits // 8)), np.uint8)
    rows[:, -1] &= (1 << (layout.slot_bits % 8)) - 1
    plain = layout.pack_unsigned(rows, 1024)
    slots = layout.slots(1024)
    numbers = [int.from_bytes(row.tobytes(), "little") for row in rows]
    assert plain[0] == sum(v << (layout.slot_bits * i) for i, v in enumerate(numbers[:slots]))
    np.testing.assert_array_equal(layout.unpack_unsigned(plain, 40, 1024), rows)


@given(st.lists(st.floats(-2.5, 2.5), max_size=40), st.integers(0, 40))
def test_encoding_rounds_to_the_nearest(values: list[float], frac_bits: int) -> None:
    layout = Layout(2.5, frac_bits, 1)
    digits = layout.encode(np.array(values, np.float64))
    assert np.abs(np.ldexp(digits.astype(float), -frac_bits) - values).max(initial=0) <= 2.0 ** -(frac_bits + 1)
    assert np.abs(digits).max(initial=0) <= layout.unit_bound


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.0000001, -1.5, 1e300])
def test_values_that_no_slot_holds_are_refused_with_their_index(bad: float) -> None:
    values = np.zeros((3, 4))
    values[1, 2] = bad
    with pytest.raises(FixedPointRangeError, match=r"at index \(1, 2\).*\|x\| <= 1"):
        Layout(1.0, 10, 2).encode(values)


def test_the_bound_itself_is_admitted() -> None:
    assert Layout(0.1, 8, 1).encode([0.1, -0.1]).tolist() == [26, -26]


def test_whole_numbers_are_exact_beyond_2_to_the_53() -> None:
    layout = Layout(2.0**61, 0, 1)
    assert layout.encode(np.array([2**61, -(2**61), 2**60 + 1])).tolist() == [2**61, -(2**61), 2**60 + 1]
    for bad in (np.array([2**61 + 1]), np.array([-(2**63)]), np.array([2**64 - 1], np.uint64)):
        with pytest.raises(FixedPointRangeError, match="index"):
            layout.encode(bad)


@pytest.mark.parametrize("values", [["a"], [1j], [[1.0], [2.0, 3.0]], np.array([None])])
def test_what_is_no_real_array_is_refused(values: object) -> None:
    with pytest.raises(NotSupported):
        DEFAULT.encode(values)


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"bound": 0.0}, "bound 0.0"),
        ({"bound": float("nan")}, "bound nan"),
        ({"bound": float("inf")}, "bound inf"),
        ({"bound": -1.0}, "bound -1.0"),
        ({"bound": True}, "bound True"),
        ({"bound": "1"}, "bound '1'"),
        ({"bound": 2.0**-20}, "rounds to 0"),
        ({"frac_bits": -1}, "frac_bits -1"),
        ({"frac_bits": 1.5}, "frac_bits 1.5"),
        ({"frac_bits": 61}, "at most 62"),
        ({"addends": 0}, "addends 0"),
        ({"addends": (1 << 40) + 1}, "addends"),
        ({"addends": 1 << 40, "frac_bits": 22}, "at most 62"),
        ({"weight_bound": 0}, "weight_bound"),
        ({"weight_bound": 2.0**50}, "at most 62"),
        ({"mask_bits": 600}, "mask_bits"),
        ({"packed": 2}, "packed"),
    ],
)
def test_layouts_that_cannot_be(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Layout(**{"bound": 1.0, "frac_bits": 16, "addends": 256, **settings})  # type: ignore[arg-type]


def test_a_slot_must_fit_the_key() -> None:
    with pytest.raises(ConfigError, match="take a larger key"):
        Layout(1.0, 16, 1, mask_bits=64).slots(64)


@given(layouts, st.data())
@example(Layout(1.0, 8, 1), None)
def test_a_digit_beyond_its_account_is_found(layout: Layout, data: st.DataObject | None) -> None:
    """What a cheating client or a tampered ciphertext leaves is refused, not decoded as something else."""
    magnitude = 5 if data is None else data.draw(st.integers(0, min(layout.capacity, (1 << (layout.slot_bits - 1)) - 2)))
    over = magnitude + 1 if data is None else data.draw(st.integers(magnitude + 1, (1 << (layout.slot_bits - 1)) - 1))
    sign = -1 if data is None else data.draw(st.sampled_from([1, -1]))
    aside = mpz(sign) << (layout.slot_bits * (layout.slots(1024) - 1))  # where no value is
    beyond = aside if layout.packed else KEY.n // 2
    for m in (mpz(sign * over), beyond, mpz(sign) << 1021, KEY.n // 2):
        with pytest.raises(IntegrityError, match="more than its vector's"):
            layout.unpack([m % KEY.n], 1, KEY.n, magnitude)


def test_packing_refuses_digits_beyond_the_capacity() -> None:
    layout = Layout(1.0, 8, 2)
    for digit in (layout.capacity + 1, -layout.capacity - 1, -(2**63), 2**63 - 1):
        with pytest.raises(FixedPointRangeError, match="capacity 512"):
            layout.pack(np.array([digit]), 1024)


def test_the_number_of_plaintexts_is_checked() -> None:
    with pytest.raises(IntegrityError, match="got 1 plaintexts; want 2"):
        Layout(1.0, 16, 1).unpack([mpz(0)], 1000 // 18 + 10, KEY.n)
