"""The public description of a model: layers, shapes and the steps between them, as plain data.

It travels from the owner of the weights to the other parties as msgpack, so it names functions and layers and never
carries code. What arrives is checked (`check`) before anything is built from it. Weights are no part of it.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, Union

import msgspec

from mpc.errors import ConfigError
from mpc.transport.frames import MAX_DIMS

VERSION: Final = 1
MAX_ELEMENTS: Final = 1 << 31  # of all tensors together
MAX_LITERAL: Final = 1 << 16  # elements of a tensor written in the code
_PATH: Final = re.compile(r"(?!__)\w+(\.(?!__)\w+)*", re.ASCII)


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Unknown fields are refused."""


class Ref(_Plain, frozen=True, tag="ref"):
    """The result of an earlier step."""

    name: str


class Slice(_Plain, frozen=True, tag="slice"):
    """start:stop:step."""

    start: Arg = None
    stop: Arg = None
    step: Arg = None


class Dots(_Plain, frozen=True, tag="dots"):
    """..."""


class Group(_Plain, frozen=True, tag="group"):
    """A tuple, or a list (``mutable``)."""

    items: tuple[Arg, ...]
    mutable: bool = False


Arg = Union[None, bool, int, float, str, Ref, Slice, Dots, Group]


class Step(_Plain, frozen=True):
    """One node of the graph. ``target``: a layer's path, a tensor's name or a function's name; none for the others."""

    name: str
    op: Literal["input", "tensor", "layer", "call", "output"]
    target: str = ""
    args: tuple[Arg, ...] = ()
    kwargs: dict[str, Arg] = {}


class Layer(_Plain, frozen=True):
    """A layer of `mpc.nn` by its kind and the constructor's arguments."""

    kind: str
    options: dict[str, Arg] = {}
    training: bool = True


class Tensor(_Plain, frozen=True):
    """A parameter or buffer. ``same_as``: another name of a tensor that came before. ``values`` (flat) are public: those of
    a literal, a tensor that the code itself spells out, and of a count of batches."""

    shape: tuple[int, ...]
    role: Literal["parameter", "buffer", "literal", "count"] = "parameter"
    trainable: bool = False
    same_as: str | None = None
    dtype: Literal["real", "integer", "truth"] = "real"
    values: tuple[float, ...] = ()

    @property
    def is_public(self) -> bool:
        """Does the description hold its values?"""
        return self.role in ("literal", "count")


class Problem(_Plain, frozen=True):
    """Something that cannot be imported: ``what``, ``where`` in the model, and what to use ``instead``."""

    what: str
    where: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.instead}" if self.instead else "")


class Architecture(_Plain, frozen=True):
    """Steps in training and, where they differ, in evaluation mode. With problems it is for reading only."""

    name: str
    layers: dict[str, Layer] = {}
    tensors: dict[str, Tensor] = {}
    steps: tuple[Step, ...] = ()
    evaluation: tuple[Step, ...] | None = None
    training: bool = True
    problems: tuple[Problem, ...] = ()
    version: int = VERSION

    def encode(self) -> bytes:
        """msgpack; equal architectures have equal bytes."""
        return msgspec.msgpack.encode(self)


_DECODER: Final = msgspec.msgpack.Decoder(Architecture)  # made here: several threads at their first decoding of a type crash


def decode(data: bytes) -> Architecture:
    """What `Architecture.encode` wrote, checked. Raises ConfigError for anything else."""
    try:
        found = _DECODER.decode(data)
        check(found)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _Invalid) as error:
        raise ConfigError(f"the description of the model that its owner sent is not valid: {error}") from None
    return found


class _Invalid(ValueError):
    """What is wrong with a description."""


def refs(arg: Any) -> Iterator[str]:
    """The names of all steps that an argument refers to."""
    if isinstance(arg, Ref):
        yield arg.name
    elif isinstance(arg, Slice):
        for part in (arg.start, arg.stop, arg.step):
            yield from refs(part)
    elif isinstance(arg, Group):
        for part in arg.items:
            yield from refs(part)


def used(step: Step) -> Iterator[str]:
    """The names of all steps that a step refers to."""
    for arg in (*step.args, *step.kwargs.values()):
        yield from refs(arg)


def check(found: Architecture) -> None:
    """Refuse names that are no names, steps that refer to nothing before them, tensors too large to be meant.

    What the layers and functions accept is checked where they are looked up. Raises ValueError.
    """
    _want(found.version == VERSION, f"version {found.version}; want {VERSION}")
    _want(bool(_PATH.fullmatch(found.name)), f"the name {found.name!r}")
    if found.problems:
        return
    for path in (*found.layers, *found.tensors):
        _want(bool(_PATH.fullmatch(path)), f"the name {path!r}")
    total = 0
    before: dict[str, Tensor] = {}
    for name, tensor in found.tensors.items():
        size = math.prod(tensor.shape)
        _want(len(tensor.shape) <= MAX_DIMS and min(tensor.shape, default=0) >= 0, f"shape {tensor.shape} of {name}")
        _want(len(tensor.values) == (size if tensor.is_public else 0), f"the number of values of {name}")
        _want(all(map(math.isfinite, tensor.values)), f"the values of {name}")
        if tensor.role == "count":
            _want(tensor.shape == () and tensor.values[0].is_integer() and tensor.values[0] >= 0, f"the count {name}")
        if tensor.same_as is not None:
            first = before.get(tensor.same_as)
            _want(first is not None and first.shape == tensor.shape and first.same_as is None,
                  f"{name} shares {tensor.same_as!r}")
        before[name] = tensor
        total += size
    _want(total < MAX_ELEMENTS, f"{total} elements; want less than {MAX_ELEMENTS}")
    for steps in (found.steps, found.evaluation):
        if steps is not None:
            _check_steps(steps, found)


def _check_steps(steps: tuple[Step, ...], found: Architecture) -> None:
    names: set[str] = set()
    for step in steps:
        _want(bool(_PATH.fullmatch(step.name)) and step.name not in names, f"step {step.name!r}")
        for name in used(step):
            _want(name in names, f"step {step.name} uses {name!r}, which no step before it gives")
        names.add(step.name)
        if step.op == "layer":
            _want(step.target in found.layers, f"step {step.name} calls the layer {step.target!r}, which is not there")
        elif step.op == "tensor":
            _want(step.target in found.tensors, f"step {step.name} reads {step.target!r}, which is not there")
        elif step.op == "output":
            _want(step is steps[-1] and len(step.args) == 1, f"step {step.name} gives the result")
    _want(bool(steps) and steps[-1].op == "output", "steps without a result")


def _want(good: bool, what: str) -> None:
    if not good:
        raise _Invalid(what)
