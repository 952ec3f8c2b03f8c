"""Descriptions of models that do not come from `describe`: every party refuses them by itself."""
from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import mpc
from mpc import party
from mpc.interop import torch_fx
from mpc.interop.architecture import Architecture, Group, Layer, Ref, Step, Tensor, decode

torch = pytest.importorskip("torch", reason="models come from torch")


def run(program: Callable[[], Any], parties: int = 2) -> list[Any]:
    return mpc.local(program, parties=parties, threads=True)


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


NESTED = b"\x82\xa4type\xa5group\xa5items\x91"
DEEP = b"\x86\xa4name\xa1N\xa5steps\x91\x83\xa4name\xa1x\xa2op\xa6output\xa4args\x91" + NESTED * 9999


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
