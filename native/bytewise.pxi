# Comparison in chunks of 8 bits with one merge (section 6). Tables by lane, and their blocks: twin/bytewise.py.
def compare_lookup8(words_in d not None, key, op, tensor, words_in corr, bint first, words_out lteq not None,
                    words_out top not None):
    """As `compare_lookup` for 8 chunks: lteq [16 W] is lt_0 .. lt_7, eq_0 .. eq_7; top [W]; corr [30 n]."""
    cdef size_t n = d.shape[0], width = plane_words(n)
    cdef source tables = dealt(key, op, tensor, corr, TABLE8_WORDS * n)
    out_size("lteq", lteq, LTEQ8_PLANES * width)
    out_size("top", top, width)
    with nogil:
        table.lookup8(n, at_in(d), tables, first, at_out(lteq), at_out(top))


def tree8_mask(words_in lteq not None, key, op, tensor, words_out out14 not None):
    """out = eq_7 .. eq_1, lt_0 .. lt_6, XOR this party's stream."""
    run_mask(TREE8, "lteq", lteq, key, op, tensor, out14)


def tree8_merge(words_in lteq not None, words_in e14 not None, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono,
                words_in corr_mono, bint first, words_in top not None, words_out msb not None):
    """msb = top ^ lt_7 ^ eq_7 (lt_6 ^ eq_6 (.. lt_0)), from the opened 14 planes."""
    cdef Py_ssize_t width = width_of("lteq", lteq.shape[0], LTEQ8_PLANES)
    in_size("top", top, width)
    run_merge(TREE8, width, lteq, e14, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, top, msb)


def equal8_mask(words_in lteq not None, key, op, tensor, words_out out8 not None):
    """out = eq_7 .. eq_0, XOR this party's stream."""
    run_mask(EQUAL8, "lteq", lteq, key, op, tensor, out8)


def equal8_merge(words_in e8 not None, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, words_in corr_mono,
                 bint first, words_out out1 not None):
    """out = the AND of the eight planes: 1 where x == 0."""
    run_merge(EQUAL8, out1.shape[0], None, e8, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first,
              None, out1)


def deal_tables8(words_in r not None, keys_minus, op, tensor, words_out out not None):
    """The dealer's correction of the tables by lane [30 n]: those of r XOR the streams of all other parties."""
    cdef size_t n = r.shape[0]
    cdef source minus = named(keys_minus, op, tensor)
    out_size("out", out, TABLE8_WORDS * n)
    with nogil:
        table.deal_tables8(n, at_in(r), minus, at_out(out))
