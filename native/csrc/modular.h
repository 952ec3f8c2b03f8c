/* Powers modulo one odd number of thousands of bits, eight at a time (AVX-512 IFMA): Montgomery products in radix 2^52,
 * one number to a lane. Constant time in bases, exponents and results; sizes, bit counts and the modulus are public
 * except where said: no branch and no address depends on a digit, whole rows of a table are read and the digit's is kept.
 * Numbers are little-endian, `words` words of 64 bits each; bases are below the modulus. Each returns -1 where memory ran out. */
#ifndef MPC_MODULAR_H
#define MPC_MODULAR_H
#include <stddef.h>
#include <stdint.h>

enum { MODULAR_LANES = 8, MODULAR_WINDOW = 5, MODULAR_WORDS = 128 /* most in a modulus */ };

int modular_usable(void);

/* Words of the table of one base for exponents of `bits` bits. */
size_t modular_table_words(size_t words, size_t bits);

/* table = base^(d * 2^(5 i)) for every digit d and place i. `square`: 2^(2 * 52 * limbs) modulo the modulus, where
 * limbs = (64 * words + 2 + 51) / 52, as for all of them. */
int modular_table(size_t words, const uint64_t *modulus, const uint64_t *square, const uint64_t *base, size_t bits,
                  uint64_t *table);

/* out[k] = base^exponent[k], by the table; an exponent has (bits + 63) / 64 words. Below the modulus, or equal to it for 0. */
int modular_fixed(size_t words, const uint64_t *modulus, const uint64_t *table, size_t bits, size_t count,
                  const uint64_t *exponents, uint64_t *out);

/* out[k] = bases[k]^exponent. */
int modular_power(size_t words, const uint64_t *modulus, const uint64_t *square, size_t count, const uint64_t *bases,
                  size_t bits, const uint64_t *exponent, uint64_t *out);
#endif
