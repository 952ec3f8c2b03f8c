/* cos and sin of the multiples of a public or dealt angle (section 7). Only + and * of doubles in one fixed order, no
 * library function and no contraction (setup.py), so that every machine rounds the public factors alike: parties whose
 * factors differ by one unit would reconstruct garbage. */
enum { ANGLES = 64 };

static const double SIN_SERIES[] = {-1. / 6, 1. / 120, -1. / 5040, 1. / 362880, -1. / 39916800,
                                    1. / 6227020800., -1. / 1307674368000., 1. / 355687428096000.};
static const double COS_SERIES[] = {-1. / 2, 1. / 24, -1. / 720, 1. / 40320, -1. / 3628800,
                                    1. / 479001600., -1. / 87178291200., 1. / 20922789888000.};
enum { TERMS = 8 };
static const double ROUNDER = 6755399441055744.0; /* 3 * 2^51: adding it rounds to an integer, ties to even */

INLINE u64 double_bits(double x) {
    u64 bits;
    memcpy(&bits, &x, 8);
    return bits;
}

/* the integer nearest to x as a ring word; |x| < 2^51 */
INLINE u64 nearest_word(double x) { return double_bits(x + ROUNDER) - double_bits(ROUNDER); }

/* c, s = cos, sin of 2 pi (word / 2^bits) for ANGLES words: quarter turns are exact, the rest is a Taylor series */
static void first_harmonic(const u64 *word, int bits, double *c, double *s) {
    for (int i = 0; i < ANGLES; i++) {
        double turn = (double)(int64_t)(word[i] << (64 - bits)) * 0x1p-64;
        double shifted = turn * 4 + ROUNDER;
        u64 quarter = double_bits(shifted);
        double x = (turn - (shifted - ROUNDER) * 0.25) * 6.283185307179586, xx = x * x;
        double sine = SIN_SERIES[TERMS - 1], cosine = COS_SERIES[TERMS - 1];
        for (int k = TERMS - 2; k >= 0; k--) {
            sine = sine * xx + SIN_SERIES[k];
            cosine = cosine * xx + COS_SERIES[k];
        }
        sine = sine * xx * x + x;
        cosine = cosine * xx + 1;
        double swap_s = quarter & 1 ? cosine : sine, swap_c = quarter & 1 ? sine : cosine;
        s[i] = quarter & 2 ? -swap_s : swap_s;
        c[i] = (quarter + 1) & 2 ? -swap_c : swap_c;
    }
}

INLINE void next_harmonic(const double *c1, const double *s1, double *c, double *s) {
    for (int i = 0; i < ANGLES; i++) {
        double cosine = c[i] * c1[i] - s[i] * s1[i];
        s[i] = s[i] * c1[i] + c[i] * s1[i];
        c[i] = cosine;
    }
}

static void load_lanes(size_t n, size_t at, const u64 *in, u64 *lanes) {
    size_t count = n - at < ANGLES ? n - at : ANGLES;
    memcpy(lanes, in + at, 8 * count);
    memset(lanes + count, 0, 8 * (ANGLES - count));
}

/* out[k n + i] = round(2^scale cos((k+1) t_i)), then the sines */
static void harmonics(size_t n, const u64 *r, int bits, int orders, double one, u64 *out) {
    u64 word[ANGLES];
    double c1[ANGLES], s1[ANGLES], c[ANGLES], s[ANGLES];
    for (size_t at = 0; at < n; at += ANGLES) {
        size_t count = n - at < ANGLES ? n - at : ANGLES;
        load_lanes(n, at, r, word);
        first_harmonic(word, bits, c1, s1);
        memcpy(c, c1, sizeof c);
        memcpy(s, s1, sizeof s);
        for (int k = 0; k < orders; k++) {
            u64 *cosines = out + (size_t)k * n + at, *sines = cosines + (size_t)orders * n;
            if (k) next_harmonic(c1, s1, c, s);
            for (size_t i = 0; i < count; i++) {
                cosines[i] = nearest_word(c[i] * one);
                sines[i] = nearest_word(s[i] * one);
            }
        }
    }
}

/* out[i] = sum_k round(a_k cos(k c_i) + b_k sin(k c_i)) [cos k t]_i + round(a_k sin(k c_i) - b_k cos(k c_i)) [sin k t]_i */
static void fourier_series(size_t n, const u64 *d, int bits, int orders, const double *a, const double *b, const u64 *dealt,
                           u64 *out) {
    u64 word[ANGLES], sum[ANGLES];
    double c1[ANGLES], s1[ANGLES], c[ANGLES], s[ANGLES];
    for (size_t at = 0; at < n; at += ANGLES) {
        size_t count = n - at < ANGLES ? n - at : ANGLES;
        load_lanes(n, at, d, word);
        first_harmonic(word, bits, c1, s1);
        memcpy(c, c1, sizeof c);
        memcpy(s, s1, sizeof s);
        memset(sum, 0, sizeof sum);
        for (int k = 0; k < orders; k++) {
            const u64 *cosines = dealt + (size_t)k * n + at, *sines = cosines + (size_t)orders * n;
            double even = a[k], odd = b[k];
            if (k) next_harmonic(c1, s1, c, s);
            for (size_t i = 0; i < count; i++)
                sum[i] += nearest_word(even * c[i] + odd * s[i]) * cosines[i] +
                          nearest_word(even * s[i] - odd * c[i]) * sines[i];
        }
        memcpy(out + at, sum, 8 * count);
    }
}

/* 1/k! for the power series of exp on |g| <= ln(2) / 2; 14 terms leave less than 2^-60 */
static const double EXP_SERIES[] = {1. / 6227020800., 1. / 479001600, 1. / 39916800, 1. / 3628800, 1. / 362880,
                                    1. / 40320,       1. / 5040,      1. / 720,      1. / 120,     1. / 24,
                                    1. / 6,           1. / 2,         1.,            1.};

/* out[i] = round(2^scale exp(x_i 2^-frac + offset)), x_i two's complement; the result below 2^51 */
static void exponentials(size_t n, const u64 *x, double unit, double offset, int scale, u64 *out) {
    for (size_t i = 0; i < n; i++) {
        double t = ((double)(int64_t)x[i] * unit + offset) * 1.4426950408889634;
        double whole = t + ROUNDER;
        double g = (t - (whole - ROUNDER)) * 0.6931471805599453, power = EXP_SERIES[0];
        for (int k = 1; k < 14; k++) power = power * g + EXP_SERIES[k];
        u64 bits = double_bits(power) + ((double_bits(whole) - double_bits(ROUNDER) + (u64)(int64_t)scale) << 52);
        double value;
        memcpy(&value, &bits, 8);
        out[i] = nearest_word(value);
    }
}
