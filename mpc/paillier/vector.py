"""Encrypted vectors: what can be done with ciphertexts alone, and the account of how full their slots are.

Nothing here needs a secret, and nobody learns anything: + and * are deterministic functions of the ciphertexts, so who
knows all inputs recognises the result; `rerandomise` first where that matters. Weights and added arrays are public.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz

from mpc.errors import ConfigError, FixedPointRangeError, NotSupported, ShapeError
from mpc.fixed_point import as_array
from mpc.paillier.packing import Layout, units
from mpc.paillier.parallel import in_parallel

if TYPE_CHECKING:
    from mpc.paillier.keys import PublicKey

MAX_SCALE: Final = 1 << 8  # fraction bits, after real weights


class EncryptedVector:
    """Ciphertexts of an array under one public key and one layout.

    ``shape``: of the array. ``scale``: fraction bits of its digits now (the layout's, and more after fixed-point weights).
    ``addends``: how many encrypted or public arrays were added up. ``magnitude``: no digit is larger than this, given
    that every encrypting party kept to the layout's bound. Both are public and travel along.
    """

    __slots__ = ("addends", "ciphertexts", "layout", "magnitude", "public_key", "scale", "shape")
    __array_ufunc__ = None  # array + vector comes to __radd__

    def __init__(
        self, public_key: PublicKey, layout: Layout, shape: tuple[int, ...], ciphertexts: Sequence[mpz],
        *, scale: int | None = None, addends: int = 1, magnitude: int | None = None,
    ) -> None:
        self.public_key, self.layout, self.shape = public_key, layout, tuple(shape)
        self.ciphertexts = tuple(ciphertexts)
        self.scale = layout.frac_bits if scale is None else scale
        self.addends, self.magnitude = addends, layout.unit_bound if magnitude is None else magnitude
        want = layout.plaintexts(self.size, public_key.bits)
        if len(self.ciphertexts) != want:
            raise ShapeError(f"got {len(self.ciphertexts)} ciphertexts for shape {self.shape}; want {want} in this layout")
        if self.scale > MAX_SCALE:
            raise FixedPointRangeError(
                f"got values of {self.scale} fraction bits after real weights; want at most {MAX_SCALE}: decrypt between them"
            )
        if not 1 <= addends <= layout.addends:
            raise FixedPointRangeError(
                f"got a sum of {addends} addends; this layout has room for {layout.addends}: agree on one with more"
            )
        if not 0 <= self.magnitude <= layout.capacity:
            raise FixedPointRangeError(
                f"a slot could reach {self.magnitude} and overflow: this layout has room for {layout.capacity} "
                f"({layout.addends} addends of at most {layout.bound:g}, weights of at most {layout.weight_bound:g}); "
                "agree on a layout with a larger weight_bound"
            )

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return (
            f"EncryptedVector(shape={self.shape}, {len(self.ciphertexts)} ciphertexts of {2 * self.public_key.bits} bits, "
            f"{self.addends} of {self.layout.addends} addends, key {self.public_key.fingerprint.hex()[:8]})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("encrypted vectors do not pickle; mpc.paillier.to_bytes and from_bytes check what they carry")

    def _like(self, ciphertexts: Sequence[mpz], **account: int) -> EncryptedVector:
        was = {"scale": self.scale, "addends": self.addends, "magnitude": self.magnitude}
        return EncryptedVector(self.public_key, self.layout, self.shape, ciphertexts, **{**was, **account})

    def __add__(self, other: Any) -> EncryptedVector:
        """The sum with another vector, or with a public array or number (which counts as an addend)."""
        if isinstance(other, EncryptedVector):
            return EncryptedVector.sum((self, other))
        if type(other) is int and other == 0:  # where Python's sum() starts
            return self
        return self._plus(other, 1)

    def _plus(self, other: Any, sign: int) -> EncryptedVector:
        """The sum with a public array times ``sign``: its digits change sign, since small NumPy integers would wrap."""
        array = as_array(other)
        if array.shape not in ((), self.shape):
            raise ShapeError(f"got an array of shape {array.shape}; want {self.shape} or one number")
        magnitude = self.magnitude + units(self.layout.bound, self.scale)
        account = self._like(self.ciphertexts, addends=self.addends + 1, magnitude=magnitude)  # refuses before it is encoded
        digits = self.layout.encode(np.broadcast_to(array, self.shape), self.scale)
        n, n_squared = self.public_key.n, self.public_key.n_squared
        plain = self.layout.pack(sign * digits, self.public_key.bits)
        return account._like([c * (1 + m * n) % n_squared for c, m in zip(self.ciphertexts, plain, strict=True)])

    __radd__ = __add__

    def __mul__(self, weight: Any) -> EncryptedVector:
        """Every value times a public integer, or times a real weight at the layout's ``weight_frac_bits`` (rounded; the
        error is at most 2^-(weight_frac_bits + 1) times the value)."""
        array = as_array(weight) if not isinstance(weight, int) else np.array(0)
        if array.ndim or isinstance(weight, bool):
            raise NotSupported("got a weight per value; values share a plaintext, so want one number for the whole vector")
        layout, scale = self.layout, self.scale
        if isinstance(weight, int) or array.dtype.kind in "ui":
            factor = int(weight)
        else:
            real = float(array)
            if not abs(real) < 2.0**62:
                raise FixedPointRangeError(f"got weight {real!r}; want a finite number")
            if not layout.weight_frac_bits and not real.is_integer():
                raise ConfigError(f"got weight {real!r}; want an integer, or a layout with weight_frac_bits")
            factor, scale = units(real, layout.weight_frac_bits), scale + layout.weight_frac_bits
        account = self._like(self.ciphertexts, scale=scale, magnitude=self.magnitude * abs(factor))
        n_squared = self.public_key.n_squared
        return account._like(
            in_parallel(lambda piece: gmpy2.powmod_base_list(list(piece), factor, n_squared), self.ciphertexts)
        )

    __rmul__ = __mul__

    def __neg__(self) -> EncryptedVector:
        return self * -1

    def __sub__(self, other: Any) -> EncryptedVector:
        return self + -other if isinstance(other, EncryptedVector) else self._plus(other, -1)

    def __rsub__(self, other: Any) -> EncryptedVector:
        return -self + other

    @staticmethod
    def sum(vectors: Iterable[EncryptedVector]) -> EncryptedVector:
        """The sum of many vectors of one key, layout, shape and scale.

        Raises ConfigError (keys or layouts differ), ShapeError, FixedPointRangeError (scales differ, too many addends, or a
        slot could overflow); nothing is added then.
        """
        each = list(vectors)
        if not each:
            raise ShapeError("got no vectors to add")
        first = each[0]
        for vector in each[1:]:
            if vector.public_key != first.public_key:
                raise ConfigError(f"vectors of two keys do not add: got {vector.public_key!r}; want {first.public_key!r}")
            if vector.layout != first.layout:
                raise ConfigError(f"vectors of two layouts do not add: got {vector.layout}; want {first.layout}")
            if vector.shape != first.shape:
                raise ShapeError(f"got shape {vector.shape}; want {first.shape} as the others")
            if vector.scale != first.scale:
                raise FixedPointRangeError(
                    f"got values of {vector.scale} fraction bits; want {first.scale} as the others: "
                    "multiply all by real weights, or none"
                )
        account = first._like(
            first.ciphertexts, addends=sum(v.addends for v in each), magnitude=sum(v.magnitude for v in each)
        )
        modulus, total = first.public_key.n_squared, list(first.ciphertexts)
        for vector in each[1:]:
            total = [a * b % modulus for a, b in zip(total, vector.ciphertexts, strict=True)]
        return account._like(total)

    def rerandomise(self) -> EncryptedVector:
        """The same values under fresh noise: unlinkable to what they were computed from."""
        modulus, noise = self.public_key.n_squared, self.public_key.noise.take(len(self.ciphertexts))
        return self._like([c * r % modulus for c, r in zip(self.ciphertexts, noise, strict=True)])
