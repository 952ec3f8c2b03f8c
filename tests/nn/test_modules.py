"""Modules: registration, names, state, modes; layers against torch."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "clear") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


class Net(nn.Module):
    """A module as users write them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.rest = nn.ModuleList([nn.Linear(3, 3, bias=False), nn.Linear(3, 2)])
        self.scale = nn.Parameter(np.full(2, 0.5))
        self.name = "net"

    def forward(self, x: mpc.SecretTensor) -> mpc.SecretTensor:
        x = nn.functional.relu(self.first(x))
        for layer in self.rest:
            x = layer(x).sigmoid()
        return x * self.scale


NAMES = ["scale", "first.weight", "first.bias", "rest.0.weight", "rest.1.weight", "rest.1.bias"]


def test_registration_and_names() -> None:
    def program() -> Any:
        with mpc.session():
            net = Net()
            assert [name for name, _ in net.named_parameters()] == NAMES
            assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
            assert len(list(net.parameters())) == 6 and len(list(net.children())) == 2
            assert set(net.state_dict()) == set(NAMES) and net.first.weight.shape == (3, 4)
            net.other = net.first  # shared: counted once
            assert len(list(net.parameters())) == 6
            del net.other
            net.scale = None
            assert "scale" not in net.state_dict() and net.scale is None
            assert net.training and not net.eval().rest[1].training and net.train().rest[0].training
            assert "(first): Linear(in_features=4, out_features=3, bias=True)" in repr(net)
            net.requires_grad_(False)
            assert not any(p.requires_grad for p in net.parameters())

    run(program)


def test_state_moves_between_models_and_reveals() -> None:
    def program() -> Any:
        with mpc.session() as s:
            one, two = Net(), Net()
            two.load_state_dict(one.state_dict())
            a, b = one.reveal(to=0, reason="trained"), two.reveal(to=0)
            if s.rank == 0:
                assert all(np.array_equal(a[name], b[name]) for name in NAMES)
            else:
                assert set(a.values()) == {None}
            two.load_state_dict({name: np.zeros(p.shape) for name, p in two.named_parameters()})
            for bad, error in (({}, mpc.ConfigError), ({**one.state_dict(), "scale": np.zeros(3)}, mpc.ShapeError)):
                with pytest.raises(error):
                    one.load_state_dict(bad)
            return [line.reason for line in s.ledger][:2], two.reveal()["scale"].tolist()

    reasons, zeros = run(program)
    assert reasons == ["trained: scale", "trained: first.weight"] and zeros == [0.0, 0.0]


def test_same_public_start_everywhere_after_manual_seed() -> None:
    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(5)
            one = nn.Linear(50, 40).reveal()
            s.manual_seed(5)
            two = nn.Linear(50, 40).reveal()
            return one["weight"], two["weight"], one["bias"]

    one, two, bias = run(program, 3, "additive")
    np.testing.assert_array_equal(one, two)
    limit = 1 / np.sqrt(50)
    assert 0.95 * limit < np.abs(one).max() <= limit + 2**-16 and abs(one.mean()) < 0.1 * limit
    assert np.abs(bias).max() <= limit + 2**-16


@pytest.mark.parametrize("protocol,parties", [("clear", 2), ("additive", 2), ("additive", 3)])
@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 5, 4)])
def test_a_network_agrees_with_torch(protocol: str, parties: int, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")
    data = np.random.default_rng(2).normal(size=shape)

    def program() -> Any:
        with mpc.session() as s:
            s.manual_seed(1)
            net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Sigmoid())
            x = mpc.share(data, 1, requires_grad=True)
            out = net(x)
            out.sum().backward()
            return net.reveal(), out.reveal(), x.grad.reveal(), {n: p.grad.reveal() for n, p in net.named_parameters()}

    state, out, dx, gradients = run(program, parties, protocol)
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3), torch.nn.Sigmoid()).double()
    net.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    x = torch.tensor(data, requires_grad=True)
    want = net(x)
    want.sum().backward()
    np.testing.assert_allclose(out, want.detach().numpy(), atol=5e-4)
    np.testing.assert_allclose(dx, x.grad.numpy(), atol=1e-3)
    for name, p in net.named_parameters():
        np.testing.assert_allclose(gradients[name], p.grad.numpy(), atol=4e-3)


def test_flatten_and_costs_by_layer() -> None:
    def program() -> Any:
        with mpc.session() as s:
            net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), nn.ReLU())
            assert net(mpc.share(np.ones((5, 2, 3)), 0)).shape == (5, 2)
            return {row.label: row.calls for row in s.report().rows}

    labels = run(program)
    assert labels["Sequential/1:Linear"] == 1 and labels["Sequential/2:ReLU"] == 1


def test_a_parameter_is_neither_changed_in_place_nor_lost() -> None:
    def program() -> None:
        with mpc.session():
            layer = nn.Linear(3, 2)
            parameter = layer.weight
            with pytest.raises(mpc.NotSupported, match="in place"):
                parameter -= 1.0
            with pytest.raises(mpc.NotSupported, match="parameter"):
                layer.weight = layer.weight.detach() * 2
            assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]

    mpc.local(program, parties=2, protocol="clear", threads=True)


def test_buffers_are_state_but_no_parameters() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", np.full(2, 3.0))
            self.register_buffer("calls", 0)
            self.register_buffer("absent", None)
            self.inner = nn.BatchNorm1d(2)

        def forward(self, x: mpc.SecretTensor) -> mpc.SecretTensor:
            self.calls += 1
            return self.inner(x) * self.scale

    def program() -> Any:
        with mpc.session():
            one, two = Scaled(), Scaled()
            assert one.absent is None and [name for name, _ in one.named_parameters()] == ["inner.weight", "inner.bias"]
            one(mpc.share(np.arange(8.0).reshape(4, 2), 0))
            one.scale = one.scale * 2
            state = one.state_dict()
            assert state["calls"] == 1 and state["inner.num_batches_tracked"] == 1
            before = two.reveal()
            with pytest.raises(mpc.ShapeError, match="scale"):
                two.load_state_dict({**state, "scale": np.ones(3)})
            assert two.calls == 0 and np.array_equal(two.reveal()["inner.running_mean"], before["inner.running_mean"])
            two.load_state_dict({"calls": 5, "inner.weight": np.ones(2)}, strict=False)
            assert two.calls == 5
            two.load_state_dict(state)
            with pytest.raises(mpc.ConfigError, match="unknown"):
                two.load_state_dict({**state, "unknown": np.ones(2)})
            return one.reveal(), two.reveal(), two.calls

    one, two, calls = run(program, 2, "additive")
    assert calls == 1 and one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name])
    np.testing.assert_array_equal(one["scale"], [6.0, 6.0])
    np.testing.assert_allclose(one["inner.running_mean"], [0.3, 0.4], atol=1e-3)


def test_sequential_by_name() -> None:
    def program() -> Any:
        with mpc.session():
            net = nn.Sequential({"first": nn.Linear(3, 2), "then": nn.ReLU()})
            assert list(net.state_dict()) == ["first.weight", "first.bias"] and isinstance(net[1], nn.ReLU)
            assert net(mpc.share(np.ones((4, 3)), 0)).shape == (4, 2)
            with pytest.raises(mpc.ConfigError, match="first"):
                nn.Sequential({"first": print})

    run(program)


def test_mistakes() -> None:
    def program() -> None:
        with mpc.session():

            class NoSuper(nn.Module):
                def __init__(self) -> None:
                    self.layer = nn.Linear(2, 2)

            class NoForward(nn.Module):
                pass

            x = mpc.share(np.ones((2, 3)), 0)
            for action, error, text in [
                (NoSuper, mpc.ConfigError, "super"),
                (lambda: NoForward()(x), mpc.NotSupported, "forward"),
                (lambda: nn.Linear(0, 1), mpc.ConfigError, "feature"),
                (lambda: nn.Linear(2, 1)(x), mpc.ShapeError, "(2, 3)"),
                (lambda: nn.Sequential(print), mpc.ConfigError, "Module"),
                (lambda: nn.Linear(2, 1).nothing, AttributeError, "nothing"),
            ]:
                with pytest.raises(error, match=text.replace("(", r"\(").replace(")", r"\)")):
                    action()

    run(program)
