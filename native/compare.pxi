# Comparison on XOR shares (section 6). Plane tensors, their orders and the padding: twin/compare.py.
cdef int run_mask(tree_kind which, str name, words_in rows, key, op, tensor, words_out out) except -1:
    cdef const level *at = &LEVELS[<int>which]
    cdef Py_ssize_t width
    cdef source m = named(key, op, tensor)
    if rows is None:
        raise TypeError(f"{name}: got None; want an array")
    width = width_of(name, rows.shape[0], at.planes_in)
    out_size("out", out, at.inputs * width)
    with nogil:
        table.mask(which, width, at_in(rows), m, at_out(out))
    return 0


cdef int run_merge(tree_kind which, Py_ssize_t width, words_in rows, words_in opened, key_m, op_m, tensor_m, key_mono,
                   op_mono, tensor_mono, words_in corr_mono, bint first, words_in top, words_out out) except -1:
    cdef const level *at = &LEVELS[<int>which]
    cdef source m = named(key_m, op_m, tensor_m)
    cdef source monomials = dealt(key_mono, op_mono, tensor_mono, corr_mono, at.monomials * width)
    in_size("opened", opened, at.inputs * width)
    out_size("out", out, at.planes_out * width)
    with nogil:
        table.merge(which, width, at_in(rows), at_in(opened), m, monomials, first, at_in(top), at_out(out))
    return 0


def compare_lookup(words_in d not None, key, op, tensor, words_in corr, bint first, words_out lteq not None,
                   words_out top not None):
    """Shares of lt_j = th_j[d_j] and eq_j = (th_j[d_j - 1], or 1 where d_j = 0) ^ th_j[d_j]; top = d63 ^ <r63>.

    d [n] is public; lteq [32 W]; top [W].
    """
    cdef size_t n = d.shape[0], width = plane_words(n)
    cdef source tables = dealt(key, op, tensor, corr, TH_PLANES * width)
    out_size("lteq", lteq, LTEQ_PLANES * width)
    out_size("top", top, width)
    with nogil:
        table.lookup(n, at_in(d), tables, first, at_out(lteq), at_out(top))


def tree1_mask(words_in lteq not None, key, op, tensor, words_out out27 not None):
    """out = the 27 inputs of level 1, XOR this party's stream."""
    run_mask(TREE1, "lteq", lteq, key, op, tensor, out27)


def tree1_merge(words_in lteq not None, words_in e27 not None, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono,
                words_in corr_mono, bint first, words_out level1 not None):
    """LEVEL1 shares (LT0..LT3, EQ1..EQ3) from the opened 27 planes."""
    cdef Py_ssize_t width = width_of("lteq", lteq.shape[0], LTEQ_PLANES)
    run_merge(TREE1, width, lteq, e27, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, None,
              level1)


def tree2_mask(words_in level1 not None, key, op, tensor, words_out out6 not None):
    """out = the 6 inputs of level 2, XOR this party's stream."""
    run_mask(TREE2, "level1", level1, key, op, tensor, out6)


def tree2_merge(words_in level1 not None, words_in e6 not None, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono,
                words_in corr_mono, bint first, words_in top not None, words_out msb not None):
    """msb = top ^ borrow, from the opened 6 planes."""
    cdef Py_ssize_t width = width_of("level1", level1.shape[0], LEVEL1_PLANES)
    in_size("top", top, width)
    run_merge(TREE2, width, level1, e6, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, top, msb)


def equal1_mask(words_in lteq not None, key, op, tensor, words_out out16 not None):
    """out = eq_0 .. eq_15, XOR this party's stream."""
    run_mask(EQUAL1, "lteq", lteq, key, op, tensor, out16)


def equal1_merge(words_in e16 not None, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, words_in corr_mono,
                 bint first, words_out out4 not None):
    """out = four ANDs of four neighbouring eq each."""
    cdef Py_ssize_t width = width_of("out4", out4.shape[0], 4)
    run_merge(EQUAL1, width, None, e16, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first, None, out4)


def equal2_mask(words_in in4 not None, key, op, tensor, words_out out4 not None):
    """out = the four planes of `equal1_merge`, XOR this party's stream."""
    run_mask(EQUAL2, "in4", in4, key, op, tensor, out4)


def equal2_merge(words_in e4 not None, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, words_in corr_mono,
                 bint first, words_out out1 not None):
    """out = the AND of the four planes: 1 where x == 0."""
    run_merge(EQUAL2, out1.shape[0], None, e4, key_m, op_m, tensor_m, key_mono, op_mono, tensor_mono, corr_mono, first,
              None, out1)


def deal_tables(words_in r not None, keys_minus, op, tensor, words_out out233 not None):
    """The dealer's correction of TH: the plaintext planes of r XOR the streams of all other parties."""
    cdef size_t n = r.shape[0]
    cdef source minus = named(keys_minus, op, tensor)
    out_size("out233", out233, TH_PLANES * plane_words(n))
    with nogil:
        table.deal_tables(n, at_in(r), minus, at_out(out233))


KIND_NAMES = ("tree1", "tree2", "equal1", "equal2", "tree8", "equal8")


def deal_monomials(kind, Py_ssize_t n, keys_all, op_m, tensor_m, keys_minus, op_mono, tensor_mono,
                   words_out out not None):
    """The dealer's correction of a level's monomials: products of the parties' total masks XOR the others' streams."""
    cdef source all_ = named(keys_all, op_m, tensor_m), minus = named(keys_minus, op_mono, tensor_mono)
    cdef size_t width
    cdef int which
    if kind not in KIND_NAMES:
        raise ValueError(f"kind: got {kind!r}; want one of {KIND_NAMES}")
    if n < 0:
        raise ValueError(f"n: got {n}; want at least 0 lanes")
    which = KIND_NAMES.index(kind)
    width = plane_words(n)
    out_size("out", out, LEVELS[which].monomials * width)
    with nogil:
        table.deal_monomials(<tree_kind>which, width, all_, minus, at_out(out))
