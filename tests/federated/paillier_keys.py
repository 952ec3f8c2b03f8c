"""Fixed keys of 512 bits for tests: one held whole and shared among three, and another. Too small for any use."""
from __future__ import annotations

from typing import Final

from mpc.paillier import PrivateKey, generate_keypair
from mpc.paillier.dealing import deal

_PRIMES: Final = (
    0xf6116ce3124399d97b9f12b960d658fab4e67394121bee390bd3bcb4669b3537,
    0xf2b3a97abd2604ab865cd40f53533080b5f88ef0f672bf2003de35ae05ec620f,
)
SHARES: Final = deal(parties=3, threshold=2, insecure_primes=_PRIMES)
PRIVATE: Final = PrivateKey(*_PRIMES, SHARES[0].public_key.h, insecure_any_size=True)
PUBLIC: Final = PRIVATE.public_key
OTHER: Final = generate_keypair(insecure_bits=512)[0]
