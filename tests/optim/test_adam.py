"""Adam and AdamW against torch, gradient clipping, and what they cost."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.nn.utils import clip_grad_norm_, clip_grad_value_

RNG = np.random.default_rng(11)
X = RNG.normal(size=(40, 6))
Y = (X @ RNG.normal(size=(6, 1)) + 0.1 * RNG.normal(size=(40, 1)) > 0).astype(float)
SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


def _model() -> Any:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))


OPTIONS = [
    ("Adam", {"lr": 0.02}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "weight_decay": 0.05}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.5}),
    ("Adam", {"lr": 0.02, "gradient_scale": 256.0}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("protocol,parties", SETTINGS, ids=str)
def test_adam_follows_torch(protocol: str, parties: int, name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")
    steps = 15

    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(3)
            x, y = mpc.share(X, 0), mpc.share(Y, 1)
            model = _model()
            start = model.reveal()
            optimizer = getattr(mpc.optim, name)(model.parameters(), **options)
            for _ in range(steps):
                optimizer.zero_grad()
                nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
                optimizer.step()
            return start, model.reveal()

    start, end = run(program, parties, protocol)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).double()
    model.load_state_dict({key: torch.tensor(value) for key, value in start.items()})
    theirs = {key: value for key, value in options.items() if key != "gradient_scale"}
    optimizer = getattr(torch.optim, name)(model.parameters(), **theirs)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(torch.tensor(X)), torch.tensor(Y)).backward()
        optimizer.step()
    for key, want in model.state_dict().items():
        moved = np.abs(want.numpy() - start[key])
        # 1.1 % of every step at worst, and m, v and the step each rounded
        np.testing.assert_allclose(end[key], want.numpy(), atol=0.02 * options["lr"] * steps + 1e-3)
        assert moved.max() > 0.05 * options["lr"] * steps  # the bound is small beside what happened


def test_a_parameter_without_gradient_stays_and_an_exact_zero_gradient_too() -> None:
    def program() -> Any:
        with mpc.session():
            a, b = (mpc.share(np.ones(3), 0, requires_grad=True) for _ in range(2))
            optimizer = mpc.optim.Adam([a, b], lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                (a * mpc.share(np.array([0.0, 1.0, -2.0]), 1)).sum().backward()
                optimizer.step()
            return a.reveal(), b.reveal()

    for protocol, parties in SETTINGS:
        a, b = run(program, parties, protocol)
        np.testing.assert_array_equal(b, 1.0)
        assert a[0] == 1.0
        np.testing.assert_allclose(a, [1.0, 0.7, 1.3], atol=0.01)


def test_adam_state_goes_on_after_loading() -> None:
    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(3)
            x, y = mpc.share(X, 0), mpc.share(Y, 1)
            ends = []
            for restart in (False, True):
                s.manual_seed(3)
                model = _model()
                optimizer = mpc.optim.Adam(model.parameters(), lr=0.05)
                for step in range(6):
                    if restart and step == 3:
                        state = optimizer.state_dict()
                        optimizer = mpc.optim.Adam(model.parameters(), lr=0.7)
                        optimizer.load_state_dict(state)
                    optimizer.zero_grad()
                    nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
                    optimizer.step()
                ends.append(model.reveal())
            return ends

    whole, resumed = run(program)
    for key in whole:
        np.testing.assert_array_equal(whole[key], resumed[key])


@pytest.mark.parametrize("protocol,parties", SETTINGS, ids=str)
@pytest.mark.parametrize("max_norm", [0.05, 0.7, 1e3])
def test_clipping_by_norm_follows_torch(protocol: str, parties: int, max_norm: float) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=(5, 3)), rng.normal(size=7)]

    def program() -> Any:
        with mpc.session():
            leaves = [mpc.constant(np.zeros_like(w), requires_grad=True) for w in weights]
            loss = sum((leaf * mpc.share(w, 0)).sum() for leaf, w in zip(leaves, weights, strict=True)) * 0.3
            loss.backward()
            norm = clip_grad_norm_(leaves, max_norm)
            return [leaf.grad.reveal() for leaf in leaves], norm.reveal()

    got, norm = run(program, parties, protocol)
    leaves = [torch.zeros(w.shape, dtype=torch.float64, requires_grad=True) for w in weights]
    (sum((leaf * torch.tensor(w)).sum() for leaf, w in zip(leaves, weights, strict=True)) * 0.3).backward()
    want = torch.nn.utils.clip_grad_norm_(leaves, max_norm)
    assert abs(norm - float(want)) < 1e-3
    for mine, leaf in zip(got, leaves, strict=True):
        np.testing.assert_allclose(mine, leaf.grad.numpy(), atol=2e-4)


def test_clipping_by_value() -> None:
    def program() -> Any:
        with mpc.session():
            leaf = mpc.constant(np.zeros(4), requires_grad=True)
            (leaf * np.array([3.0, -0.25, 0.5, -9.0])).sum().backward()
            clip_grad_value_(leaf, 0.5)
            return leaf.grad.reveal()

    np.testing.assert_allclose(run(program), [0.5, -0.25, 0.5, -0.5], atol=1e-4)


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"betas": (1.0, 0.9)}, {"eps": float("nan")}, {"gradient_scale": 0.0}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    def program() -> None:
        with mpc.session():
            mpc.optim.Adam([{"params": [mpc.constant(np.zeros(2), requires_grad=True)], **options}])

    with pytest.raises(mpc.ConfigError):
        run(program)


def test_momentum_outlives_a_rate_of_zero() -> None:
    def program() -> Any:
        with mpc.session():
            p = mpc.share(np.ones(1), 0, requires_grad=True)
            optimizer = mpc.optim.SGD([p], lr=0.1, momentum=0.9)
            for rate in (0.1, 0.1, 0.0, 0.1):
                optimizer.param_groups[0]["lr"] = rate
                optimizer.zero_grad()
                (p * 1.0).sum().backward()
                optimizer.step()
            return p.reveal()

    # buf: 1, 1.9, 2.71, 3.439; p = 1 - 0.1 (1 + 1.9 + 3.439)
    for protocol, parties in SETTINGS:
        np.testing.assert_allclose(run(program, parties, protocol), [0.3661], atol=1e-3)


def test_every_group_has_its_own_eps_and_every_scale_steps() -> None:
    def program() -> Any:
        with mpc.session():
            a, b = (mpc.constant(np.zeros(3), requires_grad=True) for _ in range(2))
            optimizer = mpc.optim.Adam([{"params": [a], "eps": 1.0}, {"params": [b], "eps": 1e-8}], lr=0.125)
            ((a + b) * mpc.share(np.array([0.25, 0.5, -0.5]), 0)).sum().backward()
            optimizer.step()
            return a.reveal(), b.reveal()

    for frac_bits in (12, 16, 22, 24):
        a, b = mpc.local(program, parties=2, threads=True, frac_bits=frac_bits)[0]
        np.testing.assert_allclose(b, [-0.125, -0.125, 0.125], atol=0.003)
        np.testing.assert_allclose(a, [-0.03125, -0.0625, 0.0625], atol=0.003)  # eps bounds sqrt(v): lr g
