# Powers modulo one large odd number, eight at a time (csrc/modular.h): numbers are rows of words, little-endian.
cdef extern from "csrc/modular.h" nogil:
    enum: MODULAR_LANES, MODULAR_WORDS
    int modular_usable()
    size_t modular_table_words(size_t words, size_t bits)
    int c_modular_table "modular_table"(size_t, const uint64_t *, const uint64_t *, const uint64_t *, size_t, uint64_t *)
    int c_modular_fixed "modular_fixed"(size_t, const uint64_t *, const uint64_t *, size_t, size_t, const uint64_t *,
                                        uint64_t *)
    int c_modular_power "modular_power"(size_t, const uint64_t *, const uint64_t *, size_t, const uint64_t *, size_t,
                                        const uint64_t *, uint64_t *)


def modular_lanes():
    """How many powers are computed together: 8 with AVX-512 IFMA (instruction set "avx512"); 0 where there is no such kernel."""
    return MODULAR_LANES if table.name == b"avx512" and modular_usable() else 0


cdef Py_ssize_t want_modulus(words_in modulus) except -1:
    if not 1 <= modulus.shape[0] <= MODULAR_WORDS or not modulus[0] & 1:
        raise ValueError(f"modulus: got {modulus.shape[0]} words; want an odd number of 1 to {MODULAR_WORDS}")
    if not modular_usable():
        raise ValueError("this machine has no kernel for powers (modular_lanes)")
    return modulus.shape[0]


cdef int want_exponent_bits(Py_ssize_t bits) except -1:
    if not 1 <= bits <= 1 << 20:
        raise ValueError(f"bits: got {bits}; want 1 to 2^20")
    return 0


cdef int want_done(int done) except -1:
    if done:
        raise MemoryError("modular powers")
    return 0


def modular_table(words_in modulus not None, words_in square not None, words_in base not None, Py_ssize_t bits,
                  words_out out not None):
    """out = the table of `modular_fixed` (modular_table_size words) for one base and exponents of `bits` bits;
    square = 2^(104 ceil((64 words + 2) / 52)) modulo the modulus."""
    cdef Py_ssize_t words = want_modulus(modulus)
    cdef int done
    want_exponent_bits(bits)
    in_size("square", square, words)
    in_size("base", base, words)
    out_size("out", out, modular_table_words(words, bits))
    with nogil:
        done = c_modular_table(words, &modulus[0], &square[0], &base[0], bits, &out[0])
    want_done(done)


def modular_table_size(Py_ssize_t words, Py_ssize_t bits):
    """Words of a table for a modulus of `words` words and exponents of `bits` bits."""
    return modular_table_words(words, bits)


def modular_fixed(words_in modulus not None, words_in powers not None, Py_ssize_t bits, words_in exponents not None,
                  words_out out not None):
    """out[k] = base^exponents[k] by the table `powers`; an exponent has ceil(bits / 64) words. The modulus itself stands for 0."""
    cdef Py_ssize_t words = want_modulus(modulus), count = width_of("out", out.shape[0], modulus.shape[0])
    cdef int done = 0
    want_exponent_bits(bits)
    in_size("powers", powers, modular_table_words(words, bits))
    in_size("exponents", exponents, count * ((bits + 63) // 64))
    if count:
        with nogil:
            done = c_modular_fixed(words, &modulus[0], &powers[0], bits, count, &exponents[0], &out[0])
    want_done(done)


def modular_power(words_in modulus not None, words_in square not None, words_in bases not None, Py_ssize_t bits,
                  words_in exponent not None, words_out out not None):
    """out[k] = bases[k]^exponent for bases below the modulus; `bits` of the exponent are read, and public. The modulus itself
    stands for 0."""
    cdef Py_ssize_t words = want_modulus(modulus), count = width_of("out", out.shape[0], modulus.shape[0])
    cdef int done = 0
    want_exponent_bits(bits)
    in_size("square", square, words)
    in_size("bases", bases, count * words)
    in_size("exponent", exponent, (bits + 63) // 64)
    if count:
        with nogil:
            done = c_modular_power(words, &modulus[0], &square[0], count, &bases[0], bits, &exponent[0], &out[0])
    want_done(done)
