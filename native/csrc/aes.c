/* AES-128-CTR: the stream driver and the AES-NI block function (aes_portable.c has the other one). */
#include "aes.h"

#include <string.h>

enum { CHUNK = 512 }; /* words; several keys combine while a chunk is in the first-level cache */

static void one_key(ctr_function ctr, const uint8_t *key, uint64_t name, uint64_t block, int odd, size_t words,
                    uint64_t *out, stream_mode mode) {
    if (words && odd) {
        uint64_t first[2];
        ctr(key, name, block++, 2, first, SET);
        out[0] = stream_combine(out[0], first[1], mode);
        out++, words--;
    }
    if (words) ctr(key, name, block, words, out, mode);
}

void stream_words(ctr_function ctr, const uint8_t *keys, size_t count, uint64_t name, uint64_t block, int odd,
                  size_t words, uint64_t *out, stream_mode mode) {
    if (count == 0) {
        if (words && (mode == SET || mode == XOR_SET)) memset(out, 0, words * sizeof *out);
        return;
    }
    stream_mode begin = mode == XOR_SET ? SET : mode, next = mode == SET ? ADD : mode == XOR_SET ? XOR : mode;
    for (size_t at = 0; at < words; at += CHUNK) {
        size_t size = words - at < CHUNK ? words - at : CHUNK;
        for (size_t k = 0; k < count; k++)
            one_key(ctr, keys + k * AES_KEY_BYTES, name, block + at / 2, odd, size, out + at, k ? next : begin);
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

int aesni_usable(void) { return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1"); }

#define TARGET __attribute__((target("aes,sse4.1")))
#define INLINE static inline __attribute__((always_inline)) TARGET

enum { LANES = 8 }; /* blocks in flight: latency 4 at one round per cycle, and room for the counters */

INLINE __m128i counter(uint64_t upper, uint64_t block) {
    return _mm_set_epi64x((long long)__builtin_bswap64(block), (long long)upper);
}

INLINE void encrypt(const __m128i *keys, __m128i x[LANES]) {
    for (int i = 0; i < LANES; i++) x[i] = _mm_xor_si128(x[i], keys[0]);
    for (int round = 1; round < 10; round++)
        for (int i = 0; i < LANES; i++) x[i] = _mm_aesenc_si128(x[i], keys[round]);
    for (int i = 0; i < LANES; i++) x[i] = _mm_aesenclast_si128(x[i], keys[10]);
}

INLINE void eight_blocks(const __m128i *keys, uint64_t upper, uint64_t block, __m128i x[LANES]) {
    for (int i = 0; i < LANES; i++) x[i] = counter(upper, block + i);
    encrypt(keys, x);
}

INLINE void run(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode) {
    __m128i keys[11], x[LANES];
    for (int round = 0; round < 11; round++) keys[round] = _mm_loadu_si128((const __m128i *)key + round);
    uint64_t upper = __builtin_bswap64(name);
    for (; words >= 2 * LANES; words -= 2 * LANES, out += 2 * LANES, block += LANES) {
        eight_blocks(keys, upper, block, x);
        for (int i = 0; i < LANES; i++) {
            __m128i *to = (__m128i *)out + i, old = mode == SET ? x[i] : _mm_loadu_si128(to);
            _mm_storeu_si128(to, mode == ADD   ? _mm_add_epi64(old, x[i])
                                 : mode == SUB ? _mm_sub_epi64(old, x[i])
                                 : mode == XOR ? _mm_xor_si128(old, x[i])
                                               : x[i]);
        }
    }
    if (words) {
        uint64_t rest[2 * LANES];
        eight_blocks(keys, upper, block, x);
        for (int i = 0; i < LANES; i++) _mm_storeu_si128((__m128i *)rest + i, x[i]);
        for (size_t i = 0; i < words; i++) out[i] = stream_combine(out[i], rest[i], mode);
    }
}

TARGET void ctr_aesni(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out,
                      stream_mode mode) {
    switch (mode) { /* one loop per mode, so that none of them branches inside */
    case ADD: run(key, name, block, words, out, ADD); break;
    case SUB: run(key, name, block, words, out, SUB); break;
    case XOR: run(key, name, block, words, out, XOR); break;
    default: run(key, name, block, words, out, SET);
    }
}

TARGET void pick_aesni(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low,
                       uint64_t *high) {
    __m128i keys[11], x[LANES];
    for (int round = 0; round < 11; round++) keys[round] = _mm_loadu_si128((const __m128i *)key + round);
    uint64_t upper = __builtin_bswap64(name);
    for (size_t at = 0; at < count; at += LANES) {
        size_t size = count - at < LANES ? count - at : LANES;
        for (size_t i = 0; i < LANES; i++) x[i] = counter(upper, i < size ? block[at + i] : 0);
        encrypt(keys, x);
        for (size_t i = 0; i < size; i++) {
            low[at + i] ^= (uint64_t)_mm_cvtsi128_si64(x[i]);
            high[at + i] ^= (uint64_t)_mm_extract_epi64(x[i], 1);
        }
    }
}
#else
int aesni_usable(void) { return 0; }
#endif
