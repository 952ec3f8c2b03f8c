#include "modular.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static size_t limbs_of(size_t words) { return (64 * words + 2 + 51) / 52; }
static size_t places_of(size_t bits) { return (bits + MODULAR_WINDOW - 1) / MODULAR_WINDOW; }

enum { DIGITS = 1 << MODULAR_WINDOW, LIMBS = (64 * MODULAR_WORDS + 2 + 51) / 52 };

size_t modular_table_words(size_t words, size_t bits) { return places_of(bits) * DIGITS * limbs_of(words); }

/* `width` (below 64) bits of a number from bit `at` on; beyond its end there are zeros. */
static inline u64 bits_at(const u64 *number, size_t words, size_t at, int width) {
    size_t w = at / 64, s = at % 64;
    u64 low = w < words ? number[w] >> s : 0;
    u64 high = s && w + 1 < words ? number[w + 1] << (64 - s) : 0;
    return (low | high) & (((u64)1 << width) - 1);
}

/* The digit at a place of an exponent of `bits` bits, in (bits + 63) / 64 words. */
static inline u64 digit_at(const u64 *exponent, size_t bits, size_t place) {
    size_t at = MODULAR_WINDOW * place, left = bits - at;
    return bits_at(exponent, (bits + 63) / 64, at, left < MODULAR_WINDOW ? (int)left : MODULAR_WINDOW);
}

#if MPC_X86_VECTOR
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512dq,avx512ifma,prefer-vector-width=512")))
#define MASK52 (((u64)1 << 52) - 1)

typedef struct {
    size_t words, limbs;
    __m512i modulus[LIMBS], inverse; /* -1 / modulus modulo 2^52 */
} field;

int modular_usable(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma");
}

TARGET static void field_of(field *f, size_t words, const u64 *modulus) {
    u64 inverse = 1;
    for (int i = 0; i < 6; i++) inverse *= 2 - modulus[0] * inverse; /* Newton: 1, 2, 4, ... 64 bits */
    f->words = words, f->limbs = limbs_of(words), f->inverse = _mm512_set1_epi64((0 - inverse) & MASK52);
    for (size_t i = 0; i < f->limbs; i++) f->modulus[i] = _mm512_set1_epi64(bits_at(modulus, words, 52 * i, 52));
}

/* Lane k: number[k * stride ..]; lanes from `count` on are copies of the first. */
TARGET static void load(const field *f, const u64 *numbers, size_t stride, size_t count, __m512i *out) {
    u64 lanes[MODULAR_LANES];
    for (size_t i = 0; i < f->limbs; i++) {
        for (size_t k = 0; k < MODULAR_LANES; k++) lanes[k] = bits_at(numbers + (k < count ? k : 0) * stride, f->words, 52 * i, 52);
        out[i] = _mm512_loadu_si512(lanes);
    }
}

TARGET static void store(const field *f, const __m512i *in, size_t count, u64 *numbers) {
    u64 lanes[MODULAR_LANES];
    memset(numbers, 0, count * f->words * sizeof *numbers);
    for (size_t i = 0; i < f->limbs; i++) {
        size_t w = 52 * i / 64, s = 52 * i % 64;
        _mm512_storeu_si512(lanes, in[i]);
        for (size_t k = 0; k < count; k++) {
            u64 *number = numbers + k * f->words;
            if (w < f->words) number[w] |= lanes[k] << s;
            if (s > 12 && w + 1 < f->words) number[w + 1] |= lanes[k] >> (64 - s);
        }
    }
}

/* out = a * b / 2^(52 limbs), below twice the modulus as a and b are (the radix exceeds four times the modulus). A sum of
 * 52-bit halves stays below 2^64: each limb takes four in each of at most 2^9 steps. `out` may be a or b. */
TARGET static void product(const field *f, const __m512i *a, const __m512i *b, __m512i *out) {
    const __m512i zero = _mm512_setzero_si512(), mask = _mm512_set1_epi64(MASK52), *n = f->modulus;
    const size_t limbs = f->limbs;
    __m512i t[LIMBS], carry = zero;
    for (size_t i = 0; i < limbs; i++) t[i] = zero;
    for (size_t i = 0; i < limbs; i++) {
        const __m512i digit = b[i];
        __m512i low = _mm512_madd52lo_epu64(_mm512_add_epi64(t[0], carry), a[0], digit);
        const __m512i q = _mm512_madd52lo_epu64(zero, low, f->inverse);
        low = _mm512_madd52lo_epu64(low, n[0], q);
        carry = _mm512_srli_epi64(low, 52);
        for (size_t j = 1; j < limbs; j++) {
            __m512i x = _mm512_madd52lo_epu64(t[j], a[j], digit);
            __m512i y = _mm512_madd52hi_epu64(zero, a[j - 1], digit);
            x = _mm512_madd52lo_epu64(x, n[j], q);
            y = _mm512_madd52hi_epu64(y, n[j - 1], q);
            t[j - 1] = _mm512_add_epi64(x, y);
        }
        t[limbs - 1] = _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(zero, a[limbs - 1], digit), n[limbs - 1], q);
    }
    for (size_t i = 0; i < limbs; i++) {
        carry = _mm512_add_epi64(t[i], carry);
        out[i] = _mm512_and_si512(carry, mask);
        carry = _mm512_srli_epi64(carry, 52);
    }
}

/* kept | (here & number). */
TARGET static inline __m512i keep(__m512i kept, __m512i here, u64 number) {
    return _mm512_ternarylogic_epi64(kept, here, _mm512_set1_epi64(number), 0xF8);
}

/* Each lane's entry of a row of numbers shared by all lanes, by each lane's digit: everything is read. */
TARGET static void select_shared(const field *f, const u64 *row, __m512i digit, __m512i *out) {
    enum { BLOCK = 8 };
    for (size_t i = 0; i < f->limbs; i += BLOCK) {
        size_t width = f->limbs - i < BLOCK ? f->limbs - i : BLOCK;
        __m512i kept[BLOCK];
        for (size_t j = 0; j < BLOCK; j++) kept[j] = _mm512_setzero_si512();
        for (int d = 0; d < DIGITS; d++) {
            /* ones where it is: no masked load, which might not read */
            const __m512i here = _mm512_movm_epi64(_mm512_cmpeq_epi64_mask(digit, _mm512_set1_epi64(d)));
            const u64 *at = row + d * f->limbs + i;
            if (width == BLOCK)
                for (size_t j = 0; j < BLOCK; j++) kept[j] = keep(kept[j], here, at[j]);
            else
                for (size_t j = 0; j < width; j++) kept[j] = keep(kept[j], here, at[j]);
        }
        for (size_t j = 0; j < width; j++) out[i + j] = kept[j];
    }
}

/* The entry of a table of every lane's own numbers, by one digit for all: likewise. */
TARGET static void select_own(const field *f, const __m512i *table, u64 digit, __m512i *out) {
    for (size_t i = 0; i < f->limbs; i++) out[i] = _mm512_setzero_si512();
    for (u64 d = 0; d < DIGITS; d++) {
        u64 other = d ^ digit;
        __m512i here = _mm512_set1_epi64(((other | (0 - other)) >> 63) - 1); /* all ones where they are equal */
        for (size_t i = 0; i < f->limbs; i++)
            out[i] = _mm512_or_si512(out[i], _mm512_and_si512(here, table[d * f->limbs + i]));
    }
}

TARGET static void one(const field *f, __m512i *out) {
    for (size_t i = 0; i < f->limbs; i++) out[i] = i ? _mm512_setzero_si512() : _mm512_set1_epi64(1);
}

static void wipe(void *memory, size_t bytes) {
    volatile uint8_t *at = memory;
    while (bytes--) *at++ = 0;
}

TARGET int modular_table(size_t words, const u64 *modulus, const u64 *square, const u64 *base, size_t bits, u64 *table) {
    field f;
    field_of(&f, words, modulus);
    const size_t places = places_of(bits), limbs = f.limbs;
    __m512i unit[LIMBS], root[LIMBS], roots[LIMBS], power[LIMBS];
    u64 *lanes = aligned_alloc(64, MODULAR_LANES * sizeof(u64) * LIMBS);
    if (!lanes) return -1;
    load(&f, square, 0, 1, power), one(&f, unit);
    product(&f, unit, power, unit); /* 1, as all that follows in Montgomery's form */
    load(&f, base, 0, 1, root), product(&f, root, power, root);
    for (size_t place = 0; place < places; place += MODULAR_LANES) {
        size_t count = places - place < MODULAR_LANES ? places - place : MODULAR_LANES;
        for (size_t i = 0; i < limbs; i++) roots[i] = root[i];
        for (size_t k = 0; k < count; k++) { /* lane k: the base of place + k */
            for (size_t i = 0; i < limbs; i++) roots[i] = _mm512_mask_mov_epi64(roots[i], (__mmask8)(1 << k), root[i]);
            for (int i = 0; i < MODULAR_WINDOW; i++) product(&f, root, root, root);
        }
        for (size_t i = 0; i < limbs; i++) power[i] = unit[i];
        for (int d = 0; d < DIGITS; d++) {
            for (size_t i = 0; i < limbs; i++) _mm512_store_si512(lanes + MODULAR_LANES * i, power[i]);
            for (size_t k = 0; k < count; k++)
                for (size_t i = 0; i < limbs; i++)
                    table[((place + k) * DIGITS + d) * limbs + i] = lanes[MODULAR_LANES * i + k];
            product(&f, power, roots, power);
        }
    }
    free(lanes);
    return 0;
}

TARGET int modular_fixed(size_t words, const u64 *modulus, const u64 *table, size_t bits, size_t count, const u64 *exponents,
                         u64 *out) {
    field f;
    field_of(&f, words, modulus);
    const size_t places = places_of(bits), limbs = f.limbs, size = (bits + 63) / 64;
    __m512i result[LIMBS], factor[LIMBS];
    for (size_t first = 0; first < count; first += MODULAR_LANES) {
        size_t some = count - first < MODULAR_LANES ? count - first : MODULAR_LANES;
        for (size_t place = 0; place < places; place++) {
            u64 digits[MODULAR_LANES];
            for (size_t k = 0; k < MODULAR_LANES; k++)
                digits[k] = digit_at(exponents + (first + (k < some ? k : 0)) * size, bits, place);
            select_shared(&f, table + place * DIGITS * limbs, _mm512_loadu_si512(digits), place ? factor : result);
            if (place) product(&f, result, factor, result);
        }
        one(&f, factor), product(&f, result, factor, result); /* out of Montgomery's form, and at most the modulus */
        store(&f, result, some, out + first * words);
    }
    wipe(result, sizeof result), wipe(factor, sizeof factor);
    return 0;
}

TARGET int modular_power(size_t words, const u64 *modulus, const u64 *square, size_t count, const u64 *bases, size_t bits,
                         const u64 *exponent, u64 *out) {
    field f;
    field_of(&f, words, modulus);
    const size_t places = places_of(bits), limbs = f.limbs;
    __m512i form[LIMBS], result[LIMBS], factor[LIMBS];
    __m512i *table = aligned_alloc(64, DIGITS * limbs * sizeof(__m512i));
    if (!table) return -1;
    load(&f, square, 0, 1, form);
    for (size_t first = 0; first < count; first += MODULAR_LANES) {
        size_t some = count - first < MODULAR_LANES ? count - first : MODULAR_LANES;
        one(&f, table), product(&f, table, form, table);
        load(&f, bases + first * words, words, some, table + limbs);
        product(&f, table + limbs, form, table + limbs);
        for (size_t d = 2; d < DIGITS; d++) product(&f, table + (d - 1) * limbs, table + limbs, table + d * limbs);
        select_own(&f, table, digit_at(exponent, bits, places - 1), result);
        for (size_t place = places - 1; place-- > 0;) {
            for (int i = 0; i < MODULAR_WINDOW; i++) product(&f, result, result, result);
            select_own(&f, table, digit_at(exponent, bits, place), factor);
            product(&f, result, factor, result);
        }
        one(&f, factor), product(&f, result, factor, result);
        store(&f, result, some, out + first * words);
    }
    wipe(table, DIGITS * limbs * sizeof(__m512i)), wipe(result, sizeof result), wipe(factor, sizeof factor);
    free(table);
    return 0;
}
#else /* callers ask modular_usable first */
int modular_usable(void) { return 0; }
int modular_table(size_t words, const u64 *modulus, const u64 *square, const u64 *base, size_t bits, u64 *table) {
    (void)words, (void)modulus, (void)square, (void)base, (void)bits, (void)table;
    return -1;
}
int modular_fixed(size_t words, const u64 *modulus, const u64 *table, size_t bits, size_t count, const u64 *exponents,
                  u64 *out) {
    (void)words, (void)modulus, (void)table, (void)bits, (void)count, (void)exponents, (void)out;
    return -1;
}
int modular_power(size_t words, const u64 *modulus, const u64 *square, size_t count, const u64 *bases, size_t bits,
                  const u64 *exponent, u64 *out) {
    (void)words, (void)modulus, (void)square, (void)count, (void)bases, (void)bits, (void)exponent, (void)out;
    return -1;
}
#endif
