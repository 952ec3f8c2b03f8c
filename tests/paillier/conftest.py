"""Fixed keys: 1024 bits where only the arithmetic matters, 2048 bits as users have them."""
from __future__ import annotations

import pytest

from mpc.paillier import PrivateKey, PublicKey
from tests.paillier.keys import fixed_private


@pytest.fixture(scope="session")
def private() -> PrivateKey:
    return fixed_private(1024)


@pytest.fixture(scope="session")
def public(private: PrivateKey) -> PublicKey:
    return private.public_key


@pytest.fixture(scope="session")
def private2048() -> PrivateKey:
    return fixed_private(2048)
