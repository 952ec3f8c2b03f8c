"""Losses: value and gradient against torch, computed only when asked for."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.nn import functional as F
from mpc.nn.functional.binary import BCE_MAX_ERROR
from tests.nn.cases import ULP
from tests.owners import mixed
from tests.tensor.recorder import Recorder

SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]
Z = np.linspace(-15, 15, 61)
Y = (np.arange(61) * 7 % 11) / 10.0 * (np.arange(61) % 3 > 0)


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


@dataclass(frozen=True)
class Loss:
    """``options`` of the function ``name``; input of ``shape``, target as ``target`` says; errors in units of 2^-16."""

    name: str
    target: str = "real"
    options: dict[str, Any] = field(default_factory=dict)
    ulps: float = 4
    gradient_ulps: float = 4
    shape: tuple[int, ...] = (12, 5)
    high: float = 6.0

    def __str__(self) -> str:
        shown = {k: v if isinstance(v, (int, float, str)) else "array" for k, v in self.options.items()}
        return " ".join([self.name, self.target, str(self.shape), *(f"{k}={v}" for k, v in shown.items())])

    def input(self) -> np.ndarray:
        z = np.random.default_rng(5).uniform(-self.high, self.high, self.shape)
        if self.name == "nll_loss":
            z = z - np.log(np.exp(z).sum(1, keepdims=True))
        return np.round(z / ULP) * ULP

    def targets(self) -> np.ndarray:
        rng = np.random.default_rng(6)
        classes = rng.integers(0, self.shape[1], (self.shape[0], *self.shape[2:]))
        if self.target.endswith("classes"):
            return classes
        if self.target.endswith("one-hot"):
            return np.moveaxis(np.eye(self.shape[1], dtype=int)[classes], -1, 1)
        y = rng.uniform(0, 1, self.shape)
        return np.round((y / y.sum(1, keepdims=True) if self.target == "probabilities" else y) / ULP) * ULP


W = np.array([0.5, 1.0, 2.0, 0.25, 1.5])
BCE_ULPS = BCE_MAX_ERROR / ULP + 2
SIGMOID_ULPS = 3e-4 / ULP + 2
SOFTMAX_ULPS = 5e-4 / ULP  # what softmax and log_softmax promise
LOSSES = [
    Loss("mse_loss"),
    Loss("mse_loss", "public"),
    Loss("l1_loss"),
    Loss("huber_loss"),
    Loss("huber_loss", options={"delta": 2.5}),
    Loss("smooth_l1_loss"),
    Loss("smooth_l1_loss", "public", {"beta": 0.5}),
    Loss("smooth_l1_loss", options={"beta": 0.0}),
    Loss("binary_cross_entropy_with_logits", ulps=BCE_ULPS, gradient_ulps=SIGMOID_ULPS, high=15.0),
    Loss("binary_cross_entropy_with_logits", "public", ulps=BCE_ULPS, gradient_ulps=SIGMOID_ULPS),
    Loss("binary_cross_entropy_with_logits", "public", {"weight": W}, 2 * BCE_ULPS, 2 * SIGMOID_ULPS),
    Loss("binary_cross_entropy_with_logits", "real", {"pos_weight": W}, 2 * BCE_ULPS, 2 * SIGMOID_ULPS),
    Loss("binary_cross_entropy_with_logits", "public", {"pos_weight": W}, 2 * BCE_ULPS, 2 * SIGMOID_ULPS),
    Loss("nll_loss", "classes"),
    Loss("nll_loss", "classes", {"weight": W}),
    Loss("nll_loss", "secret classes"),
    Loss("nll_loss", "classes", shape=(4, 5, 2, 3)),
    Loss("cross_entropy", "one-hot", {}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "classes", {}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "secret classes", {}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "probabilities", {}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "public one-hot", {}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "one-hot", {"label_smoothing": 0.1}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "classes", {"label_smoothing": 0.1}, SOFTMAX_ULPS, SOFTMAX_ULPS),
    Loss("cross_entropy", "classes", {"weight": W, "label_smoothing": 0.2}, 2 * SOFTMAX_ULPS, 2 * SOFTMAX_ULPS),
    Loss("cross_entropy", "classes", {"weight": W, "ignore_index": 2}, 2 * SOFTMAX_ULPS, 2 * SOFTMAX_ULPS),
    Loss("cross_entropy", "one-hot", {"weight": W}, 2 * SOFTMAX_ULPS, 2 * SOFTMAX_ULPS),
    Loss("cross_entropy", "probabilities", {"weight": W, "label_smoothing": 0.1}, 2 * SOFTMAX_ULPS, 2 * SOFTMAX_ULPS),
    Loss("cross_entropy", "classes", {}, SOFTMAX_ULPS, SOFTMAX_ULPS, (4, 5, 2, 3)),
    Loss("cross_entropy", "one-hot", {}, SOFTMAX_ULPS, SOFTMAX_ULPS, (4, 5, 2, 3)),
]
REDUCTIONS = ("mean", "sum", "none")
PUBLIC = ("public", "public one-hot", "classes")


def weights(loss: Loss, count: int) -> np.ndarray:
    """Of the terms, where there are many: every element's gradient differs."""
    return np.random.default_rng(7).integers(-8, 9, count) / 8.0


def on_secrets(loss: Loss, reduction: str) -> Any:
    z = mixed(loss.input(), requires_grad=True)
    y = loss.targets() if loss.target in PUBLIC else mpc.share(loss.targets(), 1)
    out = getattr(F, loss.name)(z, y, reduction=reduction, **loss.options)
    out.backward(weights(loss, out.numel()).reshape(out.shape) if reduction == "none" else None)
    return out.reveal(reason="loss"), z.grad.reveal(reason="gradient")


def program() -> Any:
    with mpc.session():
        return {(str(loss), r): on_secrets(loss, r) for loss in LOSSES for r in REDUCTIONS}


@cache
def results(protocol: str, parties: int) -> Any:
    return run(program, parties, protocol)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_value_and_gradient(protocol: str, parties: int, loss: Loss, reduction: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")
    value, gradient = results(protocol, parties)[str(loss), reduction]
    z = torch.tensor(loss.input(), requires_grad=True)
    y = torch.tensor(loss.targets() if loss.target.endswith("classes") else loss.targets().astype(float))
    options = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in loss.options.items()}
    want = getattr(torch.nn.functional, loss.name)(z, y, reduction=reduction, **options)
    want.backward(torch.tensor(weights(loss, want.numel()).reshape(want.shape)) if reduction == "none" else None)
    terms = z.numel() if reduction == "sum" else 1
    np.testing.assert_allclose(value, want.detach().numpy(), atol=loss.ulps * terms * ULP, rtol=2**-12)  # rtol: of 1/n
    np.testing.assert_allclose(gradient, z.grad.numpy(), atol=loss.gradient_ulps * ULP, rtol=0)


@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_bce_error_bound(protocol: str, parties: int) -> None:
    grid = np.linspace(-16, 16, 4001)

    def program() -> Any:
        with mpc.session():
            z = mixed(grid)
            return F.binary_cross_entropy_with_logits(z, np.zeros_like(grid), reduction="none").reveal()

    assert np.abs(run(program, parties, protocol) - np.logaddexp(0, grid)).max() <= BCE_MAX_ERROR + 2**-15


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
    assert trained == {"saturated": 1}
    assert used["relu"] == 1 and used["saturated"] == 1 and used["square"] == 1
    mse, bce = ((Z - Y) ** 2).mean(), (np.logaddexp(0, Z) - Z * Y).mean()
    assert value == pytest.approx((mse + bce) / 2 + 1, rel=2e-4)  # 1/61 has 12 significant bits
    np.testing.assert_allclose(gradient, (2 * (Z - Y) + 1 / (1 + np.exp(-Z)) - Y) / 122, atol=1e-4)


def test_losses_as_modules_and_public_targets() -> None:
    def program() -> Any:
        with mpc.session():
            z = mixed(Z)
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
                F.mse_loss(z, Y, reduction="average")
            with pytest.raises(mpc.NotSupported, match="detach"):
                F.binary_cross_entropy_with_logits(z, mpc.share(Y, 0, requires_grad=True))

    run(program)
