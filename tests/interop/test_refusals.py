"""What is refused: modules that cannot be imported, descriptions that are none, modules that do not fit; at every party."""
from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

import mpc
from mpc import party
from mpc.interop import torch_fx
from mpc.interop.architecture import Architecture, Group, Layer, Ref, Step, Tensor, decode
from tests.interop.models import CASES

torch = pytest.importorskip("torch", reason="models come from torch")
nn = torch.nn


def run(program: Callable[[], Any], parties: int = 2) -> list[Any]:
    return mpc.local(program, parties=parties, threads=True)


def errors(make: Callable[[int], Any], owner: int | None = 0, parties: int = 2) -> list[tuple[type, str]]:
    """Which error from_torch raises at each party, and what it says. ``make``: rank to module."""
    found: dict[int, tuple[type, str]] = {}

    def program() -> None:
        rank = -1
        try:
            with mpc.session() as s:
                rank = s.rank
                mpc.nn.from_torch(make(rank), owner)
        except mpc.MPCError as error:
            found[rank] = (type(error), str(error))

    run(program, parties)
    return [found[rank] for rank in sorted(found)]


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.elu, self.fine = nn.ELU(), nn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        return self.elu(x) if x.sum() > 0 else self.fine(x)


class Bad(nn.Module):
    """Every kind of obstacle, each of which would hide the next one if the first stopped the search."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.group = nn.LSTM(4, 4), nn.GroupNorm(2, 4)
        self.conv = nn.Conv2d(1, 2, 3, padding_mode="circular")
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.hooked = nn.Linear(4, 4)
        self.hooked.register_forward_hook(lambda *_: None)
        self.inner = Inner()
        self.unused = nn.Mish()

    def forward(self, x: Any) -> Any:
        x = self.group(self.pool(self.conv(x)))
        x = torch.cumsum(x, 1)
        x = nn.functional.max_pool2d(x, 2, ceil_mode=True).logsumexp(1)
        x, _ = self.lstm(self.hooked(self.inner(x)))
        y = x[0]
        y.relu_()
        return torch.softmax(x + float("inf"), 1, dtype=torch.float64)


OBSTACLES = [
    "Inner, test_refusals.py", "inner.elu: no layer ELU; use ReLU", "conv: Conv2d with padding_mode='circular'; want 'zeros'",
    "pool: MaxPool2d with ceil_mode=True", "group: no layer GroupNorm; use", "no function torch.cumsum",
    "max_pool2d(): ceil_mode=True; want False", "no function Tensor.logsumexp", "hooked: Linear with hooks",
    "lstm: no layer LSTM; unroll", "changes lstm in place, and add uses another view", "the number inf",
]  # fmt: skip


@pytest.mark.parametrize("owner", [1, None])
def test_everything_unsupported_is_listed_at_once_at_every_party(owner: int | None) -> None:
    got = errors(lambda rank: Bad() if owner is None or rank == owner else None, owner, 3)
    assert len(got) == 3
    for kind, text in got:
        assert kind is mpc.NotSupported
        assert [part for part in OBSTACLES if part not in text] == []
        assert text.startswith(f"{len(OBSTACLES)} things") and "Mish" not in text and "fine" not in text


def test_architectures_that_differ() -> None:
    got = errors(lambda rank: nn.Sequential(nn.Linear(3, 4 + (rank == 2)), nn.ReLU()), 0, 3)
    assert [kind for kind, _ in got] == [mpc.ConfigError] * 3
    assert "0.weight: (5, 3), the owner's (4, 3)" in got[2][1] and "party 2" in got[0][1] and "party 2" in got[1][1]


def test_same_architecture_with_other_weights_is_the_owners() -> None:
    module, other = CASES[0].module(torch), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()

    def program() -> Any:
        with mpc.session() as s:
            return mpc.nn.from_torch(module if s.rank == 0 else other).reveal()

    for got in run(program, 3):
        assert all(np.array_equal(got[name], p.detach().numpy()) for name, p in module.named_parameters())


def test_public_weights_that_differ() -> None:
    modules = [nn.Linear(3, 2), nn.Linear(3, 2)]
    assert [kind for kind, _ in errors(lambda rank: modules[rank], None)] == [mpc.ProgramMismatch] * 2


@pytest.mark.parametrize("make,owner,kind,text", [
    (lambda rank: None, 0, mpc.ConfigError, "party 0 owns the model"),
    (lambda rank: None, None, mpc.ConfigError, "owner=None"),
    (lambda rank: "model.pt", 0, mpc.ConfigError, "got str"),
    (lambda rank: nn.Linear(2, 2), 7, mpc.ConfigError, "owner 7"),
    (lambda rank: nn.LazyLinear(2), 0, mpc.ConfigError, "lazy"),
    (lambda rank: large() if rank == 0 else None, 0, mpc.FixedPointRangeError, "bias: value np.float64(40000.0) at index (1,)"),
    (lambda rank: large(), None, mpc.FixedPointRangeError, "bias: value np.float64(40000.0)"),
], ids=["none", "nobody", "a path", "rank", "lazy", "range", "public range"])  # fmt: skip
def test_mistakes(make: Any, owner: int | None, kind: type, text: str) -> None:
    got = errors(make, owner)
    assert [k for k, _ in got] == [kind] * 2 and text in got[0][1]


def large() -> Any:
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.bias[1] = 40000.0
    return module


# --- descriptions
GOOD = Architecture(
    "Net",
    {"fc": Layer("Linear", {"in_features": 3, "out_features": 2})},
    {"fc.weight": Tensor((2, 3)), "fc.bias": Tensor((2,))},
    (Step("x", "input"), Step("y", "layer", "fc", (Ref("x"),)), Step("out", "output", "", (Ref("y"),))),
)
OUT = Step("out", "output", "", (Ref("x"),))


def changed(**fields: Any) -> Architecture:
    return msgspec.structs.replace(GOOD, **fields)


def calls(target: str, *args: Any, **kwargs: Any) -> Architecture:
    return changed(steps=(Step("x", "input"), Step("c", "call", target, args, kwargs), OUT))


BAD = {
    "another version": changed(version=2),
    "a name of Python's": changed(name="__class__"),
    "a layer under such a name": changed(layers={"fc.__init__": Layer("ReLU")}),
    "an unknown layer": changed(layers={"fc": Layer("Popen", {"args": "true"})}),
    "a module that is no layer": changed(layers={"fc": Layer("ModuleList")}),
    "an unknown argument": changed(layers={"fc": Layer("Linear", {"in_features": 3, "out_features": 2, "device": "x"})}),
    "an argument of another type": changed(layers={"fc": Layer("Linear", {"in_features": "3", "out_features": 2})}),
    "no features": changed(layers={"fc": Layer("Linear", {"in_features": 0, "out_features": 2})}),
    "a weight of another shape": changed(tensors={"fc.weight": Tensor((3, 2)), "fc.bias": Tensor((2,))}),
    "a weight too few": changed(tensors={"fc.weight": Tensor((2, 3))}),
    "a weight too many": changed(tensors={**GOOD.tensors, "fc.extra": Tensor((2,))}),
    "a negative shape": changed(tensors={**GOOD.tensors, "w": Tensor((-2, -3))}),
    "more than fits": changed(tensors={**GOOD.tensors, "w": Tensor((1 << 20, 1 << 20))}),
    "values that are not there": changed(tensors={**GOOD.tensors, "c": Tensor((3,), "literal", values=(1.0,))}),
    "values that are no numbers": changed(tensors={**GOOD.tensors, "c": Tensor((1,), "literal", values=(float("nan"),))}),
    "a weight shared with none": changed(tensors={**GOOD.tensors, "w": Tensor((2,), same_as="v")}),
    "a step before its input": changed(steps=(GOOD.steps[1], GOOD.steps[0], GOOD.steps[2])),
    "a name twice": changed(steps=(GOOD.steps[0], GOOD.steps[0], OUT)),
    "a layer that is not there": changed(steps=(Step("x", "input"), Step("y", "layer", "fd", (Ref("x"),)), OUT)),
    "a tensor that is not there": changed(steps=(Step("x", "input"), Step("y", "tensor", "fd"), OUT)),
    "no result": changed(steps=GOOD.steps[:2]),
    "no steps": changed(steps=()),
    "bad steps of evaluation": changed(evaluation=()),
    "an unknown function": calls("system", "true"),
    "another attribute": calls("getattr", Ref("x"), "__class__"),
    "an attribute in a list": calls("getattr", Group((Ref("x"),)), "party"),
    "an argument too many": calls("relu", Ref("x"), 1, 2),
    "an option that is not supported": calls("softmax", Ref("x"), 1, dtype="float64"),
    "an infinite number": calls("add", Ref("x"), float("inf")),
}


def send(architecture: Any, values: Any = None) -> None:
    """from_torch with an owner, party 0, that sends this; in the open session."""
    here = party.current()
    torch_fx.imported(here, *((architecture, values or {}) if here.rank == 0 else (None, None)), 0)


def test_the_good_description_is_good() -> None:
    def program() -> None:
        with mpc.session():
            send(GOOD, {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)})

    assert decode(GOOD.encode()) == GOOD
    run(program)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_description_is_refused_by_every_party_itself(name: str) -> None:
    values = {n: torch.zeros(t.shape) for n, t in BAD[name].tensors.items() if min(t.shape) >= 0 and sum(t.shape) < 99}

    def program() -> str:
        with mpc.session() as s:
            with pytest.raises((mpc.ConfigError, mpc.ShapeError)) as caught:
                send(BAD[name], values)
            assert caught.value.echo is None
            s.barrier()  # nobody has left
            return str(caught.value)

    first, *others = run(program, 3)
    assert others == [first, first]


class Raw:
    """An owner that sends other bytes."""

    problems = ()

    def __init__(self, data: bytes) -> None:
        self.data = data

    def encode(self) -> bytes:
        return self.data


class Ran(Exception):
    pass


class Trap:
    def __reduce__(self) -> Any:
        return exec, ("raise tests.interop.test_refusals.Ran",)


DEEP = b"\x86\xa4name\xa1N\xa5steps\x91\x83\xa4name\xa1x\xa2op\xa6output\xa4args\x91" + b"\x82\xa4type\xa5group\xa5items\x91" * 9999


@pytest.mark.parametrize("data", [
    b"", b"\x00", pickle.dumps(Trap()), GOOD.encode()[:-9], GOOD.encode() + b"\x00" * 9, DEEP, msgspec.json.encode(GOOD)
], ids=["none", "zero", "pickle", "cut", "longer", "deep", "json"])  # fmt: skip
def test_other_bytes_are_refused_by_every_party_itself(data: bytes) -> None:
    def program() -> None:
        with mpc.session() as s:
            with pytest.raises(mpc.ConfigError, match="not valid") as caught:
                send(Raw(data))
            assert caught.value.echo is None
            s.barrier()

    run(program)


def test_fewer_weights_than_described() -> None:
    def program() -> None:
        with mpc.session() as s:
            with pytest.raises(mpc.ConfigError, match=r"shape \(7,\)"):
                send(GOOD, {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(1)})
            s.barrier()

    run(program)


# --- the way back
@pytest.mark.parametrize("into,text", [
    (lambda: nn.Linear(6, 8), "lacks"),
    (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)), "shape (4, 8)"),
    (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Linear(1, 1)), "the model lacks ['3.bias'"),
    (lambda: "model.pt", "got into=str"),
])  # fmt: skip
def test_a_module_that_does_not_fit_is_refused_before_anything_opens(into: Any, text: str) -> None:
    module, target = CASES[0].module(torch), into()

    def program() -> None:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if s.rank == 0 else None)
            try:
                model.reveal(to=0, into=target if s.rank == 0 else None)
            finally:
                assert s.rank or not s.report().ledger

    with pytest.raises((mpc.ConfigError, mpc.ShapeError)) as caught:
        run(program)
    assert text in str(caught.value)
