/* Merges of 8-bit chunks over one column of planes, included as columns_impl.h is. One input is folded in at a time: a
 * share of x P with x = e ^ m is e times the share of P, and the share of m P. */
#define ROW(p, i) (*(const BODY(column) *)((p) + (i)))

/* to = lt_6 eq_7 ^ lt_5 eq_7 eq_6 ^ .. ^ lt_0 eq_7 .. eq_1: Horner from lt_0, each value beside its products with the
 * masks' subsets that are still needed. e: eq_7 .. eq_1, lt_0 .. lt_6. */
INLINE void BODY(borrow)(const u64 *const *eq, const u64 *lt[TOP_CHUNK][128], const u64 *e, size_t width, u64 *to, size_t i) {
    COLUMN sum[128];
    for (int S = 0; S < 128; S++) sum[S] = ROW(lt[0][S], i) ^ (ROW(e + 7 * width, i) & ROW(eq[S], i));
    for (int j = 1; j < TOP_CHUNK; j++) {
        COLUMN less = ROW(e + (7 + j) * width, i), equal = ROW(e + (7 - j) * width, i);
        for (int S = 0; S < 128 >> j; S++)
            sum[S] = ROW(lt[j][S], i) ^ (less & ROW(eq[S], i)) ^ (equal & sum[S]) ^ sum[S + (128 >> j)];
    }
    *(BODY(column) *)(to + i) = (ROW(e, i) & sum[0]) ^ sum[1];
}

/* to = the AND of eq_7 .. eq_0 */
INLINE void BODY(and8)(const u64 *const *eq, const u64 *e, size_t width, u64 *to, size_t i) {
    COLUMN product[128];
    for (int S = 0; S < 128; S++) product[S] = ROW(eq[S + 128], i) ^ (ROW(e + 7 * width, i) & ROW(eq[S], i));
    for (int j = 1; j < 8; j++)
        for (int S = 0; S < 128 >> j; S++)
            product[S] = (ROW(e + (7 - j) * width, i) & product[S]) ^ product[S + (128 >> j)];
    *(BODY(column) *)(to + i) = product[0];
}

#undef ROW
