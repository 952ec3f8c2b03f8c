"""Between encrypted vectors and shares: an encrypted aggregate enters the engine, and a secret tensor leaves it encrypted.

Both run inside ``with mpc.session()`` at every party alike, and open nothing that depends on a value: the ledger gets no
line. The parties are semi-honest, as the engine's are: a party that adds a ciphertext other than its mask's, or computes its
words otherwise, makes the result wrong unseen. It cannot see more by it in the decryption, since everybody commits to its
masks first: what is opened contains an honest party's mask. Wrong partial decryptions are refused at every party, with the
rank. ``threshold`` colluding parties need none of this: they can decrypt the vector itself.
"""
from __future__ import annotations

import hashlib
import math
import os
from typing import Final

import numpy as np
from gmpy2 import mpz

from mpc.errors import ConfigError, FixedPointRangeError
from mpc.fixed_point import Words
from mpc.ops.value import Value
from mpc.paillier import digits
from mpc.paillier.digits import FRACTION_BITS
from mpc.paillier.joint import decrypt, product
from mpc.paillier.keys import PublicKey
from mpc.paillier.noise import random_below
from mpc.paillier.packing import STATISTICAL_BITS, Layout
from mpc.paillier.threshold import KeyShare
from mpc.paillier.vector import EncryptedVector
from mpc.party import Party, current
from mpc.sharing import Share
from mpc.tensor import SecretTensor
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

_ALMOST_ONE: Final = 15 << (FRACTION_BITS - 4)


def to_shares(vector: EncryptedVector, key_share: KeyShare) -> SecretTensor:
    """The values of a vector as a secret tensor of its shape; nobody sees them. ``key_share``: this party's, of its rank.

    Every party multiplies in an encryption of its own R_i, uniform modulo n; what the parties decrypt together is
    M = P + sum R_i mod n, uniform whatever the plaintext P is (perfectly hidden, not just statistically; the ciphertexts
    hide R_i as any). Then P = M - sum R_i + c n over the integers. The engine computes c and the carries between slots,
    one exact truncation each (error probability 0, nothing opened but under the engine's own masks), and the slots of P are
    shares modulo 2^64. Exact. Rounds: 2 for the masks, 1 per 128 ciphertexts for their decryption (sent without waiting), 2
    exact truncations. Each ciphertext is decrypted by ``threshold`` of the parties, in turn.

    The vector's layout needs one bit of room: ``mask_bits=1``. Values beyond the layout's bound, which a dishonest client can
    encrypt, go unnoticed: their slot and the next one hold nonsense. Raises ConfigError (another rank's share, no room),
    FixedPointRangeError (values that the session's frac_bits cannot hold), AuthenticationError (another key),
    ProgramMismatch (vectors or keys differ), IntegrityError naming whose partial decryption is wrong.
    """
    party, key = current(), key_share.key
    public = key.public_key
    _check_share(party, key_share)
    key.check_vector(vector)
    _check_room(party, vector)
    with party.scope("to_shares"):
        party.note("to_shares", key.fingerprint, *_structure(vector))
        if not vector.size:
            return SecretTensor(Value(party, Share(np.zeros(vector.shape, np.uint64), vector.scale)))
        clear = party.config.protocol == "clear"
        masks = [mpz(0) if clear else random_below(public.n) for _ in vector.ciphertexts]
        masked = product(party, public, public.encrypt_plaintexts(masks), list(vector.ciphertexts), commit=True)
        opened = decrypt(party, key_share, masked)
        words = _plain(vector, opened) if clear else _digits(party, vector, masks, opened)
        return SecretTensor(Value(party, Share(words.reshape(vector.shape), vector.scale)))


def _digits(party: Party, vector: EncryptedVector, masks: list[mpz], opened: list[mpz]) -> Words:
    """This party's shares of the slots' values. Slots are shifted by 2^(k-1), so that P is positive and its fraction
    P mod 2^(k j) / 2^(k j) lies between 1/4 and 7/8."""
    layout, n, first = vector.layout, vector.public_key.n, party.first
    k, slots = layout.slot_bits, layout.slots(vector.public_key.bits)
    centre = digits.compose([1 << (k - 1)] * slots, k, slots)[0]
    own, own_below = digits.parts(masks, k, slots)
    carried = digits.fractions(masks, n)
    high, below = np.negative(own), np.negative(own_below)
    if first:  # what is public
        shown = [(m + centre) % n for m in opened]
        public, public_below = digits.parts(shown, k, slots)
        high += public
        below += public_below
        carried += np.uint64(_ALMOST_ONE) - digits.fractions(shown, n)
    wraps = _whole(party, carried)[:, None]  # c = ceil((sum R_i - M) / n), as P < 7/8 n
    (modulus,), (modulus_below,) = digits.parts([n], k, slots)
    high += wraps * modulus
    below += wraps * modulus_below
    if slots > 1:
        high[:, 1:] += _whole(party, below[:, 1:])
    out = digits.differences(high, k)
    if first:
        out -= np.uint64(1 << (k - 1)) if k <= 64 else np.uint64(0)
    return out.reshape(-1)[: vector.size]


def _plain(vector: EncryptedVector, opened: list[mpz]) -> Words:
    """The plaintext twin's words."""
    found = vector.layout.unpack(opened, vector.size, vector.public_key.n, vector.magnitude)
    return np.ascontiguousarray(found).view(np.uint64)


def _whole(party: Party, fixed: Words) -> Words:
    """Shares of the integer parts (floor) of shared numbers with FRACTION_BITS fraction bits."""
    return party.protocol.truncate(Share(fixed, FRACTION_BITS), FRACTION_BITS, exact=True).words


def from_shares(tensor: SecretTensor, public_key: PublicKey, layout: Layout) -> EncryptedVector:
    """A secret tensor's values under ``public_key``, in ``layout``: the same vector at every party. Whoever can decrypt
    learns them; the parties learn nothing.

    The shares are integers x_i below 2^64 with sum x_i = x + 2^64 w. The engine computes w (0 to N - 1; one exact
    truncation) and opens y = w + sum r_i with r_i below 2^(40 + log2(N) + log2(size)) of each party's own: within 2^-40 of
    independent of w for the whole vector; several vectors add up. Each party publishes an encryption of x_i + 2^64 r_i, packed
    (slots may overflow: only sums of plaintexts modulo n count), and 2^64 y is subtracted from their product. Rounds: 1 exact
    truncation and 1. Error: that of the tensor, and rounding to the layout's fraction bits where these are fewer.

    |x| <= layout.bound is the caller's promise (`tensor.clip(-b, b)` first, where it is none, with b a multiple of the
    session's 2^-frac_bits: 0.1 is shared as 6554 / 2^16, which is more than 0.1): nobody checks it, values beyond it
    overflow their slots, and decryption refuses the whole vector. Raises ConfigError for more elements than y has room for:
    convert in parts.
    """
    party, value = current(), tensor._value
    parties, size, n = party.world_size, tensor.numel(), public_key.n
    mask_bits = STATISTICAL_BITS + (parties - 1).bit_length() + max(size - 1, 0).bit_length()
    if parties * ((1 << mask_bits) + 1) > 1 << 64:
        raise ConfigError(f"got {size} values at {parties} parties; want at most {_most(parties)} at once: convert in parts")
    with party.scope("from_shares"):
        party.note("from_shares", public_key.fingerprint, layout, value.number)
        share = value.settled(exact=True)
        if share.scale > layout.frac_bits:
            bits = share.scale - layout.frac_bits  # rounded as the bound is: by floor, -bound could be one unit beyond it
            half = np.broadcast_to(np.uint64(1 << (bits - 1)), share.shape)
            share = party.protocol.truncate(party.protocol.add_public(share, half), bits, exact=True)
        words = np.array(share.lifted(layout.frac_bits).words.reshape(-1), np.uint64)
        if not size:
            return EncryptedVector(public_key, layout, tensor.shape, [])
        if party.config.protocol == "clear":
            integers, removed = [int(x) if party.first else 0 for x in words.view(np.int64)], [0] * size
        else:
            integers, removed = _lifted(party, words, mask_bits)
        slots, k = layout.slots(public_key.bits), layout.slot_bits
        own = public_key.encrypt_plaintexts([m % n for m in digits.compose(integers, k, slots)])
        total = product(party, public_key, own)
        plain = digits.compose(removed, k, slots)
        ciphertexts = [c * (1 - m % n * n) % public_key.n_squared for c, m in zip(total, plain, strict=True)]
        return EncryptedVector(public_key, layout, tensor.shape, ciphertexts)


def _lifted(party: Party, words: Words, mask_bits: int) -> tuple[list[int], list[int]]:
    """(this party's integers x_i + 2^64 r_i, the public 2^64 y + 2^63), for shares modulo 2^64 of |x| < 2^62."""
    words = words + party.zero_share(party.next_op(), words.size)
    if party.first:
        words += np.uint64(1 << 63)  # the sum is between 1/4 and 3/4 of the ring
    wraps = _whole(party, words >> np.uint64(64 - FRACTION_BITS))
    masks = np.frombuffer(os.urandom(8 * words.size), np.uint64) >> np.uint64(64 - mask_bits)
    y = _opened(party, wraps + masks)
    integers = [int(x) + (int(r) << 64) for x, r in zip(words, masks, strict=True)]
    return integers, [(int(v) << 64) + (1 << 63) for v in y]


def _opened(party: Party, words: Words) -> Words:
    """The sum of all parties' words, which hides what it is made of."""
    op = party.next_op()
    party.note("open masked", op, words.shape)
    frame = frames.new(words.size)
    np.add(words, party.zero_share(op, words.size), out=frame[HEADER_WORDS:])
    return party.post(Kind.OPEN, op, frame, words.shape).add()


def _most(parties: int) -> int:
    return 1 << (64 - parties.bit_length() - STATISTICAL_BITS - (parties - 1).bit_length())


def _structure(vector: EncryptedVector) -> tuple[object, ...]:
    """What all parties must have alike."""
    width = -(-2 * vector.public_key.bits // 8)
    digest = hashlib.blake2b(digest_size=16, person=b"mpc-paillier-v1")
    for c in vector.ciphertexts:
        digest.update(c.to_bytes(width, "little"))
    return vector.layout, vector.shape, vector.scale, vector.addends, vector.magnitude, digest.digest()


def _check_share(party: Party, share: KeyShare) -> None:
    if (share.rank, share.key.parties) != (party.rank, party.world_size):
        raise ConfigError(
            f"got key share {share.rank} of {share.key.parties}; this is party {party.rank} of {party.world_size}; "
            "each uses its own, of a key dealt to as many"
        )


def _check_room(party: Party, vector: EncryptedVector) -> None:
    layout = vector.layout
    if vector.magnitude > 1 << (layout.slot_bits - 2):
        raise ConfigError(
            f"a slot of {layout.slot_bits} bits has no room above values of {vector.magnitude.bit_length()} bits; want "
            "a layout with mask_bits=1, agreed on before anything is encrypted"
        )
    most = math.ldexp(vector.magnitude, -vector.scale)
    if vector.magnitude >= 1 << 62 or most >= 2.0 ** (31 - party.frac_bits):
        raise FixedPointRangeError(
            f"values of this vector may reach {most:g}; this session holds |x| < 2^{31 - party.frac_bits} at {party.frac_bits} "
            "fraction bits: agree on a smaller bound, or run the session with fewer frac_bits"
        )
