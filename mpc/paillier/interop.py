"""Keys and ciphertexts from and to phe (python-paillier), which encrypts each number alone: an optional extra, under GPLv3.

phe's number is mantissa * 16^exponent with g = n + 1 and negative mantissas from n downwards, so its ciphertexts are
ours of one centred digit. Coming here they are packed without decryption, by one power and one product a number; going
there a vector must have a layout with ``packed=False``. phe's keys have no h: noise for them is r^n, ten times slower.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gmpy2
from gmpy2 import mpz

from mpc.errors import AuthenticationError, ConfigError, FixedPointRangeError, ShapeError
from mpc.paillier.keys import PrivateKey, PublicKey
from mpc.paillier.packing import Layout
from mpc.paillier.serial import check_ciphertexts
from mpc.paillier.vector import EncryptedVector

if TYPE_CHECKING:
    import phe

EXPONENT_BITS = 4  # of phe's base 16


def public_key_from_phe(key: phe.PaillierPublicKey, *, insecure_any_size: bool = False) -> PublicKey:
    """Raises ConfigError where its modulus is none that this package takes."""
    return PublicKey(key.n, insecure_any_size=insecure_any_size)


def public_key_to_phe(key: PublicKey) -> phe.PaillierPublicKey:
    """phe's public key of the same modulus (h is lost: phe's noise is r^n)."""
    return _phe().PaillierPublicKey(int(key.n))


def private_key_from_phe(key: phe.PaillierPrivateKey, *, insecure_any_size: bool = False) -> PrivateKey:
    return PrivateKey(key.p, key.q, insecure_any_size=insecure_any_size)


def private_key_to_phe(key: PrivateKey) -> phe.PaillierPrivateKey:
    return _phe().PaillierPrivateKey(public_key_to_phe(key.public_key), int(key.p), int(key.q))


def from_phe(
    numbers: Sequence[phe.EncryptedNumber], public_key: PublicKey, layout: Layout, *, shape: tuple[int, ...] | None = None
) -> EncryptedVector:
    """phe's numbers, packed into a vector of this layout. That they keep to its bound is their encryptor's word.

    Raises AuthenticationError (another key), IntegrityError (no ciphertext), FixedPointRangeError (a number with more
    fraction bits than the layout's: encrypt with phe's ``precision=2**-frac_bits``), ShapeError.
    """
    numbers = list(numbers)
    shape = (len(numbers),) if shape is None else shape
    if math.prod(shape) != len(numbers):
        raise ShapeError(f"got {len(numbers)} numbers; want {math.prod(shape)} for shape {shape}")
    for number in numbers:
        if number.public_key.n != public_key.n:
            raise AuthenticationError(f"got a number of phe under another key; want {public_key!r}")
        if -EXPONENT_BITS * number.exponent > layout.frac_bits:
            raise FixedPointRangeError(
                f"got a number of phe with {-EXPONENT_BITS * number.exponent} fraction bits (exponent {number.exponent}); "
                f"want at most {layout.frac_bits}, the layout's: encrypt with precision=2**-{layout.frac_bits // 4 * 4}"
            )
        if EXPONENT_BITS * number.exponent > layout.value_bits:
            raise FixedPointRangeError(f"got a number of phe with exponent {number.exponent}; want |x| <= {layout.bound:g}")
    ciphertexts = [mpz(number.ciphertext(be_secure=True)) for number in numbers]  # phe adds noise to what it computed
    check_ciphertexts(ciphertexts, public_key)
    slots, n_squared, out = layout.slots(public_key.bits), public_key.n_squared, []
    shifts = [layout.frac_bits + EXPONENT_BITS * number.exponent for number in numbers]
    for start in range(0, len(numbers), slots):
        total = mpz(1)
        for c, shift in zip(reversed(ciphertexts[start : start + slots]), reversed(shifts[start : start + slots]), strict=True):
            total = gmpy2.powmod(total, 1 << layout.slot_bits, n_squared) * gmpy2.powmod(c, 1 << shift, n_squared) % n_squared
        out.append(total)
    return EncryptedVector(public_key, layout, shape, out)


def to_phe(vector: EncryptedVector) -> list[phe.EncryptedNumber]:
    """phe's numbers of a vector that is not packed, in C order. The ciphertexts are passed on as they are: `rerandomise`
    first where that matters. Raises ConfigError for a packed vector."""
    if vector.layout.packed:
        raise ConfigError("got a packed vector; phe has one number in a ciphertext: encrypt under a layout with packed=False")
    key, extra = public_key_to_phe(vector.public_key), -vector.scale % EXPONENT_BITS
    n_squared, exponent = vector.public_key.n_squared, -(vector.scale + extra) // EXPONENT_BITS
    kind = _phe().EncryptedNumber
    return [kind(key, int(gmpy2.powmod(c, 1 << extra, n_squared)), exponent) for c in vector.ciphertexts]


def _phe() -> Any:
    try:
        import phe
    except ImportError:
        raise ConfigError("phe is not installed; want it for its keys and ciphertexts: pip install 'mpc[phe]'") from None
    return phe
