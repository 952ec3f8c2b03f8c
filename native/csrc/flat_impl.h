/* Elementwise kernels: plain loops that the compiler vectorises for the including file's instruction set.
 * out may be one of the inputs (ivdep: equal addresses, never shifted ones). */
#define INDEPENDENT _Pragma("GCC ivdep")

static void add(size_t n, const u64 *a, u64 *out) {
    INDEPENDENT
    for (size_t i = 0; i < n; i++) out[i] += a[i];
}

static void mul(size_t n, const u64 *a, const u64 *b, u64 *out) {
    INDEPENDENT
    for (size_t i = 0; i < n; i++) out[i] = a[i] * b[i];
}

static void mul_add(size_t n, const u64 *a, const u64 *b, u64 *out) {
    INDEPENDENT
    for (size_t i = 0; i < n; i++) out[i] += a[i] * b[i];
}

static void mul_scalar(size_t n, const u64 *a, u64 k, u64 *out) {
    INDEPENDENT
    for (size_t i = 0; i < n; i++) out[i] = k * a[i];
}

static void beaver_mul(size_t n, const u64 *e, const u64 *f, const u64 *a, const u64 *b, u64 *out, int first) {
    u64 keep = first ? ~(u64)0 : 0;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) out[i] += e[i] * (b[i] + (f[i] & keep)) + a[i] * f[i];
}

static void beaver_square(size_t n, const u64 *e, const u64 *a, u64 *out, int first) {
    u64 keep = first ? ~(u64)0 : 0;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) out[i] += e[i] * (2 * a[i] + (e[i] & keep));
}

/* ch u - rc + 2^(63-m) (c63 u + (1 - 2 c63) rb) - 2^(62-m) u; the sign of rb is turned without a product */
#define TRUNCATE(RB, U)                                                                              \
    do {                                                                                             \
        INDEPENDENT                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                             \
            u64 u = (U), ch = (c[i] << 1) >> (shift + 1), sign = (u64)((int64_t)c[i] >> 63);         \
            u64 bit = (u & sign) + (((u64)(RB)[i] ^ sign) - sign);                                   \
            out[i] = ch * u - rc[i] + (bit << (63 - shift)) - (u << (62 - shift));                   \
        }                                                                                            \
    } while (0)

/* t = truncation of c's value (as TRUNCATE with u = first), and product = P y + (t - P) f - [M B]: P is the public part
 * of the truncation, [M B] = low_b - 2^(63-m) (1 - 2 c63) top_b (protocols.md, section 5) */
#define TRUNCATED_PRODUCT(RB)                                                                            \
    do {                                                                                                 \
        INDEPENDENT                                                                                      \
        for (size_t i = 0; i < n; i++) {                                                                 \
            u64 ch = (c[i] << 1) >> (shift + 1), sign = (u64)((int64_t)c[i] >> 63);                      \
            u64 part = ch + ((sign & 1) << (63 - shift)) - ((u64)1 << (62 - shift));                     \
            u64 minus_m = ((((u64)(RB)[i] ^ sign) - sign) << (63 - shift)) - rc[i];                      \
            u64 minus_mb = (((top_b[i] ^ sign) - sign) << (63 - shift)) - low_b[i];                      \
            truncated[i] = (part & keep) + minus_m;                                                      \
            product[i] = part * y[i] + minus_m * f[i] + minus_mb;                                        \
        }                                                                                                \
    } while (0)

static void truncated_product(size_t n, const u64 *c, const u64 *rc, const uint32_t *rb32, const u64 *rb64,
                              const u64 *low_b, const u64 *top_b, const u64 *y, const u64 *f, int first, int shift,
                              u64 *truncated, u64 *product) {
    u64 keep = first ? ~(u64)0 : 0;
    if (rb32) TRUNCATED_PRODUCT(rb32);
    else TRUNCATED_PRODUCT(rb64);
}

static void truncate_finish(size_t n, const u64 *c, const u64 *rc, const uint32_t *rb32, const u64 *rb64, const u64 *s,
                            int first, int shift, u64 *out) {
    u64 one = first ? 1 : 0;
    if (s && rb32) TRUNCATE(rb32, s[i]);
    else if (s) TRUNCATE(rb64, s[i]);
    else if (rb32) TRUNCATE(rb32, one);
    else TRUNCATE(rb64, one);
}
