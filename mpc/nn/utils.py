"""Clipping of gradients, with torch's names."""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mpc.autograd import no_grad
from mpc.errors import ConfigError
from mpc.ops.combination import combine
from mpc.ops.elementwise import product
from mpc.ops.value import LazyValue, Value
from mpc.sharing import Share
from mpc.tensor import SecretTensor


def _with_gradients(parameters: SecretTensor | Iterable[SecretTensor]) -> list[Any]:
    listed = [parameters] if isinstance(parameters, SecretTensor) else list(parameters)
    return [p for p in listed if p.grad is not None]


def clip_grad_norm_(parameters: SecretTensor | Iterable[SecretTensor], max_norm: float) -> SecretTensor | None:
    """Multiply all gradients by min(1, max_norm / norm), norm the 2-norm of them together; nobody learns which it was.

    Range: norm from 2^-8 to 181 (2^15 as a sum of squares). Error: relative 3e-5 of the factor. About 16 rounds for
    all parameters. Returns the norm before (computed when used; None without gradients). Raises ConfigError.
    """
    if not (math.isfinite(max_norm) and max_norm > 0):
        raise ConfigError(f"clip_grad_norm_: max_norm={max_norm!r}; want a number above 0")
    held = _with_gradients(parameters)
    if not held:
        return None
    party = held[0].party
    party.note("clip_grad_norm", max_norm, [p.grad._value.number for p in held])
    with no_grad(), party.scope("clip_grad_norm"):
        gradients = [p.grad._value for p in held]
        rounded = combine(party, [[(g.gain, g.share)] for g in gradients])
        flat = Share(np.concatenate([s.words.reshape(-1) for s in rounded]), party.frac_bits)
        squares = SecretTensor(Value(party, party.protocol.square(flat)))
        total = squares.sum()
        inverse = total.rsqrt()
        factor = (inverse * max_norm).minimum(1.0)
        factor._value.settled()
        for p, g in zip(held, gradients, strict=True):
            p.grad = SecretTensor(product(g, factor._value, fold=False))
        return SecretTensor(LazyValue(party, (), lambda: product(total._value, inverse._value)))


def clip_grad_value_(parameters: SecretTensor | Iterable[SecretTensor], clip_value: float) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value]. One ReLU over twice their number."""
    with no_grad():
        for p in _with_gradients(parameters):
            p.grad = p.grad.clip(-clip_value, clip_value)
