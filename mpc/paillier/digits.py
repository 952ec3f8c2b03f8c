"""Digits of an integer that nobody knows: from integers whose sum it is, up to carries that the engine computes.

P = M - sum R_i + c n with M public and R_i of one party each. Its digits to the base B = 2^k follow from those of M, R_i
and n and the carries between them; a carry is the integer part of a sum of fractions, of which `FRACTION_BITS` bits are
enough as long as the fraction of P itself stays away from 0 and 1. All arithmetic is modulo 2^64. Pure: no party, no I/O.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from gmpy2 import mpz

from mpc.fixed_point import Words

FRACTION_BITS: Final = 16
_WORD: Final = (1 << 64) - 1
_FRACTION: Final = (1 << FRACTION_BITS) - 1


def parts(numbers: Sequence[mpz], k: int, count: int) -> tuple[Words, Words]:
    """(floor(X / 2^(k j)) mod 2^64, fraction of X / 2^(k j) in units of 2^-FRACTION_BITS), j below ``count``; per number."""
    high, below = [], []
    for x in numbers:
        shifted = x << FRACTION_BITS
        for _ in range(count):
            high.append(int((shifted >> FRACTION_BITS) & _WORD))
            below.append(int(shifted & _FRACTION))
            shifted >>= k
    shape = (len(numbers), count)
    return np.array(high, np.uint64).reshape(shape), np.array(below, np.uint64).reshape(shape)


def fractions(numbers: Sequence[mpz], n: mpz) -> Words:
    """floor(X / n * 2^FRACTION_BITS) of numbers below n."""
    return np.array([int((x << FRACTION_BITS) // n) for x in numbers], np.uint64)


def compose(digits: Sequence[int], k: int, slots: int) -> list[mpz]:
    """sum of digits[j] * 2^(k j) for every ``slots`` digits in turn; digits of any size and sign."""
    out = []
    for start in range(0, len(digits), slots):
        total = mpz(0)
        for digit in reversed(digits[start : start + slots]):
            total = (total << k) + digit
        out.append(total)
    return out


def differences(high: Words, k: int) -> Words:
    """Digits from H_j = floor(P / 2^(k j)) modulo 2^64 (the one above the last is 0): H_j - 2^k H_(j+1)."""
    out = high.copy()
    if k < 64:
        out[:, :-1] -= high[:, 1:] << np.uint64(k)
    return out
