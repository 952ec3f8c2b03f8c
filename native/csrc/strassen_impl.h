/* One level of Strassen-Winograd: seven half-size products and fifteen sums instead of eight products. Exact in a ring.
 *
 *   S1 = A21 + A22   S2 = S1 - A11   S3 = A11 - A21   S4 = A12 - S2
 *   T1 = B12 - B11   T2 = B22 - T1   T3 = B22 - B12   T4 = B21 - T2
 *   U2 = A11 B11 + S2 T2             U3 = U2 + S3 T3
 *   C11 = A11 B11 + A12 B21          C12 = U2 + S1 T1 + S4 B22
 *   C21 = U3 + A22 T4                C22 = U3 + S1 T1
 */

/* out = x + y or x - y for matrices of equal shape, walked along out's contiguous direction */
static void combine(size_t rows, size_t columns, matrix x, matrix y, int minus, matrix out) {
    if (out.column != 1) {
        size_t swap = rows;
        rows = columns, columns = swap;
        x = transposed(x), y = transposed(y), out = transposed(out);
    }
    u64 sign = minus ? ~(u64)0 : 0;
    for (size_t i = 0; i < rows; i++) {
        const u64 *p = from(x, i, 0).at, *q = from(y, i, 0).at;
        u64 *to = (u64 *)from(out, i, 0).at;
        if (x.column == 1 && y.column == 1) {
            INDEPENDENT
            for (size_t j = 0; j < columns; j++) to[j] = p[j] + ((q[j] ^ sign) - sign);
        } else {
            for (size_t j = 0; j < columns; j++)
                to[j] = p[(ptrdiff_t)j * x.column] + ((q[(ptrdiff_t)j * y.column] ^ sign) - sign);
        }
    }
}

/* A dense matrix over `at` that lies as `like` does. */
static inline matrix laid_out(const u64 *at, size_t rows, size_t columns, matrix like) {
    return like.row == 1 ? (matrix){at, 1, (ptrdiff_t)rows} : (matrix){at, (ptrdiff_t)columns, 1};
}

/* m, n, k even; out is overwritten */
static int strassen(size_t m, size_t n, size_t k, matrix a, matrix b, u64 *out, ptrdiff_t out_row) {
    m /= 2, n /= 2, k /= 2;
    u64 *buffer = malloc((m * k + k * n + m * n) * sizeof *buffer);
    if (!buffer) return -1;
    u64 *z = buffer + m * k + k * n;
    matrix s = laid_out(buffer, m, k, a), t = laid_out(buffer + m * k, k, n, b);
    matrix a11 = a, a12 = from(a, 0, k), a21 = from(a, m, 0), a22 = from(a, m, k);
    matrix b11 = b, b12 = from(b, 0, n), b21 = from(b, k, 0), b22 = from(b, k, n);
    u64 *c11 = out, *c12 = out + n, *c21 = out + (ptrdiff_t)m * out_row, *c22 = c21 + n;
    int failed = 0;
    combine(m, k, a11, a21, 1, s);
    combine(k, n, b22, b12, 1, t);
    failed |= gemm(m, n, k, s, t, c22, out_row, 0); /* S3 T3 */
    combine(m, k, a21, a22, 0, s);
    combine(k, n, b12, b11, 1, t);
    failed |= gemm(m, n, k, s, t, c12, out_row, 0); /* S1 T1 */
    combine(m, k, s, a11, 1, s);
    combine(k, n, b22, t, 1, t);
    failed |= gemm(m, n, k, a11, b11, c11, out_row, 0);
    for (size_t i = 0; i < m; i++) memcpy(z + i * n, c11 + (ptrdiff_t)i * out_row, n * sizeof *z);
    failed |= gemm(m, n, k, s, t, z, (ptrdiff_t)n, 1); /* U2 */
    failed |= gemm(m, n, k, a12, b21, c11, out_row, 1);
    for (size_t i = 0; i < m; i++) {
        u64 *u2 = z + i * n, *x12 = c12 + (ptrdiff_t)i * out_row, *x21 = c21 + (ptrdiff_t)i * out_row,
            *x22 = c22 + (ptrdiff_t)i * out_row;
        INDEPENDENT
        for (size_t j = 0; j < n; j++) {
            u64 p5 = x12[j], u3 = x22[j] + u2[j];
            x21[j] = u3, x22[j] = u3 + p5, x12[j] = p5 + u2[j];
        }
    }
    combine(m, k, a12, s, 1, s);
    failed |= gemm(m, n, k, s, b22, c12, out_row, 1);
    combine(k, n, b21, t, 1, t);
    failed |= gemm(m, n, k, a22, t, c21, out_row, 1);
    free(buffer);
    return failed ? -1 : 0;
}
