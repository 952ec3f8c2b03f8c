"""Where what was saved goes back to: `place` for ``mpc.load``, `refill` for the objects of a running program."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpc.errors import ConfigError, NotSupported, ShapeError
from mpc.saving.tree import Mapping, Node, Secret, Sequence, State
from mpc.tensor import SecretTensor


def place(node: Node, made: Any, into: Any, at: str = "") -> Any:
    """What `rebuild` made, with the objects of ``into`` in the place of their state dicts, filled with them.

    ``into`` is an object with ``load_state_dict`` of the class that was saved (any class, where a plain dict was), or a
    dict that has such objects under keys of the saved one. All or nothing: when one of them refuses, those before it get
    back what they had. Raises ConfigError where the two do not fit, and what `load_state_dict` raises.
    """
    pairs: list[tuple[Any, Any]] = []
    out = _place(node, made, into, at, pairs)
    _load_all(pairs)
    return out


def _load_all(pairs: list[tuple[Any, Any]]) -> None:
    """All or nothing: when one of them refuses, those before it get back what they had."""
    before = []
    try:
        for target, state in pairs:
            before.append((target, target.state_dict()))
            target.load_state_dict(state)
    except BaseException:
        for target, state in before[:-1]:
            target.load_state_dict(state)
        raise


def _place(node: Node, made: Any, into: Any, at: str, pairs: list[tuple[Any, Any]]) -> Any:
    where = f"load: into{at}"
    if isinstance(into, dict):
        if not isinstance(node, Mapping):
            raise ConfigError(f"{where} is a dict; what was saved there is {describe(node)}")
        children = dict(node.items)
        unknown = [key for key in into if key not in children]
        if unknown:
            raise ConfigError(f"{where} has {unknown}; what was saved there has {list(children)}")
        return {
            key: _place(children[key], value, into[key], f"{at}[{key!r}]", pairs) if key in into else value
            for key, value in made.items()
        }
    if not callable(getattr(into, "load_state_dict", None)):
        raise ConfigError(
            f"{where} is a {type(into).__name__}; want models, optimisers or what else has load_state_dict (tensors and "
            "public values are what load() returns)"
        )
    if not isinstance(node, Mapping) and not (isinstance(node, State) and node.kind == type(into).__name__):
        raise ConfigError(f"{where} is a {type(into).__name__}; what was saved there is {describe(node)}")
    pairs.append((into, made))
    return into


def describe(node: Node) -> str:
    """One node in words."""
    if isinstance(node, State):
        return f"a {node.kind}"
    if isinstance(node, Secret):
        return f"a secret tensor of shape {tuple(node.shape)}"
    if isinstance(node, Mapping):
        return f"a dict of {[key for key, _ in node.items]}"
    if isinstance(node, Sequence):
        return f"a {'tuple' if node.is_tuple else 'list'} of {len(node.items)}"
    return "a public value"


def outline(into: Any) -> str:
    """What is to be filled, for the transcript: keys and classes."""
    if isinstance(into, dict):
        return "{" + ", ".join(f"{key!r}: {outline(value)}" for key, value in into.items()) + "}"
    return type(into).__name__


def refillable(obj: Any, at: str = "checkpoint") -> None:
    """Raises NotSupported for what `refill` could not set back, naming its place."""
    if _stateful(obj) or _is_data(obj) or isinstance(obj, np.ndarray):
        return
    if isinstance(obj, (dict, list, tuple)):
        for key, value in obj.items() if isinstance(obj, dict) else enumerate(obj):
            refillable(value, f"{at}[{key!r}]")
    elif isinstance(obj, SecretTensor):
        if not obj.is_leaf:
            raise NotSupported(f"{at} is a computed tensor; want one that the program made, such as mpc.share(...)")
    else:
        raise NotSupported(f"{at} is a {type(obj).__name__}, which nothing can set back; want models, optimisers, schedules "
                           "and what else has load_state_dict, tensors, and lists or dicts that the loop writes to")


def refill(node: Node, made: Any, into: Any, at: str = "checkpoint") -> None:
    """Set the objects of ``into`` back to what was saved of them: those with ``load_state_dict`` by that, tensors and
    NumPy arrays in place, and lists and dicts of public values in place as a whole, whatever they hold now.

    All or nothing. Raises ConfigError, ShapeError where the two do not fit.
    """
    pairs: list[tuple[Any, Any]] = []
    rest: list[Callable[[], None]] = []
    _refill(node, made, into, at, pairs, rest)
    _load_all(pairs)
    for write in rest:
        write()


def _refill(
    node: Node, made: Any, into: Any, at: str, pairs: list[tuple[Any, Any]], rest: list[Callable[[], None]]
) -> None:
    if _stateful(into):
        if not (isinstance(node, State) and node.kind == type(into).__name__):
            raise ConfigError(_other(at, into, node))
        pairs.append((into, made))
    elif isinstance(into, SecretTensor):
        if not isinstance(node, Secret):
            raise ConfigError(_other(at, into, node))
        if tuple(node.shape) != tuple(into.shape):
            raise ShapeError(_other(at, into, node))
        rest.append(lambda: setattr(into, "_value", made._value))
    elif isinstance(into, np.ndarray):
        if not isinstance(made, np.ndarray) or (made.shape, made.dtype) != (into.shape, into.dtype):
            raise ConfigError(_other(at, into, node))
        rest.append(lambda: into.__setitem__(..., made))
    elif _is_data(into):
        if type(made) is not type(into):
            raise ConfigError(_other(at, into, node))
        rest.append(lambda: _overwrite(into, made))
    else:
        children = _children(node)
        keys = list(into) if isinstance(into, dict) else list(range(len(into)))
        if type(made) is not type(into) or list(children) != keys:
            raise ConfigError(_other(at, into, node))
        for key in keys:
            _refill(children[key], made[key], into[key], f"{at}[{key!r}]", pairs, rest)


def _stateful(obj: Any) -> bool:
    return callable(getattr(obj, "load_state_dict", None))


def _is_data(obj: Any) -> bool:
    """A list or dict that the program writes public values to, rather than one that says where models are."""
    return isinstance(obj, (list, dict)) and not _holds_state(obj)


def _holds_state(obj: Any) -> bool:
    if isinstance(obj, (list, tuple, dict)):
        return any(_holds_state(value) for value in (obj.values() if isinstance(obj, dict) else obj))
    return _stateful(obj) or isinstance(obj, (SecretTensor, np.ndarray))


def _overwrite(data: Any, saved: Any) -> None:
    """The program may hold what is inside by other names too: lists and dicts stay the objects that they are."""
    if isinstance(data, list):
        del data[len(saved) :]
    for key in [key for key in data if key not in saved] if isinstance(data, dict) else []:
        del data[key]
    for key, value in saved.items() if isinstance(saved, dict) else enumerate(saved):
        there = data.get(key) if isinstance(data, dict) else data[key] if key < len(data) else None
        if isinstance(there, (list, dict)) and type(there) is type(value):
            _overwrite(there, value)
        elif isinstance(data, list) and key == len(data):
            data.append(value)
        else:
            data[key] = value


def _children(node: Node) -> dict[Any, Node]:
    if isinstance(node, Mapping):
        return dict(node.items)
    return dict(enumerate(node.items)) if isinstance(node, Sequence) else {}


def _other(at: str, into: Any, node: Node) -> str:
    if isinstance(into, (SecretTensor, np.ndarray)):
        here = f"a {type(into).__name__} of shape {tuple(into.shape)}"
    elif isinstance(into, (dict, list, tuple)):
        here = f"a {type(into).__name__} of {list(into) if isinstance(into, dict) else len(into)}"
    else:
        here = f"a {type(into).__name__}"
    return f"{at} is {here}; what was saved there is {describe(node)}"
