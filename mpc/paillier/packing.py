"""Many fixed-point values in one plaintext (packing), with the proof that no slot overflows.

A value x with |x| <= bound becomes v = round(x * 2^frac_bits). A plaintext is M = sum of v_i * 2^(k * i) with k-bit
*centred* digits, -2^(k-1) < v_i < 2^(k-1), taken modulo n; sums of plaintexts and products with public integers act on
every digit at once, as long as none leaves its slot. The largest magnitude a slot may reach is the layout's *capacity*

    addends * round(weight_bound * 2^weight_frac_bits) * round(bound * 2^frac_bits)  <  2^value_bits,

and k = value_bits + 1 + mask_bits. ``mask_bits`` is room above it for masks that hide a sum before it is decrypted:
N masks below 2^(value_bits + 40) need `mask_bits_for` (N). Slots are not rounded up to bytes: bits are moved by NumPy
(10,000 values of 30 bits take under 1 ms), and a ciphertext costs far more than that.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from mpc.errors import ConfigError, FixedPointRangeError, IntegrityError
from mpc.fixed_point import as_array

Digits = npt.NDArray[np.int64]
MAX_VALUE_BITS: Final = 62  # a sum of digits is an int64, with room for its sign
STATISTICAL_BITS: Final = 40
CHUNK: Final = 1 << 16  # values whose bits are apart in memory at a time


def mask_bits_for(parties: int, security: int = STATISTICAL_BITS) -> int:
    """Room for the sum of ``parties`` masks below 2^(value_bits + security) in magnitude, and the value."""
    return security + max(0, parties - 1).bit_length() + 1


@dataclass(frozen=True)
class Layout:
    """How values lie in plaintexts; public, and the same at everybody who adds to one sum.

    ``bound``: largest |x|, inclusive. ``frac_bits``: fraction bits of a value; error at most 2^-(frac_bits + 1).
    ``addends``: most vectors in one sum. ``weight_bound``: largest |weight| that all of them are multiplied by (for
    weights that differ: their mean magnitude). ``weight_frac_bits``: fraction bits of weights that are no integers.
    ``packed=False``: one value in a plaintext, for exchange with phe.

    Raises ConfigError for settings that fit no slot.
    """

    bound: float
    frac_bits: int
    addends: int
    weight_bound: float = 1
    mask_bits: int = 0
    weight_frac_bits: int = 0
    packed: bool = True

    def __post_init__(self) -> None:
        whole = (("frac_bits", 0, 62), ("addends", 1, 1 << 40), ("mask_bits", 0, 512), ("weight_frac_bits", 0, 62))
        for name, least, most in whole:
            got = getattr(self, name)
            if type(got) is not int or not least <= got <= most:
                raise ConfigError(f"Layout: got {name} {got!r}; want a whole number from {least} to {most}")
        if type(self.packed) is not bool:
            raise ConfigError(f"Layout: got packed {self.packed!r}; want True or False")
        for name in ("bound", "weight_bound"):
            got = getattr(self, name)
            if isinstance(got, bool) or not isinstance(got, (int, float)) or not 0 < got < 2.0**62:
                raise ConfigError(f"Layout: got {name} {got!r}; want a positive number below 2^62")
            object.__setattr__(self, name, float(got))
        if self.unit_bound < 1:
            raise ConfigError(f"Layout: bound {self.bound!r} rounds to 0 at {self.frac_bits} fraction bits; want more of them")
        if self.value_bits > MAX_VALUE_BITS:
            raise ConfigError(
                f"Layout: a sum needs {self.value_bits} bits; want at most {MAX_VALUE_BITS}: "
                "take fewer fraction bits, fewer addends, or smaller bounds"
            )

    @cached_property
    def unit_bound(self) -> int:
        """round(bound * 2^frac_bits): the largest digit of a fresh value."""
        return units(self.bound, self.frac_bits)

    @cached_property
    def capacity(self) -> int:
        """The largest magnitude that a digit may reach."""
        return self.addends * max(1, units(self.weight_bound, self.weight_frac_bits)) * self.unit_bound

    @cached_property
    def value_bits(self) -> int:
        """Every admitted digit v has |v| < 2^value_bits."""
        return self.capacity.bit_length()

    @cached_property
    def slot_bits(self) -> int:
        return self.value_bits + 1 + self.mask_bits

    def slots(self, key_bits: int) -> int:
        """Values in one plaintext of a key. Raises ConfigError where not even one fits."""
        count = (key_bits - 1) // self.slot_bits if self.packed else int(self.slot_bits < key_bits)
        if count < 1:
            raise ConfigError(f"a slot of {self.slot_bits} bits does not fit a plaintext of {key_bits} bits: take a larger key")
        return count

    def plaintexts(self, size: int, key_bits: int) -> int:
        """Plaintexts that ``size`` values need."""
        return -(-size // self.slots(key_bits))

    def encode(self, values: Any, scale: int | None = None) -> Digits:
        """round(x * 2^scale) of every value in C order, flat. ``scale`` defaults to ``frac_bits``.

        Raises FixedPointRangeError with the first index of NaN, an infinity, or |x| > bound.
        """
        scale = self.frac_bits if scale is None else scale
        array = as_array(values)
        flat = array.reshape(-1)
        if array.dtype.kind in "bui":  # exact beyond 2^53
            limit = int(self.bound)
            bad = (flat > limit) | (flat < -limit) if array.dtype.kind == "i" else flat > limit
            digits = flat.astype(np.int64) << scale
        else:
            real = flat.astype(np.float64)
            bad = ~(np.abs(real) <= self.bound)  # NaN compares false
            digits = np.rint(np.ldexp(np.where(bad, 0.0, real), scale)).astype(np.int64)
        if bad.any():
            first = int(np.argmax(bad))
            where = tuple(int(i) for i in np.unravel_index(first, array.shape)) if array.ndim else ()
            raise FixedPointRangeError(
                f"value {flat[first]!r} at index {where}: want finite numbers with |x| <= {self.bound:g}, the layout's bound; "
                "clip the update, or agree on a layout with a larger bound"
            )
        return digits

    def pack(self, digits: Digits, key_bits: int) -> list[mpz]:
        """Plaintexts as signed integers of |M| < 2^(key_bits - 2), the last one padded with zero digits.

        Raises FixedPointRangeError for a digit beyond the capacity.
        """
        if digits.size and max(int(digits.max()), -int(digits.min())) > self.capacity:
            raise FixedPointRangeError(f"a digit is beyond the slot's capacity {self.capacity}")
        rows = np.ascontiguousarray(digits, "<i8").view(np.uint8).reshape(-1, 8)
        width = -(-self.slot_bits // 8)
        if width <= 8:
            shifted = digits.astype(np.uint64) + np.uint64(1 << (self.slot_bits - 1))
            rows = shifted.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
            centre = self._centre(key_bits)
        else:  # the sign is extended by hand: two's complement of 64 bits becomes one of slot_bits
            sign = np.where(rows[:, 7:] & 0x80, np.uint8(255), np.uint8(0))
            rows = np.concatenate([rows, sign.repeat(width - 8, axis=1)], axis=1)
            rows[:, (self.slot_bits - 1) // 8] ^= np.uint8(1 << ((self.slot_bits - 1) % 8))  # + 2^(k-1)
            centre = self._centre(key_bits)
        rest = -digits.size % self.slots(key_bits)
        if rest:  # zero digits
            zero = np.frombuffer((1 << (self.slot_bits - 1)).to_bytes(width, "little"), np.uint8)
            rows = np.concatenate([rows, np.broadcast_to(zero, (rest, width))])
        return [m - centre for m in self.pack_unsigned(rows, key_bits)]

    def unpack(self, plaintexts: Sequence[mpz], size: int, n: mpz, magnitude: int | None = None) -> Digits:
        """The digits of plaintexts modulo n. Raises IntegrityError where one is beyond ``magnitude`` (default: the capacity):
        somebody encrypted more than the layout admits, or the ciphertexts were tampered with. A wrong sum that stays inside its
        slots is not seen: nobody can check single values under encryption."""
        limit = self.capacity if magnitude is None else magnitude
        key_bits = n.bit_length()
        centre, top = self._centre(key_bits), mpz(1) << (self.slot_bits * self.slots(key_bits))
        shifted = [(m - n if 2 * m > n else m) + centre for m in plaintexts]
        if any(not 0 <= m < top for m in shifted):
            raise IntegrityError(self._overflow)
        if len(plaintexts) != self.plaintexts(size, key_bits):
            raise IntegrityError(f"got {len(plaintexts)} plaintexts; want {self.plaintexts(size, key_bits)} for {size} values")
        rows = self.unpack_unsigned(shifted, len(shifted) * self.slots(key_bits), key_bits)
        rows[:, (self.slot_bits - 1) // 8] ^= np.uint8(1 << ((self.slot_bits - 1) % 8))  # - 2^(k-1), as two's complement
        spare = -self.slot_bits % 8
        if spare:  # the sign bit up to the byte's end
            rows[:, -1] = (rows[:, -1] << spare).view(np.int8) >> spare
        high = np.where(rows[:, -1:] & 0x80, np.uint8(255), np.uint8(0))
        if rows.shape[1] < 8:
            rows = np.concatenate([rows, high.repeat(8 - rows.shape[1], axis=1)], axis=1)
        digits = np.ascontiguousarray(rows[:, :8]).view("<i8").reshape(-1).astype(np.int64)
        wide = (rows[:, 8:] != np.where(digits < 0, np.uint8(255), np.uint8(0))[:, None]).any()
        if wide or digits[size:].any() or (size and not (-limit <= int(digits.min()) and int(digits.max()) <= limit)):
            raise IntegrityError(self._overflow)  # slots beyond the last value are zero
        return digits[:size]

    @property
    def _overflow(self) -> str:
        return (
            "a decrypted slot holds more than its vector's additions and weights allow: a contribution was beyond the layout's "
            f"bound {self.bound:g}, of another layout, or tampered with; nothing of this sum can be used"
        )

    def pack_unsigned(self, rows: npt.NDArray[np.uint8], key_bits: int) -> list[mpz]:
        """Plaintexts of unsigned digits below 2^slot_bits, each a row of ceil(slot_bits / 8) little-endian bytes."""
        slots, k = self.slots(key_bits), self.slot_bits
        out: list[mpz] = []
        step = max(1, CHUNK // slots) * slots
        for start in range(0, len(rows), step):
            bits = np.unpackbits(rows[start : start + step], axis=1, count=k, bitorder="little")
            rest = -len(bits) % slots
            if rest:
                bits = np.concatenate([bits, np.zeros((rest, k), np.uint8)])
            packed = np.packbits(bits.reshape(-1, slots * k), axis=1, bitorder="little")
            out += [mpz.from_bytes(row.tobytes(), "little") for row in packed]
        return out

    def unpack_unsigned(self, plaintexts: Sequence[mpz], size: int, key_bits: int) -> npt.NDArray[np.uint8]:
        """The first ``size`` digits as rows of ceil(slot_bits / 8) little-endian bytes, of 0 <= M < 2^(slot_bits * slots)."""
        slots, k = self.slots(key_bits), self.slot_bits
        if len(plaintexts) != self.plaintexts(size, key_bits):
            raise IntegrityError(f"got {len(plaintexts)} plaintexts; want {self.plaintexts(size, key_bits)} for {size} values")
        width, step, pieces = -(-slots * k // 8), max(1, CHUNK // slots), []
        for start in range(0, len(plaintexts), step):
            data = b"".join(m.to_bytes(width, "little") for m in plaintexts[start : start + step])
            bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(-1, width), axis=1, count=slots * k, bitorder="little")
            pieces.append(np.packbits(bits.reshape(-1, k), axis=1, bitorder="little"))
        return np.concatenate(pieces)[:size] if pieces else np.zeros((0, -(-k // 8)), np.uint8)

    def _centre(self, key_bits: int) -> mpz:
        """sum of 2^(k-1) * 2^(k * i): what makes every digit of a plaintext positive."""
        slots, k = self.slots(key_bits), self.slot_bits
        return (mpz(1) << (k - 1)) * (((mpz(1) << (k * slots)) - 1) // ((mpz(1) << k) - 1))


def units(value: float, frac_bits: int) -> int:
    """round(value * 2^frac_bits), ties to even, as `Layout.encode` rounds."""
    return int(np.rint(np.ldexp(np.float64(value), frac_bits)))


DEFAULT: Final = Layout(bound=2.0**15, frac_bits=16, addends=1 << 10, weight_bound=2.0**8)
"""50-bit slots: 40 values in a plaintext of 2048 bits."""
