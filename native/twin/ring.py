"""Arithmetic in Z_2^64 with numpy: products, Beaver combinations, truncation (protocols.md sections 4 and 5)."""

import numpy as np

from .checks import WORD, flat, shift_range


def matmul(a, b, out, accumulate=False):
    """out (+)= a @ b mod 2^64; a [m,k] and b [k,n] with any strides, out [m,n] C-contiguous."""
    for name, array in (("a", a), ("b", b), ("out", out)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name}: got {type(array).__name__}; want a numpy array")
        if array.dtype != WORD or array.ndim != 2:
            raise ValueError(f"{name}: got {array.dtype} of shape {array.shape}; want uint64 of two dimensions")
    if a.shape[1] != b.shape[0] or out.shape != (a.shape[0], b.shape[1]):
        raise ValueError(f"shapes: got {a.shape} @ {b.shape} -> {out.shape}; want [m,k] @ [k,n] -> [m,n]")
    if not out.flags.c_contiguous:
        raise ValueError("out: got a strided array; want C-contiguous")
    if np.may_share_memory(out, a) or np.may_share_memory(out, b):
        raise ValueError("out: got memory of a or b; want its own")
    if accumulate:
        out += a @ b
    else:
        out[...] = a @ b


def _same(out, **arrays):
    flat("out", out)
    for name, array in arrays.items():
        flat(name, array, out.size)


def mul(a, b, out):
    """out = a * b."""
    _same(out, a=a, b=b)
    np.multiply(a, b, out=out)


def mul_add(a, b, out):
    """out += a * b."""
    _same(out, a=a, b=b)
    out += a * b


def mul_scalar(a, k, out):
    """out = k * a for a public integer k, taken mod 2^64."""
    _same(out, a=a)
    np.multiply(a, WORD(int(k) & (2**64 - 1)), out=out)


def beaver_mul(e, f, a, b, out, first):
    """out += e * (b + f) + a * f at the first party, e * b + a * f elsewhere (section 4)."""
    _same(out, e=e, f=f, a=a, b=b)
    out += e * (b + f if first else b) + a * f


def beaver_square(e, a, out, first):
    """out += 2 e a, and e^2 at the first party (section 4, one mask)."""
    _same(out, e=e, a=a)
    out += WORD(2) * e * a
    if first:
        out += e * e


def truncate_finish(c, rc, rb, s, first, shift, out):
    """This party's share of the truncated (and selected) value from the opened c (sections 5 and 6).

    out = ch u - rc + 2^(63-m) (c63 u + (1 - 2 c63) rb) - 2^(62-m) u with m = shift, ch = (c << 1) >> (m + 1) and
    u = s, the share of the selecting bit, or 1 at the first party and 0 elsewhere where s is None.
    """
    m = shift_range(shift)
    _same(out, c=c, rc=rc)
    flat("rb", rb, out.size, np.uint32 if getattr(rb, "dtype", None) == np.uint32 else WORD)
    u = WORD(1 if first else 0) if s is None else flat("s", s, out.size)
    ch = (c << WORD(1)) >> WORD(m + 1)
    c63 = c >> WORD(63)
    bit = c63 * u + (WORD(1) - WORD(2) * c63) * rb.astype(WORD)
    out[...] = ch * u - rc + WORD(1 << (63 - m)) * bit - WORD(1 << (62 - m)) * u


def truncated_product(c, rc, rb, low_b, top_b, y, f, first, shift, truncated, product):
    """The end of a truncation and of the product behind it, from the opened c (section 5).

    truncated = (P at the first party) - M and product = P y - M f - [M B]: P is what c makes public of the truncated value,
    M = rc - 2^(63-m) (1 - 2 c63) rb; low_b, top_b are the shares of rc B and rb B, y and f share and opening of the factor.
    """
    _same(product, c=c, rc=rc, low_b=low_b, top_b=top_b, y=y, f=f, truncated=truncated)
    public, minus_mb = np.empty_like(c), np.empty_like(c)
    nothing = np.zeros_like(c)
    truncate_finish(c, nothing, nothing, None, True, shift, public)
    truncate_finish(c, low_b, top_b, None, False, shift, minus_mb)
    truncate_finish(c, rc, rb, None, first, shift, truncated)
    minus_m = truncated - public if first else truncated
    product[...] = public * y + minus_m * f + minus_mb
