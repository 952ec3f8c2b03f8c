# csrc/kernels.h, aes.h and trees.h as Cython sees them.
cdef extern from "csrc/aes.h" nogil:
    enum: AES_KEY_BYTES
    ctypedef enum stream_mode:
        SET, ADD, SUB, XOR, XOR_SET
    ctypedef void (*ctr_function)(const uint8_t *, uint64_t, uint64_t, size_t, uint64_t *, stream_mode) noexcept nogil
    void aes_expand_key(const uint8_t *key, uint8_t *out)
    void stream_words(ctr_function ctr, const uint8_t *keys, size_t count, uint64_t name, uint64_t block, int odd,
                      size_t words, uint64_t *out, stream_mode mode)

cdef extern from "csrc/allocator.h" nogil:
    int allocator_tune()

cdef extern from "csrc/kernels.h" nogil:
    ctypedef uint64_t u64
    ctypedef struct source:
        const uint8_t *keys
        size_t count
        u64 name
        const u64 *corr
    ctypedef struct matrix:
        const u64 *at
        ptrdiff_t row, column
    ctypedef enum tree_kind:
        TREE1, TREE2, EQUAL1, EQUAL2, TREE8, EQUAL8
    ctypedef struct kernels:
        const char *name
        int (*usable)() noexcept nogil
        ctr_function ctr
        int (*matmul)(size_t, size_t, size_t, matrix, matrix, u64 *, int) noexcept nogil
        void (*mul)(size_t, const u64 *, const u64 *, u64 *) noexcept nogil
        void (*mul_add)(size_t, const u64 *, const u64 *, u64 *) noexcept nogil
        void (*mul_scalar)(size_t, const u64 *, u64, u64 *) noexcept nogil
        void (*beaver_mul)(size_t, const u64 *, const u64 *, const u64 *, const u64 *, u64 *, int) noexcept nogil
        void (*beaver_square)(size_t, const u64 *, const u64 *, u64 *, int) noexcept nogil
        void (*truncate_finish)(size_t, const u64 *, const u64 *, const uint32_t *, const u64 *, const u64 *, int, int,
                                u64 *) noexcept nogil
        void (*truncated_product)(size_t, const u64 *, const u64 *, const uint32_t *, const u64 *, const u64 *,
                                  const u64 *, const u64 *, const u64 *, int, int, u64 *, u64 *) noexcept nogil
        void (*pack)(size_t, const u64 *, u64, int, const u64 *, u64 *) noexcept nogil
        void (*unpack)(size_t, const u64 *, u64 *) noexcept nogil
        void (*select_finish)(size_t, const u64 *, const u64 *, const u64 *, u64 *) noexcept nogil
        void (*bit_finish)(size_t, const u64 *, const u64 *, int, u64 *) noexcept nogil
        void (*mul_bits)(size_t, const u64 *, const u64 *, u64 *) noexcept nogil
        void (*truncate2_finish)(size_t, const u64 *, const u64 *, const u64 *, const u64 *, const u64 *, int, int,
                                 u64 *) noexcept nogil
        void (*deal_select)(size_t, const u64 *, const u64 *, source, u64 *) noexcept nogil
        void (*lookup)(size_t, const u64 *, source, int, u64 *, u64 *) noexcept nogil
        void (*mask)(tree_kind, size_t, const u64 *, source, u64 *) noexcept nogil
        void (*merge)(tree_kind, size_t, const u64 *, const u64 *, source, source, int, const u64 *, u64 *) noexcept nogil
        void (*deal_tables)(size_t, const u64 *, source, u64 *) noexcept nogil
        void (*deal_monomials)(tree_kind, size_t, source, source, u64 *) noexcept nogil
        void (*lookup8)(size_t, const u64 *, source, int, u64 *, u64 *) noexcept nogil
        void (*deal_tables8)(size_t, const u64 *, source, u64 *) noexcept nogil
        void (*harmonics)(size_t, const u64 *, int, int, double, u64 *) noexcept nogil
        void (*fourier_series)(size_t, const u64 *, int, int, const double *, const double *, const u64 *,
                               u64 *) noexcept nogil
        void (*exponentials)(size_t, const u64 *, double, double, int, u64 *) noexcept nogil
    const kernels *const kernels_all[]
    const kernels *kernels_pick(const char *name)

cdef extern from "csrc/trees.h" nogil:
    enum: TH_PLANES, LTEQ_PLANES, LEVEL1_PLANES, TABLE8_WORDS, LTEQ8_PLANES
    ctypedef struct level:
        int planes_in, inputs, monomials, planes_out
    const level LEVELS[6]

cdef const kernels *table = NULL
