/* The comparison (protocols.md section 6) over groups of at most GROUP words per plane: everything of one group, its
 * streams included, stays in the first two cache levels. */
#include "trees.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

typedef u64 wide __attribute__((vector_size(VECTOR_BYTES)));
enum { WIDE = VECTOR_BYTES / 8 };

#define COLUMN wide
#define BODY(name) JOIN(name, _wide)
#include "columns_impl.h"
#undef COLUMN
#undef BODY
#define COLUMN u64
#define BODY(name) JOIN(name, _word)
#include "columns_impl.h"
#undef COLUMN
#undef BODY

/* call(body) for each column of a group: vectors, then single words */
#define EACH_COLUMN(width, WIDE_BODY, WORD_BODY)                          \
    do {                                                                  \
        size_t i = 0;                                                     \
        for (; i + WIDE <= (width); i += WIDE) { WIDE_BODY; }             \
        for (; i < (width); i++) { WORD_BODY; }                           \
    } while (0)

static const u64 ROW_OF_ZEROS[GROUP];
static u64 ROW_OF_ONES[GROUP];
__attribute__((constructor)) static void fill_ones(void) { memset(ROW_OF_ONES, 0xff, sizeof ROW_OF_ONES); }

#define EACH_GROUP(total) for (size_t at = 0, width; at < (total) && (width = (total) - at < GROUP ? (total) - at : GROUP); at += GROUP)

/* Words of a dealt tensor: in place where it is a correction, else made in scratch. */
static const u64 *source_words(const source *from, u64 offset, size_t words, u64 *scratch) {
    if (from->corr) return from->corr + offset;
    stream_words(CTR, from->keys, from->count, from->name, offset / 2, offset & 1, words, scratch, XOR_SET);
    return scratch;
}

static void xor_source(const source *from, u64 offset, size_t words, u64 *out) {
    stream_words(CTR, from->keys, from->count, from->name, offset / 2, offset & 1, words, out, XOR);
}

static void xor_row(u64 *out, const u64 *in, size_t width) {
    INDEPENDENT
    for (size_t i = 0; i < width; i++) out[i] ^= in[i];
}

/* planes[64][width] of up to 64 * width lanes; missing lanes are 0 */
static void bitslice(const u64 *lanes, size_t count, size_t width, u64 *planes) {
    size_t i = 0, whole = count / 64;
    for (; i + WIDE <= whole; i += WIDE) slice_wide(lanes + 64 * i, planes + i, width);
    for (; i < whole; i++) slice_word(lanes + 64 * i, planes + i, width);
    if (count % 64) {
        u64 last[64] = {0};
        memcpy(last, lanes + 64 * i, count % 64 * sizeof *last);
        slice_word(last, planes + i, width);
    }
}

static size_t lanes_in_group(size_t lanes, size_t at) { return lanes - 64 * at < 64 * GROUP ? lanes - 64 * at : 64 * GROUP; }

static void lookup(size_t lanes, const u64 *d, source tables, int first, u64 *lteq, u64 *top) {
    u64 planes[64 * GROUP], scratch[15 * GROUP];
    EACH_GROUP((lanes + 63) / 64) {
        u64 *out = lteq + LTEQ_PLANES * at, begin = TH_PLANES * (u64)at;
        bitslice(d + 64 * at, lanes_in_group(lanes, at), width, planes);
        for (int j = 0; j < CHUNKS; j++) {
            const u64 *digits = planes + 4 * j * width, *entry[17];
            u64 *lt = out + j * width, *eq = out + (CHUNKS + j) * width;
            int size = j < 15 ? 15 : 7;
            const u64 *th = source_words(&tables, begin + 15 * j * width, size * width, scratch);
            entry[0] = first ? ROW_OF_ONES : ROW_OF_ZEROS; /* th[-1] = 1 */
            for (int v = 0; v < size; v++) entry[1 + v] = th + v * width;
            entry[1 + size] = ROW_OF_ZEROS;
            if (j < 15)
                EACH_COLUMN(width, look_up_wide(entry, digits, width, 4, lt, eq, i),
                            look_up_word(entry, digits, width, 4, lt, eq, i));
            else
                EACH_COLUMN(width, look_up_wide(entry, digits, width, 3, lt, eq, i),
                            look_up_word(entry, digits, width, 3, lt, eq, i));
        }
        const u64 *r63 = source_words(&tables, begin + R63 * width, width, scratch);
        memcpy(top + at, r63, width * sizeof *top);
        if (first) xor_row(top + at, planes + 63 * width, width);
    }
}

static void mask(tree_kind kind, size_t total, const u64 *in, source m, u64 *out) {
    const level *l = &LEVELS[kind];
    EACH_GROUP(total) {
        u64 *rows = out + l->inputs * at;
        stream_words(CTR, m.keys, m.count, m.name, l->inputs * (u64)at / 2, 0, l->inputs * width, rows, XOR_SET);
        for (int p = 0; p < l->inputs; p++) xor_row(rows + p * width, in + l->planes_in * at + l->from[p] * width, width);
    }
}

static void merge(tree_kind kind, size_t total, const u64 *in, const u64 *opened, source m, source monomials, int first,
                  const u64 *top, u64 *out) {
    const level *l = &LEVELS[kind];
    u64 own_scratch[MAX_INPUTS * GROUP], dealt_scratch[MAX_MONOMIALS * GROUP];
    EACH_GROUP(total) {
        const u64 *rows = in ? in + l->planes_in * at : NULL, *e = opened + l->inputs * at;
        const u64 *own = source_words(&m, l->inputs * (u64)at, l->inputs * width, own_scratch);
        const u64 *dealt = source_words(&monomials, l->monomials * (u64)at, l->monomials * width, dealt_scratch);
        u64 *to = out + l->planes_out * at;
        for (int g = 0; g < l->groups; g++) {
            const u64 *share[128], *opened_row[7];
            share[0] = first ? ROW_OF_ONES : ROW_OF_ZEROS;
            for (int x = 0; x < l->group[g].inputs; x++, own += width, e += width) share[1 << x] = own, opened_row[x] = e;
            for (int x = 0; x < l->group[g].monomials; x++, dealt += width) share[l->masks[x]] = dealt;
            u64 *lt = to + g * width, *eq = to + (3 + g) * width;
            if (kind == EQUAL1 || kind == EQUAL2) {
                EACH_COLUMN(width, *(column_wide *)(lt + i) = and4_wide(share, opened_row, 0, 1, 2, 3, i),
                            lt[i] = and4_word(share, opened_row, 0, 1, 2, 3, i));
                continue;
            }
            const u64 *lt3 = rows + (4 * g + 3) * width;
            EACH_COLUMN(width, *(column_wide *)(lt + i) = merge_lt_wide(share, opened_row, lt3, i),
                        lt[i] = merge_lt_word(share, opened_row, lt3, i));
            if (g)
                EACH_COLUMN(width, *(column_wide *)(eq + i) = and4_wide(share, opened_row, EQ3, EQ2, EQ1, EQ0, i),
                            eq[i] = and4_word(share, opened_row, EQ3, EQ2, EQ1, EQ0, i));
        }
        if (top) xor_row(to, top + at, width);
    }
}

static void deal_tables(size_t lanes, const u64 *r, source minus, u64 *out) {
    u64 planes[64 * GROUP];
    EACH_GROUP((lanes + 63) / 64) {
        u64 *group = out + TH_PLANES * at, begin = TH_PLANES * (u64)at;
        bitslice(r + 64 * at, lanes_in_group(lanes, at), width, planes);
        for (int j = 0; j < CHUNKS; j++) {
            u64 *digits = planes + 4 * j * width, *th = group + 15 * j * width;
            if (j < 15)
                EACH_COLUMN(width, thermometer_wide(digits, width, 4, th, i), thermometer_word(digits, width, 4, th, i));
            else
                EACH_COLUMN(width, thermometer_wide(digits, width, 3, th, i), thermometer_word(digits, width, 3, th, i));
            xor_source(&minus, begin + 15 * j * width, (j < 15 ? 15 : 7) * width, th);
        }
        memcpy(group + R63 * width, planes + 63 * width, width * sizeof *group);
        xor_source(&minus, begin + R63 * width, width, group + R63 * width);
    }
}

static void deal_monomials(tree_kind kind, size_t total, source all, source minus, u64 *out) {
    const level *l = &LEVELS[kind];
    u64 scratch[MAX_INPUTS * GROUP];
    EACH_GROUP(total) {
        const u64 *m = source_words(&all, l->inputs * (u64)at, l->inputs * width, scratch);
        u64 *group = out + l->monomials * at, *to = group;
        for (int g = 0; g < l->groups; g++) {
            const u64 *product[128];
            for (int x = 0; x < l->group[g].inputs; x++, m += width) product[1 << x] = m;
            for (int x = 0; x < l->group[g].monomials; x++, to += width) {
                int set = l->masks[x], rest = set & (set - 1); /* without its lowest input: made before */
                const u64 *a = product[rest], *b = product[set ^ rest];
                for (size_t i = 0; i < width; i++) to[i] = a[i] & b[i];
                product[set] = to;
            }
        }
        xor_source(&minus, l->monomials * (u64)at, l->monomials * width, group);
    }
}
