/* AES-128-CTR, four blocks to a register (AVX-512 with VAES). What is left over goes to the AES-NI function. */
#include "kernels.h"

#if MPC_X86_VECTOR
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes")))
#define INLINE static inline __attribute__((always_inline)) TARGET

enum { LANES = 8, BLOCKS = 4 * LANES }; /* registers in flight: latency 4 at two rounds per cycle */

typedef struct {
    __m512i round[11];
} schedule;

int vaes_usable(void) { return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vaes") && aesni_usable(); }

INLINE schedule broadcast(const uint8_t *key) {
    schedule s;
    for (int i = 0; i < 11; i++) s.round[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)key + i));
    return s;
}

INLINE void encrypt(const schedule *s, __m512i x[LANES]) {
    for (int i = 0; i < LANES; i++) x[i] = _mm512_xor_si512(x[i], s->round[0]);
    for (int round = 1; round < 10; round++)
        for (int i = 0; i < LANES; i++) x[i] = _mm512_aesenc_epi128(x[i], s->round[round]);
    for (int i = 0; i < LANES; i++) x[i] = _mm512_aesenclast_epi128(x[i], s->round[10]);
}

/* each counter block: name and block number, both big-endian */
INLINE __m512i big_endian(__m512i words) {
    return _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)));
}

INLINE void run(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode) {
    schedule s = broadcast(key);
    long long n = (long long)name, b = (long long)block;
    __m512i next = _mm512_set_epi64(b + 3, n, b + 2, n, b + 1, n, b, n), four = _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0);
    size_t at = 0;
    for (; at + 2 * BLOCKS <= words; at += 2 * BLOCKS) {
        __m512i x[LANES];
        for (int i = 0; i < LANES; i++) x[i] = big_endian(next), next = _mm512_add_epi64(next, four);
        encrypt(&s, x);
        for (int i = 0; i < LANES; i++) {
            uint64_t *to = out + at + 8 * i;
            __m512i old = mode == SET ? x[i] : _mm512_loadu_si512(to);
            _mm512_storeu_si512(to, mode == ADD   ? _mm512_add_epi64(old, x[i])
                                    : mode == SUB ? _mm512_sub_epi64(old, x[i])
                                    : mode == XOR ? _mm512_xor_si512(old, x[i])
                                                  : x[i]);
        }
    }
    if (at < words) ctr_aesni(key, name, block + at / 2, words - at, out + at, mode);
}

TARGET void ctr_vaes(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode) {
    switch (mode) { /* one loop per mode, so that none of them branches inside */
    case ADD: run(key, name, block, words, out, ADD); break;
    case SUB: run(key, name, block, words, out, SUB); break;
    case XOR: run(key, name, block, words, out, XOR); break;
    default: run(key, name, block, words, out, SET);
    }
}

TARGET void pick_vaes(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low,
                      uint64_t *high) {
    schedule s = broadcast(key);
    __m512i names = _mm512_set1_epi64((long long)name), odd = _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0);
    __m512i lows = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), highs = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    size_t at = 0;
    for (; at + BLOCKS <= count; at += BLOCKS) {
        __m512i x[LANES];
        for (int i = 0; i < LANES; i++) {
            __m512i numbers = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(block + at + 4 * i)));
            x[i] = big_endian(_mm512_mask_permutexvar_epi64(names, 0xaa, odd, numbers));
        }
        encrypt(&s, x);
        for (int i = 0; i < LANES; i += 2) {
            uint64_t *a = low + at + 4 * i, *b = high + at + 4 * i;
            __m512i l = _mm512_permutex2var_epi64(x[i], lows, x[i + 1]), h = _mm512_permutex2var_epi64(x[i], highs, x[i + 1]);
            _mm512_storeu_si512(a, _mm512_xor_si512(l, _mm512_loadu_si512(a)));
            _mm512_storeu_si512(b, _mm512_xor_si512(h, _mm512_loadu_si512(b)));
        }
    }
    if (at < count) pick_aesni(key, name, block + at, count - at, low + at, high + at);
}
#endif
