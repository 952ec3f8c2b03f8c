# Arithmetic in Z_2^64.
def matmul(const uint64_t[:, :] a not None, const uint64_t[:, :] b not None, uint64_t[:, ::1] out not None,
           bint accumulate=False):
    """out (+)= a @ b mod 2^64; a [m,k] and b [k,n] with any strides, out [m,n] C-contiguous, sharing no memory."""
    cdef size_t m = a.shape[0], k = a.shape[1], n = b.shape[1]
    cdef matrix left, right
    cdef int failed = 0
    if a.shape[1] != b.shape[0] or out.shape[0] != a.shape[0] or out.shape[1] != b.shape[1]:
        raise ValueError(f"shapes: got ({a.shape[0]}, {a.shape[1]}) @ ({b.shape[0]}, {b.shape[1]}) -> "
                         f"({out.shape[0]}, {out.shape[1]}); "
                         "want [m,k] @ [k,n] -> [m,n]")
    if (a.strides[0] | a.strides[1] | b.strides[0] | b.strides[1]) & 7:
        raise ValueError("strides: got a byte stride that is no multiple of 8; want whole words")
    if m == 0 or n == 0:
        return
    if k and (overlap(a, out) or overlap(b, out)):
        raise ValueError("out: got memory of a or b; want its own")
    left.at = &a[0, 0] if k else NULL
    left.row, left.column = a.strides[0] // 8, a.strides[1] // 8
    right.at = &b[0, 0] if k else NULL
    right.row, right.column = b.strides[0] // 8, b.strides[1] // 8
    with nogil:
        failed = table.matmul(m, n, k, left, right, &out[0, 0], accumulate)
    if failed:
        raise MemoryError(f"matmul: no memory for packing at {m} x {k} x {n}")


cdef bint overlap(const uint64_t[:, :] x, uint64_t[:, ::1] out) noexcept:
    """Whether x's address range meets out's (neither is empty)."""
    cdef size_t low = <size_t>&x[0, 0], high = low + 8, begin = <size_t>&out[0, 0]
    cdef ptrdiff_t reach
    cdef int axis
    for axis in range(2):
        reach = (x.shape[axis] - 1) * x.strides[axis]
        if reach < 0:
            low += reach
        else:
            high += reach
    return low < begin + <size_t>(8 * out.shape[0] * out.shape[1]) and begin < high


def mul(words_in a not None, words_in b not None, words_out out not None):
    """out = a * b."""
    cdef size_t n = out.shape[0]
    in_size("a", a, n)
    in_size("b", b, n)
    with nogil:
        table.mul(n, at_in(a), at_in(b), at_out(out))


def mul_add(words_in a not None, words_in b not None, words_out out not None):
    """out += a * b."""
    cdef size_t n = out.shape[0]
    in_size("a", a, n)
    in_size("b", b, n)
    with nogil:
        table.mul_add(n, at_in(a), at_in(b), at_out(out))


def mul_scalar(words_in a not None, k, words_out out not None):
    """out = k * a for a public integer k, taken mod 2^64."""
    cdef size_t n = out.shape[0]
    cdef u64 factor = int(k) & 0xFFFFFFFFFFFFFFFF
    in_size("a", a, n)
    with nogil:
        table.mul_scalar(n, at_in(a), factor, at_out(out))


def beaver_mul(words_in e not None, words_in f not None, words_in a not None, words_in b not None,
               words_out out not None, bint first):
    """out += e * (b + f) + a * f at the first party, e * b + a * f elsewhere (section 4)."""
    cdef size_t n = out.shape[0]
    in_size("e", e, n)
    in_size("f", f, n)
    in_size("a", a, n)
    in_size("b", b, n)
    with nogil:
        table.beaver_mul(n, at_in(e), at_in(f), at_in(a), at_in(b), at_out(out), first)


def beaver_square(words_in e not None, words_in a not None, words_out out not None, bint first):
    """out += 2 e a, and e^2 at the first party (section 4, one mask)."""
    cdef size_t n = out.shape[0]
    in_size("e", e, n)
    in_size("a", a, n)
    with nogil:
        table.beaver_square(n, at_in(e), at_in(a), at_out(out), first)


def truncated_product(words_in c not None, words_in rc not None, rb, words_in low_b not None, words_in top_b not None,
                      words_in y not None, words_in f not None, bint first, int shift, words_out truncated not None,
                      words_out product not None):
    """The end of a truncation and of the product behind it (section 5); rb is uint32 or uint64.

    truncated = (P at the first party) - M, product = P y - M f - [M B]; P is what c makes public of the truncated value,
    M = rc - 2^(63-m) (1 - 2 c63) rb, and low_b, top_b are the shares of rc B, rb B. y, f: share and opening of the factor.
    """
    cdef size_t n = product.shape[0]
    cdef const uint32_t[::1] rb32
    cdef words_in rb64
    cdef const uint32_t *narrow = NULL
    cdef const u64 *wide = NULL
    want_shift(shift)
    in_size("c", c, n)
    in_size("rc", rc, n)
    in_size("low_b", low_b, n)
    in_size("top_b", top_b, n)
    in_size("y", y, n)
    in_size("f", f, n)
    out_size("truncated", truncated, n)
    if getattr(rb, "itemsize", 8) == 4:
        rb32 = rb
        want_size("rb", rb32.shape[0], n)
        narrow = &rb32[0] if n else NULL
    else:
        rb64 = rb
        in_size("rb", rb64, n)
        wide = at_in(rb64)
    with nogil:
        table.truncated_product(n, at_in(c), at_in(rc), narrow, wide, at_in(low_b), at_in(top_b), at_in(y), at_in(f),
                                first, shift, at_out(truncated), at_out(product))


def truncate_finish(words_in c not None, words_in rc not None, rb, words_in s, bint first, int shift,
                    words_out out not None):
    """This party's share of the truncated value from the opened c (sections 5, 6); rb is uint32 or uint64.

    out = ch u - rc + 2^(63-m) (c63 u + (1 - 2 c63) rb) - 2^(62-m) u, m = shift, ch = (c << 1) >> (m + 1); u = s, or 1 at
    the first party and 0 elsewhere where s is None.
    """
    cdef size_t n = out.shape[0]
    cdef const uint32_t[::1] rb32
    cdef words_in rb64
    cdef const uint32_t *narrow = NULL
    cdef const u64 *wide = NULL
    want_shift(shift)
    in_size("c", c, n)
    in_size("rc", rc, n)
    if s is not None:
        in_size("s", s, n)
    if getattr(rb, "itemsize", 8) == 4:
        rb32 = rb
        want_size("rb", rb32.shape[0], n)
        narrow = &rb32[0] if n else NULL
    else:
        rb64 = rb
        in_size("rb", rb64, n)
        wide = at_in(rb64)
    with nogil:
        table.truncate_finish(n, at_in(c), at_in(rc), narrow, wide, at_in(s), first, shift, at_out(out))
