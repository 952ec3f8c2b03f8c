"""Batch and layer normalisation."""
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mpc.autograd import Op
from mpc.errors import ConfigError, ShapeError
from mpc.nn.functional.reduction import without_tape
from mpc.ops import linalg
from mpc.ops.combination import combine
from mpc.ops.elementwise import product
from mpc.ops.value import Operand, Value, add, from_public, total
from mpc.sharing import Share
from mpc.tensor import SecretTensor


class _Statistics(NamedTuple):
    """Of x along its axes: mean; variance with twice the fraction bits; x - mean; 1 / sqrt(variance + eps)."""

    mean: Value
    variance: Value
    centred: Value
    inverse: Value


def _sum(v: Value, axes: tuple[int, ...]) -> Value:
    summed = total(v, axes, True)
    assert isinstance(summed, Value)
    return summed


def _inner(x: Value, y: Value, axes: tuple[int, ...]) -> Value:
    """The sum of x y over axes, as products of rows and columns: the dealer corrects the sums, not every term."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    rows, terms = math.prod(x.shape[i] for i in kept), math.prod(x.shape[i] for i in axes)
    a, b = (v.transpose((*kept, *axes)) for v in (x, y))
    got = linalg.product(a.reshape((rows, 1, terms)), b.reshape((rows, terms, 1)), False)
    assert isinstance(got, Value)
    return got.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def _divided(v: Value, count: int) -> Value:
    """v / count at v's own scale, to 16 bits: small variances need more of them than a settled value has."""
    share, protocol = v.share, v.party.protocol
    halvings = count.bit_length() - 1
    if halvings:
        share = protocol.truncate(share.rescaled(share.scale + halvings), halvings)
    if count != 1 << halvings:
        words = np.multiply(share.words, np.uint64(round(2**(15 + halvings) / count)))
        share = protocol.truncate(Share(np.asarray(words), share.scale + 15), 15)
    return Value(v.party, share, v.gain)


def _statistics(x: Value, axes: tuple[int, ...], eps: float) -> _Statistics:
    x.party.note("statistics", x.number, axes, eps)
    count = math.prod(x.shape[i] for i in axes)
    mean = _sum(x, axes).scaled(1.0 / count)
    mean.settled()
    centred = add(x, mean, -1)
    assert isinstance(centred, Value)
    centred.settled()
    variance = _divided(_inner(centred, centred, axes), count)
    spread = add(variance, eps)
    assert isinstance(spread, Value)
    inverse = without_tape(lambda t: t.rsqrt(), spread)
    inverse.settled()
    return _Statistics(mean, variance, centred, inverse)


def _normalized(x: Value, weight: Value | None, axes: tuple[int, ...], s: _Statistics) -> tuple[Value, Value]:
    """(x - mean) * scale, scale = weight / sqrt(variance + eps): one product of x's size."""
    scale = s.inverse if weight is None else product(s.inverse, weight)
    return product(s.centred, scale), scale


def _secret(party: Any, g: Any) -> tuple[Value, float]:
    """A gradient as a secret whose largest value is 1 where it was public, and the factor left out."""
    if isinstance(g, Value):
        g.factor(False)
        return Value(g.party, g.share), g.gain
    top = float(np.abs(g).max(initial=0.0)) or 1.0
    return from_public(party, np.asarray(g) / top), top


def _gradient_x(
    g: Any, scale: Value, x: Value, weight: Value | None, axes: tuple[int, ...], s: _Statistics
) -> Operand:
    """scale (g - mean(g) - h mean(g h)) with h = (x - mean) / sqrt(variance + eps); the means are along the axes."""
    got, factor = _secret(x.party, g)
    share = 1.0 / math.prod(x.shape[i] for i in axes)
    mean, slope = _sum(got, axes).scaled(share), _inner(got, s.centred, axes).scaled(share)
    mean.settled()
    along = product(product(s.inverse, slope), product(s.inverse, scale))
    out = add(product(got, scale), product(mean, scale), -1)
    out = add(out, product(s.centred, along), -1)
    assert isinstance(out, Value)
    return out.scaled(factor)


def _gradient_weight(
    g: Any, scale: Value, x: Value, weight: Value | None, axes: tuple[int, ...], s: _Statistics
) -> Operand:
    got, factor = _secret(x.party, g)
    return product(_inner(got, s.centred, axes), s.inverse, False).scaled(factor)


NORMALIZE = Op("normalize", _normalized, (_gradient_x, _gradient_weight))


def _normalize(
    x: SecretTensor, weight: SecretTensor | None, axes: tuple[int, ...], eps: float
) -> tuple[SecretTensor, _Statistics]:
    found = _statistics(x._value, axes, eps)
    return NORMALIZE(x, weight, axes, found), found


def batch_norm(
    input: SecretTensor, running_mean: SecretTensor | None, running_var: SecretTensor | None,
    weight: SecretTensor | None = None, bias: SecretTensor | None = None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-5,
) -> SecretTensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias per channel, the second axis, as torch's.

    In training the statistics are the batch's, and the running ones move towards them in place, by ``momentum``;
    otherwise they are the running ones. Statistics are secret; nothing is revealed. Range: variances from 2^-14 to 2^15.
    Error: relative 2e-5 of the inverse root, beside one rounding of mean, inverse root and scale each. Raises ShapeError.
    """
    if input.ndim < 2:
        raise ShapeError(f"batch_norm: input of shape {tuple(input.shape)}; want (N, C, ...)")
    channel = (1, input.shape[1], *(1,) * (input.ndim - 2))
    axes = tuple(i for i in range(input.ndim) if i != 1)
    w = None if weight is None else weight.reshape(channel)
    if training or running_mean is None or running_var is None:
        count = math.prod(input.shape[i] for i in axes)
        if count < 2:
            raise ShapeError(f"batch_norm: input of shape {tuple(input.shape)}; want more than one value per channel")
        out, found = _normalize(input, w, axes, eps)
        if training and running_mean is not None and running_var is not None:
            _move(running_mean, running_var, found, momentum, count / (count - 1))
    else:
        inverse = (running_var + eps).rsqrt().reshape(channel)
        out = (input - running_mean.reshape(channel)) * (inverse if w is None else inverse * w)
    return out if bias is None else out + bias.reshape(channel)


def _move(mean: SecretTensor, variance: SecretTensor, found: _Statistics, momentum: float, unbiased: float) -> None:
    """Both running statistics towards the batch's: one truncation."""
    party = mean.party
    terms = []
    for running, now, factor in ((mean, found.mean, 1.0), (variance, found.variance, unbiased)):
        share = running._value.settled()
        new = now.share.reshape(running.shape)
        terms.append([(1.0 - momentum, share), (momentum * factor * now.gain, new)])
    for running, share in zip((mean, variance), combine(party, terms), strict=True):
        running._value = Value(party, Share(share.words, share.scale))


def layer_norm(
    input: SecretTensor, normalized_shape: Any, weight: SecretTensor | None = None, bias: SecretTensor | None = None,
    eps: float = 1e-5,
) -> SecretTensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axes, those of ``normalized_shape``, as torch's.

    Range and error: as `batch_norm`. Raises ShapeError, ConfigError.
    """
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not shape:
        raise ConfigError("layer_norm: normalized_shape=(); want at least one axis")
    if tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(f"layer_norm: input of shape {tuple(input.shape)}; want {shape} at its end")
    out, _ = _normalize(input, None, tuple(range(input.ndim - len(shape), input.ndim)), eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias
