"""Every layer against torch, in value and gradient, under the plaintext twin and on shares."""
from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import mpc
from tests.nn.cases import CASES, ULP, Case
from tests.owners import mixed

torch = pytest.importorskip("torch", reason="torch (the extra 'torch') is the reference for layers")

SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]


@cache
def reference(case: Case) -> Any:
    """(start, value, gradients, running statistics afterwards, value in evaluation) in torch's float64."""
    torch.manual_seed(len(case.name))
    module = case.make(torch.nn).double()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.dtype.is_floating_point:
                tensor.copy_(torch.round(tensor / ULP) * ULP)
    start = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.tensor(case.input(), requires_grad=True)
    out = module(x)
    (out * torch.tensor(case.seed(tuple(out.shape)))).sum().backward()
    gradients = {"": x.grad.numpy()} | {name: p.grad.numpy() for name, p in module.named_parameters()}
    buffers = {name: b.numpy().copy() for name, b in module.named_buffers()}
    return start, out.detach().numpy(), gradients, buffers, module.eval()(x).detach().numpy()


def _on_secrets(case: Case) -> Any:
    module = case.make(mpc.nn)
    module.load_state_dict(reference(case)[0])
    x = mixed(case.input(), requires_grad=True)
    out = module(x)
    (out * case.seed(out.shape)).sum().backward()
    gradients = {"": x.grad} | {name: p.grad for name, p in module.named_parameters()}
    buffers = {n: b if isinstance(b, int) else b.reveal(reason="test") for n, b in module.named_buffers()}
    later = module.eval()(x).reveal(reason="test")
    return out.reveal(reason="test"), {n: g.reveal(reason="test") for n, g in gradients.items()}, buffers, later


def _program() -> dict[str, Any]:
    with mpc.session():
        return {case.name: _on_secrets(case) for case in CASES}


@cache
def results(protocol: str, parties: int) -> list[dict[str, Any]]:
    for case in CASES:
        reference(case)  # torch is not asked from several threads at once
    return mpc.local(_program, parties=parties, protocol=protocol, threads=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("protocol,parties", SETTINGS, ids=lambda v: str(v))
def test_agrees_with_torch(protocol: str, parties: int, case: Case) -> None:
    _, *wanted = reference(case)
    everywhere = results(protocol, parties)
    got, gradients, buffers, later = everywhere[0][case.name]
    value, want_gradients, want_buffers, want_later = wanted
    np.testing.assert_allclose(got, value, atol=case.ulps * ULP, rtol=0)
    coarse = 2**-13 if buffers else 0  # the running variance moves by coefficients of 12 bits
    np.testing.assert_allclose(later, want_later, atol=case.ulps * ULP, rtol=coarse)
    loose = (4 * case.ulps if case.gradient_ulps is None else case.gradient_ulps) * ULP
    assert gradients.keys() == want_gradients.keys() and buffers.keys() == want_buffers.keys()
    for name, want in want_gradients.items():
        np.testing.assert_allclose(gradients[name], want, atol=loose, rtol=0, err_msg=name)
    for name, want in want_buffers.items():
        np.testing.assert_allclose(buffers[name], want, atol=4 * ULP, rtol=2**-12, err_msg=name)
    for other in everywhere[1:]:
        np.testing.assert_array_equal(other[case.name][0], got)
