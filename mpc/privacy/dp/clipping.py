"""Clipping of per-example gradients on shares, without the gradients: they stay factors (Goodfellow 2015).

Example i's gradient of a dense layer is the outer product of d_i (of the layer's output) and (a_i, 1) (its input and the bias),
so its squared norm over all layers is sum |d_i|^2 (|a_i|^2 + 1), and scaling it means scaling d_i.

1. c_i = min(1, C (1 - 2^-9) / norm) by thresholds and `mpc.functions.roots.rsqrt`, then d_i <- c_i d_i, rounded to the grid.
2. What is used is measured again, on the integers that enter the sum: where the norm is above C, or so large that it cannot be
   told, the example counts as 0. All roundings of the measurement go upwards.

So no error of step 1, no rounding and no data can make an example's contribution exceed C, in exact integers: nothing is added
to the sensitivity. In step 2 an honest example fails where rounding moves its norm by more than 2^-9 C: |(a, 1)| sqrt(outputs)
beyond about 2^11 C at 16 fraction bits. Out of range, so counted as 0: entries of a beyond 4,096 / sqrt(inputs), and norms
beyond about 2^13 C (both for 16 fraction bits).
"""
from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from mpc.errors import ConfigError
from mpc.functions.roots import rsqrt
from mpc.party import Party
from mpc.sharing import Share, add, concatenate

ACTIVATION_BITS: Final = 24  # of |a|^2 + 1; fewer where the ring has no room
SQUARE_BITS: Final = 60  # of a sum of squares in units of the ring, as far as it is used
ACTIVATION_SCALE: Final = 12  # to which it is rounded
NORM_SCALE: Final = 36  # of the squared norm, in units of C rounded down to a power of two
MARGIN: Final = 1 - 2.0**-9
FACTOR_SCALE: Final = 24
TARGET_BITS: Final = 14


class Factors(NamedTuple):
    """One layer's part of a batch: inputs (rows, in) and gradients of outputs per example (rows, out), at frac_bits."""

    inputs: Share
    outputs: Share


def checked(bound: float, frac_bits: int) -> None:
    """Raise ConfigError for a bound that this grid cannot hold."""
    most = min(10, 30 - frac_bits)  # its square in units stays below 2^62, where it is compared and truncated
    if not 2.0 ** (8 - frac_bits) <= bound <= 2.0**most or not 12 <= frac_bits <= 24:
        raise ConfigError(f"max_grad_norm {bound:g} at {frac_bits} fraction bits; want 2^{8 - frac_bits} to 2^{most}, 12 to 24 "
                          "bits: gradients are clipped on that grid")


def _activation_bits(frac_bits: int) -> int:
    return min(ACTIVATION_BITS, SQUARE_BITS - 2 * frac_bits)


def clipped(party: Party, layers: list[Factors], bound: float) -> list[Share]:
    """The layers' ``outputs``, every example's scaled so that its gradient's norm is at most ``bound`` (see this module).

    About 45 rounds for all layers together; 2 comparisons for each input and output, 18 and 12 for each row.
    """
    f = party.frac_bits
    norms = [_input_norm(party, layer.inputs) for layer in layers]
    activations = [party.protocol.truncate(n, 2 * f - ACTIVATION_SCALE) for n in norms]
    factor = _factor(party, layers, activations, bound)
    scaled = [party.protocol.mul(layer.outputs, _column(factor, layer.outputs)) for layer in layers]
    rounded = _split(party.protocol.truncate(_rows(scaled), FACTOR_SCALE), layers)
    keep = _within(party, layers, rounded, activations, bound)
    return [party.protocol.mul(r, _column(keep, r)) for r in rounded]


def _input_norm(party: Party, a: Share) -> Share:
    """|a|^2 + 1 per row at twice frac_bits."""
    squares = party.protocol.total(party.protocol.square(a), (1,), False)
    return party.protocol.add_public(squares, np.asarray(1 << squares.scale, np.uint64))


def _column(x: Share, like: Share) -> Share:
    return x.reshape((*x.shape, 1)).broadcast_to(like.shape)


def _rows(parts: list[Share]) -> Share:
    return concatenate(parts, 1) if len(parts) > 1 else parts[0]


def _split(joined: Share, layers: list[Factors]) -> list[Share]:
    ends = np.cumsum([layer.outputs.shape[1] for layer in layers]).tolist()
    return [joined[:, end - layer.outputs.shape[1] : end] for layer, end in zip(layers, ends, strict=True)]


def _unit(bound: float) -> int:
    """log2 of the bound, rounded down."""
    return math.frexp(bound)[1] - 1


def _factor(party: Party, layers: list[Factors], activations: list[Share], bound: float) -> Share:
    """c_i at `FACTOR_SCALE`, (rows,)."""
    protocol, f, unit = party.protocol, party.frac_bits, _unit(bound)
    squares = protocol.square(_rows([layer.outputs for layer in layers]))
    sums = concatenate([protocol.total(s, (1,), False).reshape((1, -1)) for s in _split(squares, layers)], 0)
    scale = min(2 * f, NORM_SCALE - ACTIVATION_SCALE - 2 * unit)
    if scale < 2 * f:
        sums = protocol.truncate(sums, 2 * f - scale)
    inputs = concatenate([a.reshape((1, -1)) for a in activations], 0)
    norm = protocol.total(protocol.mul(sums, inputs), (0,), False)
    norm = norm.rescaled(norm.scale + 2 * unit)  # in units of 2^unit: the bound is 1 to 2
    target = bound * MARGIN / 2.0**unit
    above = protocol.at_least(norm, [math.ceil(target**2 * 2.0**norm.scale)]).reshape(norm.shape)
    low = norm.rescaled(norm.scale + 12)  # divided by 2^12: rsqrt's domain ends at 2^15
    if low.scale > 2 * f:
        low = protocol.truncate(low, low.scale - 2 * f)
    root = rsqrt(protocol, low, f)
    number = math.floor(target * 2**TARGET_BITS)
    scaled = root.times(number).rescaled(root.scale + TARGET_BITS + 6)
    less_one = protocol.add_public(
        protocol.truncate(scaled, scaled.scale - FACTOR_SCALE), np.asarray((1 << 64) - (1 << FACTOR_SCALE), np.uint64)
    )
    return protocol.add_public(protocol.mul(above, less_one), np.asarray(1 << FACTOR_SCALE, np.uint64))


def _within(party: Party, layers: list[Factors], rounded: list[Share], activations: list[Share], bound: float) -> Share:
    """1 where the contribution's norm surely is at most ``bound``, else 0, (rows,).

    Integers: A of an input, D of an output. Every |A| <= R with in R^2 + 2^2f <= 2^(2f + b), every |D| <= M with out M^2 <
    2^62, sum D^2 <= C^2 2^2f in every layer: then nothing below wraps, and the last condition is the norm's:
    sum_l (floor(|a|^2 / 2^k) + 1) (floor(|d|^2 / 2^j) + 1) <= C^2 2^4f / 2^(k + j).
    """
    protocol, f, unit = party.protocol, party.frac_bits, _unit(bound)
    bits = _activation_bits(f)
    wrong: list[Share] = []
    for layer in layers:
        most = math.isqrt(((1 << 2 * f + bits) - (1 << 2 * f)) // layer.inputs.shape[1])
        wrong.append(_outside(party, layer.inputs, most))
    joined = _rows(rounded)
    wrong.append(_outside(party, joined, math.isqrt((1 << 62) // joined.shape[1])))
    squares = protocol.square(joined)
    sums = concatenate([protocol.total(s, (1,), False).reshape((1, -1)) for s in _split(squares, layers)], 0)
    largest = math.floor(bound**2 * 2.0 ** (2 * f))
    k = 2 * f - ACTIVATION_SCALE
    cut = max(1, 2 * f + bits + 2 * f + 2 * (unit + 1) + len(layers).bit_length() + 2 - 62 - k)
    one = np.asarray(1, np.uint64)
    outputs = protocol.add_public(protocol.truncate(sums, cut), one)
    inputs = protocol.add_public(concatenate([a.reshape((1, -1)) for a in activations], 0), one)
    norm = protocol.total(protocol.mul(outputs, inputs), (0,), True)
    limit = math.floor(bound**2 * 2.0 ** (4 * f - k - cut) * (1 - 2.0**-50))
    over = concatenate([protocol.at_least(sums, [largest + 1])[0], protocol.at_least(norm, [limit + 1])[0]], 0)
    wrong.append(protocol.total(over, (0,), False))
    count = wrong[0]
    for more in wrong[1:]:
        count = add(count, more)
    return protocol.negative(protocol.add_public(count, np.asarray((1 << 64) - 1, np.uint64)))


def _outside(party: Party, x: Share, most: int) -> Share:
    """How many entries of each row are not in -most .. most, whatever words they are."""
    bits = party.protocol.at_least(x, [most + 1, -most])
    high, low = bits[0], bits[1]
    inside = party.protocol.total(add(low, high, minus=True), (1,), False)
    return party.protocol.add_public(-inside, np.asarray(x.shape[1], np.uint64))
