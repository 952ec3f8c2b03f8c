"""Every operation against torch, in value and gradient, under the plaintext twin and on shares."""
from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import mpc
from tests.owners import mixed
from tests.tensor.cases import CASES, Case

torch = pytest.importorskip("torch", reason="torch (the extra 'torch') is the reference for gradients")

SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]


class TorchNames:
    """What a case calls, in torch."""

    plain = True
    where, cat, stack = torch.where, torch.cat, torch.stack
    relu, sigmoid, square, broadcast_to = torch.relu, torch.sigmoid, torch.square, torch.broadcast_to
    gelu, maximum, minimum = torch.nn.functional.gelu, torch.maximum, torch.minimum
    public = staticmethod(torch.tensor)
    mask = staticmethod(torch.tensor)
    indices = staticmethod(torch.tensor)


class SecretNames:
    """What a case calls, on secret tensors."""

    plain = False
    where, cat, stack = staticmethod(mpc.where), staticmethod(mpc.cat), staticmethod(mpc.stack)
    relu = staticmethod(lambda x: x.relu())
    sigmoid = staticmethod(lambda x: x.sigmoid())
    square = staticmethod(lambda x: x.square())
    broadcast_to = staticmethod(lambda x, shape: x.broadcast_to(shape))
    gelu = staticmethod(lambda x: x.gelu())
    maximum = staticmethod(lambda x, y: x.maximum(y))
    minimum = staticmethod(lambda x, y: x.minimum(y))
    public = staticmethod(np.array)
    mask = staticmethod(np.array)
    indices = staticmethod(list)


def _on_secrets(case: Case) -> Any:
    inputs = [mixed(x, requires_grad=True) for x in case.inputs()]
    out = case.function(SecretNames, *inputs)
    if case.gradient:
        (out * case.seed(out.shape)).sum().backward()
    gradients = [None if x.grad is None else x.grad.reveal(reason="test") for x in inputs]
    return out.reveal(reason="test"), gradients


def _program() -> dict[str, Any]:
    with mpc.session():
        return {case.name: _on_secrets(case) for case in CASES}


@cache
def results(protocol: str, parties: int) -> list[dict[str, Any]]:
    return mpc.local(_program, parties=parties, protocol=protocol, threads=True)


def _in_torch(case: Case) -> Any:
    inputs = [torch.tensor(x, requires_grad=True) for x in case.inputs()]
    out = case.function(TorchNames, *inputs)
    if case.gradient:
        (out * torch.tensor(case.seed(tuple(out.shape)))).sum().backward()
    return out.detach().numpy().astype(float), [None if x.grad is None else x.grad.numpy() for x in inputs]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("protocol,parties", SETTINGS, ids=lambda v: str(v))
def test_agrees_with_torch(protocol: str, parties: int, case: Case) -> None:
    value, gradients = _in_torch(case)
    everywhere = results(protocol, parties)
    got, got_gradients = everywhere[0][case.name]
    assert got.shape == value.shape
    np.testing.assert_allclose(got, value, atol=case.tolerance, rtol=1e-4)
    for mine, want in zip(got_gradients, gradients, strict=True):
        assert (mine is None) == (want is None)
        if want is not None:
            assert mine.shape == want.shape
            np.testing.assert_allclose(mine, want, atol=4 * case.tolerance, rtol=1e-3)
    for other in everywhere[1:]:
        np.testing.assert_array_equal(other[case.name][0], got)
