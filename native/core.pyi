"""Types of the compiled kernels; the docstrings are in the .pxi files and, with the formulas, in the twin."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]

def isa() -> str: ...
def available_isas() -> tuple[str, ...]: ...
def set_isa(name: str) -> None: ...
def tune_allocator() -> bool: ...
def matmul(a: Words, b: Words, out: Words, accumulate: bool = False) -> None: ...
def mul(a: Words, b: Words, out: Words) -> None: ...
def mul_add(a: Words, b: Words, out: Words) -> None: ...
def mul_scalar(a: Words, k: int, out: Words) -> None: ...
def beaver_mul(e: Words, f: Words, a: Words, b: Words, out: Words, first: bool) -> None: ...
def beaver_square(e: Words, a: Words, out: Words, first: bool) -> None: ...
def truncated_product(
    c: Words,
    rc: Words,
    rb: Words | npt.NDArray[np.uint32],
    low_b: Words,
    top_b: Words,
    y: Words,
    f: Words,
    first: bool,
    shift: int,
    truncated: Words,
    product: Words,
) -> None: ...
def truncate_finish(
    c: Words,
    rc: Words,
    rb: Words | npt.NDArray[np.uint32],
    s: Words | None,
    first: bool,
    shift: int,
    out: Words,
) -> None: ...
def expand_key(key: bytes) -> bytes: ...
def streams(keys: bytes, op: int, tensor: int, offset: int, out: Words, mode: int) -> None: ...
def streams_rows(
    keys: bytes,
    op: int,
    tensor: int,
    rows: npt.NDArray[np.int64],
    row_words: int,
    out: Words,
    mode: int,
) -> None: ...
def pack_bits(lanes: Words, out: Words) -> None: ...
def pack_msb(lanes: Words, out: Words) -> None: ...
def unpack_bits(planes: Words, out: Words) -> None: ...
def select_finish(e: Words, x: Words, xs: Words, out: Words) -> None: ...
def bit_finish(e: Words, s: Words, first: bool, out: Words) -> None: ...
def mul_bits(bits: Words, x: Words, out: Words) -> None: ...
def deal_select(s_planes: Words, x: Words | None, keys_minus: bytes, op: int, tensor: int, out: Words) -> None: ...
def truncate2_bits(x: Words, rank: int, s_planes: Words, out_planes: Words) -> None: ...
def truncate2_finish(
    x: Words,
    ea_planes: Words,
    eb_planes: Words,
    s_planes: Words,
    ss: Words,
    rank: int,
    shift: int,
    out: Words,
) -> None: ...
def compare_lookup(
    d: Words,
    key: bytes | None,
    op: int,
    tensor: int,
    corr: Words | None,
    first: bool,
    lteq: Words,
    top: Words,
) -> None: ...
def tree1_mask(lteq: Words, key: bytes, op: int, tensor: int, out27: Words) -> None: ...
def tree1_merge(
    lteq: Words,
    e27: Words,
    key_m: bytes,
    op_m: int,
    tensor_m: int,
    key_mono: bytes | None,
    op_mono: int,
    tensor_mono: int,
    corr_mono: Words | None,
    first: bool,
    level1: Words,
) -> None: ...
def tree2_mask(level1: Words, key: bytes, op: int, tensor: int, out6: Words) -> None: ...
def tree2_merge(
    level1: Words,
    e6: Words,
    key_m: bytes,
    op_m: int,
    tensor_m: int,
    key_mono: bytes | None,
    op_mono: int,
    tensor_mono: int,
    corr_mono: Words | None,
    first: bool,
    top: Words,
    msb: Words,
) -> None: ...
def equal1_mask(lteq: Words, key: bytes, op: int, tensor: int, out16: Words) -> None: ...
def equal1_merge(
    e16: Words,
    key_m: bytes,
    op_m: int,
    tensor_m: int,
    key_mono: bytes | None,
    op_mono: int,
    tensor_mono: int,
    corr_mono: Words | None,
    first: bool,
    out4: Words,
) -> None: ...
def equal2_mask(in4: Words, key: bytes, op: int, tensor: int, out4: Words) -> None: ...
def equal2_merge(
    e4: Words,
    key_m: bytes,
    op_m: int,
    tensor_m: int,
    key_mono: bytes | None,
    op_mono: int,
    tensor_mono: int,
    corr_mono: Words | None,
    first: bool,
    out1: Words,
) -> None: ...
def deal_tables(r: Words, keys_minus: bytes, op: int, tensor: int, out233: Words) -> None: ...
def deal_monomials(
    kind: Literal["tree1", "tree2", "equal1", "equal2", "tree8", "equal8"],
    n: int,
    keys_all: bytes,
    op_m: int,
    tensor_m: int,
    keys_minus: bytes,
    op_mono: int,
    tensor_mono: int,
    out: Words,
) -> None: ...
def compare_lookup8(
    d: Words,
    key: bytes | None,
    op: int,
    tensor: int,
    corr: Words | None,
    first: bool,
    lteq: Words,
    top: Words,
) -> None: ...
def tree8_mask(lteq: Words, key: bytes, op: int, tensor: int, out14: Words) -> None: ...
def tree8_merge(
    lteq: Words,
    e14: Words,
    key_m: bytes,
    op_m: int,
    tensor_m: int,
    key_mono: bytes | None,
    op_mono: int,
    tensor_mono: int,
    corr_mono: Words | None,
    first: bool,
    top: Words,
    msb: Words,
) -> None: ...
def equal8_mask(lteq: Words, key: bytes, op: int, tensor: int, out8: Words) -> None: ...
def equal8_merge(
    e8: Words,
    key_m: bytes,
    op_m: int,
    tensor_m: int,
    key_mono: bytes | None,
    op_mono: int,
    tensor_mono: int,
    corr_mono: Words | None,
    first: bool,
    out1: Words,
) -> None: ...
def deal_tables8(r: Words, keys_minus: bytes, op: int, tensor: int, out: Words) -> None: ...
def harmonics(r: Words, period_bits: int, orders: int, scale: int, out: Words) -> None: ...
def fourier_series(
    d: Words, period_bits: int, cosines: Doubles, sines: Doubles, dealt: Words, out: Words
) -> None: ...
def exponentials(x: Words, frac: int, offset: float, scale: int, out: Words) -> None: ...
def modular_lanes() -> int: ...
def modular_table_size(words: int, bits: int) -> int: ...
def modular_table(modulus: Words, square: Words, base: Words, bits: int, out: Words) -> None: ...
def modular_fixed(modulus: Words, powers: Words, bits: int, exponents: Words, out: Words) -> None: ...
def modular_power(modulus: Words, square: Words, bases: Words, bits: int, exponent: Words, out: Words) -> None: ...
