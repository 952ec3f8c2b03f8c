"""Comparison in chunks of 8 bits with one merge, with numpy (protocols.md section 6).

  TABLES  30 words for each lane, not planes: the position looked up is public, so that a party makes one AES block of the
          two of a chunk. Blocks 2 j, 2 j + 1 of chunk j = 0..6: th_j[0..127] and th_j[127..254] (th_j[127] twice, so that
          th_j[d] and th_j[d - 1] share a block); block 14: th_7[0..126], then r63
  LTEQ    16 planes: lt_0 .. lt_7, eq_0 .. eq_7
  E       14: eq_7 .. eq_1, lt_0 .. lt_6; equality 8: eq_7 .. eq_0
  MONO    367: the subsets of at least two eq as bit masks (bit i = input i), ascending; then for j = 0..6 lt_j times every
          subset of the eq above it, ascending. Equality 247: the subsets of at least two eq
Padding lanes behave as d = r = 0.
"""

import numpy as np

from .checks import WORD, flat, planes_of, words
from .planes import bitslice, group, pack, ungroup
from .streams import xor_streams

CHUNKS, LANE_WORDS, LTEQ_PLANES = 8, 30, 16
ONES = WORD(2**64 - 1)
BYTE, TOP = WORD(255), WORD(127)


def _subsets(count):
    return [mask for mask in range(1 << count) if mask.bit_count() >= 2]


EQ_SUBSETS = _subsets(7)
LT_SUBSETS = [list(range(1, 1 << (7 - j))) for j in range(7)]
MONOMIALS = {"tree8": len(EQ_SUBSETS) + sum(map(len, LT_SUBSETS)), "equal8": len(_subsets(8))}
INPUTS = {"tree8": 14, "equal8": 8}


def _digit(x, j):
    return (x >> WORD(8 * j)) & (BYTE if j < 7 else TOP)


def _bit(rows, position):
    """Bit `position` of each lane's row of words."""
    lane = np.arange(rows.shape[0])
    return (rows[lane, position >> 6] >> (position & 63).astype(WORD)) & WORD(1)


def compare_lookup8(d, key, op, tensor, corr, first, lteq, top):
    """As `compare_lookup` for 8 chunks: lteq [16 W] is lt_0 .. lt_7, eq_0 .. eq_7; top [W]; corr [30 n]."""
    width = words(flat("d", d).size)
    flat("lteq", lteq, LTEQ_PLANES * width)
    flat("top", top, width)
    size = LANE_WORDS * d.size
    rows = (xor_streams(key, op, tensor, size) if corr is None else flat("corr", corr, size)).reshape(d.size, LANE_WORDS)
    less, equal = [], []
    for j in range(CHUNKS):
        digit = _digit(d, j).astype(np.int64)
        place = 256 * j + digit + (digit >> 7)  # th[127] stands twice
        end = digit == (255 if j < 7 else 127)
        lt = np.where(end, WORD(0), _bit(rows, np.where(end, 0, place)))
        below = np.where(digit == 0, WORD(bool(first)), _bit(rows, np.maximum(place - 1, 0)))
        less.append(pack(lt))
        equal.append(pack(lt ^ below) | (_padding(d.size) if first else WORD(0)))
    group(np.stack(less + equal), lteq)
    top[...] = pack(rows[:, -1] >> WORD(63)) ^ (bitslice(d)[63] if first else WORD(0))


def _padding(lanes):
    """A plane with ones in the lanes beyond the last."""
    return ~pack(np.ones(lanes, WORD))


def _fold(e, with_mask, without):
    """Shares of x P for x = e ^ m from those of m P and P."""
    return with_mask ^ (e & without)


def _shares(key_m, op_m, tensor_m, key, op, tensor, corr, first, kind, width):
    """(shares of the products of eq masks by subset, those with lt_j by (j, subset))."""
    m = ungroup(xor_streams(key_m, op_m, tensor_m, INPUTS[kind] * width), INPUTS[kind])
    count = MONOMIALS[kind]
    dealt = xor_streams(key, op, tensor, count * width) if corr is None else flat("corr", corr, count * width)
    rows = iter(ungroup(dealt, count))
    masks = 7 if kind == "tree8" else 8
    eq = [np.full(width, ONES if first else WORD(0))]
    for mask in range(1, 1 << masks):
        eq.append(next(rows) if mask.bit_count() >= 2 else m[mask.bit_length() - 1])
    lt = [[m[7 + j], *(next(rows) for _ in LT_SUBSETS[j])] for j in range(7)] if kind == "tree8" else []
    return eq, lt


def _mask(kind, order, lteq, key, op, tensor, out):
    width = planes_of("lteq", lteq, LTEQ_PLANES)
    flat("out", out, INPUTS[kind] * width)
    group(ungroup(lteq, LTEQ_PLANES)[order], out)
    out ^= xor_streams(key, op, tensor, out.size)


def tree8_mask(lteq, key, op, tensor, out14):
    """out = eq_7 .. eq_1, lt_0 .. lt_6, XOR this party's stream."""
    _mask("tree8", [15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6], lteq, key, op, tensor, out14)


def equal8_mask(lteq, key, op, tensor, out8):
    """out = eq_7 .. eq_0, XOR this party's stream."""
    _mask("equal8", list(range(15, 7, -1)), lteq, key, op, tensor, out8)


def tree8_merge(lteq, e14, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, top, msb):
    """msb = top ^ lt_7 ^ XOR_j lt_j eq_(j+1) .. eq_7, each product opened up over the subsets of its inputs."""
    width = planes_of("lteq", lteq, LTEQ_PLANES)
    flat("top", top, width)
    flat("msb", msb, width)
    e = ungroup(flat("e", e14, 14 * width), 14)
    eq, lt = _shares(key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, "tree8", width)
    borrow = ungroup(lteq, LTEQ_PLANES)[7]
    for j in range(7):
        terms = [_fold(e[7 + j], lt[j][mask], eq[mask]) for mask in range(1 << (7 - j))]
        borrow = borrow ^ _all(e[: 7 - j], terms)
    msb[...] = top ^ borrow


def _all(e, terms):
    """The product of the inputs whose opened planes are e; terms[S] is a share of the rest times the masks in S."""
    for plane in reversed(e):
        half = len(terms) // 2
        terms = [_fold(plane, terms[half + S], terms[S]) for S in range(half)]
    return terms[0]


def equal8_merge(e8, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, out1):
    """out = the AND of the eight planes: 1 where x == 0."""
    width = flat("out1", out1).size
    e = ungroup(flat("e", e8, 8 * width), 8)
    eq, _ = _shares(key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, "equal8", width)
    out1[...] = _all(e, eq)


def deal_tables8(r, keys_minus, op, tensor, out):
    """The dealer's correction of the tables by lane [30 n]: those of r XOR the streams of all other parties."""
    n = flat("r", r).size
    flat("out", out, LANE_WORDS * n)
    bits = np.zeros((n, 64 * LANE_WORDS), bool)
    for j in range(CHUNKS):
        at = 256 * j
        values = np.arange(127) if j == 7 else np.concatenate([np.arange(128), np.arange(127, 255)])
        bits[:, at : at + values.size] = values < _digit(r, j)[:, None].astype(np.int64)
    bits[:, -1] = r >> WORD(63)
    out[...] = np.packbits(bits, axis=1, bitorder="little").view("<u8").reshape(-1)
    out ^= xor_streams(keys_minus, op, tensor, out.size)


def monomial_planes(kind, m):
    """The monomials [P, W] of total masks [inputs, W]."""
    subsets = _subsets(8) if kind == "equal8" else EQ_SUBSETS
    rows = [np.bitwise_and.reduce([m[i] for i in range(8) if mask >> i & 1]) for mask in subsets]
    if kind == "tree8":
        product = {0: np.full(m.shape[1], ONES), **{1 << i: m[i] for i in range(7)}, **dict(zip(subsets, rows, strict=True))}
        rows += [m[7 + j] & product[mask] for j in range(7) for mask in LT_SUBSETS[j]]
    return np.stack(rows)
