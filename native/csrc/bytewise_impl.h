/* The comparison in chunks of 8 bits and one merge (protocols.md section 6). Tables stand by lane, not in planes: the
 * position looked up is public, so a party makes one AES block of each chunk's two, and a single lane costs no padding.
 *
 * A lane's 15 blocks: 2 j and 2 j + 1 of chunk j = 0..6 hold th_j[0..127] and th_j[127..254] (th_j[127] twice, so that
 * th_j[d] and th_j[d - 1] share a block); block 14 holds th_7[0..126] and r63. */

enum { LANE_BLOCKS = TABLE8_WORDS / 2, TOP_BLOCK = LANE_BLOCKS - 1, TOP_CHUNK = BYTE_CHUNKS - 1 };

/* What one word of lanes looks up, chunk after chunk: where in its block each digit stands (0 .. 128), and the block. */
typedef struct {
    u64 place[BYTE_CHUNKS][64], low[BYTE_CHUNKS][64], high[BYTE_CHUNKS][64];
} lookups;

static u64 NUMBERS[64]; /* 0 .. 63 */
__attribute__((constructor)) static void fill_numbers(void) { for (int i = 0; i < 64; i++) NUMBERS[i] = i; }

#define VECTOR(p) (*(column_wide *)(p))
#define EACH_VECTOR(l) for (int l = 0; l < 64; l += WIDE)

INLINE u64 any(wide x) { /* OR of the words */
    u64 all = 0;
    for (int q = 0; q < WIDE; q++) all |= x[q];
    return all;
}

/* The blocks that `lanes` digits name, from a correction or the streams; missing lanes are 0. */
static void pick_blocks(size_t lanes, size_t begin, const u64 d[64], const source *tables, lookups *to) {
    u64 number[BYTE_CHUNKS][64], base[64];
    for (int l = 0; l < 64; l++) base[l] = LANE_BLOCKS * ((u64)begin + l);
    for (int j = 0; j < BYTE_CHUNKS; j++)
        EACH_VECTOR(l) {
            wide digit = VECTOR(d + l) >> 8 * j & (j < TOP_CHUNK ? 255 : 127), upper = digit >> 7;
            VECTOR(to->place[j] + l) = digit - (upper << 7) + upper;
            VECTOR(number[j] + l) = VECTOR(base + l) + upper + 2 * j;
        }
    if (lanes < 64 || !tables->corr) memset(to->low, 0, sizeof to->low), memset(to->high, 0, sizeof to->high);
    if (tables->corr)
        for (size_t l = 0; l < lanes; l++)
            for (int j = 0; j < BYTE_CHUNKS; j++) {
                const u64 *block = tables->corr + 2 * number[j][l];
                to->low[j][l] = block[0], to->high[j][l] = block[1];
            }
    for (size_t k = 0; k < tables->count; k++)
        for (int j = 0; j < BYTE_CHUNKS; j++)
            PICK(tables->keys + k * AES_KEY_BYTES, tables->name, number[j], lanes, to->low[j], to->high[j]);
}

/* Packed: lt = the bit of a block at its place (0 at 128), eq = lt ^ the bit before it (`first` at 0). */
static void look_up_bits(const u64 *low, const u64 *high, const u64 *place, u64 first, u64 *lt, u64 *eq) {
    wide less = {0}, below = {0};
    EACH_VECTOR(l) {
        wide here = VECTOR(place + l), before = here - 1, none = before >> 63, x = VECTOR(low + l), y = x ^ VECTOR(high + l);
        wide at = x ^ (y & -(here >> 6 & 1)), last = x ^ (y & -(before >> 6 & 1)), lane = VECTOR(NUMBERS + l);
        less |= (at >> (here & 63) & ~(here >> 7) & 1) << lane;
        below |= (((last >> (before & 63)) & ~none & 1) | (none & first)) << lane;
    }
    *lt = any(less);
    *eq = *lt ^ any(below);
}

static void lookup8(size_t lanes, const u64 *d, source tables, int first, u64 *lteq, u64 *top) {
    lookups from;
    EACH_GROUP((lanes + 63) / 64) {
        u64 *out = lteq + LTEQ8_PLANES * at;
        for (size_t i = 0; i < width; i++) {
            size_t begin = 64 * (at + i), count = lanes - begin < 64 ? lanes - begin : 64;
            u64 own[64] = {0}, keep = first ? ~(u64)0 : 0;
            wide sign = {0};
            memcpy(own, d + begin, 8 * count);
            pick_blocks(count, begin, own, &tables, &from);
            EACH_VECTOR(l) {
                wide last = VECTOR(from.high[TOP_CHUNK] + l);
                sign |= (last ^ (VECTOR(own + l) & keep)) >> 63 << VECTOR(NUMBERS + l);
                VECTOR(from.high[TOP_CHUNK] + l) = last & ~(u64)0 >> 1; /* r63 stands where th_7[127] would, which is 0 */
            }
            top[at + i] = any(sign);
            for (int j = 0; j < BYTE_CHUNKS; j++)
                look_up_bits(from.low[j], from.high[j], from.place[j], keep & 1, out + j * width + i,
                             out + (BYTE_CHUNKS + j) * width + i);
        }
    }
}

static void deal_tables8(size_t lanes, const u64 *r, source minus, u64 *out) {
    enum { STEP = 64, WORDS = 4 * BYTE_CHUNKS }; /* lanes whose rows stay in the first-level cache */
    static const u64 OFFSET[4] = {0, 64, 127, 191};
    typedef int64_t integers __attribute__((vector_size(VECTOR_BYTES)));
    wide shift[WORDS / WIDE], offset[WORDS / WIDE], digit[WORDS / WIDE], words[WORDS / WIDE], one = (wide){0} + 1;
    for (int k = 0; k < WORDS; k++) {
        shift[k / WIDE][k % WIDE] = 8 * (k / 4), offset[k / WIDE][k % WIDE] = OFFSET[k % 4];
        digit[k / WIDE][k % WIDE] = k / 4 < TOP_CHUNK ? 255 : 127;
    }
    for (size_t at = 0; at < lanes; at += STEP) {
        size_t count = lanes - at < STEP ? lanes - at : STEP;
        u64 *rows = out + TABLE8_WORDS * at;
        stream_words(CTR, minus.keys, minus.count, minus.name, TABLE8_WORDS / 2 * (u64)at, 0, TABLE8_WORDS * count, rows,
                     XOR_SET); /* first: who misses the cache is the one that computes most */
        for (size_t l = 0; l < count; l++, rows += TABLE8_WORDS) { /* word k: ones where p < digit - offset, if positive */
            for (int k = 0; k < WORDS / WIDE; k++) {
                integers ones = (integers)((((wide){0} + r[at + l]) >> shift[k] & digit[k]) - offset[k]);
                words[k] = (((one << (wide)(ones & 63)) - 1) | (wide)(ones > 63)) & (wide)(ones >= 0);
            }
            for (int k = 0; k < TABLE8_WORDS / WIDE; k++) VECTOR(rows + WIDE * k) ^= words[k];
            for (int k = TABLE8_WORDS / WIDE * WIDE; k < TABLE8_WORDS; k++) rows[k] ^= words[k / WIDE][k % WIDE];
            rows[TABLE8_WORDS - 1] ^= r[at + l] >> 63 << 63;
        }
    }
}

/* Monomials of 8-bit chunks: subsets of the eq in ascending order (bit i: input i, so the highest eq is the lowest bit),
 * then, for lt_0, lt_1, .., lt_j times the subsets of the eq above it: a prefix of them. Both without what is a mask. */
static int merge8_rows(tree_kind kind, size_t width, const u64 *own, const u64 *dealt, const u64 *one, const u64 **eq,
                       const u64 *lt[TOP_CHUNK][128]) {
    int count = kind == TREE8 ? 7 : 8;
    eq[0] = one;
    for (int S = 1; S < 1 << count; S++) {
        if (S & (S - 1)) eq[S] = dealt, dealt += width;
        else eq[S] = own, own += width;
    }
    for (int j = 0; kind == TREE8 && j < TOP_CHUNK; j++, own += width) {
        lt[j][0] = own;
        for (int S = 1; S < 128 >> j; S++, dealt += width) lt[j][S] = dealt;
    }
    return count;
}

#define COLUMN wide
#define BODY(name) JOIN(name, _wide)
#include "bytewise_columns.h"
#undef COLUMN
#undef BODY
#define COLUMN u64
#define BODY(name) JOIN(name, _word)
#include "bytewise_columns.h"
#undef COLUMN
#undef BODY

static void merge8(tree_kind kind, size_t total, const u64 *in, const u64 *opened, source m, source monomials, int first,
                   const u64 *top, u64 *out) {
    const level *l = &LEVELS[kind];
    u64 own_scratch[14 * GROUP], dealt_scratch[367 * GROUP];
    EACH_GROUP(total) {
        const u64 *e = opened + l->inputs * at, *eq[256], *lt[TOP_CHUNK][128];
        const u64 *own = source_words(&m, l->inputs * (u64)at, l->inputs * width, own_scratch);
        const u64 *dealt = source_words(&monomials, l->monomials * (u64)at, l->monomials * width, dealt_scratch);
        u64 *to = out + at;
        merge8_rows(kind, width, own, dealt, first ? ROW_OF_ONES : ROW_OF_ZEROS, eq, lt);
        if (kind == EQUAL8) {
            EACH_COLUMN(width, and8_wide(eq, e, width, to, i), and8_word(eq, e, width, to, i));
            continue;
        }
        EACH_COLUMN(width, borrow_wide(eq, lt, e, width, to, i), borrow_word(eq, lt, e, width, to, i));
        xor_row(to, in + LTEQ8_PLANES * at + TOP_CHUNK * width, width); /* lt_7 */
        xor_row(to, top + at, width);
    }
}

static void and_rows(const u64 *a, const u64 *b, size_t width, u64 *out) {
    INDEPENDENT
    for (size_t i = 0; i < width; i++) out[i] = a[i] & b[i];
}

static void deal_monomials8(tree_kind kind, size_t total, source all, source minus, u64 *out) {
    const level *l = &LEVELS[kind];
    u64 scratch[14 * GROUP];
    EACH_GROUP(total) {
        const u64 *m = source_words(&all, l->inputs * (u64)at, l->inputs * width, scratch), *eq[256], *lt[TOP_CHUNK][128];
        u64 *group = out + l->monomials * at, *to = group;
        int count = merge8_rows(kind, width, m, group, ROW_OF_ONES, eq, lt);
        for (int S = 1; S < 1 << count; S++) {
            if (!(S & (S - 1))) continue;
            and_rows(eq[S & (S - 1)], eq[S & -S], width, to);
            to += width;
        }
        for (int j = 0; kind == TREE8 && j < TOP_CHUNK; j++)
            for (int S = 1; S < 128 >> j; S++, to += width) and_rows(eq[S], lt[j][0], width, to);
        xor_source(&minus, l->monomials * (u64)at, l->monomials * width, group);
    }
}

static void merge_any(tree_kind kind, size_t total, const u64 *in, const u64 *opened, source m, source monomials, int first,
                      const u64 *top, u64 *out) {
    (kind < TREE8 ? merge : merge8)(kind, total, in, opened, m, monomials, first, top, out);
}

static void deal_monomials_any(tree_kind kind, size_t total, source all, source minus, u64 *out) {
    (kind < TREE8 ? deal_monomials : deal_monomials8)(kind, total, all, minus, out);
}
