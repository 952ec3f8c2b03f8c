"""Noise: what it is, that each is used once, and that its pool does not survive a fork."""
from __future__ import annotations

import os

import gmpy2
import pytest
from gmpy2 import mpz

from mpc.errors import ConfigError
from mpc.paillier import Layout, Noise, PrivateKey, PublicKey
from mpc.paillier.noise import OwnerNoise, random_below

LAYOUT = Layout(1.0, 16, 4)


def without_h(private: PrivateKey) -> PrivateKey:
    return PrivateKey(private.p, private.q, insecure_any_size=True)


@pytest.mark.parametrize("kind", ["public", "owner", "public without h", "owner without h"])
def test_noise_is_an_nth_residue_of_large_order(private: PrivateKey, kind: str) -> None:
    key = without_h(private) if "without" in kind else private
    pool = key.noise if "owner" in kind else key.public_key.noise
    assert isinstance(pool, OwnerNoise) is ("owner" in kind)
    made = pool.take(6)
    n, n_squared, order = key.public_key.n, key.public_key.n_squared, (key.p - 1) * (key.q - 1)
    assert len(set(made)) == 6
    for noise in made:
        assert 0 < noise < n_squared and gmpy2.powmod(noise, order, n_squared) == 1  # an encryption of zero
        assert gmpy2.powmod(noise, order // 2 // (key.p >> 1 if key.p < key.q else key.q >> 1), n_squared) != 1
    assert all(noise % n != 1 for noise in made)


def test_what_was_made_ahead_is_used_once(public: PublicKey) -> None:
    pool = Noise(public)
    pool.prepare(5)
    pool.prepare(3)  # there are five already
    assert len(pool) == 5
    first = pool.take(2)
    assert len(pool) == 3
    rest = pool.take(7)  # three that were ready and four more
    assert len(pool) == 0 and len(set(first + rest)) == 9


def test_encryption_takes_from_the_pool_it_is_given(private: PrivateKey, private2048: PrivateKey) -> None:
    public = private.public_key
    pool = Noise(public)
    pool.prepare(1)
    vector = public.encrypt([0.5, -0.5], LAYOUT, noise=pool)
    assert len(pool) == 0 and private.decrypt(vector).tolist() == [0.5, -0.5]
    with pytest.raises(ConfigError, match="another key"):
        public.encrypt([0.5], LAYOUT, noise=private2048.public_key.noise)


def test_a_forked_child_does_not_use_its_parents_noise(public: PublicKey) -> None:
    pool = Noise(public)
    pool.prepare(3)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, b"|".join(str(int(x)).encode() for x in (len(pool), *pool.take(3))))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as end:
        count, *theirs = (int(x) for x in end.read().split(b"|"))
    assert count == 0 and len(theirs) == 3
    assert not set(theirs) & {int(x) for x in pool.take(3)}


def test_random_below_reaches_everything_and_no_more() -> None:
    assert {int(random_below(mpz(6))) for _ in range(400)} == {1, 2, 3, 4, 5}
