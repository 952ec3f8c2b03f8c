# Section 7: harmonics of an angle, dealt and combined.
cdef int want_angle(int bits, int orders) except -1:
    if not 1 <= bits <= 63:
        raise ValueError(f"period_bits: got {bits}; want 1..63")
    if orders < 1:
        raise ValueError(f"orders: got {orders}; want at least 1")
    return 0


def harmonics(words_in r not None, int period_bits, int orders, int scale, words_out out not None):
    """out = round(2^scale cos(k t)) for k = 1..orders, then the sines; t = 2 pi r / 2^period_bits."""
    cdef size_t n = r.shape[0]
    cdef double one
    want_angle(period_bits, orders)
    if not 0 <= scale <= 50:
        raise ValueError(f"scale: got {scale}; want 0..50")
    out_size("out", out, 2 * orders * n)
    one = 2.0 ** scale
    with nogil:
        table.harmonics(n, at_in(r), period_bits, orders, one, at_out(out))


def fourier_series(words_in d not None, int period_bits, const double[::1] cosines not None,
                   const double[::1] sines not None, words_in dealt not None, words_out out not None):
    """out = sum_k round(a_k cos k c + b_k sin k c) [cos k t] + round(a_k sin k c - b_k cos k c) [sin k t];
    a, b = cosines, sines; c = 2 pi d / 2^period_bits: sum_k a_k cos k (c - t) + b_k sin k (c - t)."""
    cdef size_t n = out.shape[0]
    cdef int orders = sines.shape[0]
    want_angle(period_bits, orders)
    if cosines.shape[0] != orders:
        raise ValueError(f"cosines: got {cosines.shape[0]} for {orders} sines; want as many")
    in_size("d", d, n)
    in_size("dealt", dealt, 2 * orders * n)
    with nogil:
        table.fourier_series(n, at_in(d), period_bits, orders, &cosines[0], &sines[0], at_in(dealt), at_out(out))


def exponentials(words_in x not None, int frac, double offset, int scale, words_out out not None):
    """out = round(2^scale exp(x 2^-frac + offset)) of two's complement x; the caller keeps results below 2^51."""
    cdef size_t n = out.shape[0]
    cdef double unit
    if not 0 <= frac <= 63 or not 0 <= scale <= 50:
        raise ValueError(f"exponentials: got frac {frac}, scale {scale}; want 0..63 and 0..50")
    in_size("x", x, n)
    unit = 2.0 ** -frac
    with nogil:
        table.exponentials(n, at_in(x), unit, offset, scale, at_out(out))
