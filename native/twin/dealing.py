"""What the dealer computes for comparisons with numpy (protocols.md section 6); the orders are those of `compare`."""

import numpy as np

from . import bytewise
from .checks import choice, flat, words
from .compare import KINDS, TH_PLANES, chunk_bits, inputs_of, monomials_of
from .planes import bitslice, group, ungroup
from .streams import xor_streams


def _thermometer(bits):
    """1{v < value}, v = 0 .. 2^w - 2, of a value given by bit planes, lowest first."""
    if not bits:
        return []
    *low, high = bits
    rest = _thermometer(low)
    return [high | x for x in rest] + [high] + [high & x for x in rest]


def deal_tables(r, keys_minus, op, tensor, out233):
    """The dealer's correction of TH: the plaintext planes of r XOR the streams of all other parties."""
    flat("out233", out233, TH_PLANES * words(flat("r", r).size))
    bits = bitslice(r)
    rows = []
    for j in range(16):
        rows += _thermometer(list(bits[4 * j : 4 * j + chunk_bits(j)]))
    group(np.stack([*rows, bits[63]]), out233)
    out233 ^= xor_streams(keys_minus, op, tensor, out233.size)


def deal_monomials(kind, n, keys_all, op_m, tensor_m, keys_minus, op_mono, tensor_mono, out):
    """The dealer's correction of a level's monomials: products of the parties' total masks XOR the others' streams."""
    choice("kind", kind, (*KINDS, *bytewise.INPUTS))
    if kind in KINDS:
        inputs, planes, products = inputs_of(kind), monomials_of(kind), _monomial_planes
    else:
        inputs, planes, products = bytewise.INPUTS[kind], bytewise.MONOMIALS[kind], bytewise.monomial_planes
    width = words(n)
    flat("out", out, planes * width)
    group(products(kind, ungroup(xor_streams(keys_all, op_m, tensor_m, inputs * width), inputs)), out)
    out ^= xor_streams(keys_minus, op_mono, tensor_mono, out.size)


def _monomial_planes(kind, m):
    rows, at = [], 0
    for count, masks in KINDS[kind]:
        for mask in masks:
            rows.append(np.bitwise_and.reduce([m[at + i] for i in range(count) if mask >> i & 1]))
        at += count
    return np.stack(rows)
