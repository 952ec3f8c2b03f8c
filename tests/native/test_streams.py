"""AES-128-CTR streams: NIST vectors, the `cryptography` package (through the twin), offsets, keys, modes, rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc._native import core, twin

NIST_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # SP 800-38A, F.5.1 and FIPS-197, appendix A.1
NIST_COUNTER = 0xF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF
NIST_OUTPUT_BLOCKS = (
    "ec8cdf7398607cb0f2d21675ea9ea1e4"
    "362b7c3c6773516318a077d7fc5073ae"
    "6a2cc3787889374fbeb4c81b17ba6c44"
    "e89c399ff0f198c6d40a31db156cabfe"
)


FIPS_197_B = (0x3243F6A8885A308D, 0x313198A2E0370734, "3925841d02dc09fbdc118597196a0b32")


def stream(module, keys, offset, size, mode, op=77, tensor=5):
    """One call on a recognisable `out`."""
    out = np.arange(size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    module.streams(b"".join(module.expand_key(key) for key in keys), op, tensor, offset, out, mode)
    return out


def at_counter(upper, block, size):
    return stream(core, [NIST_KEY], 2 * block, size, 0, upper >> 16, upper & 0xFFFF).tobytes().hex()


def test_nist_known_answers(isa):
    assert at_counter(NIST_COUNTER >> 64, NIST_COUNTER & (2**64 - 1), 8) == NIST_OUTPUT_BLOCKS
    upper, block, want = FIPS_197_B
    assert at_counter(upper, block, 2) == want


def test_fips_197_key_schedule():
    expanded = core.expand_key(NIST_KEY)
    assert len(expanded) == 176 == len(twin.expand_key(NIST_KEY))
    assert expanded[:16] == NIST_KEY
    assert expanded[16:32].hex() == "a0fafe1788542cb123a339392a6c7605"
    assert expanded[160:].hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"


@pytest.mark.parametrize("count", (0, 1, 3))
@pytest.mark.parametrize("offset", (0, 1, 2, 4097))
def test_sizes_offsets_modes(isa, size, words, count, offset):
    keys = [words.key() for _ in range(count)]
    for mode in range(5):
        np.testing.assert_array_equal(stream(core, keys, offset, size, mode), stream(twin, keys, offset, size, mode))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.binary(min_size=16, max_size=16), max_size=3),
    st.integers(0, 2**64),
    st.integers(0, 300),
    st.integers(0, 4),
    st.integers(0, 2**48 - 1),
    st.integers(0, 2**16 - 1),
)
def test_any_name(keys, offset, size, mode, op, tensor):
    want = stream(twin, keys, offset, size, mode, op, tensor)
    before = core.isa()
    try:
        for isa in core.available_isas():
            core.set_isa(isa)
            np.testing.assert_array_equal(stream(core, keys, offset, size, mode, op, tensor), want)
    finally:
        core.set_isa(before)


@pytest.mark.parametrize("row_words", (0, 1, 2, 7, 64))
@pytest.mark.parametrize("mode", range(5))
def test_rows(isa, words, row_words, mode):
    keys = [words.key(), words.key()]
    rows = np.array([5, 0, 5, 1, 1000, 3], np.int64)
    results = []
    for module in (core, twin):
        out = np.arange(rows.size * row_words, dtype=np.uint64)
        module.streams_rows(b"".join(map(module.expand_key, keys)), 9, 8, rows, row_words, out, mode)
        results.append(out)
    np.testing.assert_array_equal(*results)


def test_a_row_is_a_slice_of_the_stream(isa, words):
    keys = [words.key()]
    whole, out = stream(core, keys, 0, 40, 0, 9, 8), np.empty(10, np.uint64)
    core.streams_rows(core.expand_key(keys[0]), 9, 8, np.array([3, 1]), 5, out, 0)
    np.testing.assert_array_equal(out, np.concatenate([whole[15:20], whole[5:10]]))


@pytest.mark.parametrize("module", (core, twin), ids=("core", "twin"))
def test_refusals(module, words):
    key, out = module.expand_key(words.key()), np.empty(4, np.uint64)
    with pytest.raises(ValueError, match="16"):
        module.expand_key(bytes(15))
    for arguments, want in [
        ((key[:-1], 0, 0, 0, out, 0), "multiple of 176"),
        ((key, 1 << 48, 0, 0, out, 0), "op="),
        ((key, -1, 0, 0, out, 0), "op="),
        ((key, 0, 1 << 16, 0, out, 0), "tensor="),
        ((key, 0, 0, -1, out, 0), "offset"),
        ((key, 0, 0, (1 << 65) - 3, out, 0), "offset"),
        ((key, 0, 0, 0, out, 5), "mode"),
        ((key, 0, 0, 0, out[::2], 0), "contiguous"),
    ]:
        with pytest.raises(ValueError, match=want):
            module.streams(*arguments)
    with pytest.raises(ValueError, match="rows"):
        module.streams_rows(key, 0, 0, np.array([0, -1]), 2, out, 0)
    with pytest.raises(ValueError, match="4"):
        module.streams_rows(key, 0, 0, np.array([0]), 2, out, 0)
