/* AES-128-CTR streams by name: counter block = name (op << 16 | tensor) and block number, both big-endian 64 bits;
 * keystream read as little-endian words, two per block. */
#ifndef MPC_AES_H
#define MPC_AES_H
#include <stddef.h>
#include <stdint.h>

enum { AES_KEY_BYTES = 176 };
typedef enum { SET, ADD, SUB, XOR, XOR_SET } stream_mode;

/* out[0..words) combined with the keystream that begins at `block`; mode SET, ADD, SUB or XOR. */
typedef void (*ctr_function)(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out,
                             stream_mode mode);

/* low[i], high[i] ^= the two words of block number block[i]: any blocks in any order; their numbers are public. */
typedef void (*pick_function)(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low,
                              uint64_t *high);

void pick_portable(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low, uint64_t *high);
void pick_aesni(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low, uint64_t *high);
void ctr_portable(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode);
void ctr_aesni(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode);
int aesni_usable(void);
void ctr_vaes(const uint8_t *key, uint64_t name, uint64_t block, size_t words, uint64_t *out, stream_mode mode);
void pick_vaes(const uint8_t *key, uint64_t name, const uint64_t *block, size_t count, uint64_t *low, uint64_t *high);
int vaes_usable(void);

/* Eleven round keys in the standard order; constant time. */
void aes_expand_key(const uint8_t key[16], uint8_t out[AES_KEY_BYTES]);

/* `words` words of the streams of `count` keys, from the first (odd: second) word of `block`: sum, difference or XOR. */
void stream_words(ctr_function ctr, const uint8_t *keys, size_t count, uint64_t name, uint64_t block, int odd,
                  size_t words, uint64_t *out, stream_mode mode);

/* One word combined by mode SET, ADD, SUB or XOR. */
static inline uint64_t stream_combine(uint64_t old, uint64_t stream, stream_mode mode) {
    switch (mode) {
    case ADD: return old + stream;
    case SUB: return old - stream;
    case XOR: return old ^ stream;
    default: return stream;
    }
}
#endif
