"""What only moves elements or asks for shapes: local and free. Public arrays stay public."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.errors import NotSupported, ShapeError
from mpc.interop.functions.table import function, is_public, secret, sizes
from mpc.ops import movement
from mpc.ops.reduce import axes_of

ATTRIBUTES = ("T", "device", "dtype", "indices", "is_cuda", "mT", "ndim", "shape", "values")


@function("builtins.getattr", view=True, name=ATTRIBUTES)
def getattr_(input: Any, name: str) -> Any:
    if name not in ATTRIBUTES:  # also where the name is computed
        raise NotSupported(f"attribute {name!r} of a tensor; want one of {', '.join(ATTRIBUTES)}")
    if name in ("values", "indices"):  # of the pair that max, min, sort and topk give
        return input[name == "indices"]
    if name in ("device", "dtype", "is_cuda"):
        return False if name == "is_cuda" else None
    if name == "mT":
        return transpose(input, -1, -2)
    return tuple(input.shape) if name == "shape" else getattr(input, name)


@function("operator.getitem", view=True)
def getitem(input: Any, key: Any) -> Any:
    return input[key]


@function("Tensor.size", free=True)
def size(input: Any, dim: int | None = None) -> Any:
    return tuple(input.shape) if dim is None else input.shape[dim]


@function("Tensor.dim", "Tensor.ndimension", free=True)
def dim(input: Any) -> int:
    return len(input.shape)


@function("Tensor.numel", "torch.numel", "Tensor.nelement", free=True)
def numel(input: Any) -> int:
    return math.prod(input if isinstance(input, tuple) else input.shape)  # also x.shape.numel()


@function("Tensor.contiguous", "Tensor.clone", "torch.clone", "Tensor.float", "Tensor.double", "Tensor.cpu", "Tensor.to",
          "Tensor.type_as", "Tensor.type", "Tensor.half", "Tensor.requires_grad_", view=True)
def same(input: Any, *args: Any, **kwargs: Any) -> Any:
    return input


@function("Tensor.detach", "torch.detach", view=True)
def detach(input: Any) -> Any:
    return input if is_public(input) else input.detach()


@function("torch.reshape", "Tensor.reshape", "Tensor.view", view=True)
def reshape(input: Any, *args: Any, shape: Any = None, size: Any = None) -> Any:
    return input.reshape(sizes(args, size if shape is None else shape))


@function("Tensor.view_as", "Tensor.reshape_as", view=True)
def reshape_as(input: Any, other: Any) -> Any:
    return input.reshape(tuple(other.shape))


@function("torch.flatten", "torch.ravel", "Tensor.flatten", "Tensor.ravel", view=True)
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    return secret(input).flatten(start_dim, end_dim)


@function("torch.unflatten", "Tensor.unflatten", view=True)
def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    (at,) = axes_of(dim, input.shape)
    before, after = input.shape[:at], input.shape[at + 1 :]
    want = list(sizes)
    if -1 in want:
        want[want.index(-1)] = input.shape[at] // -math.prod(want)
    return input.reshape((*before, *want, *after))


@function("torch.permute", "Tensor.permute", view=True)
def permute(input: Any, *args: Any, dims: Any = None) -> Any:
    axes = sizes(args, dims)
    return np.transpose(input, axes) if is_public(input) else input.permute(*axes)


@function("torch.transpose", "torch.swapaxes", "torch.swapdims", "Tensor.transpose", "Tensor.swapaxes", "Tensor.swapdims",
          view=True)
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    return np.swapaxes(input, dim0, dim1) if is_public(input) else input.transpose(dim0, dim1)


@function("torch.t", "Tensor.t", "torch.adjoint", view=True)
def t(input: Any) -> Any:
    if len(input.shape) > 2:
        raise ShapeError(f"t() of shape {tuple(input.shape)}; want at most two axes")
    return input.T


@function("torch.squeeze", "Tensor.squeeze", view=True)
def squeeze(input: Any, dim: Any = None) -> Any:
    return secret(input).squeeze(dim)


@function("torch.unsqueeze", "Tensor.unsqueeze", view=True)
def unsqueeze(input: Any, dim: int) -> Any:
    return np.expand_dims(input, dim) if is_public(input) else input.unsqueeze(dim)


@function("Tensor.expand", "torch.broadcast_to", "Tensor.broadcast_to", view=True)
def expand(input: Any, *args: Any, size: Any = None) -> Any:
    return secret(input).expand(*sizes(args, size))


@function("Tensor.expand_as", view=True)
def expand_as(input: Any, other: Any) -> Any:
    return secret(input).expand(*other.shape)


@function("Tensor.repeat", "torch.tile", "Tensor.tile", free=True)
def repeat(input: Any, *args: Any, dims: Any = None) -> Any:
    times = sizes(args, dims)
    x = secret(input)
    have = (1,) * (len(times) - x.ndim) + tuple(x.shape)
    times = (1,) * (len(have) - len(times)) + tuple(times)
    pairs = [n for pair in zip(times, have, strict=True) for n in pair]
    spread = x.reshape(*(n for length in have for n in (1, length))).expand(*pairs)
    return spread.reshape(*(a * b for a, b in zip(times, have, strict=True)))


@function("torch.cat", "torch.concat", "torch.concatenate", free=True)
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    return np.concatenate(tensors, dim) if all(map(is_public, tensors)) else movement.cat(tensors, dim)


@function("torch.stack", free=True)
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    return np.stack(tensors, dim) if all(map(is_public, tensors)) else movement.stack(tensors, dim)


@function("torch.split", "Tensor.split", view=True)
def split(input: Any, split_size: Any, dim: int = 0) -> Any:
    (at,) = axes_of(dim, input.shape)
    length = input.shape[at]
    if isinstance(split_size, int):
        split_size = [min(split_size, length - start) for start in range(0, length, split_size)]
    if sum(split_size) != length:
        raise ShapeError(f"split of {length} into {list(split_size)}")
    ends = np.cumsum(split_size)
    return tuple(input[(slice(None),) * at + (slice(int(e) - n, int(e)),)] for n, e in zip(split_size, ends, strict=True))


@function("torch.chunk", "Tensor.chunk", view=True)
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    (at,) = axes_of(dim, input.shape)
    return split(input, -(-input.shape[at] // chunks), dim)


@function("torch.unbind", "Tensor.unbind", view=True)
def unbind(input: Any, dim: int = 0) -> Any:
    (at,) = axes_of(dim, input.shape)
    return tuple(input[(slice(None),) * at + (i,)] for i in range(input.shape[at]))


@function("torch.select", "Tensor.select", view=True)
def select(input: Any, dim: int, index: Any) -> Any:
    return unbind(input, dim)[index]


@function("torch.narrow", "Tensor.narrow", view=True)
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    (at,) = axes_of(dim, input.shape)
    if not isinstance(start, int):
        raise NotSupported("narrow() from a secret place; want a public integer")
    return input[(slice(None),) * at + (slice(start, start + length),)]
