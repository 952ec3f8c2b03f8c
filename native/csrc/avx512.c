/* AVX-512 with 64-bit products (F, DQ, BW, VL) and AES-NI. */
#include "kernels.h"
#if MPC_X86_VECTOR
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,aes,prefer-vector-width=512")
#include <immintrin.h>

#define TABLE kernels_avx512
#define ISA_NAME "avx512"
#define USABLE                                                                             \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&            \
     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && aesni_usable())
#define CTR ctr_aesni
#define PICK pick_aesni
#define VECTOR_BYTES 64
#define TILE_BYTES 64
#define TILE_ROWS 8 /* 24 sums, 3 columns and the broadcast fill the 32 registers */
#define TILE_VECTORS 3

#include "table_impl.h"
#endif
