# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Compiled kernels over Z_2^64, AES-128-CTR streams and bit planes: check the arguments, drop the GIL, call C.

The numpy twin (`mpc._native.twin`) has the same functions and states the formulas; protocols.md has the sections.
Arrays are uint64 and C-contiguous unless said otherwise; `out` belongs to the caller and every function returns None.
`out` may be one of the inputs of an elementwise kernel, but may not overlap one at another offset.
"""
import os
import sys

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

if sys.byteorder != "little":
    raise ImportError("mpc._native.core: got a big-endian machine; want little-endian")

include "declarations.pxi"
include "checks.pxi"
include "ring.pxi"
include "streams.pxi"
include "planes.pxi"
include "compare.pxi"
include "bytewise.pxi"
include "harmonics.pxi"
include "modular.pxi"


def isa():
    """The instruction set in use: "portable", "avx2" or "avx512"."""
    return table.name.decode()


def available_isas():
    """The instruction sets that this machine can run, slowest first."""
    names, i = [], 0
    while kernels_all[i] is not NULL:
        if kernels_all[i].usable():
            names.append(kernels_all[i].name.decode())
        i += 1
    return tuple(names)


def set_isa(name):
    """Use another instruction set in this process (tests and benchmarks); all give the same bits."""
    global table
    cdef bytes encoded = name.encode()
    cdef const kernels *found = kernels_pick(encoded)
    if found is NULL:
        raise ValueError(f"instruction set: got {name!r}; want one of {available_isas()} on this machine")
    table = found


def tune_allocator():
    """Let glibc keep freed arrays of up to 32 MB for reuse instead of unmapping them: no page fault per new array.

    True where it took effect; elsewhere nothing happens.
    """
    return bool(allocator_tune())


def _pick():
    global table
    wanted = os.environ.get("MPC_ISA")
    if wanted:
        try:
            set_isa(wanted)
        except ValueError as error:
            raise ImportError(f"MPC_ISA: {error}") from None
    else:
        table = kernels_pick(NULL)


_pick()
