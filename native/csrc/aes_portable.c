/* AES-128 without tables: bit-sliced, so that no secret decides an address or a branch.
 *
 * Four blocks per 64-bit word and several words per vector. Plane b holds bit b of every byte; byte j (column j / 4, row
 * j % 4) of block t stands at bit 8 * (j % 8) + 2 t + j / 8. So a row is a byte lane (columns 0, 2) or the one four
 * above it (columns 1, 3), ShiftRows moves byte lanes and swaps neighbouring bits, MixColumns rotates 32-bit halves.
 * The S-box is x^254 in GF(2^8) followed by the affine map.
 */
#include <string.h>

#include "aes.h"

typedef uint64_t vec __attribute__((vector_size(16)));
enum { WORDS = sizeof(vec) / 8, BLOCKS = 4 * WORDS };

#define EACH for (int b = 0; b < 8; b++)

static inline void reduce(vec c[15], vec out[8]) { /* modulo x^8 + x^4 + x^3 + x + 1 */
    for (int i = 14; i >= 8; i--) c[i - 4] ^= c[i], c[i - 5] ^= c[i], c[i - 7] ^= c[i], c[i - 8] ^= c[i];
    EACH out[b] = c[b];
}

static inline void multiply(const vec x[8], const vec y[8], vec out[8]) {
    vec c[15] = {{0}};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) c[i + j] ^= x[i] & y[j];
    reduce(c, out);
}

static inline void square(const vec x[8], vec out[8]) {
    vec c[15] = {{0}};
    EACH c[2 * b] = x[b];
    reduce(c, out);
}

static void sub_bytes(vec x[8]) {
    vec x2[8], x3[8], x12[8], t[8];
    square(x, x2);
    multiply(x, x2, x3);
    square(x3, t), square(t, x12);
    multiply(x3, x12, t); /* x^15 */
    square(t, t), square(t, t), square(t, t), square(t, t);
    multiply(t, x12, t);
    multiply(t, x2, t); /* x^254 = 1 / x, and 0 at 0 */
    EACH {
        x[b] = t[b] ^ t[(b + 4) & 7] ^ t[(b + 5) & 7] ^ t[(b + 6) & 7] ^ t[(b + 7) & 7];
        if (0x63 >> b & 1) x[b] = ~x[b];
    }
}

static inline vec neighbours(vec x) { return (x & 0x5555555555555555) << 1 | (x >> 1 & 0x5555555555555555); }

static inline void shift_rows(vec x[8]) {
    EACH {
        vec a = x[b], swapped = neighbours(a);
        x[b] = (a & 0x000000ff000000ff)                                                        /* row 0 stays */
             | (a >> 32 & 0x000000000000ff00) | (swapped << 32 & 0x0000ff0000000000)           /* row 1 by one */
             | (swapped & 0x00ff000000ff0000)                                                  /* row 2 by two */
             | (swapped >> 32 & 0x00000000ff000000) | (a << 32 & 0xff00000000000000);          /* row 3 by three */
    }
}

static inline vec row_below(vec x, int by) { /* byte lane r takes r + by within its 32-bit half */
    uint64_t low = by == 1 ? 0x00ffffff00ffffff : 0x0000ffff0000ffff;
    return (x >> (8 * by) & low) | (x << (32 - 8 * by) & ~low);
}

static inline void mix_columns(vec x[8]) { /* 2 a_r + 3 a_(r+1) + a_(r+2) + a_(r+3) */
    vec out[8];
    EACH {
        vec pair = x[b] ^ row_below(x[b], 1);
        out[b] = row_below(x[b], 1) ^ row_below(pair, 2);
    }
    EACH {
        vec doubled = x[b] ^ row_below(x[b], 1); /* 2 (a_r + a_(r+1)) */
        if (b == 7) {
            out[0] ^= doubled, out[1] ^= doubled, out[3] ^= doubled, out[4] ^= doubled;
        } else {
            out[b + 1] ^= doubled;
        }
    }
    EACH x[b] = out[b];
}

static inline void swap_bits(vec *low, vec *high, int by, uint64_t keep) {
    vec t = (*low >> by ^ *high) & keep;
    *high ^= t;
    *low ^= t << by;
}

static void slice(vec x[8]) { /* eight words of bytes <-> eight bit planes, its own inverse */
    for (int i = 0; i < 8; i += 2) swap_bits(&x[i], &x[i + 1], 1, 0x5555555555555555);
    for (int i = 0; i < 8; i++)
        if (!(i & 2)) swap_bits(&x[i], &x[i + 2], 2, 0x3333333333333333);
    for (int i = 0; i < 4; i++) swap_bits(&x[i], &x[i + 4], 4, 0x0f0f0f0f0f0f0f0f);
}

static void slice_keys(const uint8_t *key, vec keys[11][8]) {
    for (int round = 0; round < 11; round++) {
        uint64_t half[2];
        memcpy(half, key + 16 * round, 16);
        for (int i = 0; i < 8; i++) keys[round][i] = (vec){0} + half[i & 1];
        slice(keys[round]);
    }
}

static void counters_to_stream(vec keys[11][8], uint64_t name, const uint64_t block[BLOCKS], uint64_t out[2 * BLOCKS]) {
    vec x[8];
    uint64_t lanes[8][WORDS]; /* word i of lane q: half i % 2 of block 4 q + i / 2 */
    for (int q = 0; q < WORDS; q++)
        for (int i = 0; i < 8; i++) lanes[i][q] = __builtin_bswap64(i & 1 ? block[4 * q + i / 2] : name);
    memcpy(x, lanes, sizeof x);
    slice(x);
    EACH x[b] ^= keys[0][b];
    for (int round = 1; round < 11; round++) {
        sub_bytes(x);
        shift_rows(x);
        if (round < 10) mix_columns(x);
        EACH x[b] ^= keys[round][b];
    }
    slice(x);
    memcpy(lanes, x, sizeof x);
    for (int q = 0; q < WORDS; q++)
        for (int i = 0; i < 8; i++) out[8 * q + i] = lanes[i][q];
}

void ctr_portable(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode) {
    vec keys[11][8];
    uint64_t stream[2 * BLOCKS];
    slice_keys(key, keys);
    for (size_t at = 0; at < words; at += 2 * BLOCKS, block += BLOCKS) {
        size_t size = words - at < 2 * BLOCKS ? words - at : 2 * BLOCKS;
        uint64_t next[BLOCKS];
        for (int i = 0; i < BLOCKS; i++) next[i] = block + i;
        counters_to_stream(keys, name, next, stream);
        for (size_t i = 0; i < size; i++) out[at + i] = stream_combine(out[at + i], stream[i], mode);
    }
}

void pick_portable(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low,
                   uint64_t *high) {
    vec keys[11][8];
    uint64_t stream[2 * BLOCKS], next[BLOCKS] = {0};
    slice_keys(key, keys);
    for (size_t at = 0; at < count; at += BLOCKS) {
        size_t size = count - at < BLOCKS ? count - at : BLOCKS;
        memcpy(next, block + at, size * sizeof *next);
        counters_to_stream(keys, name, next, stream);
        for (size_t i = 0; i < size; i++) low[at + i] ^= stream[2 * i], high[at + i] ^= stream[2 * i + 1];
    }
}

static uint8_t substitute(uint8_t byte) {
    vec x[8];
    EACH x[b] = (vec){0} + (uint64_t)(byte >> b & 1);
    sub_bytes(x);
    uint8_t out = 0;
    EACH out |= (uint8_t)((x[b][0] & 1) << b);
    return out;
}

void aes_expand_key(const uint8_t key[16], uint8_t out[AES_KEY_BYTES]) {
    uint8_t constant = 1;
    memcpy(out, key, 16);
    for (int at = 16; at < AES_KEY_BYTES; at += 4) {
        uint8_t word[4];
        memcpy(word, out + at - 4, 4);
        if (at % 16 == 0) {
            uint8_t turned[4] = {substitute(word[1]), substitute(word[2]), substitute(word[3]), substitute(word[0])};
            memcpy(word, turned, 4);
            word[0] ^= constant;
            constant = (uint8_t)(constant << 1 ^ (constant >> 7) * 0x1b);
        }
        for (int i = 0; i < 4; i++) out[at + i] = out[at - 16 + i] ^ word[i];
    }
}
