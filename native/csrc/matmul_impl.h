/* out (+)= a @ b mod 2^64: a register tile over packed panels (the usual three cache blocks), packing only where a
 * panel is used often enough, and dot products or scaled columns where one side is a vector. */
#include <stdlib.h>

#if TILE_BYTES == 8
typedef u64 lane_vector;
typedef u64 lane_vector_at;
#else
typedef u64 lane_vector __attribute__((vector_size(TILE_BYTES)));
typedef lane_vector lane_vector_at __attribute__((aligned(8), may_alias));
#endif

enum {
    TILE_LANES = TILE_BYTES / 8,
    TILE_COLUMNS = TILE_VECTORS * TILE_LANES,
    DEPTH = 256,             /* k block: a's panel stays in the first-level cache */
    HEIGHT = 16 * TILE_ROWS, /* m block: a's block in the second */
    WIDTH = 1024 / TILE_COLUMNS * TILE_COLUMNS, /* n block: b's in the third */
    STREAMED_DEPTH = 16,     /* k block where a b beyond the caches is read in place: as many streams as get prefetched */
    STREAMED_FROM = 1 << 17, /* words of such a b */
    PACK_B_ROWS = 24,        /* rows from which b's panels are worth a copy */
    PACK_A_COLUMNS = 2 * TILE_COLUMNS, /* columns from which a's are */
};

#define LOAD(p) (*(const lane_vector_at *)(p))
#define STORE(p) (*(lane_vector_at *)(p))

typedef struct {
    size_t depth;
    matrix a; /* row: between the tile's rows, column: between steps of k */
    const u64 *b;
    ptrdiff_t b_step;
} operands;

/* sum[rows][vectors] of one tile, stored (or added) at out with out_row words between rows */
INLINE void tile(int rows, int vectors, operands in, u64 *out, ptrdiff_t out_row, int add) {
    lane_vector sum[TILE_ROWS][TILE_VECTORS] = {0};
#ifdef TILE_SPLIT
    /* x y = lo lo + 2^32 (lo hi + hi lo): one 32 x 32 -> 64 product, and both cross products in one 32-bit multiply
     * with the halves of y swapped; the cross sums are needed modulo 2^32 only */
    __m256i low[TILE_ROWS][TILE_VECTORS], cross[TILE_ROWS][TILE_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) low[r][v] = cross[r][v] = _mm256_setzero_si256();
    for (size_t p = 0; p < in.depth; p++, in.b += in.b_step, in.a.at += in.a.column)
        for (int v = 0; v < vectors; v++) {
            __m256i y = (__m256i)LOAD(in.b + v * TILE_LANES), swapped = _mm256_shuffle_epi32(y, 0xb1);
            for (int r = 0; r < rows; r++) {
                __m256i x = _mm256_set1_epi64x((long long)in.a.at[r * in.a.row]);
                low[r][v] = _mm256_add_epi64(low[r][v], _mm256_mul_epu32(x, y));
                cross[r][v] = _mm256_add_epi32(cross[r][v], _mm256_mullo_epi32(x, swapped));
            }
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            lane_vector c = (lane_vector)cross[r][v];
            sum[r][v] = (lane_vector)low[r][v] + (c << 32) + (c >> 32 << 32);
        }
#else
    for (size_t p = 0; p < in.depth; p++, in.b += in.b_step, in.a.at += in.a.column) {
        lane_vector y[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) y[v] = LOAD(in.b + v * TILE_LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[r][v] += in.a.at[r * in.a.row] * y[v];
    }
#endif
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            u64 *to = out + r * out_row + v * TILE_LANES;
            if (add) sum[r][v] += LOAD(to);
            STORE(to) = sum[r][v];
        }
}

#define TILE_CASE(R, V)                                                                       \
    case (R) * 8 + (V):                                                                       \
        if ((R) <= TILE_ROWS && (V) <= TILE_VECTORS) tile(R, V, in, out, out_row, add);       \
        break;
#define TILE_CASES(R) TILE_CASE(R, 1) TILE_CASE(R, 2) TILE_CASE(R, 3) TILE_CASE(R, 4)

static void tile_any(int rows, int vectors, operands in, u64 *out, ptrdiff_t out_row, int add) {
    switch (rows * 8 + vectors) {
        TILE_CASES(1) TILE_CASES(2) TILE_CASES(3) TILE_CASES(4)
        TILE_CASES(5) TILE_CASES(6) TILE_CASES(7) TILE_CASES(8)
    }
}

/* The full tile over a packed panel of a, whose strides are then constants. */
static void tile_packed(operands in, u64 *out, ptrdiff_t out_row, int add) {
    in.a.row = 1, in.a.column = TILE_ROWS;
    tile(TILE_ROWS, TILE_VECTORS, in, out, out_row, add);
}

/* A tile whose columns do not fill its vectors: by way of a buffer. */
static void tile_edge(int rows, size_t columns, int vectors, operands in, u64 *out, ptrdiff_t out_row, int add) {
    u64 buffer[TILE_ROWS * TILE_COLUMNS];
    tile_any(rows, vectors, in, buffer, TILE_COLUMNS, 0);
    for (int r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            u64 *to = out + r * out_row + j, value = buffer[r * TILE_COLUMNS + j];
            *to = add ? *to + value : value;
        }
}

#if TILE_BYTES > 8
/* A square block of words turned in registers: log2 stages, each exchanging half-blocks at distance `by`. */
INLINE void turn(lane_vector x[TILE_LANES]) {
#pragma GCC unroll 4
    for (int by = TILE_LANES / 2; by; by /= 2) {
        lane_vector low, high;
#pragma GCC unroll 8
        for (int l = 0; l < TILE_LANES; l++) {
            low[l] = l & by ? TILE_LANES + l - by : l;
            high[l] = l & by ? TILE_LANES + l : l + by;
        }
#pragma GCC unroll 8
        for (int k = 0; k < TILE_LANES; k++)
            if (!(k & by)) {
                lane_vector upper = x[k], lower = x[k | by];
                x[k] = __builtin_shuffle(upper, lower, low);
                x[k | by] = __builtin_shuffle(upper, lower, high);
            }
    }
}

/* Words p, p + 1 .. of TILE_LANES columns that are contiguous in p, as rows of `to`. */
static void pack_turned(const u64 *from, ptrdiff_t column, size_t depth, size_t stride, u64 *to) {
    for (; depth >= TILE_LANES; depth -= TILE_LANES, from += TILE_LANES, to += TILE_LANES * stride) {
        lane_vector x[TILE_LANES];
#pragma GCC unroll 8
        for (int j = 0; j < TILE_LANES; j++) x[j] = LOAD(from + j * column);
        turn(x);
#pragma GCC unroll 8
        for (int p = 0; p < TILE_LANES; p++) STORE(to + p * stride) = x[p];
    }
    for (; depth; depth--, from++, to += stride)
        for (int j = 0; j < TILE_LANES; j++) to[j] = from[j * column];
}
#endif

/* `count` columns of b as [depth][stride], zeros behind them */
static void pack_columns(matrix b, size_t depth, size_t count, size_t stride, u64 *to) {
    if (b.column == 1) {
        for (size_t p = 0; p < depth; p++, to += stride, b.at += b.row) {
            memcpy(to, b.at, count * sizeof *to);
            memset(to + count, 0, (stride - count) * sizeof *to);
        }
        return;
    }
    size_t j = 0;
#if TILE_BYTES > 8
    for (; b.row == 1 && j + TILE_LANES <= count; j += TILE_LANES)
        pack_turned(b.at + (ptrdiff_t)j * b.column, b.column, depth, stride, to + j);
#endif
    for (; j < stride; j++)
        for (size_t p = 0; p < depth; p++)
            to[p * stride + j] = j < count ? b.at[(ptrdiff_t)p * b.row + (ptrdiff_t)j * b.column] : 0;
}

/* All panels of a block whose rows are contiguous: along each row, since the rows may be pages apart. The last panel is
 * filled with zeros to a multiple of `step`. */
INLINE void pack_panels(const u64 *b, ptrdiff_t row, size_t depth, size_t width, size_t panel, size_t step, u64 *to) {
    size_t whole = width / panel * panel, rest = width - whole, stride = (rest + step - 1) / step * step;
    for (size_t p = 0; p < depth; p++, b += row) {
        for (size_t j = 0; j < whole; j += panel) memcpy(to + j * depth + p * panel, b + j, panel * sizeof *to);
        if (!rest) continue;
        u64 *last = to + whole * depth + p * stride;
        memcpy(last, b + whole, rest * sizeof *to);
        memset(last + rest, 0, (stride - rest) * sizeof *to);
    }
}

static inline matrix from(matrix m, size_t row, size_t column) {
    m.at += (ptrdiff_t)row * m.row + (ptrdiff_t)column * m.column;
    return m;
}

static inline matrix transposed(matrix m) { return (matrix){m.at, m.column, m.row}; }

static inline size_t rounded_up(size_t columns) { return (columns + TILE_LANES - 1) / TILE_LANES * TILE_LANES; }

static inline size_t least(size_t x, size_t y) { return x < y ? x : y; }

static int gemm(size_t m, size_t n, size_t k, matrix a, matrix b, u64 *out, ptrdiff_t out_row,
                int accumulate) {
    int copy_a = n > PACK_A_COLUMNS, copy_b = b.column != 1 || m >= PACK_B_ROWS;
    size_t step = !copy_b && k * n >= STREAMED_FROM ? STREAMED_DEPTH : DEPTH;
    size_t depth_most = least(k, step), width_most = least(rounded_up(n), WIDTH);
    if (!copy_b) width_most = TILE_COLUMNS;
    u64 *buffer = aligned_alloc(64, (depth_most * (width_most + HEIGHT + TILE_ROWS) * sizeof *buffer + 63) / 64 * 64);
    if (!buffer) return -1;
    u64 *b_packed = buffer, *a_packed = buffer + depth_most * width_most;
    for (size_t pc = 0; pc < k; pc += step) {
        size_t depth = least(k - pc, step);
        int add = accumulate || pc;
        for (size_t jc = 0; jc < n; jc += WIDTH) {
            size_t width = least(n - jc, WIDTH);
            if (copy_b && b.column == 1)
                pack_panels(from(b, pc, jc).at, b.row, depth, width, TILE_COLUMNS, TILE_LANES, b_packed);
            for (size_t j = 0; copy_b && b.column != 1 && j < width; j += TILE_COLUMNS) {
                size_t columns = least(width - j, TILE_COLUMNS), stride = rounded_up(columns);
                pack_columns(from(b, pc, jc + j), depth, columns, stride, b_packed + j * depth);
            }
            for (size_t ic = 0; ic < m; ic += HEIGHT) {
                size_t height = least(m - ic, HEIGHT);
                if (copy_a && a.row == 1)
                    pack_panels(from(a, ic, pc).at, a.column, depth, height, TILE_ROWS, TILE_ROWS, a_packed);
                for (size_t i = 0; copy_a && a.row != 1 && i < height; i += TILE_ROWS)
                    pack_columns(transposed(from(a, ic + i, pc)), depth, least(height - i, TILE_ROWS), TILE_ROWS,
                                 a_packed + i * depth);
                for (size_t j = 0; j < width; j += TILE_COLUMNS) {
                    size_t columns = least(width - j, TILE_COLUMNS);
                    int vectors = (int)((columns + TILE_LANES - 1) / TILE_LANES);
                    operands in = {depth, a, b_packed + j * depth, vectors * TILE_LANES};
                    if (!copy_b && columns % TILE_LANES == 0) {
                        in.b = from(b, pc, jc + j).at, in.b_step = b.row;
                    } else if (!copy_b) {
                        pack_columns(from(b, pc, jc + j), depth, columns, vectors * TILE_LANES, b_packed);
                        in.b = b_packed;
                    }
                    for (size_t i = 0; i < height; i += TILE_ROWS) {
                        int rows = (int)least(height - i, TILE_ROWS);
                        u64 *to = out + (ptrdiff_t)(ic + i) * out_row + (jc + j);
                        in.a = copy_a ? (matrix){a_packed + i * depth, 1, TILE_ROWS} : from(a, ic + i, pc);
                        if (columns % TILE_LANES)
                            tile_edge(rows, columns, vectors, in, to, out_row, add);
                        else if (copy_a && rows == TILE_ROWS && vectors == TILE_VECTORS)
                            tile_packed(in, to, out_row, add);
                        else
                            tile_any(rows, vectors, in, to, out_row, add);
                    }
                }
            }
        }
    }
    free(buffer);
    return 0;
}

/* By way of the transposed product b^T a^T. */
static int gemm_turned(size_t m, size_t n, size_t k, matrix a, matrix b, u64 *out, int accumulate) {
    u64 *product = malloc(m * n * sizeof *product);
    int failed = product ? gemm(n, m, k, transposed(b), transposed(a), product, (ptrdiff_t)m, 0) : -1;
    for (size_t i = 0; !failed && i < m; i++)
        for (size_t j = 0; j < n; j++) out[i * n + j] = product[j * m + i] + (accumulate ? out[i * n + j] : 0);
    free(product);
    return failed;
}

/* out[m] (+)= a @ x for a contiguous x, along a's contiguous direction; the last vector of a row may overlap the one
 * before it, and x is then zero where it does */
static void dot_rows(size_t m, size_t k, matrix a, const u64 *x, u64 *out, int accumulate) {
    enum { TOGETHER = 4 };
    size_t whole = k / TILE_LANES * TILE_LANES, last = k > whole && k > TILE_LANES ? k - TILE_LANES : whole;
    u64 tail[TILE_LANES] = {0};
    for (size_t p = whole; last < whole && p < k; p++) tail[p - last] = x[p];
    for (size_t i = 0; i < m; i += TOGETHER) {
        size_t rows = least(m - i, TOGETHER);
        lane_vector sum[TOGETHER] = {0};
        const u64 *row[TOGETHER];
        for (size_t r = 0; r < TOGETHER; r++) row[r] = from(a, i + (r < rows ? r : 0), 0).at;
        for (size_t p = 0; p < whole; p += TILE_LANES)
            for (int r = 0; r < TOGETHER; r++) sum[r] += LOAD(row[r] + p) * LOAD(x + p);
        if (last < whole)
            for (int r = 0; r < TOGETHER; r++) sum[r] += LOAD(row[r] + last) * LOAD(tail);
        for (size_t r = 0; r < rows; r++) {
            u64 lanes[TILE_LANES], total = accumulate ? out[i + r] : 0;
            STORE(lanes) = sum[r];
            for (int l = 0; l < TILE_LANES; l++) total += lanes[l];
            for (size_t p = whole; last == whole && p < k; p++) total += row[r][p] * x[p];
            out[i + r] = total;
        }
    }
}

/* the same along a's columns, a few of them at a time: as many streams */
static void scaled_columns(size_t m, size_t k, matrix a, const u64 *x, u64 *out, int accumulate) {
    enum { TOGETHER = 4 };
    for (size_t begin = 0; begin < k; begin += STREAMED_DEPTH, accumulate = 1) {
        size_t end = least(k, begin + STREAMED_DEPTH), i = 0;
        for (; i + TOGETHER * TILE_LANES <= m; i += TOGETHER * TILE_LANES) {
            lane_vector sum[TOGETHER] = {0};
            const u64 *column = from(a, i, begin).at;
            for (size_t p = begin; p < end; p++, column += a.column)
                for (int v = 0; v < TOGETHER; v++) sum[v] += LOAD(column + v * TILE_LANES) * x[p];
            for (int v = 0; v < TOGETHER; v++) {
                u64 *to = out + i + v * TILE_LANES;
                if (accumulate) sum[v] += LOAD(to);
                STORE(to) = sum[v];
            }
        }
        for (; i < m; i++) {
            u64 total = accumulate ? out[i] : 0;
            for (size_t p = begin; p < end; p++) total += a.at[(ptrdiff_t)i + (ptrdiff_t)p * a.column] * x[p];
            out[i] = total;
        }
    }
}

static int gemv(size_t m, size_t k, matrix a, matrix b, u64 *out, int accumulate) {
    u64 *copy = NULL;
    if (b.row != 1 && k > 1) {
        if (!(copy = malloc(k * sizeof *copy))) return -1;
        for (size_t p = 0; p < k; p++) copy[p] = from(b, p, 0).at[0];
    }
    const u64 *x = copy ? copy : b.at;
    if (a.column == 1) {
        dot_rows(m, k, a, x, out, accumulate);
    } else if (a.row == 1) {
        scaled_columns(m, k, a, x, out, accumulate);
    } else {
        for (size_t i = 0; i < m; i++) {
            u64 total = accumulate ? out[i] : 0;
            for (size_t p = 0; p < k; p++) total += from(a, i, p).at[0] * x[p];
            out[i] = total;
        }
    }
    free(copy);
    return 0;
}

#include "strassen_impl.h"

/* Even matrices from this size on: the sums then cost less than the eighth product. */
enum { STRASSEN_FROM = 1024 };

static int matmul(size_t m, size_t n, size_t k, matrix a, matrix b, u64 *out, int accumulate) {
    if (m == 0 || n == 0) return 0;
    if (k == 0) {
        if (!accumulate) memset(out, 0, m * n * sizeof *out);
        return 0;
    }
    if (n == 1) return gemv(m, k, a, b, out, accumulate);
    if (m == 1) return gemv(n, k, transposed(b), transposed(a), out, accumulate);
    /* few columns beside a transposed a, or few rows beside a transposed b: the transposed product reads in place */
    if ((n <= TILE_COLUMNS && m > n && a.row == 1) || (m < TILE_LANES && n > m && b.column != 1))
        return gemm_turned(m, n, k, a, b, out, accumulate);
    if (least(least(m, n), k) < STRASSEN_FROM || (m | n | k) & 1)
        return gemm(m, n, k, a, b, out, (ptrdiff_t)n, accumulate);
    if (!accumulate) return strassen(m, n, k, a, b, out, (ptrdiff_t)n);
    u64 *product = malloc(m * n * sizeof *product);
    int failed = product ? strassen(m, n, k, a, b, product, (ptrdiff_t)n) : -1;
    if (!failed) add(m * n, product, out);
    free(product);
    return failed;
}

#undef LOAD
#undef STORE
