"""Noise on shares: one honest party is enough, N - 1 parties' views tell nothing, and it costs what it declares."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mpc
from mpc import prg
from mpc.errors import CorruptFrame
from mpc.party import Party
from mpc.preprocessing.base import Conjunctions
from mpc.privacy import Binomial, DiscreteGaussian, DiscreteLaplace
from mpc.privacy.dp import coins as dp_coins
from mpc.privacy.dp.coins import CountedCoins, SharedCoins
from mpc.privacy.dp.exponential import Geometric
from mpc.privacy.dp.mechanisms import Mechanism
from mpc.transport import frames
from tests.preprocessing.stores import run, stored
from tests.privacy.noise import SIGNIFICANCE, chi_square, on_shares

N = 20_000
LANES = 4096  # of a view
FAR = 7.5  # deviations: a sum of fair signs is beyond with probability 2 exp(-7.5^2 / 2) = 1.2e-12 at most (Hoeffding)
FIXED = prg.derive(bytes(32), "known to everybody")
ALL = [DiscreteLaplace(0.3), DiscreteGaussian(2.5), Binomial(64), Binomial(36, 2)]


@pytest.mark.parametrize("honest", [0, 1, 2])
@pytest.mark.parametrize("mechanism", [*ALL, Geometric(0.4)], ids=repr)
def test_one_honest_partys_coins_suffice(mechanism: Mechanism, honest: int) -> None:
    """The others' private streams are public constants, or one that the dealer knows: the distribution is the same."""

    def corrupt(s: Party) -> None:
        if s.rank != honest:
            s.private = FIXED if s.rank else s.dealt

    got = on_shares(mechanism, N, 3, corrupt)
    assert chi_square(got, *mechanism.pmf()) > SIGNIFICANCE
    assert (got != on_shares(mechanism, N, 3, corrupt)).any()


def test_without_an_honest_party_nothing_is_random() -> None:
    """The other half of the test above: the coins really come of the private streams alone, not of the dealer's."""

    def corrupt(s: Party) -> None:
        s.private = FIXED

    first, second = (on_shares(Binomial(64), 500, 2, corrupt) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_the_dealer_hears_nothing_that_depends_on_coins() -> None:
    """Byte for byte the same requests in every run: it knows the masks, never what was opened under them."""

    def program() -> list[bytes]:
        with mpc.session() as s:
            told: list[bytes] = []
            send = s.send

            def recorded(peer, frame):
                if peer == s.world_size:
                    told.append(bytes(frame))
                send(peer, frame)

            s.send = recorded  # type: ignore[method-assign]
            for mechanism in ALL:
                _ = mechanism.sample_shares(s, 100).words
            s.send = send  # type: ignore[method-assign]
            return told

    runs = [mpc.local(program, parties=2, threads=True) for _ in range(2)]
    assert runs[0] == runs[1] and len(runs[0][1]) > 10


def _views(mechanism: Mechanism, parties: int) -> tuple[np.ndarray, list[list[np.ndarray]], list[np.ndarray]]:
    """(noise, per rank the bit frames it received of others or sent, per rank its share)."""

    def program() -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        with mpc.session() as s:
            seen: list[np.ndarray] = []
            post = s.post

            def recorded(kind, op, frame, shape, beside=False):
                pending = post(kind, op, frame, shape, beside)
                if kind == frames.Kind.BITS:
                    masks = [prg.words(s.dealt, op, t, frame[frames.HEADER_WORDS :].size) for t in (6, 4)]
                    for part in pending.wait():
                        seen.append(part.copy())
                        seen.extend(part ^ m for m in masks)  # with what this party knows of the masks
                return pending

            s.post = recorded  # type: ignore[method-assign]
            x = mechanism.sample_shares(s, LANES)
            words = x.words.copy()
            s.post = post  # type: ignore[method-assign]
            return s.reveal(x, reason="noise", check_range=False), seen, words

    out = mpc.local(program, parties=parties, threads=True)
    return out[0][0].astype(int), [o[1] for o in out], [o[2] for o in out]


@pytest.mark.parametrize(("mechanism", "parties"), [(DiscreteLaplace(2.0), 2), (Binomial(36, 2), 3)], ids=repr)
def test_what_n_minus_one_parties_see_tells_nothing_of_the_noise(mechanism: Mechanism, parties: int) -> None:
    """Every plane that crosses the wire, bare or under the masks a party knows, is a fair coin and agrees with the noise's
    sign, parity and size half of the time; so does the sum of any N - 1 shares, bit by bit."""
    noise, seen, words = _views(mechanism, parties)
    median = np.median(np.abs(noise))
    facts = np.stack([noise > 0, noise % 2 == 1, np.abs(noise) > median])
    planes = [plane for view in seen for part in view for plane in part.reshape(-1, dp_coins.ring.planes_words(LANES))]
    for rank in range(parties):
        others = sum((words[r] for r in range(parties) if r != rank), np.zeros(LANES, np.uint64))
        digits = np.unpackbits(others.view(np.uint8).reshape(LANES, 8), axis=1, bitorder="little")
        planes += list(np.packbits(digits.T, axis=1, bitorder="little"))
    rows = [np.unpackbits(np.ascontiguousarray(p).view(np.uint8), bitorder="little")[:LANES] for p in planes]
    bits = np.stack(rows).astype(bool)
    assert len(bits) > 300
    limit = FAR * np.sqrt(LANES) / 2
    assert np.abs(bits.sum(1) - LANES / 2).max() < limit
    for fact in facts:
        centred = fact - fact.mean()
        spread = FAR * np.sqrt((centred**2).sum()) / 2
        assert np.abs((bits - 0.5) @ centred).max() < spread


def test_the_independence_test_can_fail() -> None:
    """A plane of the noise itself agrees with it."""
    noise = Binomial(64).sample(N)
    fact = noise > 0
    centred = fact - fact.mean()
    assert np.abs((fact - 0.5) @ centred) > FAR * np.sqrt((centred**2).sum()) / 2


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("mechanism", [*ALL, Geometric(0.4), DiscreteLaplace(1e-5), Binomial(1024, 10)], ids=repr)
def test_rounds_and_bytes_are_what_is_declared(mechanism: Mechanism, parties: int) -> None:
    size = 1000

    def program() -> tuple[int, int, int]:
        with mpc.session() as s:
            rounds, sent, dealt = s.total.rounds, s.total.bytes_sent, s.total.offline_bytes
            _ = mechanism.sample_shares(s, (10, 100)).words
            return s.total.rounds - rounds, s.total.bytes_sent - sent, s.total.offline_bytes - dealt

    counted = CountedCoins(size)
    mechanism.circuit(counted)
    cost = mechanism.cost(size)
    results = mpc.local(program, parties=parties, threads=True)
    for rounds, sent, _ in results:
        assert (rounds, sent) == (cost.rounds, cost.bytes * (parties - 1))
    assert [dealt for *_, dealt in results] == [0] * (parties - 1) + [counted.dealt]


def test_protocol_clear_draws_one_noise_for_all() -> None:
    def program() -> np.ndarray:
        with mpc.session() as s:
            return s.reveal(Binomial(64).sample_shares(s, N), reason="noise", check_range=False)

    first, second = mpc.local(program, parties=2, threads=True, protocol="clear")
    assert first.tolist() == second.tolist()
    assert chi_square(first.astype(int), *Binomial(64).pmf()) > SIGNIFICANCE


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_ands_of_shared_bits_are_exact(parties: int) -> None:
    """All four combinations, many times, with planes used more than once; lists and runs of places alike."""

    def program() -> tuple[np.ndarray, ...]:
        with mpc.session() as s:
            coins = SharedCoins(s, 1000)
            planes = coins.fair(6)
            by_list = coins.both(planes, [0, 0, 5, 3], [1, 2, 4, 3])
            by_run = coins.both(planes, range(3), range(3, 6))
            return planes, by_list, by_run, coins.flip(planes)

    results = mpc.local(program, parties=parties, threads=True)
    planes, by_list, by_run, flipped = (np.bitwise_xor.reduce(np.stack(part)) for part in zip(*results, strict=True))
    assert (by_list == planes[[0, 0, 5, 3]] & planes[[1, 2, 4, 3]]).all()
    assert (by_run == planes[:3] & planes[3:]).all()
    assert (flipped == ~planes).all()


@pytest.mark.parametrize(
    "wrong",
    [
        Conjunctions(1, 0, 2, (), ()), Conjunctions(1, 3, 2, (0,), (1,)), Conjunctions(1, 2, 2, (0,), (2,)),
        Conjunctions(1, 2, 2, (0, 1), (1,)), Conjunctions(1, 2, -1, (0,), (1,)), Conjunctions(1, 2, 2, (-1,), (1,)),
    ],
)  # fmt: skip
def test_the_dealer_refuses_ands_that_make_no_sense(wrong: Conjunctions) -> None:
    with pytest.raises(CorruptFrame):
        wrong.parts()


def test_noise_from_a_store(tmp_path: Path) -> None:
    """Preprocessing that was dealt before, by somebody who is gone: the coins are drawn when it is used, so two runs differ."""

    def noise(s: Party) -> np.ndarray:
        return s.reveal(DiscreteLaplace(0.3).sample_shares(s, 5000), reason="noise", check_range=False)

    folder = stored(noise, tmp_path, 2, runs=2)
    first, second = (run(noise, 2, store=folder)[0] for _ in range(2))
    assert (first != second).any()
    for got in (first, second):
        assert chi_square(got, *DiscreteLaplace(0.3).pmf()) > SIGNIFICANCE
