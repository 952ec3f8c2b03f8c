"""Keys: how they are made, what is refused, and their files."""
from __future__ import annotations

import copy
import os
import pickle
import stat
from pathlib import Path

import gmpy2
import pytest

from mpc.errors import AuthenticationError, ConfigError, IntegrityError
from mpc.paillier import (
    Layout,
    PrivateKey,
    PublicKey,
    generate_keypair,
    load_private_key,
    public_key_from_bytes,
    public_key_to_bytes,
    write_private_key,
)

LAYOUT = Layout(1.0, 16, 4)


def test_a_generated_key_is_of_the_papers_form() -> None:
    for bits in (128, 130, 512):
        public, private = generate_keypair(insecure_bits=bits)
        p, q = private.p, private.q
        assert public.n == p * q and public.n.bit_length() == bits == 2 * p.bit_length() == 2 * q.bit_length()
        assert p % 4 == q % 4 == 3 and gmpy2.gcd(p - 1, q - 1) == 2
        assert abs(p - q).bit_length() > bits // 2 - 100
        assert public.h is not None and gmpy2.jacobi(public.h, public.n) == 1
        assert gmpy2.jacobi(public.h, p) == -1  # minus a square is none
        assert private.decrypt(public.encrypt(0.5, LAYOUT)) == 0.5


def test_2048_bits_are_the_default() -> None:
    public, private = generate_keypair()
    assert public.bits == 2048
    assert private.decrypt(public.encrypt([0.25, -1.0])).tolist() == [0.25, -1.0]


def test_small_keys_must_be_asked_for_by_name(private: PrivateKey) -> None:
    for bits in (1024, 2047, 4096, 0):
        with pytest.raises(ConfigError, match="want 2048 or 3072"):
            generate_keypair(bits)
    for bits in (63, 62, -2):
        with pytest.raises(ConfigError, match="even number"):
            generate_keypair(insecure_bits=bits)
    with pytest.raises(ConfigError, match="1024 bits; want 2048 or 3072"):
        PublicKey(private.public_key.n)
    with pytest.raises(ConfigError, match="1024 bits; want 2048 or 3072"):
        PrivateKey(private.p, private.q)


def test_what_can_be_no_key_is_refused(private2048: PrivateKey) -> None:
    public = private2048.public_key
    for n in (gmpy2.next_prime(public.n), public.n + 1, 3 * gmpy2.next_prime(public.n // 3)):  # prime, even, 3 * prime
        with pytest.raises(ConfigError):
            PublicKey(n)
    for h in (0, 1, public.n - 1, public.n, private2048.p, -1):
        with pytest.raises(ConfigError, match="h that is not"):
            PublicKey(public.n, h)
    with pytest.raises(ConfigError, match="different primes"):
        PrivateKey(private2048.p, private2048.p)
    with pytest.raises(ConfigError, match="different primes"):
        PrivateKey(private2048.p, private2048.q + 2)


def test_keys_are_equal_by_their_modulus_and_do_not_travel_by_accident(private: PrivateKey, private2048: PrivateKey) -> None:
    public = private.public_key
    without = PublicKey(public.n, insecure_any_size=True)
    assert public == without and hash(public) == hash(without) and public != private2048.public_key
    for key in (public, private, public.noise):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(key)
        with pytest.raises(TypeError, match="pickle"):
            copy.copy(key)
    for half in (private.p, private.q):
        assert str(half) not in repr(private) and f"{half:x}"[:16] not in repr(private)


def test_another_keys_vector_is_not_decrypted(private: PrivateKey, private2048: PrivateKey) -> None:
    with pytest.raises(AuthenticationError, match="2048 bits"):
        private.decrypt(private2048.public_key.encrypt([1.0], LAYOUT))


def test_public_key_bytes(private: PrivateKey, private2048: PrivateKey) -> None:
    for key in (private2048.public_key, PublicKey(private2048.public_key.n)):
        back = public_key_from_bytes(public_key_to_bytes(key))
        assert back == key and back.h == key.h and back.fingerprint == key.fingerprint
    data = public_key_to_bytes(private2048.public_key)
    other = (b"XXXX" + data[4:], data[:4] + b"\7" + data[5:], data[:5] + b"\2" + data[6:])  # magic, version, h
    for bad in (b"", data[:3], data[:9], data[:-1], data + b"\0", *other):
        with pytest.raises(IntegrityError):
            public_key_from_bytes(bad)
    with pytest.raises(IntegrityError, match="bits; want"):
        public_key_from_bytes(data[:10] + b"\0" + data[11:])  # the modulus's highest byte
    with pytest.raises(ConfigError, match="1024 bits"):
        public_key_from_bytes(public_key_to_bytes(private.public_key))


def test_key_file(private2048: PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "aggregator.key"
    write_private_key(private2048, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    back = load_private_key(path)
    assert (back.p, back.q, back.public_key.h) == (private2048.p, private2048.q, private2048.public_key.h)
    with pytest.raises(ConfigError, match="not replaced"):
        write_private_key(private2048, path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0640"):
        load_private_key(path)


def test_a_damaged_key_file_is_refused_without_quoting_it(private2048: PrivateKey, tmp_path: Path) -> None:
    path, secret = tmp_path / "key", f"{private2048.p:x}"
    half, no_number = f'paillier_p = "{secret}"', f'paillier_p = "{secret}g"\npaillier_q = "5"'
    for text in ("", "paillier_p = 3", half, no_number, "#" * (1 << 15)):
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="no file of a Paillier private key") as caught:
            load_private_key(path)
        assert secret[:16] not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_private_key(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="no regular file"):
        load_private_key(tmp_path / "pipe")
