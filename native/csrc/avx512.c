/* AVX-512 with 64-bit products (F, DQ, BW, VL), and VAES or AES-NI. */
#include "kernels.h"
#if MPC_X86_VECTOR
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,aes,prefer-vector-width=512")
#include <immintrin.h>

static int wide_aes; /* this machine has AES for whole registers */
__attribute__((constructor)) static void find_wide_aes(void) { __builtin_cpu_init(), wide_aes = vaes_usable(); }

static void ctr_avx512(const uint8_t *key, u64 name, u64 block, size_t words, u64 *out, stream_mode mode) {
    (wide_aes ? ctr_vaes : ctr_aesni)(key, name, block, words, out, mode);
}

static void pick_avx512(const uint8_t *key, u64 name, const u64 *block, size_t count, u64 *low, u64 *high) {
    (wide_aes ? pick_vaes : pick_aesni)(key, name, block, count, low, high);
}

#define TABLE kernels_avx512
#define ISA_NAME "avx512"
#define USABLE                                                                             \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&            \
     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && aesni_usable())
#define CTR ctr_avx512
#define PICK pick_avx512
#define VECTOR_BYTES 64
#define TILE_BYTES 64
#define TILE_ROWS 8 /* 24 sums, 3 columns and the broadcast fill the 32 registers */
#define TILE_VECTORS 3

#include "table_impl.h"
#endif
