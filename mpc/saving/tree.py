"""What is saved as a public structure with places for words, and back.

Secret tensors become words; dicts, lists, tuples, numbers, strings, bytes, None and NumPy arrays are public and stand in
the structure as they are; models, optimisers and whatever else has ``state_dict`` is saved as that.
"""
from __future__ import annotations

import math
import re
from typing import Any, Union

import msgspec
import numpy as np

from mpc.autograd import Variable
from mpc.errors import NotSupported
from mpc.fixed_point import Words
from mpc.masks import Shape
from mpc.ops.value import Value
from mpc.party import Party
from mpc.sharing import Share
from mpc.tensor import SecretTensor

MAX_SCALE = 62
MAX_DEPTH = 32
Key = Union[int, str]


class Secret(msgspec.Struct, tag="secret", frozen=True, array_like=True, forbid_unknown_fields=True):
    """A secret tensor; ``bare``: an optimiser's share rather than a SecretTensor."""

    shape: Shape
    scale: int
    bare: bool = False

    def __post_init__(self) -> None:
        if any(n < 0 for n in self.shape) or not 0 <= self.scale <= MAX_SCALE:
            raise ValueError(f"a share of shape {self.shape} at scale {self.scale}")


class Public(msgspec.Struct, tag="public", frozen=True, array_like=True, forbid_unknown_fields=True):
    value: Union[bool, int, float, str, None]


class Raw(msgspec.Struct, tag="bytes", frozen=True, array_like=True, forbid_unknown_fields=True):
    value: bytes


class Array(msgspec.Struct, tag="array", frozen=True, array_like=True, forbid_unknown_fields=True):
    """A public NumPy array of booleans or numbers."""

    dtype: str
    shape: Shape
    data: bytes

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[<>|][biuf]\d{1,2}", self.dtype) or any(n < 0 for n in self.shape):
            raise ValueError(f"an array of dtype {self.dtype} and shape {self.shape}")
        if len(self.data) != np.dtype(self.dtype).itemsize * math.prod(self.shape):
            raise ValueError(f"{len(self.data)} bytes for an array of {self.dtype} {self.shape}")


class Mapping(msgspec.Struct, tag="dict", frozen=True, array_like=True, forbid_unknown_fields=True):
    items: list[tuple[Key, Node]]


class Sequence(msgspec.Struct, tag="list", frozen=True, array_like=True, forbid_unknown_fields=True):
    items: list[Node]
    is_tuple: bool


class State(msgspec.Struct, tag="state", frozen=True, array_like=True, forbid_unknown_fields=True):
    """The state_dict of an object of the class called ``kind``."""

    kind: str
    state: Node


Node = Union[Secret, Public, Raw, Array, Mapping, Sequence, State]


def flatten(obj: Any, into: list[Share], at: str = "") -> Node:
    """The structure of ``obj``; its shares are appended to ``into``, in order.

    SecretTensors are truncated to frac_bits where a product is pending. Raises NotSupported for what cannot be saved,
    naming its place.
    """
    if at.count("[") > MAX_DEPTH:
        raise NotSupported(f"save: more than {MAX_DEPTH} levels at {at[:60]}...; does it contain itself?")
    if isinstance(obj, Variable):
        obj.party.note("saved", obj._value.number)
        share = obj._value.settled()
        into.append(share)
        return Secret(share.shape, share.scale)
    if isinstance(obj, Share):
        into.append(obj)
        return Secret(obj.shape, obj.scale, True)
    if obj is None or isinstance(obj, (bool, np.bool_, int, np.integer, float, np.floating, str)):
        return Public(_plain(obj, at))
    if isinstance(obj, (bytes, bytearray)):
        return Raw(bytes(obj))
    if isinstance(obj, np.ndarray):
        if obj.dtype.kind not in "biuf":
            raise NotSupported(f"save: {at or 'the object'} is an array of dtype {obj.dtype}; want numbers")
        little = obj.dtype.newbyteorder("<")
        return Array(little.str, obj.shape, np.ascontiguousarray(obj, little).tobytes())
    if isinstance(obj, dict):
        items: list[tuple[Key, Node]] = []
        for key, value in obj.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise NotSupported(f"save: {at or 'the dict'} has the key {key!r}; want strings or integers")
            items.append((key, flatten(value, into, f"{at}[{key!r}]")))
        return Mapping(items)
    if isinstance(obj, (list, tuple)):
        return Sequence([flatten(v, into, f"{at}[{i}]") for i, v in enumerate(obj)], isinstance(obj, tuple))
    if callable(getattr(obj, "state_dict", None)):
        return State(type(obj).__name__, flatten(obj.state_dict(), into, f"{at}[{type(obj).__name__}]"))
    raise NotSupported(
        f"save: {at or 'the object'} is a {type(obj).__name__}; want secret tensors, models, optimisers, and public "
        "numbers, strings, bytes, NumPy arrays, in dicts and lists"
    )


def _plain(obj: Any, at: str) -> bool | int | float | str | None:
    value = obj.item() if isinstance(obj, np.generic) else obj
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise NotSupported(f"save: {at or 'the object'} is an integer of {value.bit_length()} bits; want at most 64")
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None


def words_of(node: Node) -> int:
    """How many words the structure has places for."""
    if isinstance(node, Secret):
        return math.prod(node.shape)
    if isinstance(node, Mapping):
        return sum(words_of(value) for _, value in node.items)
    if isinstance(node, Sequence):
        return sum(words_of(value) for value in node.items)
    return words_of(node.state) if isinstance(node, State) else 0


def rebuild(node: Node, words: Words, party: Party) -> Any:
    """The object behind a structure, on shares that nothing has opened; a `State` becomes its state dict."""
    taken = 0

    def make(part: Node) -> Any:
        nonlocal taken
        if isinstance(part, Secret):
            size = math.prod(part.shape)
            share = Share(words[taken : taken + size].reshape(part.shape).copy(), part.scale)
            taken += size
            return share if part.bare else SecretTensor(Value(party, share))
        if isinstance(part, Mapping):
            return {key: make(value) for key, value in part.items}
        if isinstance(part, Sequence):
            made = [make(value) for value in part.items]
            return tuple(made) if part.is_tuple else made
        if isinstance(part, State):
            return make(part.state)
        if isinstance(part, Array):
            return np.frombuffer(part.data, part.dtype).reshape(part.shape).copy()
        return part.value

    return make(node)
