"""Sums, means, counts, histograms and quantiles of people, with the clipping inside the engine.

The rows (first axis) are people, and *neighbours* differ by one person's row being replaced: how many there are is public, as
every shape is. Whatever a row holds, any of the 2^64 words, what it contributes is clipped on shares, so nobody's good will is
needed. What can be released is a `Query`: the secret value, and by how much one row can move it. Its last operation is an exact
integer sum, so nothing is added for truncations.

::

    answer = privacy.sensitivity.mean(ages, 0, 100).reveal(epsilon=0.5, reason="mean age")
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc import fixed_point
from mpc.errors import ShapeError
from mpc.fixed_point import Floats, Words
from mpc.ops.value import Value
from mpc.party import Party
from mpc.privacy.dp.exponential import Exponential
from mpc.privacy.dp.gaussian import Gaussian
from mpc.privacy.dp.laplace import Laplace
from mpc.sharing import Share
from mpc.tensor import SecretTensor


class Query(NamedTuple):
    """An exact secret value, its L1 and L2 sensitivity when one row is replaced, and what it is multiplied with once
    revealed."""

    value: SecretTensor
    l1: float
    l2: float
    factor: float = 1.0

    def reveal(
        self, epsilon: float, delta: float | None = None, to: int | Sequence[int] | None = None, reason: str = ""
    ) -> Floats | None:
        """With Laplace noise, or with Gaussian noise where a ``delta`` is given: the better one for many columns at once."""
        dp: Laplace | Gaussian = (
            Laplace(epsilon, self.l1, truncations=0) if delta is None else Gaussian(epsilon, delta, self.l2, truncations=0)
        )
        receivers = self.value.party.receivers(to)  # before anything is charged
        share, remark, factor = dp.release(self.value._value, reason)
        return self.value.party.reveal(
            share, receivers, reason, check_range=False, depth=2, remark=remark, factor=factor * self.factor
        )


def total(x: SecretTensor, low: Any, high: Any) -> Query:
    """Sum over rows of x clipped to [low, high] (numbers, or one for each column)."""
    _rows(x)
    party, columns = x.party, x.shape[1:]
    bounds = [np.broadcast_to(fixed_point.encode(b, party.frac_bits), columns).view(np.int64) for b in (low, high)]
    width = fixed_point.decode(_words(bounds[1] - bounds[0]), party.frac_bits)  # of the bounds as the engine encodes them
    if not (width > 0).all():
        raise ValueError(f"clipped to low {low!r}, high {high!r}; want low < high")
    party.note("clipped", [b.tolist() for b in bounds])
    # high - max(high - low - max(x - low, 0), 0): one after the other, since both at once wrap for words near the ring's ends
    above = _positive(party, _fixed(x), -bounds[0])
    clipped = party.protocol.add_public(-_positive(party, -above, bounds[1] - bounds[0]), _words(bounds[1]))
    return Query(SecretTensor(Value(party, clipped)).sum(0), float(width.sum()), math.sqrt(float(np.square(width).sum())))


def mean(x: SecretTensor, low: Any, high: Any) -> Query:
    """Mean over rows of x clipped to [low, high]: the noisy sum divided by the public number of rows."""
    return total(x, low, high)._replace(factor=1.0 / x.shape[0])


def count(x: SecretTensor) -> Query:
    """How many rows of a tensor of bits (a comparison's result, shape (n,)) are 1; whatever exceeds 0.5 counts as 1."""
    _rows(x, 1)
    return Query(_at_least(x, [0.5])[0].sum(0), 1.0, 1.0)


def histogram(x: SecretTensor, edges: Sequence[float]) -> Query:
    """How many rows of x (shape (n,)) lie in [edges[i], edges[i + 1]), as `numpy.histogram` but for the last edge, which is
    open.

    A replaced row leaves one bin and enters another: L1 sensitivity 2, L2 sqrt(2). A ReLU, then 34 bits per edge and row.
    """
    _rows(x, 1)
    limits = [float(e) for e in edges]
    if len(limits) < 2 or any(not a < b for a, b in zip(limits, limits[1:], strict=False)):
        raise ValueError(f"edges {limits}; want at least two, rising")
    above = reached(x, limits).sum(1)
    return Query(above[:-1] - above[1:], 2.0, math.sqrt(2.0))


def reached(x: SecretTensor, limits: Sequence[float]) -> SecretTensor:
    """Bits 1{x >= limit}, (limits, n), integers, for x of shape (n,) and rising limits: whatever word x is, no bit is 1 behind
    one that is 0, so their differences say to which one range it belongs."""
    party = x.party
    words = [int(fixed_point.encode(v, party.frac_bits).view(np.int64)) for v in limits]
    first = words[0] - 1
    party.note("histogram", words)
    inside = _positive(party, _fixed(x), -first)  # from 0 on: then no word is at least one limit, but below a smaller one
    return SecretTensor(Value(party, party.protocol.at_least(inside, [w - first for w in words])))


def quantile(
    x: SecretTensor, q: float, candidates: Sequence[float], epsilon: float,
    to: int | Sequence[int] | None = None, reason: str = "",
) -> float | None:  # fmt: skip
    """The one of the rising ``candidates`` below which (about) a fraction q of the rows of x (shape (n,)) lies.

    The exponential mechanism on -| #(x < candidate) - round(q n) |, which one row moves by at most 1. Raises BudgetExceeded.
    """
    _rows(x, 1)
    if not 0 <= q <= 1:
        raise ValueError(f"quantile {q!r}; want 0 to 1")
    places = [float(c) for c in candidates]
    if not places or any(not a < b for a, b in zip(places, places[1:], strict=False)):
        raise ValueError(f"candidates {places}; want at least one, rising")
    below = x.shape[0] - _at_least(x, places).sum(1)
    wrong = below - round(q * x.shape[0])
    chosen = Exponential(epsilon, 1.0).selected(-wrong.abs(), to, reason)
    return None if chosen is None else places[chosen]


def _rows(x: SecretTensor, axes: int | None = None) -> None:
    if not isinstance(x, SecretTensor):
        raise TypeError(f"got {type(x).__name__}; want a secret tensor (mpc.share makes one)")
    if not x.ndim or not x.shape[0] or (axes is not None and x.ndim != axes):
        raise ShapeError(f"a tensor of shape {x.shape}; want one row per person{', of one number each' if axes == 1 else ''}")


def _fixed(x: SecretTensor) -> Share:
    share, f = x._value.settled(exact=True), x.party.frac_bits
    return share.lifted(f) if share.scale < f else share


def _positive(party: Party, share: Share, offset: Any) -> Share:
    """max(share + offset, 0) of integers modulo 2^64: 0 to 2^63 - 1 whatever the words are."""
    return party.protocol.relu(party.protocol.add_public(share, _words(offset)))[0]


def _words(integers: Any) -> Words:
    return np.asarray(integers, np.int64).view(np.uint64)


def _at_least(x: SecretTensor, limits: Sequence[float]) -> SecretTensor:
    """Bits 1{x >= limit}, (limits, n), integers: exact for x as it is encoded."""
    share = x._value.settled(exact=True)
    party = x.party
    limits = [fixed_point.decode(fixed_point.encode(v, party.frac_bits), party.frac_bits).item() for v in limits]
    words = [math.ceil(math.ldexp(v, share.scale)) for v in limits]
    return SecretTensor(Value(party, party.protocol.at_least(share, words)))
