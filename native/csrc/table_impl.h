/* Everything of one instruction set, from the macros of the including file:
 * TABLE (name of the instance), ISA_NAME, USABLE (expression), CTR, PICK, VECTOR_BYTES, TILE_ROWS, TILE_VECTORS. */
#define INLINE static inline __attribute__((always_inline))

#include "flat_impl.h"
#include "matmul_impl.h"
#include "planes_impl.h"
#include "compare_impl.h"
#include "bytewise_impl.h"
#include "harmonics_impl.h"

static int usable(void) { return USABLE; }

const kernels TABLE = {
    .name = ISA_NAME,
    .usable = usable,
    .ctr = CTR,
    .pick = PICK,
    .matmul = matmul,
    .mul = mul,
    .mul_add = mul_add,
    .mul_scalar = mul_scalar,
    .beaver_mul = beaver_mul,
    .beaver_square = beaver_square,
    .truncate_finish = truncate_finish,
    .truncated_product = truncated_product,
    .pack = pack,
    .unpack = unpack,
    .select_finish = select_finish,
    .bit_finish = bit_finish,
    .mul_bits = mul_bits,
    .truncate2_finish = truncate2_finish,
    .deal_select = deal_select,
    .lookup = lookup,
    .mask = mask,
    .merge = merge_any,
    .deal_tables = deal_tables,
    .deal_monomials = deal_monomials_any,
    .lookup8 = lookup8,
    .deal_tables8 = deal_tables8,
    .harmonics = harmonics,
    .fourier_series = fourier_series,
    .exponentials = exponentials,
};
