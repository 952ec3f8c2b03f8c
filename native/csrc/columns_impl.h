/* Bodies that work on one column of planes: a vector of words, or one word. Included twice, with
 * COLUMN (the type) and BODY(name) (the name's suffix) defined; `i` is the column's word in rows of planes. */

typedef COLUMN BODY(column) __attribute__((aligned(8), may_alias));
#define ROW(p, i) (*(const BODY(column) *)((p) + (i)))
#define ROW_OUT(p, i) (*(BODY(column) *)((p) + (i)))

/* 64 x 64 bit transposes: lanes 64 q + l of word q become planes[bit * width + q]. */
INLINE void BODY(slice)(const u64 *lanes, u64 *planes, size_t width) {
    enum { COUNT = sizeof(COLUMN) / 8 };
    COLUMN x[64];
    for (int l = 0; l < 64; l++)
        for (int q = 0; q < COUNT; q++) ((u64 *)&x[l])[q] = lanes[64 * q + l];
    for (int by = 32; by; by >>= 1) {
        u64 keep = ~(u64)0 / (((u64)1 << by) + 1);
        for (int k = 0; k < 64; k = ((k | by) + 1) & ~by) {
            COLUMN t = ((x[k] >> by) ^ x[k | by]) & keep;
            x[k | by] ^= t;
            x[k] ^= t << by;
        }
    }
    for (int bit = 0; bit < 64; bit++) ROW_OUT(planes + bit * width, 0) = x[bit];
}

/* Mux trees: the entry that the index bits (planes, lowest first) name. */
INLINE COLUMN BODY(mux)(COLUMN bit, COLUMN low, COLUMN high) { return low ^ (bit & (low ^ high)); }
INLINE COLUMN BODY(select2)(const u64 *const *entry, const COLUMN *bit, size_t i) {
    return BODY(mux)(bit[1], BODY(mux)(bit[0], ROW(entry[0], i), ROW(entry[1], i)),
                     BODY(mux)(bit[0], ROW(entry[2], i), ROW(entry[3], i)));
}
INLINE COLUMN BODY(select3)(const u64 *const *entry, const COLUMN *bit, size_t i) {
    return BODY(mux)(bit[2], BODY(select2)(entry, bit, i), BODY(select2)(entry + 4, bit, i));
}
INLINE COLUMN BODY(select4)(const u64 *const *entry, const COLUMN *bit, size_t i) {
    return BODY(mux)(bit[3], BODY(select3)(entry, bit, i), BODY(select3)(entry + 8, bit, i));
}

/* entry: th[-1] .. th[2^w - 1]; lt = th[d], eq = th[d - 1] ^ th[d]. */
INLINE void BODY(look_up)(const u64 *const *entry, const u64 *digits, size_t width, int bits, u64 *lt, u64 *eq, size_t i) {
    COLUMN bit[4];
    for (int k = 0; k < bits; k++) bit[k] = ROW(digits + k * width, i);
    COLUMN here = bits == 4 ? BODY(select4)(entry + 1, bit, i) : BODY(select3)(entry + 1, bit, i);
    COLUMN below = bits == 4 ? BODY(select4)(entry, bit, i) : BODY(select3)(entry, bit, i);
    ROW_OUT(lt, i) = here;
    ROW_OUT(eq, i) = here ^ below;
}

/* Shares of products of masked inputs, one input folded in at a time: of x P with x = e ^ m, the terms with m in the
 * monomial stand at share[S | x], those without at share[S]. share[0] is the public 1. */
INLINE COLUMN BODY(and1)(const u64 *const *share, int S, const u64 *const *e, int x, size_t i) {
    return ROW(share[S | 1 << x], i) ^ (ROW(e[x], i) & ROW(share[S], i));
}
INLINE COLUMN BODY(and2)(const u64 *const *share, int S, const u64 *const *e, int x, int y, size_t i) {
    return BODY(and1)(share, S | 1 << x, e, y, i) ^ (ROW(e[x], i) & BODY(and1)(share, S, e, y, i));
}
INLINE COLUMN BODY(and3)(const u64 *const *share, int S, const u64 *const *e, int x, int y, int z, size_t i) {
    return BODY(and2)(share, S | 1 << x, e, y, z, i) ^ (ROW(e[x], i) & BODY(and2)(share, S, e, y, z, i));
}
INLINE COLUMN BODY(and4)(const u64 *const *share, const u64 *const *e, int x, int y, int z, int t, size_t i) {
    return BODY(and3)(share, 1 << x, e, y, z, t, i) ^ (ROW(e[x], i) & BODY(and3)(share, 0, e, y, z, t, i));
}

/* lt3 ^ eq3 lt2 ^ eq3 eq2 lt1 ^ eq3 eq2 eq1 lt0 */
INLINE COLUMN BODY(merge_lt)(const u64 *const *share, const u64 *const *e, const u64 *lt3, size_t i) {
    return ROW(lt3, i) ^ BODY(and2)(share, 0, e, EQ3, LT2, i) ^ BODY(and3)(share, 0, e, EQ3, EQ2, LT1, i) ^
           BODY(and4)(share, e, EQ3, EQ2, EQ1, LT0, i);
}

/* out[v] = 1{v < value}, v = 0 .. 2^bits - 2: adding a higher bit h keeps the lower thermometer under h | and h &. */
INLINE void BODY(thermometer)(const u64 *digits, size_t width, int bits, u64 *out, size_t i) {
    COLUMN th[15];
    int size = 0;
    for (int k = 0; k < bits; k++) {
        COLUMN high = ROW(digits + k * width, i);
        for (int v = 0; v < size; v++) th[size + 1 + v] = high & th[v], th[v] |= high;
        th[size] = high;
        size = 2 * size + 1;
    }
    for (int v = 0; v < size; v++) ROW_OUT(out + v * width, i) = th[v];
}

#undef ROW
#undef ROW_OUT
