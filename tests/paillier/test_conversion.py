"""Encrypted vectors into shares and back: exact, with nothing opened that depends on a value."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz

import mpc
from mpc.errors import (
    AuthenticationError,
    ConfigError,
    CorruptFrame,
    FixedPointRangeError,
    IntegrityError,
    MPCError,
    PartyLost,
    ProgramMismatch,
)
from mpc.paillier import EncryptedVector, Layout, conversion, digits, joint
from mpc.paillier.conversion import from_shares, to_shares
from mpc.paillier.dealing import deal
from mpc.paillier.threshold import KeyShare
from tests.paillier.safe_primes import FULL, OTHER, SMALL
from tests.preprocessing import stores

LAYOUT = Layout(bound=8, frac_bits=16, addends=4, mask_bits=1)
DEALT = {(n, t): deal(parties=n, threshold=t, insecure_primes=SMALL) for n, t in ((2, 2), (3, 2), (3, 3))}


def run(program: Any, parties: int = 3, **options: Any) -> list[Any]:
    def function() -> Any:
        with mpc.session() as s:
            return program(s)

    return mpc.local(function, parties=parties, threads=True, **options)


def outcomes(program: Any, parties: int = 3) -> list[Any]:
    """What each party's program gave or raised."""
    got: list[Any] = [None] * parties

    def function() -> None:
        rank = -1
        try:
            with mpc.session() as s:
                rank = s.rank
                got[rank] = program(s)
        except MPCError as error:
            got[rank] = error
            raise

    with pytest.raises(MPCError):
        mpc.local(function, parties=parties, threads=True, deadline=20.0)
    return got


def values(shape: tuple[int, ...], bound: float, frac_bits: int, rng: np.random.Generator) -> np.ndarray:
    """On the grid, with the extremes first and last."""
    x = np.rint(rng.uniform(-bound, bound, shape) * 2.0**frac_bits) / 2.0**frac_bits
    flat = x.reshape(-1)
    flat[: min(3, flat.size)] = [bound, -bound, 0.0][: flat.size]
    flat[-1:] = -bound
    return x


@pytest.mark.parametrize("protocol", ["additive", "clear"])
@pytest.mark.parametrize("parties, threshold", DEALT)
def test_there_and_back(parties: int, threshold: int, protocol: str) -> None:
    shares = DEALT[parties, threshold]
    key = shares[0].key
    rng = np.random.default_rng(parties)
    for shape in ((), (1,), (7, 11), (0,)):
        x = values(shape, 8.0, 16, rng)
        vector = EncryptedVector.sum(key.public_key.encrypt(x, LAYOUT) for _ in range(4))

        def program(s: Any, vector: EncryptedVector = vector) -> Any:
            inside = to_shares(vector, shares[s.rank])
            assert inside.shape == vector.shape
            out = from_shares(inside * 0.25, key.public_key, LAYOUT)
            return inside.reveal(), out

        got = run(program, parties, protocol=protocol)
        for inside, out in got:
            np.testing.assert_array_equal(inside, 4 * x)
            assert out.ciphertexts == got[0][1].ciphertexts
        partials = [s.partial_decrypt(got[0][1]) for s in shares]
        np.testing.assert_array_equal(key.combine(got[0][1], partials), x)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(bound=1, frac_bits=0, addends=1, mask_bits=1),  # 3-bit slots
        Layout(bound=1, frac_bits=2, addends=1, mask_bits=1),
        Layout(bound=1, frac_bits=30, addends=2, mask_bits=30),  # 63 bits
        Layout(bound=1, frac_bits=30, addends=2, mask_bits=31),
        Layout(bound=1, frac_bits=30, addends=2, mask_bits=32),
        Layout(bound=1, frac_bits=30, addends=2, mask_bits=200),  # two slots
        Layout(bound=1, frac_bits=30, addends=2, mask_bits=300),  # one slot
        Layout(bound=1, frac_bits=20, addends=2, weight_bound=2, weight_frac_bits=20, mask_bits=1),
    ],
    ids=lambda layout: f"{layout.slot_bits}",
)
def test_slots_of_every_width(layout: Layout) -> None:
    shares = DEALT[3, 2]
    x = values((400 // layout.slot_bits + 40,), 1.0, layout.frac_bits, np.random.default_rng(layout.slot_bits))
    vector = shares[0].public_key.encrypt(x, layout)
    times = 1.5 if layout.weight_frac_bits else 1
    vector = vector * times if layout.weight_frac_bits else vector
    assert run(lambda s: to_shares(vector, shares[s.rank]).shape) == [x.shape] * 3
    for out in run(lambda s: to_shares(vector, shares[s.rank]).reveal()):
        # to frac_bits of the session by floor, where the vector has more
        assert (np.abs(out - times * x) <= (0 if vector.scale <= 16 else 2.0**-16)).all()


def test_the_secret_model_computes_with_it() -> None:
    """A fixed-point weighted sum of a vector enters a product: the scale is the session's before it."""
    shares = DEALT[2, 2]
    layout = Layout(bound=2, frac_bits=20, addends=2, weight_bound=1, weight_frac_bits=10, mask_bits=1)
    a, b = (np.random.default_rng(i).uniform(-2, 2, (5, 4)) for i in range(2))
    encrypt = shares[0].public_key.encrypt
    vector = encrypt(a, layout) * 0.25 + encrypt(b, layout) * 0.75
    w = np.random.default_rng(3).uniform(-1, 1, (4, 3))

    def program(s: Any) -> Any:
        return (to_shares(vector, shares[s.rank]) @ mpc.share(w, owner=0)).reveal()

    for got in run(program, 2):
        np.testing.assert_allclose(got, (0.25 * a + 0.75 * b) @ w, atol=4 * 3 * 2.0**-16)


def test_full_size_key_many_slots() -> None:
    shares = deal(insecure_primes=FULL)
    x = values((100,), 8.0, 16, np.random.default_rng(0))
    vector = shares[0].public_key.encrypt(x, LAYOUT)

    def program(s: Any) -> Any:
        inside = to_shares(vector, shares[s.rank])
        return inside.reveal(), from_shares(inside, vector.public_key, LAYOUT)

    got = run(program)
    np.testing.assert_array_equal(got[1][0], x)
    partials = [s.partial_decrypt(got[2][1]) for s in shares[:2]]
    np.testing.assert_array_equal(shares[0].key.combine(got[2][1], partials), x)


# --- the way back
@pytest.mark.parametrize("parties", [2, 3])
def test_tensors_of_every_kind_leave(parties: int) -> None:
    """Owned by one party, products whose truncation is pending, scaled by a public number, coarser and finer layouts."""
    shares = DEALT[parties, 2]
    key, rng = shares[0].key, np.random.default_rng(1)
    x = values((20,), 100.0, 16, rng)
    fine = Layout(bound=2**14, frac_bits=30, addends=2)
    coarse = Layout(bound=2**14, frac_bits=4, addends=2)

    def program(s: Any) -> Any:
        owned = mpc.share(x, owner=1)
        makes = [(owned, fine), (owned * owned, fine), (owned * 0.3 + 1, fine), (owned, coarse), (owned.sum(), fine)]
        return [from_shares(tensor, key.public_key, layout) for tensor, layout in makes]

    made = run(program, parties)[0]
    got = [key.combine(v, [s.partial_decrypt(v) for s in shares]) for v in made]
    np.testing.assert_array_equal(got[0], x)
    np.testing.assert_allclose(got[1], x * x, atol=2.0**-15)
    np.testing.assert_allclose(got[2], x * 0.3 + 1, atol=2.0**-9)
    np.testing.assert_array_equal(got[3], np.floor(x * 16 + 0.5) / 16)
    np.testing.assert_allclose(got[4], x.sum(), atol=2.0**-15)


def test_values_at_the_bound_of_a_coarser_layout_leave() -> None:
    """By floor -0.4 would be -103 units of 2^-8, and -0.7 -180, where these bounds are 102 and 179."""
    shares = DEALT[3, 2]
    for bound in (0.4, 0.7):
        layout, x = Layout(bound=bound, frac_bits=8, addends=1), np.array([bound, -bound, 0.0, bound / 2, -bound * 0.999])
        vector = run(lambda s, x=x, layout=layout: from_shares(mpc.share(x, owner=0), shares[0].public_key, layout))[0]
        got = shares[0].key.combine(vector, [s.partial_decrypt(vector) for s in shares[1:]])
        np.testing.assert_allclose(got, x, rtol=0, atol=2.0**-9 + 2.0**-17)


def test_the_extremes_of_the_ring_leave() -> None:
    shares = DEALT[3, 2]
    top = 2.0**15 - 2.0**-16
    x = np.array([top, -top, 0.0, 2.0**-16, -(2.0**-16)] * 5)
    layout = Layout(bound=2.0**15, frac_bits=45, addends=1)  # 2^60 units
    vector = run(lambda s: from_shares(mpc.share(x, owner=2), shares[0].public_key, layout))[0]
    np.testing.assert_array_equal(shares[0].key.combine(vector, [s.partial_decrypt(vector) for s in shares[1:]]), x)


def test_more_elements_than_masks_have_room_for() -> None:
    limit = conversion._most(3)
    assert limit == 1 << 20 and conversion._most(8) == 1 << 17

    def program(s: Any) -> Any:
        big = mpc.constant(np.zeros(limit + 1, np.int8))
        return from_shares(big, DEALT[3, 2][0].public_key, LAYOUT)

    with pytest.raises(ConfigError, match="convert in parts"):
        run(program)


# --- what is opened
def test_what_the_decryption_opens_is_uniform_whatever_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened plaintexts over n of two very different vectors: uniform in 8 bins, both (chi-squared, 7 degrees)."""
    shares = DEALT[2, 2]
    opened: list[mpz] = []
    real = joint.decrypt

    def spy(party: Any, share: KeyShare, ciphertexts: list[mpz]) -> list[mpz]:
        out = real(party, share, ciphertexts)
        if party.rank == 0:
            opened.extend(out)
        return out

    monkeypatch.setattr(conversion, "decrypt", spy)
    for value in (-8.0, 8.0):
        opened.clear()
        vector = shares[0].public_key.encrypt(np.full(22 * 160, value), LAYOUT)
        run(lambda s, vector=vector: to_shares(vector, shares[s.rank]).shape, 2)
        assert len(opened) >= 160
        fractions = np.array([float(m * 10**6 // vector.public_key.n) / 10**6 for m in opened])
        assert chi_squared(fractions, 8) < SURE
        plain = [int(m) for m in vector.layout.pack(vector.layout.encode(np.full(22, value)), 512)]
        assert chi_squared(np.array([(p % int(vector.public_key.n)) / int(vector.public_key.n) for p in plain * 160]), 8) > SURE


# 7 degrees of freedom: exceeded once in 10^9 where 20 are expected in a bin (counts are not yet normal), 10^11 where many are
SURE = 66.0


def chi_squared(fractions: np.ndarray, bins: int) -> float:
    counts = np.histogram(fractions, bins, (0, 1))[0]
    return float(((counts - fractions.size / bins) ** 2).sum() / (fractions.size / bins))


def test_what_is_opened_on_the_way_back_hides_the_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """y has parties * mask bits, and its low bits, where the wrap count would show, are uniform."""
    seen: list[np.ndarray] = []
    real = conversion._opened

    def spy(party: Any, words: np.ndarray) -> np.ndarray:
        out = real(party, words)
        if party.rank == 0:
            seen.append(out)
        return out

    monkeypatch.setattr(conversion, "_opened", spy)
    shares = DEALT[2, 2]
    run(lambda s: from_shares(mpc.constant(np.zeros(4000)), shares[0].public_key, LAYOUT).shape, 2)
    y = seen[0]
    assert 2.0**52 < float(y.mean()) < 2.0**54 and float(y.max()) < 2.0**54 + 2  # 2 masks of 40 + 1 + 12 bits
    assert chi_squared((y & np.uint64(7)) / 8, 8) < SURE
    assert chi_squared((y & np.uint64(1 << 40)) / 2.0**41, 2) < 40.0  # 1 degree: exceeded once in 4 10^9


def test_a_partys_shares_are_spread_over_the_ring() -> None:
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.zeros(2000), LAYOUT)
    for words in run(lambda s: to_shares(vector, shares[s.rank])._value.share.words.copy()):
        assert chi_squared(words.astype(np.float64) / 2.0**64, 8) < SURE


def test_nothing_is_in_the_ledger() -> None:
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.ones(3), LAYOUT)

    def program(s: Any) -> Any:
        from_shares(to_shares(vector, shares[s.rank]), vector.public_key, LAYOUT)
        return str(s.report())

    for text in run(program):
        assert "Revealed: nothing" in text and "to_shares" in text and "from_shares" in text


# --- what is refused
@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("chunk", [joint.CHUNK, 3])
def test_a_forged_partial_decryption_is_refused_with_its_rank_everywhere(
    rank: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.ones(200), LAYOUT)
    real = KeyShare.partials
    monkeypatch.setattr(joint, "CHUNK", chunk)

    def forging(self: KeyShare, ciphertexts: Any, context: bytes = b"") -> Any:
        made = real(self, ciphertexts, context)
        if self.rank != rank or not made.values:
            return made
        wrong = made.values[-1] * (1 + self.public_key.n) % self.public_key.n_squared
        return made._replace(values=(*made.values[:-1], wrong))

    monkeypatch.setattr(KeyShare, "partials", forging)
    for party, error in enumerate(outcomes(lambda s: to_shares(vector, shares[s.rank]))):
        assert isinstance(error, IntegrityError), (party, error)
        assert error.peer == rank
        assert f"of party {rank} is forged" in str(error) or f"with party {rank}" in str(error) or party == rank, error


def test_a_replayed_partial_decryption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Party 1 answers the second conversion with what it said in the first."""
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.ones(3), LAYOUT)
    real, before = KeyShare.partials, []

    def replaying(self: KeyShare, ciphertexts: Any, context: bytes = b"") -> Any:
        made = real(self, ciphertexts, context)
        if self.rank != 1:
            return made
        before.append(made)
        return before[0]

    monkeypatch.setattr(KeyShare, "partials", replaying)

    def program(s: Any) -> Any:
        first = to_shares(vector, shares[s.rank])
        return first + to_shares(vector, shares[s.rank])

    for error in outcomes(program):
        assert isinstance(error, IntegrityError) and error.peer == 1, error


def test_what_is_no_ciphertext_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.ones(3), LAYOUT)
    real = joint.post

    def posting(party: Any, data: bytes) -> Any:
        return real(party, bytes(len(data)) if party.rank == 2 else data)

    monkeypatch.setattr(joint, "post", posting)
    for program in (
        lambda s: to_shares(vector, shares[s.rank]),
        lambda s: from_shares(mpc.constant(np.ones(3)), vector.public_key, LAYOUT),
    ):
        for rank, error in enumerate(outcomes(program)):
            assert isinstance(error, IntegrityError), error
            assert rank == 2 or "party 2" in str(error)


def test_masks_chosen_after_seeing_the_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Party 2 would cancel the others' masks, and see the aggregate; its commitment does not let it."""
    shares = DEALT[3, 2]
    public = shares[0].public_key
    vector = public.encrypt(np.ones(3), LAYOUT)
    real, calls = joint.post, []

    def rushing(party: Any, data: bytes) -> Any:
        if party.rank == 2:
            calls.append(data)
            if len(calls) == 2:
                data = b"".join(c.to_bytes(128, "little") for c in public.encrypt_plaintexts([mpz(7)]))
                assert len(data) == len(calls[1])
        return real(party, data)

    monkeypatch.setattr(joint, "post", rushing)
    for rank, error in enumerate(outcomes(lambda s: to_shares(vector, shares[s.rank]))):
        assert isinstance(error, IntegrityError) and error.peer == 2
        assert rank == 2 or "party 2" in str(error)
        assert rank == 2 or "had committed to" in str(error) or error.echo is not None


def test_differing_vectors_are_a_program_mismatch() -> None:
    shares = DEALT[3, 2]
    vectors = [shares[0].public_key.encrypt(np.ones(3), LAYOUT) for _ in range(3)]
    for error in outcomes(lambda s: to_shares(vectors[s.rank], shares[s.rank])):
        assert isinstance(error, ProgramMismatch)


def test_differing_layouts_on_the_way_back_are_a_program_mismatch() -> None:
    key = DEALT[3, 2][0].public_key

    def program(s: Any) -> Any:
        return from_shares(mpc.constant(np.ones(3)), key, Layout(8, 16, addends=1 + (s.rank == 1)))

    for error in outcomes(program):
        assert isinstance(error, ProgramMismatch)


def test_wrong_key_shares_are_refused() -> None:
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.ones(3), LAYOUT)
    again = deal(parties=3, threshold=2, insecure_primes=SMALL)  # the same modulus, dealt anew
    other = deal(parties=3, threshold=2, insecure_primes=OTHER)
    cases: list[tuple[Any, type[MPCError]]] = [
        (lambda rank: shares[0], ConfigError),
        (lambda rank: DEALT[2, 2][min(rank, 1)], ConfigError),
        (lambda rank: other[rank], AuthenticationError),
        (lambda rank: again[1] if rank == 1 else shares[rank], ProgramMismatch),
    ]
    for choose, kind in cases:
        for error in outcomes(lambda s, choose=choose: to_shares(vector, choose(s.rank))):
            assert isinstance(error, (kind, PartyLost)), error


def test_what_has_no_room() -> None:
    shares = DEALT[3, 2]
    tight = Layout(bound=7, frac_bits=0, addends=1)
    vector = shares[0].public_key.encrypt(np.full(3, 7), tight)
    with pytest.raises(ConfigError, match="mask_bits=1"):
        run(lambda s: to_shares(vector, shares[s.rank]))
    wide = Layout(bound=2.0**15, frac_bits=8, addends=1, mask_bits=1)
    large = shares[0].public_key.encrypt(np.ones(3), wide)
    with pytest.raises(FixedPointRangeError, match="fewer frac_bits"):
        run(lambda s: to_shares(large, shares[s.rank]))
    assert run(lambda s: to_shares(large, shares[s.rank]).shape, frac_bits=12) == [(3,)] * 3


def test_a_party_that_stops_does_not_leave_the_others_waiting() -> None:
    shares = DEALT[3, 2]
    vector = shares[0].public_key.encrypt(np.ones(3), LAYOUT)

    def program(s: Any) -> Any:
        if s.rank == 1:
            raise CorruptFrame("party 1 stops here")
        return to_shares(vector, shares[s.rank])

    for rank, error in enumerate(outcomes(program)):
        assert isinstance(error, (CorruptFrame, PartyLost)) and (rank == 1 or "party 1" in str(error))


# --- the mathematics
def test_digits_of_a_sum_of_integers() -> None:
    rng = np.random.default_rng(5)
    for k in (3, 8, 40, 64, 70):
        slots = 6
        wanted = [int(x) for x in rng.integers(0, min(1 << k, 1 << 62), slots)]
        (composed,) = digits.compose(wanted, k, slots)
        high, below = digits.parts([composed], k, slots)
        assert [int(x) for x in digits.differences(high, k)[0]] == [w % 2**64 for w in wanted]
        for j in range(1, slots):
            low = int(composed) % (1 << (k * j))
            assert int(below[0, j]) == (low << digits.FRACTION_BITS) >> (k * j)
    assert digits.compose([-1, 5, 7], 8, 2) == [5 * 256 - 1, 7]


def test_stored_correlations_serve_both_ways(tmp_path: Path) -> None:
    """A dry run asks for what the run asks for, and the run needs no dealer."""
    shares = DEALT[2, 2]
    x = values((30,), 8.0, 16, np.random.default_rng(0))
    vector = shares[0].public_key.encrypt(x, LAYOUT)

    def program(s: Any) -> Any:
        return from_shares(to_shares(vector, shares[s.rank]) * 0.5, vector.public_key, LAYOUT)

    (made, _) = stores.run(program, 2, store=stores.stored(program, tmp_path, 2))
    got = shares[0].key.combine(made, [s.partial_decrypt(made) for s in shares])
    np.testing.assert_array_equal(got, np.floor(x / 2 * 2**16) / 2**16)
