# AES-128-CTR streams by name (section 3).
def expand_key(const uint8_t[::1] key not None):
    """The opaque form (176 bytes) of a 16-byte key that every stream function takes."""
    cdef uint8_t expanded[AES_KEY_BYTES]
    if key.shape[0] != 16:
        raise ValueError(f"key: got {key.shape[0]} bytes; want 16")
    aes_expand_key(&key[0], expanded)
    return (<char *>expanded)[:AES_KEY_BYTES]


cdef int want_mode(int mode) except -1:
    if not 0 <= mode <= 4:
        raise ValueError(f"mode: got {mode}; want 0 SET, 1 ADD, 2 SUB, 3 XOR or 4 XOR_SET")
    return 0


def streams(keys, op, tensor, offset, words_out out not None, int mode):
    """out = sum (SET 0), += sum (ADD 1), -= sum (SUB 2), ^= all (XOR 3), = xor (XOR_SET 4) of the keys' streams.

    The words offset .. offset + len(out) of each stream; no key at all gives zeros.
    """
    cdef source from_ = named(keys, op, tensor)
    cdef u64 block
    cdef int odd
    want_mode(mode)
    if not 0 <= offset <= (1 << 65) - out.shape[0]:
        raise ValueError(f"offset: got {offset}; want 0 <= offset, offset + {out.shape[0]} <= 2^65")
    block, odd = int(offset) >> 1, int(offset) & 1
    with nogil:
        stream_words(table.ctr, from_.keys, from_.count, from_.name, block, odd, out.shape[0], at_out(out), <stream_mode>mode)


def streams_rows(keys, op, tensor, const int64_t[::1] rows not None, Py_ssize_t row_words, words_out out not None,
                 int mode):
    """`streams` for the words rows[r] * row_words .. of each row r; out [R * row_words]."""
    cdef source from_ = named(keys, op, tensor)
    cdef Py_ssize_t r, count = rows.shape[0]
    cdef int64_t most
    cdef u64 begin
    want_mode(mode)
    if row_words < 0 or (row_words and count > (<int64_t>1 << 62) // row_words):
        raise ValueError(f"row_words: got {row_words} in {count} rows; want at least 0 and less than 2^62 words")
    out_size("out", out, count * row_words)
    if row_words == 0:
        return
    most = (<int64_t>1 << 62) // row_words
    for r in range(count):
        if not 0 <= rows[r] < most:
            raise ValueError(f"rows: got {rows[r]} at {r}; want 0 <= row, row * row_words < 2^62")
    with nogil:
        for r in range(count):
            begin = <u64>rows[r] * <u64>row_words
            stream_words(table.ctr, from_.keys, from_.count, from_.name, begin >> 1, begin & 1, row_words,
                         &out[r * row_words], <stream_mode>mode)
