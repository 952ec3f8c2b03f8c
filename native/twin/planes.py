"""Bit planes with numpy, and the kernels that finish a protocol from opened bits.

n lanes fill W = ceil(n / 64) words per plane; lane l is bit l % 64 of word l // 64. A tensor of P planes is stored in
groups of at most 64 words: group g covers words 64 g .. min(W, 64 g + 64) of every plane, its P planes one after the
other; group g begins at word P * 64 * g. P = 1 is the plain packed bit vector.
"""

import numpy as np

from .checks import WORD, choice, flat, shift_range, words
from .streams import SUB, streams

GROUP = 64  # words per plane in one group
ONE = WORD(1)


def ungroup(buffer, planes):
    """[P, W] copy of a grouped buffer."""
    width = buffer.size // planes
    parts = [buffer[planes * at : planes * min(width, at + GROUP)].reshape(planes, -1) for at in range(0, width, GROUP)]
    return np.concatenate(parts, axis=1) if parts else np.empty((planes, 0), WORD)


def group(matrix, buffer):
    """Write the planes [P, W] into a grouped buffer."""
    planes, width = matrix.shape
    for at in range(0, width, GROUP):
        part = matrix[:, at : at + GROUP]
        buffer[planes * at : planes * at + part.size] = part.ravel()


def pack(bits):
    """W words from lanes whose bit 0 counts; padding lanes are 0."""
    padded = np.zeros(words(bits.size) * 64, np.uint8)
    padded[: bits.size] = bits & ONE
    return np.packbits(padded, bitorder="little").view("<u8").astype(WORD, copy=False)


def unpack(packed, lanes):
    """`lanes` words 0 or 1 from a packed bit vector."""
    return np.unpackbits(packed.view(np.uint8), count=lanes, bitorder="little").astype(WORD)


def bitslice(lanes):
    """The 64 bit planes [64, W] of the lanes; padding lanes are 0."""
    return np.stack([pack(lanes >> WORD(bit)) for bit in range(64)])


def _packed(name, array, lanes):
    return unpack(flat(name, array, words(lanes)), lanes)


def pack_bits(lanes, out):
    """out = bit 0 of each lane, packed; padding 0."""
    flat("out", out, words(flat("lanes", lanes).size))
    out[...] = pack(lanes)


def pack_msb(lanes, out):
    """out = bit 63 of each lane, packed; padding 0."""
    flat("out", out, words(flat("lanes", lanes).size))
    out[...] = pack(lanes >> WORD(63))


def unpack_bits(planes, out):
    """out = lanes 0 or 1."""
    flat("out", out)
    out[...] = _packed("planes", planes, out.size)


def select_finish(e, x, xs, out):
    """[x b] = e [x] + (1 - 2e) [x s] for b = e ^ s: out = x - xs where e = 1, else xs (section 6, select)."""
    flat("x", x, flat("out", out).size)
    flat("xs", xs, out.size)
    out[...] = np.where(_packed("e", e, out.size) == ONE, x - xs, xs)


def bit_finish(e, s, first, out):
    """[b] = e + (1 - 2e) [s] (section 6, bit to arithmetic): out = first - s where e = 1, else s."""
    flat("s", s, flat("out", out).size)
    out[...] = np.where(_packed("e", e, out.size) == ONE, WORD(1 if first else 0) - s, s)


def mul_bits(bits, x, out):
    """out = x where the packed public bit is 1, else 0."""
    flat("x", x, flat("out", out).size)
    out[...] = _packed("bits", bits, out.size) * x


def deal_select(s_planes, x, keys_minus, op, tensor, out):
    """The receiver's share of [x s] (of [s] where x is None): x where s = 1, else 0, minus the others' streams."""
    bits = _packed("s_planes", s_planes, flat("out", out).size)
    out[...] = bits if x is None else bits * flat("x", x, out.size)
    streams(keys_minus, op, tensor, 0, out, SUB)


def truncate2_bits(x, rank, s_planes, out_planes):
    """Two-party truncation, the opened bit (section 5): packed a (rank 0) or b (rank 1), XOR this party's s.

    a = 1{x0 - L/4 mod L >= L/2}, b = 1{x1 >= L/2}, L = 2^64. Padding lanes carry those of s_planes.
    """
    choice("rank", rank, (0, 1))
    width = words(flat("x", x).size)
    flat("s_planes", s_planes, width)
    flat("out_planes", out_planes, width)
    out_planes[...] = pack((x if rank else x - WORD(1 << 62)) >> WORD(63)) ^ s_planes


def truncate2_finish(x, ea_planes, eb_planes, s_planes, ss, rank, shift, out):
    """Two-party truncation, this party's share (section 5): y = (x >> m) - w 2^(64-m) + rank.

    w0 = ea eb + eb (1-2ea) s0 + (1-2ea)(1-2eb) ss + d with d = 1{x0 >= L/4}; w1 = ea (1-2eb) s1 + (1-2ea)(1-2eb) ss.
    """
    choice("rank", rank, (0, 1))
    m = shift_range(shift)
    size = flat("out", out).size
    flat("x", x, size)
    flat("ss", ss, size)
    ea, eb = _packed("ea_planes", ea_planes, size), _packed("eb_planes", eb_planes, size)
    s = _packed("s_planes", s_planes, size)
    sign_a, sign_b = ONE - WORD(2) * ea, ONE - WORD(2) * eb
    w = sign_a * sign_b * ss
    if rank:
        w += ea * sign_b * s
    else:
        w += ea * eb + eb * sign_a * s + (x >= WORD(1 << 62))
    out[...] = (x >> WORD(m)) - (w << WORD(64 - m)) + WORD(rank)
