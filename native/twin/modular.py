"""Powers modulo one large odd number (csrc/modular.h): Python's integers. The table's form is each implementation's own."""

import numpy as np


def _numbers(words, each):
    return [int.from_bytes(row.tobytes(), "little") for row in words.reshape(-1, each)]


def _write(numbers, each, out):
    out[:] = np.frombuffer(b"".join(x.to_bytes(8 * each, "little") for x in numbers), np.uint64)


def modular_lanes() -> int:
    """0: there is no kernel here that would be faster than GMP."""
    return 0


def modular_table_size(words, bits):
    return -(-bits // 5) * 32 * -(-(64 * words + 2) // 52)


def modular_table(modulus, square, base, bits, out):
    out[:] = 0
    out[: len(base)] = base


def modular_fixed(modulus, powers, bits, exponents, out):
    n, base = _numbers(modulus, len(modulus))[0], _numbers(powers[: len(modulus)], len(modulus))[0]
    kept = (1 << bits) - 1
    _write([pow(base, e & kept, n) for e in _numbers(exponents, -(-bits // 64))], len(modulus), out)


def modular_power(modulus, square, bases, bits, exponent, out):
    n, e = _numbers(modulus, len(modulus))[0], _numbers(exponent, len(exponent))[0] & ((1 << bits) - 1)
    _write([pow(b, e, n) for b in _numbers(bases, len(modulus))], len(modulus), out)
