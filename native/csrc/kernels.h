/* The kernel table: one struct of function pointers, one instance per instruction set, one picker (pick.c).
 *
 * Every instance gives the same bits. Sizes are in words or lanes; strides in words. Planes are stored in groups of at
 * most GROUP words per plane (native/twin/planes.py states the layout). `first` is 1 at the party that adds constants.
 */
#ifndef MPC_KERNELS_H
#define MPC_KERNELS_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "aes.h"

typedef uint64_t u64;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MPC_X86_VECTOR 1 /* target pragmas as gcc understands them; other compilers get portable.c */
#else
#define MPC_X86_VECTOR 0
#endif

enum { GROUP = 64 };

/* A named plane tensor: XOR of the streams of `count` expanded keys, or, where corr is given, corr itself. */
typedef struct {
    const uint8_t *keys;
    size_t count;
    u64 name;
    const u64 *corr;
} source;

typedef struct {
    const u64 *at;
    ptrdiff_t row, column; /* strides, in words */
} matrix;

typedef enum { TREE1, TREE2, EQUAL1, EQUAL2, TREE8, EQUAL8, KINDS } tree_kind;

typedef struct {
    const char *name;
    int (*usable)(void);
    ctr_function ctr;
    pick_function pick;
    /* Z_2^64; matmul returns -1 where memory ran out */
    int (*matmul)(size_t m, size_t n, size_t k, matrix a, matrix b, u64 *out, int accumulate);
    void (*mul)(size_t n, const u64 *a, const u64 *b, u64 *out);
    void (*mul_add)(size_t n, const u64 *a, const u64 *b, u64 *out);
    void (*mul_scalar)(size_t n, const u64 *a, u64 k, u64 *out);
    void (*beaver_mul)(size_t n, const u64 *e, const u64 *f, const u64 *a, const u64 *b, u64 *out, int first);
    void (*beaver_square)(size_t n, const u64 *e, const u64 *a, u64 *out, int first);
    /* exactly one of rb32, rb64 is given */
    void (*truncate_finish)(size_t n, const u64 *c, const u64 *rc, const uint32_t *rb32, const u64 *rb64, const u64 *s,
                            int first, int shift, u64 *out);
    void (*truncated_product)(size_t n, const u64 *c, const u64 *rc, const uint32_t *rb32, const u64 *rb64,
                              const u64 *low_b, const u64 *top_b, const u64 *y, const u64 *f, int first, int shift,
                              u64 *truncated, u64 *product);
    /* packed bits */
    void (*pack)(size_t lanes, const u64 *in, u64 subtract, int bit, const u64 *mask, u64 *out);
    void (*unpack)(size_t lanes, const u64 *bits, u64 *out);
    void (*select_finish)(size_t n, const u64 *e, const u64 *x, const u64 *xs, u64 *out);
    void (*bit_finish)(size_t n, const u64 *e, const u64 *s, int first, u64 *out);
    void (*mul_bits)(size_t n, const u64 *bits, const u64 *x, u64 *out);
    void (*truncate2_finish)(size_t n, const u64 *x, const u64 *ea, const u64 *eb, const u64 *s, const u64 *ss, int rank,
                             int shift, u64 *out);
    void (*deal_select)(size_t n, const u64 *s, const u64 *x, source minus, u64 *out);
    /* comparison tree; width = words per plane */
    void (*lookup)(size_t lanes, const u64 *d, source tables, int first, u64 *lteq, u64 *top);
    void (*mask)(tree_kind kind, size_t width, const u64 *in, source m, u64 *out);
    void (*merge)(tree_kind kind, size_t width, const u64 *in, const u64 *opened, source m, source monomials, int first,
                  const u64 *top, u64 *out);
    void (*deal_tables)(size_t lanes, const u64 *r, source minus, u64 *out);
    void (*deal_monomials)(tree_kind kind, size_t width, source all, source minus, u64 *out);
    /* the same with chunks of 8 bits: tables by lane, one merge */
    void (*lookup8)(size_t lanes, const u64 *d, source tables, int first, u64 *lteq, u64 *top);
    void (*deal_tables8)(size_t lanes, const u64 *r, source minus, u64 *out);
    /* harmonics of an angle (section 7) */
    void (*harmonics)(size_t n, const u64 *r, int period_bits, int orders, double one, u64 *out);
    void (*fourier_series)(size_t n, const u64 *d, int period_bits, int orders, const double *a, const double *b,
                           const u64 *dealt, u64 *out);
    void (*exponentials)(size_t n, const u64 *x, double unit, double offset, int scale, u64 *out);
} kernels;

extern const kernels kernels_portable, kernels_avx2, kernels_avx512;
extern const kernels *const kernels_all[]; /* slowest first, NULL at the end */

/* The table called `name` if this machine can run it, else NULL; NULL as name asks for the fastest. */
const kernels *kernels_pick(const char *name);

#endif
