/* AVX2 and AES-NI. There is no 64-bit product: see the tile's two sums in matmul_impl.h. */
#include "kernels.h"
#if MPC_X86_VECTOR
#pragma GCC target("avx2,aes")
#include <immintrin.h>

#define TABLE kernels_avx2
#define ISA_NAME "avx2"
#define USABLE (__builtin_cpu_supports("avx2") && aesni_usable())
#define CTR ctr_aesni
#define PICK pick_aesni
#define VECTOR_BYTES 32
#define TILE_BYTES 32
#define TILE_ROWS 6 /* two sums each, a column, its swap, the broadcast and a temporary fill the 16 registers */
#define TILE_VECTORS 1
#define TILE_SPLIT 1

#include "table_impl.h"
#endif
