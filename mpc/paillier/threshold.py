"""Threshold Paillier: a private key that nobody holds. Any ``threshold`` of the parties decrypt together, fewer learn nothing.

n = pq of safe primes p = 2p' + 1, q = 2q' + 1; m = p'q'; d = 0 mod m and d = 1 mod n. d is shared by a random polynomial f
of degree threshold - 1 modulo nm, f(0) = d: party i (counted from 1) holds s_i = f(i). With D = parties!,

    partial decryption   c_i = c^(2 D s_i) mod n^2, with a proof against v_i = v^(D s_i) (`mpc.paillier.proofs`)
    combination          prod c_i^(2 l_i) = c^(4 D^2 d) = (1 + n)^(4 D^2 M),   l_i = D prod_{j != i} j / (j - i)

over any ``threshold`` parties i, so M is (that - 1) / n divided by 4 D^2 modulo n. Shoup, "Practical threshold signatures",
Eurocrypt 2000; Fouque, Poupard, Stern, "Sharing decryption in the context of voting or lotteries", FC 2000; Damgård, Jurik,
"A generalisation, a simplification and some applications of Paillier's probabilistic public-key system", PKC 2001.

Who learns what: the dealing process knows everything once (`mpc.paillier.dealing`). ``threshold`` parties together can
decrypt *every* ciphertext of the key, single contributions too. A partial decryption tells nothing but the plaintext, to
whoever has ``threshold`` of them. Constant-time: powers of s_i (`mpc.paillier.modular`). Not constant-time: GMP's products.
"""
from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz

from mpc.errors import AuthenticationError, ConfigError, IntegrityError
from mpc.fixed_point import Floats
from mpc.paillier import proofs
from mpc.paillier.keys import PublicKey
from mpc.paillier.modular import powers
from mpc.paillier.parallel import in_parallel
from mpc.paillier.proofs import Proof
from mpc.paillier.vector import EncryptedVector

MAX_PARTIES: Final = 8


class PartialDecryption(NamedTuple):
    """One party's part of the decryption of some ciphertexts, and the proof that it is right."""

    rank: int
    values: tuple[mpz, ...]
    proof: Proof


class ThresholdKey:
    """The public side of a shared key: encrypt with ``public_key``; ``verification`` checks partial decryptions."""

    __slots__ = ("__dict__", "parties", "public_key", "threshold", "v", "verification")

    def __init__(
        self, public_key: PublicKey, parties: int, threshold: int, v: int, verification: Sequence[int]
    ) -> None:
        check_parties(parties, threshold)
        if len(verification) != parties:
            raise ConfigError(f"got {len(verification)} verification keys; want {parties}, one of each party")
        modulus = public_key.n_squared
        self.public_key, self.parties, self.threshold = public_key, parties, threshold
        self.v, self.verification = mpz(v), tuple(map(mpz, verification))
        if any(not 1 < x < modulus or gmpy2.gcd(x, modulus) != 1 for x in (self.v, *self.verification)):
            raise ConfigError("got a verification key that is no unit modulo n^2; want what `deal` made")

    def __repr__(self) -> str:
        return f"ThresholdKey({self.threshold} of {self.parties}, {self.public_key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ThresholdKey) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def fingerprint(self) -> bytes:
        """A hash of everything public: equal for parties of one dealing."""
        return _hash(b"mpc-threshold-v1", self.public_key.n, self.public_key.h or 0, self.threshold, self.v, *self.verification)

    @property
    def factorial(self) -> int:
        """D = parties!"""
        return math.factorial(self.parties)

    def forged(
        self, vector: EncryptedVector, partials: Sequence[PartialDecryption], context: bytes = b""
    ) -> list[int]:
        """The ranks whose partial decryption is not one of this vector under this ``context``."""
        self.check_vector(vector)
        return [p.rank for p in partials if not self.accepts(vector.ciphertexts, p, context)]

    def accepts(self, ciphertexts: Sequence[mpz], partial: PartialDecryption, context: bytes = b"") -> bool:
        """Is it what that rank's share makes of these ciphertexts? (Up to the sign that the combination squares away.)"""
        modulus, rank = self.public_key.n_squared, partial.rank
        if not 0 <= rank < self.parties or len(partial.values) != len(ciphertexts):
            return False
        if any(not 0 < value < modulus for value in partial.values):
            return False
        return proofs.holds(
            partial.proof, self._context(rank, context), modulus, self.v, self.verification[rank],
            *self._squares(ciphertexts, partial.values), self.public_key.bits,
        )  # fmt: skip

    def combine(
        self, vector: EncryptedVector, partials: Sequence[PartialDecryption], context: bytes = b""
    ) -> Floats:
        """The values, from at least ``threshold`` partial decryptions, all of which are checked.

        Raises IntegrityError naming who forged (combine the others without it: nothing is lost), or where a slot holds more
        than it can; ConfigError for too few, or two of one party; AuthenticationError for another key's vector.
        """
        self.check_vector(vector)
        self._enough([p.rank for p in partials])
        bad = self.forged(vector, partials, context)
        if bad:
            raise self.refusal(bad)
        plain = self.open({p.rank: p.values for p in partials})
        digits = vector.layout.unpack(plain, vector.size, self.public_key.n, vector.magnitude)
        return np.ldexp(digits.astype(np.float64), -vector.scale).reshape(vector.shape)

    def refusal(self, ranks: Sequence[int]) -> IntegrityError:
        """What to raise for forged partial decryptions."""
        error = IntegrityError(
            f"the partial decryption of party {', '.join(map(str, ranks))} is forged, of other ciphertexts, of another context "
            f"or of another key share; want {self.threshold} that are right: combine others without it"
        )
        error.peer = ranks[0]
        return error

    def open(self, values: Mapping[int, Sequence[mpz]]) -> list[mpz]:
        """The plaintexts modulo n from checked partial decryptions by rank; the lowest ``threshold`` ranks are used."""
        ranks = sorted(values)[: self.threshold]
        self._enough(ranks)
        n, modulus = self.public_key.n, self.public_key.n_squared
        powers = [2 * coefficient for coefficient in self._lagrange(ranks)]
        divisor = gmpy2.invert(4 * self.factorial**2, n)

        def combined(rows: Sequence[tuple[mpz, ...]]) -> list[mpz]:
            out = []
            for row in rows:
                total = mpz(1)
                for value, power in zip(row, powers, strict=True):
                    total = total * gmpy2.powmod(value, power, modulus) % modulus
                if total % n != 1:
                    raise IntegrityError("partial decryptions do not fit together; want those of one dealing, and checked")
                out.append((total - 1) // n * divisor % n)
            return out

        return in_parallel(combined, list(zip(*(values[rank] for rank in ranks), strict=True)))

    def check_vector(self, vector: EncryptedVector) -> None:
        """Raises AuthenticationError unless it is encrypted under this key."""
        if vector.public_key != self.public_key:
            raise AuthenticationError(f"got a vector under {vector.public_key!r}; want {self.public_key!r}")

    def _enough(self, ranks: Sequence[int]) -> None:
        if len(set(ranks)) != len(ranks) or len(ranks) < self.threshold:
            raise ConfigError(
                f"got partial decryptions of ranks {sorted(ranks)}; want at least {self.threshold}, one of each party"
            )

    def _lagrange(self, ranks: Sequence[int]) -> list[int]:
        """D times the coefficients at 0 for the points rank + 1: integers."""
        points = [rank + 1 for rank in ranks]
        out = []
        for i in points:
            others = [j for j in points if j != i]
            out.append(self.factorial * math.prod(others) // math.prod(j - i for j in others))
        return out

    def _squares(self, ciphertexts: Sequence[mpz], values: Sequence[mpz]) -> tuple[list[mpz], list[mpz]]:
        """(c^4, c_i^2): what the proof is about, in the group of squares."""
        modulus = self.public_key.n_squared
        return [gmpy2.powmod(c, 4, modulus) for c in ciphertexts], [c * c % modulus for c in values]

    def _context(self, rank: int, context: bytes) -> bytes:
        return self.fingerprint + bytes([rank]) + context


class KeyShare:
    """What one party holds of the shared key. Never printed, never pickled; `mpc.paillier.share_file` writes and reads it.

    Raises IntegrityError where the secret does not belong to the party's verification key.
    """

    __slots__ = ("_secret", "key", "rank")

    def __init__(self, key: ThresholdKey, rank: int, secret: int) -> None:
        if not 0 <= rank < key.parties:
            raise ConfigError(f"got rank {rank}; want 0 to {key.parties - 1}")
        self.key, self.rank, self._secret = key, rank, mpz(secret)
        n_squared = key.public_key.n_squared
        inside = 0 < self._secret < n_squared
        if not inside or gmpy2.powmod_sec(key.v, self._exponent, n_squared) != key.verification[rank]:
            raise IntegrityError(f"the secret of party {rank} is not what was dealt to it with this key")

    @property
    def secret(self) -> mpz:
        return self._secret

    @property
    def public_key(self) -> PublicKey:
        return self.key.public_key

    @property
    def _exponent(self) -> mpz:
        return self._secret * self.key.factorial

    def __repr__(self) -> str:
        return f"KeyShare(of party {self.rank}, {self.key!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key share does not pickle: it stays with its party; see mpc.paillier.share_file")

    def partial_decrypt(self, vector: EncryptedVector, context: bytes = b"") -> PartialDecryption:
        """This party's part of the decryption of all ciphertexts, with one proof. ``context``: what it is for; whoever
        combines gives the same, so that it cannot be replayed elsewhere. Raises AuthenticationError for another key's."""
        self.key.check_vector(vector)
        return self.partials(vector.ciphertexts, context)

    def partials(self, ciphertexts: Sequence[mpz], context: bytes = b"") -> PartialDecryption:
        """As `partial_decrypt`, of checked ciphertexts; over threads."""
        key, modulus = self.key, self.public_key.n_squared
        values = powers(ciphertexts, 2 * self._exponent, modulus)
        proof = proofs.prove(
            key._context(self.rank, context), modulus, key.v, key.verification[self.rank],
            *key._squares(ciphertexts, values), self._exponent, self.public_key.bits,
        )  # fmt: skip
        return PartialDecryption(self.rank, tuple(values), proof)


def check_parties(parties: int, threshold: int) -> None:
    """Raises ConfigError unless ``threshold`` of ``parties`` can hold a key."""
    whole = type(parties) is int and type(threshold) is int
    if not whole or not (2 <= threshold <= parties <= MAX_PARTIES):
        raise ConfigError(
            f"got threshold {threshold} of {parties} parties; want 2 to {MAX_PARTIES} parties and a threshold of 2 to all of "
            "them: with 1 every party alone reads everything"
        )


def _hash(label: bytes, *numbers: Any) -> bytes:
    digest = hashlib.blake2b(label, digest_size=16, person=b"mpc-paillier-v1")
    for number in numbers:
        data = int(number).to_bytes(-(-int(number).bit_length() // 8), "little")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()
