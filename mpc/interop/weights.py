"""Weights between torch and shares: all of a model as one input, and back into a module in place."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpc import fixed_point
from mpc.errors import ConfigError, FixedPointRangeError, ShapeError
from mpc.fixed_point import Floats
from mpc.ops.value import Value
from mpc.party import Party
from mpc.sharing import Share
from mpc.tensor import SecretTensor


def share_all(party: Party, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, Any] | None, owner: int) -> dict[
    str, SecretTensor
]:
    """Tensors of public shapes that ``owner`` holds (``values`` there), shared as one input: one frame.

    Raises FixedPointRangeError naming the tensor, at every party.
    """
    flat: Floats | None = None
    if party.rank == owner:
        assert values is not None
        for name in shapes:
            check_range(name, values[name], party.frac_bits)
        flat = np.concatenate([np.zeros(0), *(fixed_point.as_array(values[name]).ravel() for name in shapes)])
    share = party.share(flat, owner)
    sizes = [math.prod(shape) for shape in shapes.values()]
    if share.shape != (sum(sizes),):
        raise ConfigError(f"party {owner} shared weights of shape {share.shape}; its description says {(sum(sizes),)}")
    out, at = {}, 0
    for (name, shape), size in zip(shapes.items(), sizes, strict=True):
        words = share.words[at : at + size].reshape(shape)
        out[name] = SecretTensor(Value(party, Share(words, share.scale, owner=share.owner)))
        at += size
    return out


def check_range(name: str, value: Any, frac_bits: int) -> None:
    """Raise FixedPointRangeError naming the tensor if a value cannot be encoded."""
    try:
        fixed_point.encode(value, frac_bits)
    except FixedPointRangeError as error:
        raise FixedPointRangeError(f"{name}: {error}") from None


def places(module: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The torch tensors that take arrays of these names and shapes. Raises ConfigError, ShapeError.

    A tensor that the module has under several names counts once, under any of them.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ConfigError(f"got into={type(module).__name__}; want a torch.nn.Module")
    state = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    unknown = sorted(shapes.keys() - state.keys())
    filled = {id(state[name]) for name in shapes.keys() & state.keys()}
    floating = {name for name, value in state.items() if value.is_floating_point()}
    missing = sorted(name for name in floating if id(state[name]) not in filled)
    if unknown or missing:
        raise ConfigError(f"the torch module does not fit: it lacks {unknown}, and the model lacks {missing}")
    for name, shape in shapes.items():
        if tuple(state[name].shape) != tuple(shape):
            raise ShapeError(f"the torch module's {name} has shape {tuple(state[name].shape)}; the model's {tuple(shape)}")
    return {name: state[name] for name in shapes}


def write_back(module: Any, arrays: Mapping[str, Floats | None]) -> None:
    """Copy arrays into the torch module's parameters and buffers of these names, in place; dtypes stay. None: not known
    here, nothing changes.

    Raises ConfigError, ShapeError before anything is changed.
    """
    import torch

    known = {name: array for name, array in arrays.items() if array is not None}
    targets = places(module, {name: array.shape for name, array in known.items()}) if known else {}
    with torch.no_grad():
        for name, target in targets.items():
            source = torch.from_numpy(np.array(known[name]))
            target.copy_(source if target.is_floating_point() else source.round())
