"""Powers with and without the kernel, against Python's."""
from __future__ import annotations

import os

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc import ring
from mpc.paillier import Layout, PrivateKey, PublicKey
from mpc.paillier.modular import FixedBase, has_kernel, powers
from mpc.paillier.parallel import in_parallel

odd = st.integers(1, 3000).flatmap(lambda bits: st.integers(1 << bits, (1 << (bits + 1)) - 1)).map(lambda n: n | 1)
numbers = st.integers(0, 1 << 3100)


@pytest.fixture(params=[True, False], ids=["kernel", "GMP"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param and not ring.modular_lanes():
        pytest.skip("this machine, or the instruction set chosen, has no kernel for powers (AVX-512 IFMA)")
    if not request.param:
        monkeypatch.setattr(ring, "modular_lanes", lambda: 0)
    assert has_kernel(mpz(15)) is request.param
    return bool(request.param)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 40])
def test_powers(kernel: bool, count: int, private: PrivateKey) -> None:
    n, p = private.public_key.n_squared, private.p
    bases = [mpz(int.from_bytes(os.urandom(600), "little")) for _ in range(count)]
    bases[:3] = [mpz(0), mpz(1), n - 1][:count]
    assert powers(bases, p, n) == [pow(int(b), int(p), int(n)) for b in bases]


def test_fixed_base(kernel: bool, public: PublicKey) -> None:
    n = public.n_squared
    for bits in (1, 63, 64, 65, 511, 512):
        table = FixedBase(mpz(n - 7), n, bits)
        exponents = [0, 1, (1 << bits) - 1, *(int.from_bytes(os.urandom(64), "little") >> (512 - bits) for _ in range(9))]
        assert table.powers(exponents) == [pow(int(n) - 7, e, int(n)) for e in exponents]
        assert table.powers([]) == []


def test_encryption_and_decryption(kernel: bool, private: PrivateKey) -> None:
    key = PrivateKey(private.p, private.q, private.public_key.h, insecure_any_size=True)  # without tables yet
    x = np.linspace(-1, 1, 100)
    layout = Layout(1.0, 16, 2)
    np.testing.assert_allclose(key.decrypt(key.public_key.encrypt(x, layout) + key.encrypt(x, layout)), 2 * x, atol=2.0**-16)


@settings(max_examples=30)
@given(odd, st.lists(numbers, min_size=1, max_size=9), st.integers(1, 1 << 300))
def test_powers_of_any_size(n: int, bases: list[int], exponent: int) -> None:
    assert powers([mpz(b) for b in bases], mpz(exponent), mpz(n)) == [pow(b, exponent, n) for b in bases]


@settings(max_examples=30)
@given(odd, numbers, st.integers(1, 300), st.data())
def test_fixed_bases_of_any_size(n: int, base: int, bits: int, data: st.DataObject) -> None:
    exponents = data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=9))
    assert FixedBase(mpz(base), mpz(n), bits).powers(exponents) == [pow(base, e, n) for e in exponents]


@given(st.lists(st.integers(), max_size=50), st.integers(1, 9))
def test_pieces_come_back_in_order(items: list[int], together: int) -> None:
    def double(piece: list[int]) -> list[int]:
        return [2 * x for x in piece]

    assert in_parallel(double, items, together) == [2 * x for x in items]


def test_errors_come_through_threads() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda piece: [1 // x for x in piece], [1, 2, 3, 0])
