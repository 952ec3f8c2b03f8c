# Packed bits, and the kernels that finish a protocol from opened bits. W = ceil(n / 64) words; layout: twin/planes.py.
cdef enum:
    TOP_BIT = 63


def pack_bits(words_in lanes not None, words_out out not None):
    """out = bit 0 of each lane, packed; padding 0."""
    cdef size_t n = lanes.shape[0]
    out_size("out", out, plane_words(n))
    with nogil:
        table.pack(n, at_in(lanes), 0, 0, NULL, at_out(out))


def pack_msb(words_in lanes not None, words_out out not None):
    """out = bit 63 of each lane, packed; padding 0."""
    cdef size_t n = lanes.shape[0]
    out_size("out", out, plane_words(n))
    with nogil:
        table.pack(n, at_in(lanes), 0, TOP_BIT, NULL, at_out(out))


def unpack_bits(words_in planes not None, words_out out not None):
    """out = lanes 0 or 1."""
    cdef size_t n = out.shape[0]
    in_size("planes", planes, plane_words(n))
    with nogil:
        table.unpack(n, at_in(planes), at_out(out))


def select_finish(words_in e not None, words_in x not None, words_in xs not None, words_out out not None):
    """[x b] = e [x] + (1 - 2e) [x s] for b = e ^ s: out = x - xs where e = 1, else xs (section 6, select)."""
    cdef size_t n = out.shape[0]
    in_size("e", e, plane_words(n))
    in_size("x", x, n)
    in_size("xs", xs, n)
    with nogil:
        table.select_finish(n, at_in(e), at_in(x), at_in(xs), at_out(out))


def bit_finish(words_in e not None, words_in s not None, bint first, words_out out not None):
    """[b] = e + (1 - 2e) [s] (section 6, bit to arithmetic): out = first - s where e = 1, else s."""
    cdef size_t n = out.shape[0]
    in_size("e", e, plane_words(n))
    in_size("s", s, n)
    with nogil:
        table.bit_finish(n, at_in(e), at_in(s), first, at_out(out))


def mul_bits(words_in bits not None, words_in x not None, words_out out not None):
    """out = x where the packed public bit is 1, else 0."""
    cdef size_t n = out.shape[0]
    in_size("bits", bits, plane_words(n))
    in_size("x", x, n)
    with nogil:
        table.mul_bits(n, at_in(bits), at_in(x), at_out(out))


def deal_select(words_in s_planes not None, words_in x, keys_minus, op, tensor, words_out out not None):
    """The receiver's share of [x s] (of [s] where x is None): x where s = 1, else 0, minus the others' streams."""
    cdef size_t n = out.shape[0]
    cdef source minus = named(keys_minus, op, tensor)
    in_size("s_planes", s_planes, plane_words(n))
    if x is not None:
        in_size("x", x, n)
    with nogil:
        table.deal_select(n, at_in(s_planes), at_in(x), minus, at_out(out))


def truncate2_bits(words_in x not None, int rank, words_in s_planes not None, words_out out_planes not None):
    """Two-party truncation, the opened bit (section 5): packed a (rank 0) or b (rank 1), XOR this party's s.

    a = 1{x0 - L/4 mod L >= L/2}, b = 1{x1 >= L/2}, L = 2^64. Padding lanes carry those of s_planes.
    """
    cdef size_t n = x.shape[0]
    cdef u64 subtract
    want_rank(rank)
    in_size("s_planes", s_planes, plane_words(n))
    out_size("out_planes", out_planes, plane_words(n))
    subtract = 0 if rank else <u64>1 << 62
    with nogil:
        table.pack(n, at_in(x), subtract, TOP_BIT, at_in(s_planes), at_out(out_planes))


def truncate2_finish(words_in x not None, words_in ea_planes not None, words_in eb_planes not None,
                     words_in s_planes not None, words_in ss not None, int rank, int shift, words_out out not None):
    """Two-party truncation, this party's share (section 5): y = (x >> m) - w 2^(64-m) + rank.

    w0 = ea eb + eb (1-2ea) s0 + (1-2ea)(1-2eb) ss + d with d = 1{x0 >= L/4}; w1 = ea (1-2eb) s1 + (1-2ea)(1-2eb) ss.
    """
    cdef size_t n = out.shape[0], width = plane_words(n)
    want_rank(rank)
    want_shift(shift)
    in_size("x", x, n)
    in_size("ea_planes", ea_planes, width)
    in_size("eb_planes", eb_planes, width)
    in_size("s_planes", s_planes, width)
    in_size("ss", ss, n)
    with nogil:
        table.truncate2_finish(n, at_in(x), at_in(ea_planes), at_in(eb_planes), at_in(s_planes), at_in(ss), rank, shift,
                               at_out(out))
