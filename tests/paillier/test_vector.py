"""Encrypted vectors: the homomorphic laws against plain arithmetic, the account of the slots, and every refusal."""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.errors import ConfigError, FixedPointRangeError, IntegrityError, NotSupported, ShapeError
from mpc.paillier import EncryptedVector, Layout, PrivateKey, PublicKey
from tests.paillier.keys import fixed_private

PRIVATE = fixed_private(1024)
PUBLIC = PRIVATE.public_key
LAYOUT = Layout(2.0, 16, 12, weight_bound=6, weight_frac_bits=10)
UNIT = 2.0**-16
arrays = st.lists(st.integers(-(2 << 16), 2 << 16), min_size=3, max_size=3).map(lambda v: np.array(v) * UNIT)  # on the grid
few = settings(max_examples=25)


def enc(values: Any, layout: Layout = LAYOUT) -> EncryptedVector:
    return PUBLIC.encrypt(values, layout)


def dec(vector: EncryptedVector) -> np.ndarray[Any, Any]:
    return PRIVATE.decrypt(vector)


@few
@given(arrays, arrays, arrays, st.integers(-4, 4), st.integers(-4, 4))
def test_homomorphic_laws(x: Any, y: Any, z: Any, a: int, b: int) -> None:
    """On the grid all of them hold exactly."""
    ex, ey, ez = enc(x), enc(y), enc(z)
    np.testing.assert_array_equal(dec(ex), x)
    np.testing.assert_array_equal(dec(ex + ey), x + y)
    np.testing.assert_array_equal(dec((ex + ey) + ez), dec(ex + (ey + ez)))
    np.testing.assert_array_equal(dec(ey + ex), dec(ex + ey))
    np.testing.assert_array_equal(dec(a * ex + b * ey), a * x + b * y)
    np.testing.assert_array_equal(dec((ex + ey) * a), dec(ex * a + ey * a))
    np.testing.assert_array_equal(dec(ex - ey), x - y)
    np.testing.assert_array_equal(dec(-ex), -x)
    np.testing.assert_array_equal(dec(ex + y), x + y)
    np.testing.assert_array_equal(dec(y - ex), y - x)
    np.testing.assert_array_equal(dec(sum([ex, ey, ez])), x + y + z)
    np.testing.assert_array_equal(dec(EncryptedVector.sum([ex, ey, ez])), x + y + z)
    np.testing.assert_array_equal(dec(ex.rerandomise()), x)


@few
@given(arrays, st.floats(-6, 6))
def test_real_weights_are_rounded_to_their_fraction_bits(x: Any, weight: float) -> None:
    rounded = round(weight * 1024) / 1024
    got = enc(x) * weight
    assert got.scale == 26
    np.testing.assert_array_equal(dec(got), x * rounded)
    np.testing.assert_array_equal(dec(got + x), x * rounded + x)  # a public array at the vector's scale
    assert np.abs(dec(got) - x * weight).max() <= 2.0**-11 * 2


def test_a_weighted_mean_of_clients() -> None:
    """sum n_i / n * x_i, as federated averaging takes it."""
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (10, 37))
    n = np.array([5, 1, 30, 12, 4, 4, 9, 20, 11, 4])
    integers = Layout(1.0, 24, 10, weight_bound=30)
    total = EncryptedVector.sum(enc(row, integers) * int(k) for row, k in zip(x, n, strict=True))
    np.testing.assert_allclose(dec(total) / n.sum(), n @ x / n.sum(), atol=2.0**-25, rtol=0)
    reals = Layout(1.0, 24, 10, weight_bound=0.15, weight_frac_bits=16)
    total = EncryptedVector.sum(enc(row, reals) * float(k / n.sum()) for row, k in zip(x, n, strict=True))
    np.testing.assert_allclose(dec(total), n @ x / n.sum(), atol=10 * 2.0**-17 + 2.0**-24, rtol=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_full_sum_of_values_at_the_bound(sign: int) -> None:
    """As many addends as the layout has, all at its bound, times the largest weight: the capacity itself, in every slot."""
    layout = Layout(0.7, 12, 9, weight_bound=5)
    size = 3 * layout.slots(1024)
    total = EncryptedVector.sum([enc(np.full(size, sign * 0.7), layout)] * 9) * 5
    assert total.magnitude == layout.capacity
    np.testing.assert_array_equal(PRIVATE.decrypt_digits(total), sign * layout.capacity)
    mixed = np.where(np.arange(size) % 2, 0.7, -0.7)
    total = EncryptedVector.sum([enc(mixed, layout)] * 9) * -5
    np.testing.assert_array_equal(PRIVATE.decrypt_digits(total), np.where(mixed > 0, -1, 1) * layout.capacity)


def test_too_many_addends_are_refused() -> None:
    layout = Layout(1.0, 12, 3)
    x = enc([0.5], layout)
    full = x + x + x
    assert full.addends == 3
    for add in (lambda: full + x, lambda: x + full, lambda: full + 0.5, lambda: EncryptedVector.sum([x] * 4)):
        with pytest.raises(FixedPointRangeError, match="4 addends; this layout has room for 3"):
            add()
    assert dec(full).tolist() == [1.5]  # unharmed


def test_weights_that_could_overflow_a_slot_are_refused() -> None:
    layout = Layout(1.0, 12, 4, weight_bound=3)
    x = enc([0.5], layout)
    assert dec(x * 12).tolist() == [6.0]  # the room of four addends, in one
    for weight in (13, -13, 2**70):
        with pytest.raises(FixedPointRangeError, match="could reach"):
            x * weight
    with pytest.raises(FixedPointRangeError, match="could reach"):
        (x * 12) + 0.5
    for weight in (float("nan"), float("inf"), 2.0**62):
        with pytest.raises(FixedPointRangeError):
            x * weight
    with pytest.raises(ConfigError, match="weight_frac_bits"):
        x * 0.5
    assert dec(x * 3.0).tolist() == dec(x * np.int8(3)).tolist() == dec(np.float32(3) * x).tolist() == [1.5]


@pytest.mark.parametrize("weight", [[1, 2], np.ones(1), "2", 1j, None, True])
def test_what_is_no_weight(weight: object) -> None:
    with pytest.raises(NotSupported):
        enc([0.5]) * weight


def test_vectors_that_do_not_fit_each_other_are_refused(private2048: PrivateKey) -> None:
    x = enc([0.5, 1.0])
    with pytest.raises(ConfigError, match="two keys"):
        x + private2048.public_key.encrypt([0.5, 1.0], LAYOUT)
    with pytest.raises(ConfigError, match="two layouts"):
        x + enc([0.5, 1.0], Layout(2.0, 17, 12, weight_bound=6, weight_frac_bits=10))
    for other in (enc([0.5]), enc([[0.5, 1.0]]), np.ones(3), np.ones((1, 2))):
        with pytest.raises(ShapeError):
            x + other
    with pytest.raises(FixedPointRangeError, match="fraction bits; want"):
        x + x * 0.5
    with pytest.raises(ShapeError, match="no vectors"):
        EncryptedVector.sum([])
    for bad in (np.array([np.nan, 0.0]), 2.5, np.array([0.0, np.inf])):
        with pytest.raises(FixedPointRangeError, match="the layout's bound"):
            x + bad
    for ciphertexts in ((), x.ciphertexts * 2):
        with pytest.raises(ShapeError, match="ciphertexts for shape"):
            EncryptedVector(PUBLIC, LAYOUT, (2,), ciphertexts)


def test_shapes_and_kinds_of_arrays() -> None:
    for values in (0.5, [], np.zeros((0, 3)), np.arange(6).reshape(2, 3) / 8, np.float16([0.5]), [True, False], [1, -2]):
        vector = enc(values)
        assert vector.shape == np.shape(values)
        np.testing.assert_array_equal(dec(vector), np.asarray(values, float))
    tensor = torch.tensor([[0.25, -0.5]], requires_grad=True)
    np.testing.assert_array_equal(dec(enc(tensor) + tensor), [[0.5, -1.0]])
    np.testing.assert_array_equal(dec(np.ones(2) + enc([0.5, 1.0])), [1.5, 2.0])
    np.testing.assert_array_equal(dec(np.ones(2) - enc([0.5, 1.0])), [0.5, 0.0])


def test_equal_values_have_unequal_ciphertexts_and_rerandomising_changes_all() -> None:
    x = enc(np.ones(100))
    everything = {*x.ciphertexts, *enc(np.ones(100)).ciphertexts, *x.rerandomise().ciphertexts}
    assert len(everything) == 3 * len(x.ciphertexts)
    assert len({*(x + x.rerandomise()).ciphertexts, *(x + x).ciphertexts}) == 2 * len(x.ciphertexts)


def test_a_client_beyond_the_bound_is_found_at_decryption() -> None:
    """What a cheating client encrypts nobody sees, but a sum it broke is refused, not returned."""
    layout = Layout(1.0, 12, 2)
    cheat = EncryptedVector(
        PUBLIC, layout, (2,), PUBLIC.encrypt_plaintexts(Layout(4.0, 12, 1, mask_bits=0).pack(np.array([0, 3 << 12]), 1024))
    )
    with pytest.raises(IntegrityError, match="nothing of this sum can be used"):
        dec(cheat + enc([0.5, 0.5], layout))


def test_decryption_refuses_what_its_account_does_not_allow() -> None:
    x = enc([1.0, -1.0])
    told = EncryptedVector(PUBLIC, LAYOUT, (2,), x.ciphertexts, magnitude=100)
    with pytest.raises(IntegrityError):
        dec(told)


def test_a_vector_shows_its_structure_and_does_not_travel_by_accident(public: PublicKey) -> None:
    x = enc(np.ones(100))
    assert repr(x).startswith("EncryptedVector(shape=(100,), 4 ciphertexts of 2048 bits, 1 of 12 addends")
    with pytest.raises(TypeError, match="pickle"):
        copy.deepcopy(x)
    assert dec(x * 0).tolist() == [0.0] * 100


def test_the_owner_encrypts_alike(private: PrivateKey) -> None:
    x = np.linspace(-1, 1, 50)
    np.testing.assert_array_equal(dec(private.encrypt(x, LAYOUT) + enc(x)), 2 * dec(enc(x)))


def test_2048_bits_with_a_mask_in_every_slot(private2048: PrivateKey) -> None:
    layout = Layout(1.0, 24, 10, mask_bits=43)
    x = np.random.default_rng(3).uniform(-1, 1, 200).astype(np.float32)
    total = private2048.public_key.encrypt(x, layout) + private2048.encrypt(x, layout)
    np.testing.assert_allclose(private2048.decrypt(total), 2 * x.astype(float), atol=2.0**-24, rtol=0)


@pytest.mark.parametrize("array", [
    np.array([5, 0, 200], np.uint8), np.array([-128, 0, 127], np.int8), np.array([7, 1, 0], np.uint64),
    np.uint8(5), np.int8(-128), np.array([True, False, True]), True,
])  # fmt: skip
def test_small_integers_are_subtracted_without_wrapping(array: Any) -> None:
    """NumPy's -array does: -uint8(5) is 251, and -int8(-128) is -128."""
    layout, x = Layout(1000, 0, 4), np.array([3, -4, 100])
    np.testing.assert_array_equal(dec(enc(x, layout) - array), x - np.asarray(array).astype(np.int64))
    np.testing.assert_array_equal(dec(array - enc(x, layout)), np.asarray(array).astype(np.int64) - x)


def test_integers_beyond_53_bits_are_exact_at_any_scale() -> None:
    layout, x = Layout(2.0**58, 2, 2), np.array([2**57 + 1, -(2**58), 2**54 + 3])
    assert [int(d) for d in PRIVATE.decrypt_digits(enc(x, layout))] == [4 * int(v) for v in x]
    assert [int(d) for d in PRIVATE.decrypt_digits(enc(x, layout) - x)] == [0, 0, 0]


def test_fraction_bits_of_many_real_weights_are_bounded() -> None:
    """Else the account fits no header, and a public addend's digits no float."""
    vector = enc([1.0, 0.0, 0.0], Layout(1.0, 4, 2, weight_frac_bits=60, weight_bound=2.0**-59))
    for _ in range(4):
        vector = vector * 2.0**-60
    assert vector.scale == 244
    with pytest.raises(FixedPointRangeError, match="at most 256: decrypt"):
        vector * 2.0**-60
