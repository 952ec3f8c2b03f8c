"""Arrays over Z_2^64 (L1): the compiled kernels, or their numpy twin with MPC_NATIVE=0.

Every kernel of `mpc._native.core` is here under its own name; `matmul` adds numpy's semantics for vectors and batches
and threads over blocks of rows. Words are uint64, little-endian.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

if sys.byteorder != "little":
    raise ImportError("mpc.ring: got a big-endian machine; want little-endian (streams are read as words)")

try:
    if os.environ.get("MPC_NATIVE") == "0":
        from mpc._native import twin as _kernels
    else:
        from mpc._native import core as _kernels  # type: ignore[no-redef]
except ImportError as missing:
    if getattr(missing, "name", None) not in ("mpc._native", "mpc._native.core") or "MPC_ISA" in str(missing):
        raise
    raise ImportError(
        "mpc._native is not built here. Run `pip install .` (or `pip install -e .` in a checkout); with that done, "
        "MPC_NATIVE=0 selects the slow numpy twin where there is no compiled core."
    ) from missing

WORD = np.uint64
KEY_BYTES = 176  # one expanded key
SET, ADD, SUB, XOR, XOR_SET = range(5)  # modes of `streams`

available_isas = _kernels.available_isas
beaver_mul = _kernels.beaver_mul
beaver_square = _kernels.beaver_square
bit_finish = _kernels.bit_finish
compare_lookup = _kernels.compare_lookup
compare_lookup8 = _kernels.compare_lookup8
deal_monomials = _kernels.deal_monomials
deal_select = _kernels.deal_select
deal_tables = _kernels.deal_tables
deal_tables8 = _kernels.deal_tables8
equal1_mask = _kernels.equal1_mask
equal1_merge = _kernels.equal1_merge
equal2_mask = _kernels.equal2_mask
equal2_merge = _kernels.equal2_merge
equal8_mask = _kernels.equal8_mask
equal8_merge = _kernels.equal8_merge
expand_key = _kernels.expand_key
exponentials = _kernels.exponentials
fourier_series = _kernels.fourier_series
harmonics = _kernels.harmonics
isa = _kernels.isa
modular_fixed = _kernels.modular_fixed
modular_lanes = _kernels.modular_lanes
modular_power = _kernels.modular_power
modular_table = _kernels.modular_table
modular_table_size = _kernels.modular_table_size
mul = _kernels.mul
mul_add = _kernels.mul_add
mul_bits = _kernels.mul_bits
mul_scalar = _kernels.mul_scalar
pack_bits = _kernels.pack_bits
pack_msb = _kernels.pack_msb
select_finish = _kernels.select_finish
set_isa = _kernels.set_isa
streams = _kernels.streams
streams_rows = _kernels.streams_rows
tree1_mask = _kernels.tree1_mask
tree1_merge = _kernels.tree1_merge
tree2_mask = _kernels.tree2_mask
tree2_merge = _kernels.tree2_merge
tree8_mask = _kernels.tree8_mask
tree8_merge = _kernels.tree8_merge
truncate2_bits = _kernels.truncate2_bits
truncate2_finish = _kernels.truncate2_finish
truncate_finish = _kernels.truncate_finish
truncated_product = _kernels.truncated_product
tune_allocator = _kernels.tune_allocator
unpack_bits = _kernels.unpack_bits

_GROUP = 64
_PARALLEL_MACS = 1 << 22  # below about half a millisecond a second thread costs more than it gives
_threads = 1
_pool: ThreadPoolExecutor | None = None


def planes_words(n: int) -> int:
    """W: the 64-bit words of one plane over n lanes."""
    return (n + 63) // 64


def group_planes(planes):
    """Planes [P, W] in the layout of a bit-sliced tensor: groups of at most 64 words, each with its planes in order."""
    width = planes.shape[1]
    if width <= _GROUP:
        return planes.reshape(-1)
    return np.concatenate([planes[:, at : at + _GROUP].ravel() for at in range(0, width, _GROUP)])


def set_threads(count: int) -> None:
    """Use up to `count` threads for large matrix products of this process (1 at start)."""
    global _threads, _pool
    if count < 1:
        raise ValueError(f"threads: got {count}; want at least 1")
    if count == _threads:
        return
    if _pool is not None:
        _pool.shutdown()
    _threads, _pool = count, ThreadPoolExecutor(count, "mpc-matmul") if count > 1 else None


def _product(a, b, out, accumulate):
    """One 2-D product, cut into blocks of rows (or columns of a flat one) over the threads where that pays."""
    rows, columns = out.shape
    if _pool is None or rows * columns * a.shape[1] < _PARALLEL_MACS or rows < 2 * _threads:
        return _kernels.matmul(a, b, out, accumulate)
    cuts = [rows * part // _threads for part in range(_threads + 1)]
    blocks = [
        _pool.submit(_kernels.matmul, a[low:high], b, out[low:high], accumulate)
        for low, high in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    for block in blocks:
        block.result()


def matmul(a, b, out=None, accumulate=False):
    """a @ b mod 2^64 with numpy's matmul semantics: matrices, vectors, broadcast batches; any strides.

    out: C-contiguous, of the result's shape, sharing no memory with a or b; allocated if None. accumulate: add to out.
    Raises ValueError on shapes that do not fit, TypeError on accumulate without out.
    """
    if a.ndim == 2 == b.ndim and out is None and not accumulate and a.shape[1] == b.shape[0]:
        out = np.empty((a.shape[0], b.shape[1]), WORD)
        _product(a, b, out, False)
        return out
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: got shapes {a.shape}, {b.shape}; want at least one dimension each")
    if accumulate and out is None:
        raise TypeError("matmul: accumulate=True adds to out; got out=None")
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"matmul: got shapes {a.shape} @ {b.shape}; want equal inner dimensions")
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    full = (*batch, left.shape[-2], right.shape[-1])
    shape = (*batch, *full[-2:][: a.ndim > 1], *full[-1:][: b.ndim > 1])
    if out is None:
        out = np.empty(shape, WORD)
    elif out.shape != shape or not out.flags.c_contiguous:
        raise ValueError(f"out: got shape {out.shape}, contiguous={out.flags.c_contiguous}; want contiguous {shape}")
    result = out.reshape(full)
    if not batch:
        _product(left, right, result, accumulate)
        return out
    left = np.broadcast_to(left, (*batch, *left.shape[-2:]))
    right = np.broadcast_to(right, (*batch, *right.shape[-2:]))
    for index in np.ndindex(batch):
        _product(left[index], right[index], result[index], accumulate)
    return out
