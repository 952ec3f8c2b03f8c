"""Comparison on XOR shares with numpy (protocols.md section 6): lookup, radix-4 tree, equality. The dealer: `dealing`.

Plane tensors (grouped as in `planes`):
  TH      233 planes: thermometers th_j[v] = 1{v < r_j}, v = 0 .. 2^w - 2, of chunks j = 0..15 (15 planes each, the top
          one 7), then r63
  LTEQ    32: lt_0 .. lt_15, eq_0 .. eq_15
  E1      27: the masked inputs of level 1, group 0 (6: eq3 eq2 eq1 lt2 lt1 lt0), groups 1..3 (7: and eq0)
  MONO1   81: group 0 (15 monomials), groups 1..3 (22 each)
  LEVEL1   7: LT0 .. LT3, EQ1 .. EQ3
  E2, MONO2  6, 15: as group 0, on LEVEL1
Monomials are subsets of a group's inputs as bit masks (bit i = input i in the order above), in ascending order.
Padding lanes behave as d = r = 0: combined lt, borrow and msb are 0 there, combined eq is 1.
"""

import numpy as np

from .checks import WORD, flat, planes_of, words
from .planes import bitslice, group, ungroup
from .streams import xor_streams

TH_PLANES, LTEQ_PLANES, LEVEL1_PLANES = 233, 32, 7
ONES = WORD(2**64 - 1)
ZERO = WORD(0)
EQ3, EQ2, EQ1, LT2, LT1, LT0, EQ0 = range(7)
PRODUCTS_LT = ((EQ3, LT2), (EQ3, EQ2, LT1), (EQ3, EQ2, EQ1, LT0))
PRODUCT_EQ = (EQ3, EQ2, EQ1, EQ0)


def _monomials(products):
    """Every distinct subset of at least two inputs that the products need, as ascending bit masks."""
    masks = set()
    for product in products:
        for picked in range(1 << len(product)):
            if picked.bit_count() >= 2:
                masks.add(sum(1 << x for i, x in enumerate(product) if picked >> i & 1))
    return tuple(sorted(masks))


MONO_LT = _monomials(PRODUCTS_LT)
MONO_LT_EQ = _monomials((*PRODUCTS_LT, PRODUCT_EQ))
MONO_AND = _monomials(((0, 1, 2, 3),))
# kind: per group (number of inputs, monomials)
KINDS = {
    "tree1": ((6, MONO_LT), (7, MONO_LT_EQ), (7, MONO_LT_EQ), (7, MONO_LT_EQ)),
    "tree2": ((6, MONO_LT),),
    "equal1": ((4, MONO_AND),) * 4,
    "equal2": ((4, MONO_AND),),
}


def inputs_of(kind):
    """Opened planes of a level."""
    return sum(inputs for inputs, _ in KINDS[kind])


def monomials_of(kind):
    """Monomial planes of a level."""
    return sum(len(masks) for _, masks in KINDS[kind])


def chunk_bits(j):
    """Width of chunk j: fifteen of 4 bits and a top one of 3."""
    return 3 if j == 15 else 4


def _source(key, op, tensor, corr, planes, width):
    """This party's share [P, W] of a dealt plane tensor: its correction, or its stream."""
    if corr is not None:
        return ungroup(flat("corr", corr, planes * width), planes)
    return ungroup(xor_streams(key, op, tensor, planes * width), planes)


def _select(entries, bits):
    """entries[index] with the index given by bit planes, lowest first: a mux tree."""
    for bit in bits:
        entries = [low ^ bit & (low ^ high) for low, high in zip(entries[::2], entries[1::2], strict=True)]
    return entries[0]


def compare_lookup(d, key, op, tensor, corr, first, lteq, top):
    """Shares of lt_j = th_j[d_j] and eq_j = (th_j[d_j - 1], or 1 where d_j = 0) ^ th_j[d_j]; top = d63 ^ <r63>.

    d [n] is public; lteq [32 W]; top [W].
    """
    width = words(flat("d", d).size)
    flat("lteq", lteq, LTEQ_PLANES * width)
    flat("top", top, width)
    table = _source(key, op, tensor, corr, TH_PLANES, width)
    bits = bitslice(d)
    below = np.full(width, ONES if first else ZERO)
    above = np.zeros(width, WORD)
    less, equal = [], []
    for j in range(16):
        size = (1 << chunk_bits(j)) - 1
        index = bits[4 * j : 4 * j + chunk_bits(j)]
        entries = [below, *table[15 * j : 15 * j + size], above]
        less.append(_select(entries[1:], index))
        equal.append(_select(entries[:-1], index) ^ less[-1])
    group(np.stack(less + equal), lteq)
    top[...] = table[232] ^ (bits[63] if first else ZERO)


def _and(e, m, shares, product, first):
    """This party's share of the AND of masked inputs: XOR over subsets T of (prod outside T of e) <prod in T of m>."""
    out = np.zeros_like(e[0])
    for picked in range(1 << len(product)):
        inside = [x for i, x in enumerate(product) if picked >> i & 1]
        if not inside:
            term = np.full_like(out, ONES if first else ZERO)
        elif len(inside) == 1:
            term = m[inside[0]]
        else:
            term = shares[sum(1 << x for x in inside)]
        for x in product:
            if x not in inside:
                term = term & e[x]
        out = out ^ term
    return out


def _groups(kind, *tensors):
    """Cut inputs (e, m, ...) and, last, monomials [P, W] into the kind's groups; monomials become mask -> plane."""
    *inputs, monomials = tensors
    at = mono_at = 0
    for count, masks in KINDS[kind]:
        shares = dict(zip(masks, monomials[mono_at : mono_at + len(masks)], strict=True))
        yield *(x[at : at + count] for x in inputs), shares
        at, mono_at = at + count, mono_at + len(masks)


def _opened(kind, width, opened, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono):
    """(e, m, monomials) per group of a level."""
    inputs, monomials = inputs_of(kind), monomials_of(kind)
    flat("e", opened, inputs * width)
    m = _source(key_m, op_m, tensor_m, None, inputs, width)
    mono = _source(key_mono, op_mono, tensor_mono, corr_mono, monomials, width)
    return _groups(kind, ungroup(opened, inputs), m, mono)


def _mask(kind, rows, key, op, tensor, out):
    flat("out", out, inputs_of(kind) * rows[0].size)
    group(np.stack(rows), out)
    out ^= xor_streams(key, op, tensor, out.size)


def _node_inputs(lt, eq, node, with_eq0):
    """A merge's inputs in their fixed order, of the nodes 4 node .. 4 node + 3 (3 = high)."""
    at = 4 * node
    rows = [eq[at + 3], eq[at + 2], eq[at + 1], lt[at + 2], lt[at + 1], lt[at]]
    return [*rows, eq[at]] if with_eq0 else rows


def _merge_lt(e, m, shares, high, first):
    """LT = lt3 ^ eq3 lt2 ^ eq3 eq2 lt1 ^ eq3 eq2 eq1 lt0."""
    for product in PRODUCTS_LT:
        high = high ^ _and(e, m, shares, product, first)
    return high


def tree1_mask(lteq, key, op, tensor, out27):
    """out = the 27 inputs of level 1, XOR this party's stream."""
    planes_of("lteq", lteq, LTEQ_PLANES)
    rows = ungroup(lteq, LTEQ_PLANES)
    inputs = [row for node in range(4) for row in _node_inputs(rows[:16], rows[16:], node, node > 0)]
    _mask("tree1", inputs, key, op, tensor, out27)


def tree1_merge(lteq, e27, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, level1):
    """LEVEL1 shares (LT0..LT3, EQ1..EQ3) from the opened 27 planes."""
    width = planes_of("lteq", lteq, LTEQ_PLANES)
    flat("level1", level1, LEVEL1_PLANES * width)
    groups = _opened("tree1", width, e27, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono)
    rows = ungroup(lteq, LTEQ_PLANES)
    less, equal = [], []
    for node, (e, m, shares) in enumerate(groups):
        less.append(_merge_lt(e, m, shares, rows[4 * node + 3], first))
        if node:
            equal.append(_and(e, m, shares, PRODUCT_EQ, first))
    group(np.stack(less + equal), level1)


def tree2_mask(level1, key, op, tensor, out6):
    """out = the 6 inputs of level 2, XOR this party's stream."""
    planes_of("level1", level1, LEVEL1_PLANES)
    rows = ungroup(level1, LEVEL1_PLANES)
    _mask("tree2", _node_inputs(rows[:4], [None, *rows[4:]], 0, False), key, op, tensor, out6)


def tree2_merge(level1, e6, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, top, msb):
    """msb = top ^ borrow, from the opened 6 planes."""
    width = planes_of("level1", level1, LEVEL1_PLANES)
    flat("top", top, width)
    flat("msb", msb, width)
    groups = _opened("tree2", width, e6, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono)
    ((e, m, shares),) = groups
    msb[...] = top ^ _merge_lt(e, m, shares, ungroup(level1, LEVEL1_PLANES)[3], first)


def equal1_mask(lteq, key, op, tensor, out16):
    """out = eq_0 .. eq_15, XOR this party's stream."""
    planes_of("lteq", lteq, LTEQ_PLANES)
    _mask("equal1", ungroup(lteq, LTEQ_PLANES)[16:], key, op, tensor, out16)


def equal1_merge(e16, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, out4):
    """out = four ANDs of four neighbouring eq each."""
    width = planes_of("out4", out4, 4)
    groups = _opened("equal1", width, e16, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono)
    group(np.stack([_and(e, m, shares, range(4), first) for e, m, shares in groups]), out4)


def equal2_mask(in4, key, op, tensor, out4):
    """out = the four planes of `equal1_merge`, XOR this party's stream."""
    planes_of("in4", in4, 4)
    _mask("equal2", ungroup(in4, 4), key, op, tensor, out4)


def equal2_merge(e4, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, out1):
    """out = the AND of the four planes: 1 where x == 0."""
    width = flat("out1", out1).size
    groups = _opened("equal2", width, e4, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono)
    ((e, m, shares),) = groups
    out1[...] = _and(e, m, shares, range(4), first)
