"""What comes from the public generator: initial values as torch draws them, dropout's mask; and embeddings."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.nn import functional as F
from tests.nn.cases import ULP
from tests.owners import mixed

torch = pytest.importorskip("torch", reason="torch (the extra 'torch') is the reference")

SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)


LAYERS = [
    lambda nn: nn.Linear(30, 200),
    lambda nn: nn.Conv1d(6, 100, 5),
    lambda nn: nn.Conv2d(8, 100, 3, groups=2),
    lambda nn: nn.Embedding(60, 50),
    lambda nn: nn.BatchNorm2d(4),
    lambda nn: nn.LayerNorm((3, 4)),
]


@pytest.mark.parametrize("make", LAYERS)
def test_initial_values_are_distributed_as_torch_does(make: Callable[[Any], Any]) -> None:
    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(1)
            return make(nn).reveal()

    torch.manual_seed(0)
    want = {name: value.numpy() for name, value in make(torch.nn).state_dict().items()}
    got = run(program)[0]
    assert got.keys() == want.keys()
    for name, values in want.items():
        assert got[name].shape == values.shape
        spread = values.std() if values.size > 1 else 0.0
        # a uniform sample's deviation scatters by 0.45 / sqrt(n); both are samples
        assert abs(got[name].std() - spread) <= 4 * 0.64 / np.sqrt(values.size) * spread + ULP
        assert abs(got[name].mean() - values.mean()) <= 8 * spread / np.sqrt(values.size) + ULP
        if "Embedding" not in repr(make(torch.nn)):  # uniform: the ends are near
            assert abs(np.abs(got[name]).max() - np.abs(values).max()) <= 0.1 * np.abs(values).max() + ULP


@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_dropout(protocol: str, parties: int) -> None:
    def program() -> Any:
        with mpc.session():
            layer = nn.Dropout(0.25)
            x = mixed(np.ones((200, 50)), requires_grad=True)
            out = layer(x)
            out.sum().backward()
            assert layer.eval()(x) is x and F.dropout(x, 0.0) is x
            assert not F.dropout(x, 1.0).reveal().any()
            return out.reveal(), x.grad.reveal()

    everywhere = run(program, parties, protocol)
    out, gradient = everywhere[0]
    kept = out > 0.5
    np.testing.assert_allclose(out, kept / 0.75, atol=2**-12)
    np.testing.assert_allclose(gradient, kept / 0.75, atol=2**-12)
    assert abs(kept.mean() - 0.75) < 0.03  # 6.9 standard errors
    assert np.isin(kept.sum(1), (0, 50)).mean() < 0.1  # values drop out by themselves, not with their rows
    for other, _ in everywhere[1:]:
        np.testing.assert_array_equal(other, out)


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_embedding(protocol: str, parties: int, public: bool, padding_idx: int | None) -> None:
    rows = np.array([[0, 4, 2], [2, 2, 1]])
    table = np.round(np.random.default_rng(1).normal(size=(5, 3)) / ULP) * ULP
    seed = np.random.default_rng(2).integers(-8, 9, (2, 3, 3)) / 8

    def program() -> Any:
        with mpc.session():
            layer = nn.Embedding(5, 3, padding_idx)
            assert padding_idx is None or not layer.reveal()["weight"][padding_idx].any()
            layer.load_state_dict({"weight": table})
            out = layer(rows if public else mixed(rows))
            out.backward(seed)
            return out.reveal(), layer.weight.grad.reveal()

    out, gradient = run(program, parties, protocol)[0]
    layer = torch.nn.Embedding(5, 3, padding_idx).double()
    layer.load_state_dict({"weight": torch.tensor(table)})
    want = layer(torch.tensor(rows))
    want.backward(torch.tensor(seed))
    np.testing.assert_allclose(out, want.detach().numpy(), atol=ULP, rtol=0)
    np.testing.assert_allclose(gradient, layer.weight.grad.numpy(), atol=ULP, rtol=0)


def test_one_hot_of_what_is_no_class() -> None:
    def program() -> Any:
        with mpc.session():
            return F.one_hot(mixed([0, 3, 7, -1]), 4).reveal()

    np.testing.assert_array_equal(run(program, 3, "additive")[0], [[1, 0, 0, 0], [0, 0, 0, 1], [0] * 4, [0] * 4])


def test_what_layers_and_functions_refuse() -> None:
    def program() -> None:
        with mpc.session():
            x = mpc.share(np.ones((2, 3, 8, 8)), 0)
            z = mpc.share(np.ones((4, 3)), 0)
            for action, error, text in [
                (lambda: nn.Conv2d(3, 4, 3, groups=2), mpc.ConfigError, "groups"),
                (lambda: nn.Conv2d(3, 4, 3, padding_mode="reflect"), mpc.NotSupported, "reflect"),
                (lambda: nn.Conv2d(3, 4, (3, 0)), mpc.ConfigError, "kernel_size"),
                (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same")(x), mpc.ConfigError, "stride"),
                (lambda: nn.Conv2d(3, 4, 3, padding="full")(x), mpc.ConfigError, "full"),
                (lambda: nn.Conv2d(4, 4, 3)(x), mpc.ShapeError, "channels"),
                (lambda: nn.Conv2d(3, 4, 9)(x), mpc.ShapeError, "does not fit"),
                (lambda: nn.Conv2d(3, 4, 3)(z), mpc.ShapeError, "axes"),
                (lambda: nn.AvgPool2d(2, ceil_mode=True)(x), mpc.NotSupported, "ceil_mode"),
                (lambda: nn.MaxPool2d(2, return_indices=True)(x), mpc.NotSupported, "return_indices"),
                (lambda: nn.MaxPool2d(2, padding=2)(x), mpc.ConfigError, "half"),
                (lambda: nn.AdaptiveAvgPool2d(3)(x), mpc.NotSupported, "divide"),
                (lambda: nn.BatchNorm2d(4)(x), mpc.ShapeError, "channels"),
                (lambda: nn.BatchNorm1d(3)(x), mpc.ShapeError, "axes"),
                (lambda: nn.BatchNorm1d(3)(mpc.share(np.ones((1, 3)), 0)), mpc.ShapeError, "more than one"),
                (lambda: nn.LayerNorm(4)(z), mpc.ShapeError, "end"),
                (lambda: nn.Dropout(1.5), mpc.ConfigError, "1.5"),
                (lambda: nn.Embedding(5, 3, 5), mpc.ConfigError, "padding_idx"),
                (lambda: nn.Embedding(5, 3)(np.array([5])), mpc.ConfigError, "0 to 4"),
                (lambda: nn.Embedding(5, 3)(np.array([0.5])), mpc.NotSupported, "integers"),
                (lambda: F.one_hot(z, 0), mpc.ConfigError, "num_classes"),
                (lambda: nn.GELU("sine")(z), mpc.ConfigError, "sine"),
                (lambda: nn.Hardtanh(1.0, -1.0), mpc.ConfigError, "smaller"),
                (lambda: nn.Unflatten(5, (1, 3))(z), mpc.ShapeError, "axis 5"),
                (lambda: F.cross_entropy(z, np.zeros(3, int)), mpc.ShapeError, "classes"),
                (lambda: F.cross_entropy(z, np.full(4, 3)), mpc.ConfigError, "class 3"),
                (lambda: F.cross_entropy(z, np.full(4, -100)), mpc.ConfigError, "ignored"),
                (lambda: F.cross_entropy(z, np.zeros(4, int), np.ones(2)), mpc.ShapeError, "weight"),
                (lambda: F.huber_loss(z, z, delta=0.0), mpc.ConfigError, "delta"),
                (lambda: F.smooth_l1_loss(z, z, beta=-1.0), mpc.ConfigError, "beta"),
            ]:
                with pytest.raises(error, match=text):
                    action()

    run(program)
