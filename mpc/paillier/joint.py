"""What the parties do together with ciphertexts: multiply everybody's in, and decrypt with shares of a key.

Every message is as long as public facts say, is waited for within the session's deadline, and is checked: who sends what is
no ciphertext, or a wrong partial decryption, is named in the error at every party.
"""
from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from gmpy2 import mpz

from mpc.errors import IntegrityError
from mpc.exchange import Pending
from mpc.paillier import proofs
from mpc.paillier.keys import PublicKey
from mpc.paillier.serial import check_ciphertexts, ciphertext_bytes
from mpc.paillier.threshold import KeyShare, PartialDecryption
from mpc.party import Party
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

CHUNK: Final = 128  # ciphertexts decrypted between two messages: the others' deadline counts from message to message


def post(party: Party, data: bytes) -> Pending:
    """Send bytes to all other parties, as many as they send; one round."""
    words = -(-len(data) // 8)
    frame = frames.new(words)
    frame[HEADER_WORDS:] = np.frombuffer(data.ljust(8 * words, b"\0"), np.uint64)
    party.note(Kind.CIPHERTEXTS.name, len(data))
    return party.post(Kind.CIPHERTEXTS, party.next_op(), frame, (words,))


def product(
    party: Party, key: PublicKey, own: list[mpz], start: list[mpz] | None = None, commit: bool = False
) -> list[mpz]:
    """``start`` times every party's ciphertexts: encryptions of the sums. One round.

    ``commit``: one round more, in which everybody sends a hash of what it will send, so that nobody chooses its ciphertexts
    by those of others. Raises IntegrityError, at every party, where somebody sent what is no unit modulo n^2, or other
    ciphertexts than those it had committed to.
    """
    width = ciphertext_bytes(key)
    data = b"".join(c.to_bytes(width, "little") for c in own)
    promised = [words.tobytes() for words in post(party, _digest(party.rank, data)).wait()] if commit else []
    pending = post(party, data)
    total = own if start is None else [a * b % key.n_squared for a, b in zip(start, own, strict=True)]
    for rank, words in enumerate(pending.wait()):
        if rank == party.rank:
            continue
        sent = words.tobytes()[: len(data)]
        theirs = _numbers(sent, width, len(own))
        try:
            if commit and promised[rank] != _digest(rank, sent):
                raise IntegrityError("other ciphertexts than those it had committed to")
            check_ciphertexts(theirs, key)
        except IntegrityError as error:
            raise party.blame(rank, IntegrityError(f"{party.transport.name(rank)} sent {error}")) from None
        total = [a * b % key.n_squared for a, b in zip(total, theirs, strict=True)]
    return total


def _digest(rank: int, data: bytes) -> bytes:
    """A commitment: the ciphertexts are random enough to be hidden by it."""
    return hashlib.blake2b(bytes([rank]) + data, digest_size=32, person=b"mpc-masks-v1").digest()


def decrypt(party: Party, share: KeyShare, ciphertexts: list[mpz]) -> list[mpz]:
    """The plaintexts modulo n, at every party. Reveals them: for sums that masks hide.

    Ciphertext number a is decrypted by the parties a, a + 1, ..., a + threshold - 1 modulo their number, so each computes
    threshold / parties of the powers. One round per `CHUNK` ciphertexts; all are sent before the first is waited for.
    Raises IntegrityError, at every party, naming whose part is wrong.
    """
    key, parties = share.key, party.world_size
    starts = range(0, len(ciphertexts), CHUNK)
    chunks = [ciphertexts[start : start + CHUNK] for start in starts]
    sent = []
    for number, chunk in enumerate(chunks):
        mine = [] if party.dry else [chunk[a] for a in _turns(party.rank, len(chunk), parties, key.threshold)]
        sent.append(post(party, _pack(share.partials(mine, _context(number)), key.public_key, _most(len(chunk), share))))
    if party.dry:
        return [mpz(0)] * len(ciphertexts)  # as what every dry run opens
    out: list[mpz] = []
    for number, (chunk, pending) in enumerate(zip(chunks, sent, strict=True)):
        rows: list[dict[int, mpz]] = [{} for _ in chunk]
        for rank, words in enumerate(pending.wait()):
            turns = _turns(rank, len(chunk), parties, key.threshold)
            partial = _unpack(rank, words.tobytes(), key.public_key, len(turns))
            if not key.accepts([chunk[a] for a in turns], partial, _context(number)):
                raise party.blame(rank, key.refusal([rank]))
            for a, value in zip(turns, partial.values, strict=True):
                rows[a][rank] = value
        out += _combined(share, rows)
    return out


def _combined(share: KeyShare, rows: list[dict[int, mpz]]) -> list[mpz]:
    """Plaintexts; rows with the same ranks are combined together."""
    out = [mpz(0)] * len(rows)
    for first in range(min(share.key.parties, len(rows))):
        group = range(first, len(rows), share.key.parties)
        values = {rank: [rows[a][rank] for a in group] for rank in rows[first]}
        for a, plain in zip(group, share.key.open(values), strict=True):
            out[a] = plain
    return out


def _turns(rank: int, count: int, parties: int, threshold: int) -> list[int]:
    """Which of ``count`` ciphertexts this rank decrypts."""
    return [a for a in range(count) if (rank - a) % parties < threshold]


def _most(count: int, share: KeyShare) -> int:
    """The most that one party decrypts of them: all messages have this length."""
    key = share.key
    return max(len(_turns(rank, count, key.parties, key.threshold)) for rank in range(key.parties))


def _context(number: int) -> bytes:
    return b"to_shares" + number.to_bytes(8, "little")


def _pack(partial: PartialDecryption, key: PublicKey, most: int) -> bytes:
    width = ciphertext_bytes(key)
    values = b"".join(value.to_bytes(width, "little") for value in partial.values)
    return partial.proof.to_bytes(key.bits) + values.ljust(most * width, b"\0")


def _unpack(rank: int, data: bytes, key: PublicKey, count: int) -> PartialDecryption:
    head, width = proofs.proof_bytes(key.bits), ciphertext_bytes(key)
    return PartialDecryption(rank, tuple(_numbers(data[head:], width, count)), proofs.from_bytes(data[:head], key.bits))


def _numbers(data: bytes, width: int, count: int) -> list[mpz]:
    return [mpz.from_bytes(data[i * width : (i + 1) * width], "little") for i in range(count)]
