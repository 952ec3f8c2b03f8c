"""Vectors as bytes: exact on the way, and everything foreign, damaged or impossible refused with its reason."""
from __future__ import annotations

import struct

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.errors import AuthenticationError, ConfigError, FixedPointRangeError, IntegrityError, MPCError, ShapeError
from mpc.paillier import EncryptedVector, Layout, PrivateKey, from_bytes, to_bytes
from mpc.paillier.serial import _HEAD
from tests.paillier.keys import fixed_private

PRIVATE = fixed_private(1024)
PUBLIC = PRIVATE.public_key
LAYOUT = Layout(1.0, 16, 5, weight_bound=4, weight_frac_bits=8)
VALUES = np.linspace(-1, 1, 90).reshape(9, 10)
VECTOR = PUBLIC.encrypt(VALUES, LAYOUT)
DATA = to_bytes(VECTOR)
START = _HEAD.size + 16
ACCOUNT = struct.calcsize("<HQQB")  # scale, addends, magnitude, dimensions: the header's end


def changed(scale: int = 16, addends: int = 1, magnitude: int = 1 << 16, dimensions: int = 2) -> bytes:
    return DATA[: _HEAD.size - ACCOUNT] + struct.pack("<HQQB", scale, addends, magnitude, dimensions) + DATA[_HEAD.size :]


def with_ciphertext(c: int, at: int = 1) -> bytes:
    return DATA[: START + at * 256] + int(c).to_bytes(256, "big") + DATA[START + (at + 1) * 256 :]


def test_there_and_back() -> None:
    for vector in (VECTOR, VECTOR + VECTOR, VECTOR * 0.25 + VALUES, PUBLIC.encrypt([], LAYOUT), PUBLIC.encrypt(0.5, LAYOUT)):
        back = from_bytes(to_bytes(vector), PUBLIC, LAYOUT, shape=vector.shape)
        for name in ("layout", "shape", "ciphertexts", "scale", "addends", "magnitude"):
            assert getattr(back, name) == getattr(vector, name)
        np.testing.assert_array_equal(PRIVATE.decrypt(back), PRIVATE.decrypt(vector))
    assert len(DATA) == START + 256 * LAYOUT.plaintexts(90, 1024)  # nothing beside header and ciphertexts
    assert changed() == DATA


def test_from_any_buffer() -> None:
    for data in (bytearray(DATA), memoryview(DATA)):
        assert from_bytes(data, PUBLIC, LAYOUT).ciphertexts == VECTOR.ciphertexts


@settings(max_examples=60)
@given(st.integers(0, len(DATA) - 1))
def test_truncated_or_longer_data_is_refused(length: int) -> None:
    for data in (DATA[:length], DATA + DATA[:length] + b"\0"):
        with pytest.raises((IntegrityError, AuthenticationError), match="want"):
            from_bytes(data, PUBLIC, LAYOUT)


@settings(max_examples=150)
@given(st.integers(0, START - 1), st.integers(1, 255))
def test_every_byte_of_the_header_counts(place: int, flip: int) -> None:
    """A changed byte is refused, or is one of the account's (which `fresh` pins)."""
    data = bytearray(DATA)
    data[place] ^= flip
    with pytest.raises(MPCError):
        from_bytes(bytes(data), PUBLIC, LAYOUT, shape=(9, 10), fresh=True)


def test_a_foreign_key_is_refused(private2048: PrivateKey) -> None:
    with pytest.raises(AuthenticationError, match="want PublicKey.2048 bits.*foreign"):
        from_bytes(DATA, private2048.public_key, LAYOUT)


@pytest.mark.parametrize(
    "name, other",
    [
        ("bound", Layout(1.5, 16, 5, 4, 0, 8)),
        ("frac_bits", Layout(1.0, 15, 5, 4, 0, 8)),
        ("addends", Layout(1.0, 16, 6, 4, 0, 8)),
        ("weight_bound", Layout(1.0, 16, 5, 5, 0, 8)),
        ("mask_bits", Layout(1.0, 16, 5, 4, 1, 8)),
        ("weight_frac_bits", Layout(1.0, 16, 5, 4, 0, 9)),
        ("packed", Layout(1.0, 16, 5, 4, 0, 8, False)),
    ],
)
def test_another_layout_is_refused_by_name(name: str, other: Layout) -> None:
    with pytest.raises(ConfigError, match=f"another slot layout: its {name} is"):
        from_bytes(DATA, PUBLIC, other)


def test_another_shape_is_refused() -> None:
    for shape in ((90,), (10, 9), (9, 10, 1), ()):
        with pytest.raises(ShapeError, match=r"got an encrypted vector of shape \(9, 10\)"):
            from_bytes(DATA, PUBLIC, LAYOUT, shape=shape)


@pytest.mark.parametrize("c", [0, PUBLIC.n_squared, PUBLIC.n_squared + 1, (1 << 2048) - 1])
def test_ciphertexts_out_of_range_are_refused(c: mpz) -> None:
    with pytest.raises(IntegrityError, match="ciphertext 1 is out of range"):
        from_bytes(with_ciphertext(c), PUBLIC, LAYOUT)


@pytest.mark.parametrize("c", [PUBLIC.n, PRIVATE.p, PRIVATE.q * 5, PRIVATE.p**2, PUBLIC.n_squared - PRIVATE.q])
def test_ciphertexts_not_coprime_to_n_are_refused(c: mpz) -> None:
    for at in (0, 1):
        with pytest.raises(IntegrityError, match=f"ciphertext {at} is not coprime to n"):
            from_bytes(with_ciphertext(c, at), PUBLIC, LAYOUT)


def test_accounts_that_cannot_be_are_refused() -> None:
    with pytest.raises(FixedPointRangeError, match="6 addends; this layout has room for 5"):
        from_bytes(changed(addends=6), PUBLIC, LAYOUT)
    with pytest.raises(FixedPointRangeError, match="0 addends"):
        from_bytes(changed(addends=0), PUBLIC, LAYOUT)
    with pytest.raises(FixedPointRangeError, match="overflow"):
        from_bytes(changed(magnitude=LAYOUT.capacity + 1), PUBLIC, LAYOUT)
    for scale in (15, 17, 25, 1000):  # 16, and every weight gives 8 more
        with pytest.raises(FixedPointRangeError, match="fraction bits"):
            from_bytes(changed(scale=scale), PUBLIC, LAYOUT)
    whole = Layout(9, 0, 2)
    most = EncryptedVector(PUBLIC, whole, (1,), PUBLIC.encrypt([9], whole).ciphertexts, scale=256)
    with pytest.raises(FixedPointRangeError, match="got values of 256 fraction bits; want 0"):
        from_bytes(to_bytes(most), PUBLIC, whole)
    for data in (changed(dimensions=9), changed(dimensions=255)):
        with pytest.raises(IntegrityError, match="dimensions"):
            from_bytes(data, PUBLIC, LAYOUT)


@pytest.mark.parametrize("account", [{"addends": 2}, {"scale": 24}, {"magnitude": 5}, {"magnitude": 1 << 17}])
def test_a_client_may_not_claim_to_be_a_sum(account: dict[str, int]) -> None:
    from_bytes(changed(**account), PUBLIC, LAYOUT)
    with pytest.raises(FixedPointRangeError, match="freshly encrypted"):
        from_bytes(changed(**account), PUBLIC, LAYOUT, fresh=True)


def test_announced_sizes_allocate_nothing() -> None:
    """A shape of 2^60 values in a message of some kilobytes is refused before anything of that size is made."""
    for shape in ((1 << 60, 1), (1 << 40, 1 << 40), (2**64 - 1, 2**64 - 1), (0, 1), (91, 10)):
        data = DATA[: _HEAD.size] + struct.pack("<2Q", *shape) + DATA[START:]
        with pytest.raises(IntegrityError, match="want"):
            from_bytes(data, PUBLIC, LAYOUT)


def test_too_many_dimensions_are_not_written() -> None:
    with pytest.raises(ShapeError, match="at most 8"):
        to_bytes(PUBLIC.encrypt(np.zeros((1,) * 9), LAYOUT))


def test_a_message_of_random_ciphertexts_decrypts_to_a_refusal() -> None:
    """Units modulo n^2 that encrypt nonsense pass the format, and not the slots."""
    vector = from_bytes(with_ciphertext(3, 0), PUBLIC, LAYOUT, fresh=True)
    assert isinstance(vector, EncryptedVector)
    with pytest.raises(IntegrityError, match="tampered"):
        PRIVATE.decrypt(vector)


def test_a_shape_that_no_array_has_is_refused() -> None:
    layout = Layout(1.0, 4, 1)
    data = to_bytes(PUBLIC.encrypt(np.zeros((0, 3)), layout))
    assert from_bytes(data, PUBLIC, layout).shape == (0, 3)
    with pytest.raises(IntegrityError, match="no array has it"):  # empty, so that its length fits
        from_bytes(data[:-16] + struct.pack("<2Q", 0, 2**63), PUBLIC, layout)
