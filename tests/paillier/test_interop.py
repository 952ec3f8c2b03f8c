"""phe is the oracle: its keys and ciphertexts come and go, and both sides decrypt to the same numbers."""
from __future__ import annotations

import sys

import numpy as np
import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.errors import AuthenticationError, ConfigError, FixedPointRangeError, IntegrityError, ShapeError
from mpc.paillier import Layout, PrivateKey, PublicKey
from mpc.paillier.interop import (
    from_phe,
    private_key_from_phe,
    private_key_to_phe,
    public_key_from_phe,
    public_key_to_phe,
    to_phe,
)
from tests.paillier.keys import fixed_private

PRIVATE = fixed_private(1024)
PUBLIC = PRIVATE.public_key
THEIRS = private_key_to_phe(PRIVATE)
LAYOUT = Layout(100.0, 24, 8, weight_bound=4)
SINGLE = Layout(100.0, 24, 8, weight_bound=4, weight_frac_bits=6, packed=False)
numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=6)
few = settings(max_examples=15)


def test_keys_go_there_and_back() -> None:
    assert THEIRS.public_key == public_key_to_phe(PUBLIC) == phe.PaillierPublicKey(int(PUBLIC.n))
    assert public_key_from_phe(THEIRS.public_key, insecure_any_size=True) == PUBLIC
    back = private_key_from_phe(THEIRS, insecure_any_size=True)
    assert {back.p, back.q} == {PRIVATE.p, PRIVATE.q} and back.public_key == PUBLIC


def test_a_key_that_phe_made() -> None:
    """Its primes are any, it has no h, and all of ours works with it."""
    theirs, secret = phe.generate_paillier_keypair(n_length=512)
    public = public_key_from_phe(theirs, insecure_any_size=True)
    private = private_key_from_phe(secret, insecure_any_size=True)
    assert public.h is None
    x = np.linspace(-3, 3, 30)
    total = public.encrypt(x, LAYOUT) + private.encrypt(x, LAYOUT).rerandomise()
    np.testing.assert_allclose(private.decrypt(total), 2 * x, atol=2.0**-24, rtol=0)
    with pytest.raises(ConfigError, match="512 bits"):
        public_key_from_phe(theirs)
    with pytest.raises(ConfigError, match="512 bits"):
        private_key_from_phe(secret)


@few
@given(numbers)
def test_what_phe_encrypts_is_packed_and_decrypts_here(values: list[float]) -> None:
    theirs = [THEIRS.public_key.encrypt(x, precision=2.0**-24) for x in values]
    for layout in (LAYOUT, SINGLE):
        vector = from_phe(theirs, PUBLIC, layout)
        assert len(vector.ciphertexts) == layout.plaintexts(len(values), 1024)
        want = [THEIRS.decrypt(x) for x in theirs]
        np.testing.assert_array_equal(PRIVATE.decrypt(vector), want)
        np.testing.assert_array_equal(PRIVATE.decrypt(vector + PUBLIC.encrypt(want, layout)), 2 * np.array(want))


@few
@given(numbers, st.sampled_from([None, 3, -2, 0.25, -1.75]))
def test_what_is_encrypted_here_decrypts_in_phe(values: list[float], weight: float | None) -> None:
    vector = PUBLIC.encrypt(values, SINGLE)
    vector = vector if weight is None else vector * weight
    theirs = to_phe(vector)
    assert [THEIRS.decrypt(x) for x in theirs] == PRIVATE.decrypt(vector).tolist()
    mixed = theirs[0] * 2 + THEIRS.public_key.encrypt(1.5)  # and phe computes on
    assert THEIRS.decrypt(mixed) == pytest.approx(2 * PRIVATE.decrypt(vector)[0] + 1.5, abs=1e-12)


@few
@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_whole_numbers_agree(a: int, b: int) -> None:
    layout = Layout(2.0**40, 0, 2, packed=False)
    mine, yours = PUBLIC.encrypt([a, b], layout), [THEIRS.public_key.encrypt(x) for x in (a, b)]
    assert THEIRS.decrypt(sum(to_phe(mine))) == THEIRS.decrypt(sum(yours)) == a + b
    assert PRIVATE.decrypt_digits(from_phe(yours, PUBLIC, layout) + mine).tolist() == [2 * a, 2 * b]


def test_raw_ciphertexts_agree() -> None:
    """Either side's encryption of an integer modulo n is the other's."""
    for m in (0, 1, int(PUBLIC.n) - 1, int(PUBLIC.n) // 2):
        assert THEIRS.raw_decrypt(int(PUBLIC.encrypt_plaintexts([m])[0])) == m
        assert PRIVATE.decrypt_ciphertexts([THEIRS.public_key.raw_encrypt(m)]) == [m]


def test_many_of_phes_numbers_and_a_shape() -> None:
    values = np.arange(60).reshape(20, 3) - 30.0
    theirs = [THEIRS.public_key.encrypt(int(x)) for x in values.reshape(-1)]
    vector = from_phe(theirs, PUBLIC, LAYOUT, shape=(20, 3))
    np.testing.assert_array_equal(PRIVATE.decrypt(vector), values)


def test_refusals(private2048: PrivateKey) -> None:
    one = THEIRS.public_key.encrypt(1.0, precision=2.0**-24)
    with pytest.raises(AuthenticationError, match="another key"):
        from_phe([one], private2048.public_key, LAYOUT)
    with pytest.raises(FixedPointRangeError, match="56 fraction bits.*precision=2"):
        from_phe([THEIRS.public_key.encrypt(0.1)], PUBLIC, LAYOUT)
    with pytest.raises(FixedPointRangeError, match="exponent 20"):
        from_phe([phe.EncryptedNumber(THEIRS.public_key, one.ciphertext(), 20)], PUBLIC, LAYOUT)
    with pytest.raises(ShapeError):
        from_phe([one], PUBLIC, LAYOUT, shape=(2,))
    for bad in (0, int(PUBLIC.n_squared), int(PRIVATE.p)):
        with pytest.raises(IntegrityError, match="ciphertext 0"):
            from_phe([phe.EncryptedNumber(THEIRS.public_key, bad, 0)], PUBLIC, LAYOUT)
    with pytest.raises(ConfigError, match="packed=False"):
        to_phe(PUBLIC.encrypt([1.0], LAYOUT))


def test_without_phe_the_error_says_what_to_install(public: PublicKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phe", None)
    with pytest.raises(ConfigError, match="pip install 'mpc\\[phe\\]'"):
        public_key_to_phe(public)
