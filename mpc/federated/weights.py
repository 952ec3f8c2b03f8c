"""A torch module's weights as one vector of real numbers, and back.

In the vector: every parameter and every floating-point buffer (a batch norm's running mean and variance), each tensor
once under its first name, in the module's own order. Integer buffers (counts of batches) are no part of it and stay as
they are.
"""
from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError

Floats = npt.NDArray[np.float64]
NEEDS_TORCH: Final = 'federated training runs local steps in torch: pip install "mpc[torch]"'
_GENERATOR: Final = Lock()


def torch() -> Any:
    """The torch package. Raises ConfigError naming the extra when it is not installed."""
    try:
        import torch as found
    except ModuleNotFoundError as error:
        raise ConfigError(NEEDS_TORCH) from error
    return found


def tensors(module: Any) -> dict[str, Any]:
    """The module's floating-point parameters and buffers by name. Raises ConfigError for what cannot be averaged."""
    out: dict[str, Any] = {}
    seen: set[int] = set()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if type(tensor).__name__ == "UninitializedParameter":
            raise ConfigError(f"{name} has no shape yet; run the module once in torch so that its lazy layers have one")
        if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
            raise ConfigError(f"{name}: {tensor.dtype}, {tensor.layout}; want dense real numbers")
        if tensor.is_floating_point() and id(tensor) not in seen:
            seen.add(id(tensor))
            out[name] = tensor
    if not out:
        raise ConfigError(f"{type(module).__name__} has no floating-point parameters: there is nothing to average")
    return out


def shapes(module: Any) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the vector, in its order."""
    return {name: tuple(tensor.shape) for name, tensor in tensors(module).items()}


def trainable(module: Any) -> int:
    """How many values of the vector are parameters; they come first, buffers after them."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.is_floating_point())


def flatten(module: Any) -> Floats:
    """All of them as one float64 vector, a copy."""
    parts = [tensor.detach().cpu().double().numpy().ravel() for tensor in tensors(module).values()]
    return np.concatenate(parts).astype(np.float64, copy=False)


def load(module: Any, vector: Floats) -> None:
    """Write a vector back, in place; dtypes stay. Raises ShapeError before anything is changed."""
    places = tensors(module)
    wanted = sum(tensor.numel() for tensor in places.values())
    if vector.shape != (wanted,):
        raise ShapeError(f"got weights of shape {vector.shape}; {type(module).__name__} has ({wanted},)")
    at, package = 0, torch()
    with package.no_grad():
        for tensor in places.values():
            part = vector[at : at + tensor.numel()].reshape(tuple(tensor.shape))
            tensor.copy_(package.from_numpy(np.ascontiguousarray(part)))
            at += tensor.numel()


def split(vector: Any, of: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """A vector (an array or a secret tensor) as tensors of these names and shapes."""
    out, at = {}, 0
    for name, shape in of.items():
        size = math.prod(shape)
        out[name] = vector[at : at + size].reshape(shape)
        at += size
    return out


def name_at(module: Any, position: int) -> str:
    """The tensor that holds this position of the vector: for messages."""
    for name, shape in shapes(module).items():
        if position < math.prod(shape):
            return name
        position -= math.prod(shape)
    raise IndexError(position)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """torch's generator from ``seed`` (None: the operating system's) inside; after it, as if nothing had happened. One thread
    at a time: torch has one generator for all."""
    package = torch()
    with _GENERATOR, package.random.fork_rng(devices=[]):
        package.manual_seed(secrets.randbits(63) if seed is None else seed)
        yield


def made(model: Module | Callable[[], Module], seed: int | None) -> Module:
    """A module of its own: a copy of the one given, or what a class or function makes (with ``seed``: the same each time).

    Raises ConfigError for anything else.
    """
    package = torch()
    if isinstance(model, package.nn.Module):
        return deepcopy(model)
    if not callable(model):
        raise ConfigError(f"got a {type(model).__name__}; want a torch.nn.Module, or a function that makes one")
    with seeded(seed):
        module = model()
    if not isinstance(module, package.nn.Module):
        raise ConfigError(f"{getattr(model, '__name__', 'model')}() gave a {type(module).__name__}; want a torch.nn.Module")
    return module


Module = Any  # a torch.nn.Module; torch is an extra
