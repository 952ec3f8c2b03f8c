# Argument checks: dtype, dimensions and contiguity are the typed memoryviews'; sizes and ranges are here.
ctypedef const uint64_t[::1] words_in
ctypedef uint64_t[::1] words_out


cdef inline const u64 *at_in(words_in array) noexcept nogil:
    return &array[0] if array is not None and array.shape[0] else NULL


cdef inline u64 *at_out(words_out array) noexcept nogil:
    return &array[0] if array.shape[0] else NULL


cdef inline size_t plane_words(size_t lanes) noexcept nogil:
    return (lanes + 63) // 64


cdef int want_size(str name, Py_ssize_t got, Py_ssize_t want) except -1:
    if got != want:
        raise ValueError(f"{name}: got {got} words; want {want}")
    return 0


cdef int in_size(str name, words_in array, Py_ssize_t want) except -1:
    if array is None:
        raise TypeError(f"{name}: got None; want an array of {want} words")
    return want_size(name, array.shape[0], want)


cdef int out_size(str name, words_out array, Py_ssize_t want) except -1:
    return want_size(name, array.shape[0], want)


cdef Py_ssize_t width_of(str name, Py_ssize_t size, Py_ssize_t planes) except -1:
    if size % planes:
        raise ValueError(f"{name}: got {size} words; want a multiple of {planes} (planes)")
    return size // planes


cdef int want_shift(int shift) except -1:
    if not 1 <= shift <= 62:
        raise ValueError(f"shift: got {shift}; want 1..62")
    return 0


cdef int want_rank(int rank) except -1:
    if rank != 0 and rank != 1:
        raise ValueError(f"rank: got {rank}; want 0 or 1 (two-party truncation)")
    return 0


cdef source named(keys, op, tensor) except *:
    """The streams of a concatenation of expanded keys; the caller keeps `keys` alive."""
    cdef source made
    if not isinstance(keys, bytes):
        raise TypeError(f"keys: got {type(keys).__name__}; want bytes (expand_key, concatenated)")
    if len(keys) % AES_KEY_BYTES:
        raise ValueError(f"keys: got {len(keys)} bytes; want a multiple of {AES_KEY_BYTES} (expand_key)")
    if not (0 <= op < 1 << 48 and 0 <= tensor < 1 << 16):
        raise ValueError(f"name: got op={op}, tensor={tensor}; want op < 2^48, tensor < 2^16")
    made.keys = <const uint8_t *><const char *><bytes>keys
    made.count = len(keys) // AES_KEY_BYTES
    made.name = <u64>op << 16 | <u64>tensor
    made.corr = NULL
    return made


cdef source dealt(key, op, tensor, words_in corr, Py_ssize_t want) except *:
    """A party's share of a dealt tensor: its correction, or its stream where corr is None."""
    cdef source made
    if corr is None:
        return named(key, op, tensor)
    in_size("corr", corr, want)
    made = named(b"", 0, 0)
    if want:
        made.corr = &corr[0]
    return made
