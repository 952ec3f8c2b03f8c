"""Linear combinations of shares with public coefficients, truncated together: optimiser steps, running statistics, clipping."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mpc.fixed_point import Words
from mpc.ops.value import SIGNIFICANT_BITS
from mpc.sharing import Share, common_owner

if TYPE_CHECKING:
    from mpc.party import Party

MAX_SCALE = 58  # of a combination before it is truncated: results below 2^4

Term = tuple[float, Share]


def common_scale(sums: Sequence[Sequence[Term]], frac_bits: int) -> int:
    """The scale at which every coefficient has `SIGNIFICANT_BITS` bits or more; above frac_bits."""
    scale = frac_bits + 1
    for terms in sums:
        for coefficient, share in terms:
            if coefficient:
                need = SIGNIFICANT_BITS - math.frexp(coefficient)[1]
                scale = max(scale, share.scale + (need if share.scale > frac_bits else min(need, 2 * frac_bits)))
    return scale


def _truncated(party: Party, sums: Sequence[Sequence[Term]]) -> list[list[Term]]:
    """The same terms with what is pending at frac_bits: one truncation for each scale that occurs."""
    f = party.frac_bits
    done: dict[int, Share] = {}
    for scale in sorted({s.scale for terms in sums for _, s in terms if s.scale > f}):
        found = list({id(s): s for terms in sums for _, s in terms if s.scale == scale}.values())
        flat = Share(np.concatenate([s.words.reshape(-1) for s in found]), scale)
        words, at = party.protocol.truncate(flat, scale - f).words, 0
        for s in found:
            done[id(s)] = Share(words[at : at + s.size].reshape(s.shape), f)
            at += s.size
    return [[(c, done.get(id(s), s)) for c, s in terms] for terms in sums]


def combine(party: Party, sums: Sequence[Sequence[Term]]) -> list[Share]:
    """sum of coefficient * share for every list of terms, at scale frac_bits: one truncation for all of them.

    Coefficients have at least 12 significant bits (fewer below 2^-20 on shares at frac_bits). Range: every result below
    2^(62 - T) in magnitude, where T <= 58 is the common scale before truncation: 16 at worst, 2^9 for coefficients
    above 2^-8.
    """
    f, protocol = party.frac_bits, party.protocol
    party.note("combine", [[(c, s.shape, s.scale) for c, s in terms] for terms in sums])
    scale = common_scale(sums, f)
    if scale > MAX_SCALE:  # tiny coefficients of pending products: these are truncated first
        sums = _truncated(party, sums)
        scale = common_scale(sums, f)
    shapes = [terms[0][1].shape for terms in sums]
    sizes = [math.prod(shape) for shape in shapes]
    words: Words = np.empty(sum(sizes), np.uint64)
    at = 0
    for terms, shape, size in zip(sums, shapes, sizes, strict=True):
        out = words[at : at + size].reshape(shape)
        for k, (coefficient, share) in enumerate(terms):
            number = np.uint64(round(math.ldexp(coefficient, scale - share.scale)) % 2**64)
            if k:
                out += share.words * number
            else:
                np.multiply(share.words, number, out=out)
        at += size
    owner = common_owner(*(share for terms in sums for _, share in terms))
    done = protocol.truncate(Share(words, scale, owner=owner), scale - f).words
    parts, at = [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        parts.append(Share(done[at : at + size].reshape(shape), f, owner=owner))
        at += size
    return parts
