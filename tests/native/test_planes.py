"""Packed bits and the kernels that finish from opened bits, against the twin; two meanings checked end to end."""

import numpy as np
import pytest

from mpc._native import core, twin


def width(lanes):
    return (lanes + 63) // 64


def both(name, size, *arguments):
    """core and twin on equal `out`; None in the arguments' place of out is `...`."""
    results = []
    for module in (core, twin):
        out = np.full(size, 0x5A5A, np.uint64)
        getattr(module, name)(*(out if x is ... else x for x in arguments))
        results.append(out)
    np.testing.assert_array_equal(*results, err_msg=name)
    return results[0]


def test_against_twin(isa, size, words):
    x, xs, bits, other, third = words(size), words(size), *(words(width(size)) for _ in range(3))
    both("pack_bits", width(size), x, ...)
    both("pack_msb", width(size), x, ...)
    both("unpack_bits", size, bits, ...)
    both("select_finish", size, bits, x, xs, ...)
    both("mul_bits", size, bits, x, ...)
    for first in (False, True):
        both("bit_finish", size, bits, x, first, ...)
    for rank in (0, 1):
        both("truncate2_bits", width(size), x, rank, bits, ...)
        for shift in (1, 16, 62):
            both("truncate2_finish", size, x, bits, other, third, xs, rank, shift, ...)
    for count in (0, 1, 2):
        keys = [words.key() for _ in range(count)]
        for value in (x, None):
            results = []
            for module in (core, twin):
                out = np.empty(size, np.uint64)
                module.deal_select(bits, value, b"".join(map(module.expand_key, keys)), 3, 4, out)
                results.append(out)
            np.testing.assert_array_equal(*results)


def test_packing_round_trip(isa, size, words):
    lanes = words(size)
    packed, back = np.empty(width(size), np.uint64), np.empty(size, np.uint64)
    core.pack_msb(lanes, packed)
    core.unpack_bits(packed, back)
    np.testing.assert_array_equal(back, lanes >> np.uint64(63))
    if size % 64:
        assert packed[-1] >> np.uint64(size % 64) == 0


@pytest.mark.parametrize("parties", (2, 3, 5))
def test_select_on_shares(isa, words, parties):
    """[x b] for b = e ^ s from the dealer's [s] and [x s]; and [b] itself."""
    size = 1000
    x, s, e = [words(size) for _ in range(parties)], words(width(size)), words(width(size))
    keys = [core.expand_key(words.key()) for _ in range(parties)]
    total = sum(x, np.zeros(size, np.uint64))
    selected, bits = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    for i in range(parties):
        shares = {}
        for tensor, value in ((0, None), (1, total)):
            share = np.empty(size, np.uint64)
            if i == parties - 1:
                core.deal_select(s, value, b"".join(keys[:-1]), 9, tensor, share)
            else:
                core.streams(keys[i], 9, tensor, 0, share, 0)
            shares[tensor] = share
        out = np.empty(size, np.uint64)
        core.select_finish(e, x[i], shares[1], out)
        selected += out
        core.bit_finish(e, shares[0], i == 0, out)
        bits += out
    want = np.empty(size, np.uint64)
    core.unpack_bits(e ^ s, want)
    np.testing.assert_array_equal(bits, want)
    np.testing.assert_array_equal(selected, want * total)


@pytest.mark.parametrize("module", (core, twin), ids=("core", "twin"))
def test_refusals(module, words):
    lanes, packed = words(65), words(2)
    with pytest.raises(ValueError, match="want 2"):
        module.pack_bits(lanes, words(1))
    with pytest.raises(ValueError, match="want 2"):
        module.unpack_bits(words(3), lanes)
    with pytest.raises(ValueError, match="want 65"):
        module.select_finish(packed, lanes, words(64), words(65))
    with pytest.raises(ValueError, match="rank"):
        module.truncate2_bits(lanes, 2, packed, words(2))
    with pytest.raises(ValueError, match="shift"):
        module.truncate_finish(lanes, lanes, lanes, None, True, 63, words(65))
    with pytest.raises((ValueError, TypeError)):
        module.mul(lanes.astype(np.float64), lanes, words(65))
    with pytest.raises((ValueError, TypeError)):
        module.mul(None, lanes, words(65))
    frozen = words(65)
    frozen.flags.writeable = False
    with pytest.raises(ValueError):
        module.mul(lanes, lanes, frozen)
