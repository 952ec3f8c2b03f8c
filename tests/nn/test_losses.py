"""Losses: value and gradient against torch, computed only when asked for."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.nn import functional as F
from tests.tensor.recorder import Recorder

SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]
Z = np.linspace(-15, 15, 61)
Y = (np.arange(61) * 7 % 11) / 10.0 * (np.arange(61) % 3 > 0)


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_value_and_gradient(protocol: str, parties: int, name: str, reduction: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")

    def program() -> Any:
        with mpc.session():
            z, y = mpc.share(Z, 0, requires_grad=True), mpc.share(Y, 1)
            loss = getattr(F, name)(z, y, reduction)
            weights = np.linspace(1, 2, 61) if reduction == "none" else None
            loss.backward(weights)
            return loss.reveal(reason="loss"), z.grad.reveal()

    value, gradient = run(program, parties, protocol)
    z = torch.tensor(Z, requires_grad=True)
    want = getattr(torch.nn.functional, name)(z, torch.tensor(Y), reduction=reduction)
    want.backward(torch.linspace(1, 2, 61).double() if reduction == "none" else None)
    each = F.BCE_MAX_ERROR if name.startswith("binary") else 5e-4
    np.testing.assert_allclose(value, want.detach().numpy(), atol=each * (61 if reduction == "sum" else 1), rtol=1e-3)
    np.testing.assert_allclose(gradient, z.grad.numpy(), atol=6e-4, rtol=1e-3)


@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_bce_error_bound(protocol: str, parties: int) -> None:
    grid = np.linspace(-16, 16, 4001)

    def program() -> Any:
        with mpc.session():
            z = mpc.share(grid, 0)
            return F.binary_cross_entropy_with_logits(z, np.zeros_like(grid), "none").reveal()

    assert np.abs(run(program, parties, protocol) - np.logaddexp(0, grid)).max() <= F.BCE_MAX_ERROR + 2**-15


def test_a_loss_costs_nothing_until_it_is_used() -> None:
    def program() -> Any:
        with mpc.session() as s:
            z, y = mpc.share(Z, 0, requires_grad=True), mpc.share(Y, 1)
            recorder = Recorder(s)
            loss = (F.mse_loss(z, y) + F.binary_cross_entropy_with_logits(z, y)) / 2 + 1
            loss.backward()
            trained = recorder.counts()
            recorder.clear()
            first, second = loss.reveal(), loss.reveal()
            assert first == second and repr(loss) == "SecretTensor(shape=(), requires_grad=True)"
            return trained, recorder.counts(), float(first), z.grad.reveal()

    trained, used, value, gradient = run(program)
    assert trained == {"sigmoid": 1}
    assert used["relu"] == 1 and used["sigmoid"] == 1 and used["square"] == 1
    mse, bce = ((Z - Y) ** 2).mean(), (np.logaddexp(0, Z) - Z * Y).mean()
    assert value == pytest.approx((mse + bce) / 2 + 1, rel=2e-4)  # 1/61 has 12 significant bits
    np.testing.assert_allclose(gradient, (2 * (Z - Y) + 1 / (1 + np.exp(-Z)) - Y) / 122, atol=1e-4)


def test_losses_as_modules_and_public_targets() -> None:
    def program() -> Any:
        with mpc.session():
            z = mpc.share(Z, 0)
            return [
                float(loss(z, Y).reveal())
                for loss in (mpc.nn.MSELoss(), mpc.nn.BCEWithLogitsLoss(), mpc.nn.MSELoss(reduction="sum"))
            ]

    mse, bce, total = run(program)
    assert mse == pytest.approx(((Z - Y) ** 2).mean(), rel=2e-4) and total == pytest.approx(61 * mse, rel=2e-4)
    assert bce == pytest.approx((np.logaddexp(0, Z) - Z * Y).mean(), abs=1e-3)


def test_mistakes() -> None:
    def program() -> None:
        with mpc.session():
            z = mpc.share(Z, 0)
            with pytest.raises(mpc.ShapeError, match=r"\(61,\) and \(61, 1\)"):
                F.mse_loss(z, Y[:, None])
            with pytest.raises(mpc.ConfigError, match="reduction"):
                F.mse_loss(z, Y, "average")
            with pytest.raises(mpc.NotSupported, match="detach"):
                F.binary_cross_entropy_with_logits(z, mpc.share(Y, 0, requires_grad=True))

    run(program)
