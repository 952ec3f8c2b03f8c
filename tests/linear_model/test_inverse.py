"""The inverse of a positive matrix in more bits than tensors have."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.linear_model.inverse import FAST, PLAIN, inverse
from mpc.ops.value import Value
from mpc.party import current
from mpc.tensor import SecretTensor
from tests.linear_model.sets import Array, run, ways


def matrix(eigenvalues: Array) -> Array:
    """Symmetric, positive, with a diagonal below 1."""
    q, _ = np.linalg.qr(np.random.default_rng(len(eigenvalues)).normal(size=(len(eigenvalues),) * 2))
    a = q * eigenvalues @ q.T
    return a * (0.99 / np.diag(a).max())


def inverted(a: Array, protocol: str, parties: int) -> Array:
    def program() -> Any:
        with mpc.session():
            party = current()
            share = party.share(a, 0, scale=40)
            return SecretTensor(Value(party, inverse(party, share))).reveal(check_range=False)

    got: Array = run(program, protocol, parties)
    return got


def left_over(x: Array) -> Array:
    """1 - a v for an eigenvalue x of a scaled below 1: what the iteration says without rounding."""
    v = np.full(x.shape, 15 / 8)
    for k in range(FAST + PLAIN):
        v = v * (2 - x * v) * (15 / 8 if k < FAST else 1)
    return 1 - x * v


@pytest.mark.parametrize("size", [1, 2, 5, 30, 64])
@ways
def test_inverse(protocol: str, parties: int, size: int) -> None:
    """Every eigenvalue of a down to 2^-20 of its size is inverted as far as the iteration goes."""
    a = matrix(np.geomspace(1.0, 2.0**-18, size))
    share = np.linalg.eigvalsh(a) / 2.0 ** np.ceil(np.log2(size))
    got = inverted(a, protocol, parties)
    for rest in (np.eye(size) - got @ a, np.eye(size) - a @ got):
        found = np.sort(np.linalg.eigvals(rest).real)
        np.testing.assert_allclose(found, np.sort(left_over(share)), atol=2e-3)
    assert np.abs(left_over(share[share > 2.0**-17])).max() < 0.05


@ways
def test_singular(protocol: str, parties: int) -> None:
    """Directions of no size stay finite, and the others are inverted all the same."""
    a = matrix(np.r_[np.geomspace(1.0, 2.0**-6, 6), np.zeros(3)])
    got = inverted(a, protocol, parties)
    assert np.abs(got).max() < 2.0**18
    np.testing.assert_allclose(a @ got @ a, a, atol=1e-3)
