"""The comparison of section 6: each kernel against the twin, and dealer and parties together against integers."""

import numpy as np
import pytest

from mpc._native import core, twin

WORD = np.uint64
INPUTS = {"tree1": 27, "tree2": 6, "equal1": 16, "equal2": 4, "tree8": 14, "equal8": 8}
MONOMIALS = {"tree1": 81, "tree2": 15, "equal1": 44, "equal2": 11, "tree8": 367, "equal8": 247}
FROM = {"tree1": 32, "tree2": 7, "equal1": 32, "equal2": 4, "tree8": 16, "equal8": 16}
TO = {"tree1": 7, "tree2": 1, "equal1": 4, "equal2": 1, "tree8": 1, "equal8": 1}
TOPPED = ("tree2", "tree8")  # merges that end in the sign
SIZES = (0, 1, 63, 64, 65, 700, 4095, 4096, 4097, 9000)


def same(call, *sizes):
    """call(module, *outs) with core and twin; equal outputs."""
    results = []
    for module in (core, twin):
        outs = [np.full(size, 0x5A5A, WORD) for size in sizes]
        call(module, *outs)
        results.append(outs)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("lanes", SIZES)
def test_dealer_against_twin(isa, words, lanes):
    width, r, keys = (lanes + 63) // 64, words(lanes), [words.key() for _ in range(3)]

    def expanded(module, count):
        return b"".join(map(module.expand_key, keys[:count]))

    for count in (0, 2):
        same(lambda m, out: m.deal_tables(r, expanded(m, count), 5, 6, out), 233 * width)
        same(lambda m, out: m.deal_tables8(r, expanded(m, count), 5, 6, out), 30 * lanes)
    for kind, planes in MONOMIALS.items():
        same(
            lambda m, out: m.deal_monomials(kind, lanes, expanded(m, 3), 5, 6, expanded(m, 2), 7, 8, out),
            planes * width,
        )


@pytest.mark.parametrize("lanes", SIZES)
@pytest.mark.parametrize("first", (False, True))
@pytest.mark.parametrize("corrected", (False, True))
def test_party_against_twin(isa, words, lanes, first, corrected):
    width, d, key = (lanes + 63) // 64, words(lanes), words.key()

    def corr(planes):
        return fixed[: planes * width] if corrected else None

    fixed, tables = words(367 * width), words(30 * lanes) if corrected else None
    same(
        lambda m, lteq, top: m.compare_lookup(d, m.expand_key(key), 1, 2, corr(233), first, lteq, top),
        32 * width,
        width,
    )
    same(
        lambda m, lteq, top: m.compare_lookup8(d, m.expand_key(key), 1, 2, tables, first, lteq, top),
        16 * width,
        width,
    )
    for kind in INPUTS:
        rows, opened, top = words(FROM[kind] * width), words(INPUTS[kind] * width), words(width)
        same(lambda m, out: getattr(m, f"{kind}_mask")(rows, m.expand_key(key), 3, 4, out), INPUTS[kind] * width)
        before = [rows] if kind.startswith("tree") else []
        after = [top] if kind in TOPPED else []

        def merge(m, out):
            k = m.expand_key(key)
            getattr(m, f"{kind}_merge")(*before, opened, k, 3, 4, k, 5, 6, corr(MONOMIALS[kind]), first, *after, out)

        same(merge, TO[kind] * width)


class Parties:
    """Dealer and parties in one place: every step is a list of the parties' shares."""

    def __init__(self, words, count, lanes):
        self.count, self.lanes, self.width = count, lanes, (lanes + 63) // 64
        self.keys = [core.expand_key(words.key()) for _ in range(count)]
        self.everyone, self.others = b"".join(self.keys), b"".join(self.keys[:-1])
        self.operation = 10

    def new(self, planes):
        return [np.empty(planes * self.width, WORD) for _ in range(self.count)]

    def correction(self, i, dealt):
        return dealt if i == self.count - 1 else None

    def look_up(self, d, r):
        (tables, *_), lteq, top = self.new(233), self.new(32), self.new(1)
        core.deal_tables(r, self.others, 1, 0, tables)
        for i, key in enumerate(self.keys):
            core.compare_lookup(d, key, 1, 0, self.correction(i, tables), i == 0, lteq[i], top[i])
        return lteq, top

    def look_up8(self, d, r):
        tables, lteq, top = np.empty(30 * self.lanes, WORD), self.new(16), self.new(1)
        core.deal_tables8(r, self.others, 3, 0, tables)
        for i, key in enumerate(self.keys):
            core.compare_lookup8(d, key, 3, 0, self.correction(i, tables), i == 0, lteq[i], top[i])
        return lteq, top

    def level(self, kind, shares, top=None):
        self.operation += 2
        op, (dealt, *_), masked, out = self.operation, self.new(MONOMIALS[kind]), self.new(INPUTS[kind]), self.new(TO[kind])
        core.deal_monomials(kind, self.lanes, self.everyone, op, 0, self.others, op, 1, dealt)
        for i, key in enumerate(self.keys):
            getattr(core, f"{kind}_mask")(shares[i], key, op, 0, masked[i])
        opened = np.bitwise_xor.reduce(masked)
        for i, key in enumerate(self.keys):
            before = [shares[i]] if kind.startswith("tree") else []
            after = [top[i]] if top else []
            getattr(core, f"{kind}_merge")(
                *before, opened, key, op, 0, key, op, 1, self.correction(i, dealt), i == 0, *after, out[i]
            )
        return out

    def reveal(self, shares):
        out = np.empty(self.lanes, WORD)
        core.unpack_bits(np.bitwise_xor.reduce(shares), out)
        return out


@pytest.mark.parametrize("count", (2, 3, 5))
@pytest.mark.parametrize("lanes", (1, 65, 4096, 5000))
def test_end_to_end(isa, words, count, lanes):
    x, r = words(lanes), words(lanes)
    x[lanes // 2 :] = words.generator.integers(-2, 3, lanes - lanes // 2).astype(WORD)
    parties = Parties(words, count, lanes)
    lteq, top = parties.look_up(x + r, r)
    is_sign(parties, parties.level("tree2", parties.level("tree1", lteq), top), x)
    zero = parties.level("equal2", parties.level("equal1", lteq))
    np.testing.assert_array_equal(parties.reveal(zero), x << WORD(1) == 0)
    lteq, top = parties.look_up8(x + r, r)
    is_sign(parties, parties.level("tree8", lteq, top), x)
    np.testing.assert_array_equal(parties.reveal(parties.level("equal8", lteq)), x << WORD(1) == 0)


def is_sign(parties, msb, x):
    np.testing.assert_array_equal(parties.reveal(msb), x >> WORD(63))
    padding = np.bitwise_xor.reduce(msb)[-1] >> WORD(x.size % 64) if x.size % 64 else 0
    assert padding == 0, "padding lanes of the revealed sign are 0"


def test_every_digit_against_every_digit(isa, words):
    """Chunks of 8 bits: all pairs of bytes at every place, equal elsewhere, so that each table entry decides somewhere."""
    pairs = np.arange(1 << 16, dtype=WORD)
    for j in range(8):
        d, r = (pairs & WORD(255)) << WORD(8 * j), (pairs >> WORD(8)) << WORD(8 * j)
        same = words(1)[0] & ~(WORD(255) << WORD(8 * j))
        d, r = d | same, r | same
        parties = Parties(words, 2, pairs.size)
        lteq, top = parties.look_up8(d, r)
        np.testing.assert_array_equal(parties.reveal(parties.level("tree8", lteq, top)), d - r >> WORD(63))
        np.testing.assert_array_equal(parties.reveal(parties.level("equal8", lteq)), d - r << WORD(1) == 0)


@pytest.mark.parametrize("module", (core, twin), ids=("core", "twin"))
def test_refusals(module, words):
    key, d = module.expand_key(words.key()), words(65)
    with pytest.raises(ValueError, match="want 64"):
        module.compare_lookup(d, key, 1, 0, None, True, words(63), words(2))
    with pytest.raises(ValueError, match="want 466"):
        module.compare_lookup(d, key, 1, 0, words(465), True, words(64), words(2))
    with pytest.raises(ValueError, match="multiple of 32"):
        module.tree1_mask(words(33), key, 1, 0, words(27))
    with pytest.raises(ValueError, match="want 54"):
        module.tree1_mask(words(64), key, 1, 0, words(27))
    with pytest.raises(ValueError, match="want 1950"):
        module.compare_lookup8(d, key, 1, 0, words(1949), True, words(32), words(2))
    with pytest.raises(ValueError, match="want 32"):
        module.compare_lookup8(d, key, 1, 0, None, True, words(31), words(2))
    with pytest.raises(ValueError, match="multiple of 16"):
        module.tree8_mask(words(17), key, 1, 0, words(14))
    with pytest.raises(ValueError, match="want 1950"):
        module.deal_tables8(d, key, 1, 0, words(1913))
    with pytest.raises(ValueError, match="kind"):
        module.deal_monomials("tree3", 64, key, 1, 0, b"", 1, 1, words(15))
    with pytest.raises(ValueError, match="want 15"):
        module.deal_monomials("tree2", 64, key, 1, 0, b"", 1, 1, words(16))
