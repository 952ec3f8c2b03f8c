"""The numpy twin of `mpc._native.core`: the same functions, to read and to test against, slowly.

`mpc.ring` picks it with MPC_NATIVE=0. It gives the same bits as the compiled kernels.
"""

from .bytewise import (
    compare_lookup8,
    deal_tables8,
    equal8_mask,
    equal8_merge,
    tree8_mask,
    tree8_merge,
)
from .compare import (
    compare_lookup,
    equal1_mask,
    equal1_merge,
    equal2_mask,
    equal2_merge,
    tree1_mask,
    tree1_merge,
    tree2_mask,
    tree2_merge,
)
from .dealing import deal_monomials, deal_tables
from .harmonics import exponentials, fourier_series, harmonics
from .modular import modular_fixed, modular_lanes, modular_power, modular_table, modular_table_size
from .planes import (
    bit_finish,
    deal_select,
    mul_bits,
    pack_bits,
    pack_msb,
    select_finish,
    truncate2_bits,
    truncate2_finish,
    unpack_bits,
)
from .ring import beaver_mul, beaver_square, matmul, mul, mul_add, mul_scalar, truncate_finish, truncated_product
from .streams import expand_key, streams, streams_rows

__all__ = [
    "available_isas",
    "beaver_mul",
    "beaver_square",
    "bit_finish",
    "compare_lookup",
    "compare_lookup8",
    "deal_monomials",
    "deal_select",
    "deal_tables",
    "deal_tables8",
    "equal1_mask",
    "equal1_merge",
    "equal2_mask",
    "equal2_merge",
    "equal8_mask",
    "equal8_merge",
    "expand_key",
    "exponentials",
    "fourier_series",
    "harmonics",
    "isa",
    "matmul",
    "modular_fixed",
    "modular_lanes",
    "modular_power",
    "modular_table",
    "modular_table_size",
    "mul",
    "mul_add",
    "mul_bits",
    "mul_scalar",
    "pack_bits",
    "pack_msb",
    "select_finish",
    "set_isa",
    "streams",
    "streams_rows",
    "tree1_mask",
    "tree1_merge",
    "tree2_mask",
    "tree2_merge",
    "tree8_mask",
    "tree8_merge",
    "truncate2_bits",
    "truncate2_finish",
    "truncate_finish",
    "truncated_product",
    "tune_allocator",
    "unpack_bits",
]


def isa() -> str:
    """The instruction set in use: always "twin" here."""
    return "twin"


def available_isas() -> tuple[str, ...]:
    """The instruction sets `set_isa` accepts."""
    return ("twin",)


def set_isa(name: str) -> None:
    """Choose the instruction set; the twin has only itself."""
    if name != "twin":
        raise ValueError(f"instruction set: got {name!r}; want 'twin'")


def tune_allocator() -> bool:
    """Nothing to tune without the compiled kernels."""
    return False
