/* Packed bits, and the kernels that finish a protocol from opened bits. Lane l is bit l % 64 of word l / 64. */

/* Words `at` .. of a loop over 64 lanes at a time; the last ones may be fewer. */
#define FOR_LANE_WORDS(n) for (size_t at = 0, word = 0, size; at < (n) && (size = (n) - at < 64 ? (n) - at : 64); at += 64, word++)

#define EXPAND(bits, l) (0 - ((bits) >> (l) & 1)) /* all ones where the bit is set */

static inline u64 pack_word(const u64 *in, size_t size, u64 subtract, int bit) {
    u64 packed = 0;
    for (size_t l = 0; l < size; l++) packed |= ((in[l] - subtract) >> bit & 1) << l;
    return packed;
}

static void pack(size_t lanes, const u64 *in, u64 subtract, int bit, const u64 *mask, u64 *out) {
    FOR_LANE_WORDS(lanes) {
        u64 packed = size == 64 ? pack_word(in + at, 64, subtract, bit) : pack_word(in + at, size, subtract, bit);
        out[word] = mask ? packed ^ mask[word] : packed;
    }
}

static void unpack(size_t lanes, const u64 *bits, u64 *out) {
    FOR_LANE_WORDS(lanes) {
        u64 here = bits[word];
        for (size_t l = 0; l < size; l++) out[at + l] = here >> l & 1;
    }
}

static void select_finish(size_t n, const u64 *e, const u64 *x, const u64 *xs, u64 *out) {
    FOR_LANE_WORDS(n) {
        u64 here = e[word];
        INDEPENDENT
        for (size_t l = 0; l < size; l++) { /* x - xs, or xs: (x & on) + (xs with its sign turned by on) */
            u64 on = EXPAND(here, l);
            out[at + l] = (x[at + l] & on) + ((xs[at + l] ^ on) - on);
        }
    }
}

static void bit_finish(size_t n, const u64 *e, const u64 *s, int first, u64 *out) {
    u64 one = first ? 1 : 0;
    FOR_LANE_WORDS(n) {
        u64 here = e[word];
        INDEPENDENT
        for (size_t l = 0; l < size; l++) {
            u64 on = EXPAND(here, l);
            out[at + l] = (one & on) + ((s[at + l] ^ on) - on);
        }
    }
}

static void mul_bits(size_t n, const u64 *bits, const u64 *x, u64 *out) {
    FOR_LANE_WORDS(n) {
        u64 here = bits[word];
        INDEPENDENT
        for (size_t l = 0; l < size; l++) out[at + l] = x[at + l] & EXPAND(here, l);
    }
}

static void truncate2_finish(size_t n, const u64 *x, const u64 *ea, const u64 *eb, const u64 *s, const u64 *ss, int rank,
                             int shift, u64 *out) {
    FOR_LANE_WORDS(n) {
        u64 a = ea[word], b = eb[word], own = s[word];
        /* the public-times-own-bit terms of w, as two packed vectors: rank 0: ea eb and +-eb s; rank 1: +-ea s */
        u64 term = rank ? a & own : b & own, turned = rank ? b : a, constant = rank ? 0 : a & b;
        INDEPENDENT
        for (size_t l = 0; l < size; l++) {
            u64 flip = EXPAND(a ^ b, l), turn = EXPAND(turned, l), v = x[at + l];
            u64 w = ((ss[at + l] ^ flip) - flip) + (((term >> l & 1) ^ turn) - turn) + (constant >> l & 1);
            if (!rank) w += v >> 62 != 0; /* d = 1{x0 >= L/4} */
            out[at + l] = (v >> shift) - (w << (64 - shift)) + (u64)rank;
        }
    }
}

static void deal_select(size_t n, const u64 *s, const u64 *x, source minus, u64 *out) {
    enum { LANES = 512 }; /* written, then corrected, while in the first-level cache */
    for (size_t at = 0; at < n; at += LANES) {
        size_t size = n - at < LANES ? n - at : LANES;
        if (x) mul_bits(size, s + at / 64, x + at, out + at);
        else unpack(size, s + at / 64, out + at);
        stream_words(CTR, minus.keys, minus.count, minus.name, at / 2, 0, size, out + at, SUB);
    }
}
