"""Paillier aggregation: the mean, what the server alone can do, and every message and key that must be refused."""
from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from mpc.errors import AuthenticationError, ConfigError, FixedPointRangeError, IntegrityError
from mpc.federated import KeyOwner, PaillierAggregator, PlainAggregator, SharedKeyHolders, TooFewContributors
from mpc.federated import messages as wire
from mpc.paillier import EncryptedVector, PublicKey, to_bytes
from tests.federated.models import clients, net
from tests.federated.paillier_keys import OTHER, PRIVATE, PUBLIC, SHARES

LENGTH = 30
RNG = np.random.default_rng(2)
UPDATES = RNG.normal(scale=0.3, size=(5, LENGTH))
COUNTS = (3, 250, 40, 7, 100)


def made(**changed: Any) -> PaillierAggregator:
    settings: dict[str, Any] = {"bound": 4.0, "max_clients": 6, "max_weight": 250, "task": "t", "min_clients": 2}
    return PaillierAggregator(PUBLIC, changed.pop("holder", PRIVATE), **{**settings, **changed})


def sent(aggregator: Any, round: int = 1) -> list[bytes]:
    pairs = enumerate(zip(UPDATES, COUNTS, strict=True))
    return [aggregator.client_message(update, n, client=f"c{k}", round=round) for k, (update, n) in pairs]


def mean(places: Any = range(5)) -> np.ndarray:
    return sum(COUNTS[k] * UPDATES[k] for k in places) / sum(COUNTS[k] for k in places)


ERROR = 5 / sum(COUNTS) * 2.0**-17


@pytest.mark.parametrize("holder", [PRIVATE, KeyOwner(PRIVATE, 5), SHARES, SharedKeyHolders(SHARES[1:], 5)])
def test_the_mean_is_plain_averaging_s_within_its_rounding(holder: Any) -> None:
    aggregator, plain = made(holder=holder), PlainAggregator(task="t")
    got = aggregator.combine(sent(aggregator), round=1, length=LENGTH)
    want = plain.combine(sent(plain), round=1, length=LENGTH)
    assert (got.accepted, got.refused, got.weight) == (want.accepted, {}, sum(COUNTS))
    error = np.abs(got.mean - want.mean)
    assert 0 < error.max() <= ERROR


@given(st.lists(st.tuples(st.floats(-4, 4), st.integers(1, 250)), min_size=2, max_size=6), st.sampled_from([8, 16, 24]))
@example_settings(max_examples=15)
def test_any_update_within_the_bounds(given_: list[tuple[float, int]], frac_bits: int) -> None:
    aggregator = made(frac_bits=frac_bits)
    messages = [aggregator.client_message([v, -v, 4.0], n, client=f"{k}", round=0) for k, (v, n) in enumerate(given_)]
    got = aggregator.combine(messages, round=0, length=3)
    total = sum(n for _, n in given_)
    want = np.array([1, -1, 0]) * sum(v * n for v, n in given_) / total + [0, 0, 4]
    assert got.weight == total
    assert np.abs(got.mean - want).max() <= len(given_) / total * 2.0 ** -(frac_bits + 1) + 1e-12


def test_who_drops_out_is_not_in_the_mean() -> None:
    aggregator = made()
    messages = sent(aggregator)
    got = aggregator.combine([messages[1], messages[4]], round=1, length=LENGTH)
    assert np.abs(got.mean - mean((1, 4))).max() < ERROR


def test_a_server_without_a_key_adds_and_cannot_open() -> None:
    server = made(holder=None)
    total = server.add_up(sent(server), round=1, length=LENGTH)
    assert total.values.addends == total.weight.addends == 5
    for call in (lambda: server.open_sum(total, round=1), lambda: server.combine([], round=1, length=LENGTH)):
        with pytest.raises(ConfigError, match="holder"):
            call()
    opened = made().open_sum(total, round=1)  # where the key is
    assert np.abs(opened.mean - mean()).max() < ERROR


def test_no_message_shows_the_update_or_the_weight() -> None:
    """The same update twice gives unrelated ciphertexts, and the header's weight is 0."""
    aggregator = made()
    one, two = (wire.unpack(aggregator.client_message(UPDATES[0], 7, client="c", round=1)) for _ in range(2))
    assert one.header.weight == 0 and [len(p) for p in one.parts] == [len(p) for p in two.parts]
    for a, b in zip(one.parts, two.parts, strict=True):
        tail = 512 if PUBLIC.bits == 2048 else PUBLIC.bits // 4
        assert bytes(a[-tail:]) != bytes(b[-tail:])


def test_who_claims_another_ones_report_takes_nobodys_place() -> None:
    """Refused as its client's second message, and what counts under the report is its owner's."""
    aggregator = made()
    messages = sent(aggregator)
    second = wire.unpack(aggregator.client_message(np.full(LENGTH, 4.0), 250, client="c0", round=1))
    header = msgspec.structs.replace(second.header, report=wire.unpack(messages[2]).header.report)
    claim = wire.pack(wire.head_of(header), second.parts)
    got = aggregator.combine([messages[0], claim, *messages[1:]], round=1, length=LENGTH)
    assert (got.accepted, got.weight) == ((0, 2, 3, 4, 5), sum(COUNTS))
    assert "'c0' has a message" in got.refused[1]
    assert np.abs(got.mean - mean()).max() <= ERROR


# --- refusals
def tampered(message: bytes, part: int, change: Any) -> bytes:
    """The message with a part changed, its header made to fit."""
    got = wire.unpack(message)
    parts = [bytes(p) for p in got.parts]
    parts[part] = change(parts[part])
    header = wire.Header(*(getattr(got.header, f) for f in got.header.__struct_fields__[:-1]), tuple(len(p) for p in parts))
    return wire.pack(wire.head_of(header), parts)


def ending(vector: EncryptedVector) -> Any:
    """A part whose ciphertexts are replaced by others."""
    return lambda _: to_bytes(vector)


def bad_messages(aggregator: PaillierAggregator) -> dict[str, tuple[bytes, str]]:
    good = aggregator.client_message(UPDATES[0], 3, client="bad", round=1)
    foreign = PaillierAggregator(OTHER, bound=4.0, max_clients=6, max_weight=250, task="t")
    width, n = PUBLIC.bits // 4, int(PUBLIC.n)
    doubled = aggregator.public_key.encrypt(np.zeros(LENGTH), aggregator.layout)
    return {
        "no message": (b"hello", "no message"),
        "cut short": (good[:-1], "cut short"),
        "another key, said so": (foreign.client_message(UPDATES[0], 3, client="bad", round=1), "other keys"),
        "another key, hidden": (
            tampered(good, 0, ending(OTHER.encrypt(np.zeros(LENGTH), aggregator.layout))), "AuthenticationError"),
        "another layout": (
            tampered(good, 0, ending(PUBLIC.encrypt(np.zeros(LENGTH), made(frac_bits=8).layout))), "slot layout"),
        "a sum already": (tampered(good, 0, ending(doubled + doubled)), "2 addends"),
        "out of range": (tampered(good, 0, lambda p: p[:-width] + b"\xff" * width), "out of range"),
        "zero": (tampered(good, 0, lambda p: p[:-width] + bytes(width)), "out of range"),
        "not coprime": (tampered(good, 0, lambda p: p[:-width] + n.to_bytes(width, "big")), "not coprime"),
        "another length": (aggregator.client_message(UPDATES[0][:-1], 3, client="bad", round=1), "length 29"),
        "a shorter vector": (tampered(good, 0, ending(PUBLIC.encrypt(np.zeros(3), aggregator.layout))), "shape"),
        "another round": (aggregator.client_message(UPDATES[0], 3, client="bad", round=2), "round 2"),
        "another training": (made(task="u").client_message(UPDATES[0], 3, client="bad", round=1), "task 'u'"),
        "another aggregator": (
            PlainAggregator(task="t").client_message(UPDATES[0], 3, client="bad", round=1), "kind 'plain'"),
    }


@pytest.mark.parametrize("case", sorted(bad_messages(made())))
def test_bad_messages_are_refused_with_the_reason_and_harm_nobody(case: str) -> None:
    aggregator = made()
    message, said = bad_messages(aggregator)[case]
    good = sent(aggregator)
    got = aggregator.combine([good[0], message, *good[1:]], round=1, length=LENGTH)
    assert got.accepted == (0, 2, 3, 4, 5) and set(got.refused) == {1} and said in got.refused[1]
    assert np.abs(got.mean - mean()).max() <= ERROR


def test_a_contribution_counts_once() -> None:
    aggregator = made()
    messages = sent(aggregator)
    again = aggregator.client_message(UPDATES[0], 3, client="c0", round=1)
    got = aggregator.combine([*messages, messages[2], again], round=1, length=LENGTH)
    assert "duplicate" in got.refused[5] and "'c0'" in got.refused[6]
    assert np.abs(got.mean - mean()).max() <= ERROR
    with pytest.raises(TooFewContributors, match="replay"):  # in a round of the same number, after a restart of the round
        aggregator.combine(messages, round=1, length=LENGTH)


def test_too_many_addends_are_refused_not_overflowed() -> None:
    aggregator = made(max_clients=3)
    got = aggregator.combine(sent(aggregator), round=1, length=LENGTH)
    assert got.accepted == (0, 1, 2) and all("max_clients" in got.refused[k] for k in (3, 4))
    assert np.abs(got.mean - mean((0, 1, 2))).max() <= ERROR


def test_below_the_minimum_nothing_is_decrypted() -> None:
    class Watch(KeyOwner):
        asked = 0

        def decrypt(self, vector: EncryptedVector, context: bytes) -> Any:
            Watch.asked += 1
            return super().decrypt(vector, context)

    aggregator = made(holder=Watch(PRIVATE, 3), min_clients=3)
    with pytest.raises(TooFewContributors, match="got 2 valid"):
        aggregator.combine(sent(aggregator)[:2], round=1, length=LENGTH)
    assert Watch.asked == 0
    lax = made(holder=Watch(PRIVATE, 3), min_clients=1)  # the key's owner has a minimum of its own
    with pytest.raises(TooFewContributors, match="at least 3"):
        lax.combine(sent(lax)[:1], round=1, length=LENGTH)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 4.1, 1e300])
def test_a_client_refuses_to_encrypt_what_does_not_fit(value: float) -> None:
    with pytest.raises(FixedPointRangeError, match="index 1"):
        made().client_message([0.0, value], 3, client="c", round=1)


@pytest.mark.parametrize("weight", [0, -1, 251, 1.5, np.nan])
def test_weights_are_whole_numbers_within_the_room(weight: float) -> None:
    with pytest.raises(ConfigError, match="weight"):
        made().client_message(UPDATES[0], weight, client="c", round=1)


def cheat(aggregator: PaillierAggregator, values: Any, count: float) -> bytes:
    """A client that encrypts what an honest one cannot, in the right layout."""
    public, scale = aggregator.public_key, 2.0**-aggregator.shift
    good = aggregator.client_message(np.zeros(LENGTH), 1, client="cheat", round=1)

    def raw(values: Any, layout: Any) -> EncryptedVector:
        digits = np.rint(np.asarray(values) * scale * 2.0**layout.frac_bits).astype(np.int64)
        return EncryptedVector(public, layout, digits.shape, public.encrypt_plaintexts(layout.pack(digits, public.bits)))

    changed = tampered(good, 0, ending(raw(values, aggregator.layout)))
    return tampered(changed, 1, ending(raw([count], aggregator.weight_layout)))


@pytest.mark.parametrize("values, count", [(np.zeros(LENGTH), 1200), (np.zeros(LENGTH), -390), (np.full(LENGTH, 4000.0), 1)])
def test_a_sum_that_cannot_be_is_refused_as_a_whole(values: Any, count: float) -> None:
    aggregator = made()
    with pytest.raises(IntegrityError, match=r"nobody can tell who|nothing of this sum"):
        aggregator.combine([*sent(aggregator), cheat(aggregator, values, count)], round=1, length=LENGTH)


# --- a shared key
def test_one_forger_among_the_holders_is_named_and_left_out() -> None:
    class Lying(SharedKeyHolders):
        def partial(self, share: Any, vector: EncryptedVector, context: bytes) -> Any:
            got = super().partial(share, vector, context)
            return got._replace(values=tuple(v + 1 for v in got.values)) if share.rank in self.liars else got

    holders = Lying(SHARES)
    holders.liars = (0,)
    aggregator = made(holder=holders)
    got = aggregator.combine(sent(aggregator), round=1, length=LENGTH)
    assert np.abs(got.mean - mean()).max() <= ERROR and holders.forged == {0}
    holders = Lying(SHARES)
    holders.liars = (0, 2)
    aggregator = made(holder=holders)
    with pytest.raises(IntegrityError, match="party 0, 2"):
        aggregator.combine(sent(aggregator), round=1, length=LENGTH)


def test_settings_that_cannot_work() -> None:
    for wrong, said in (
        ({"max_weight": 0}, "max_weight 0"),
        ({"max_clients": 1}, "max_clients 1"),
        ({"holder": SHARES[:1]}, "threshold"),
        ({"holder": 3}, "holder=int"),
        ({"bound": 2.0**40}, "bits"),
    ):
        with pytest.raises(ConfigError, match=said):
            made(**wrong)
    with pytest.raises(ConfigError, match="another key"):
        PaillierAggregator(OTHER, PRIVATE)


def test_a_vector_of_another_key_is_not_decrypted() -> None:
    vector = OTHER.encrypt(np.zeros(3), made().layout)
    for holder in (KeyOwner(PRIVATE, 1), SharedKeyHolders(SHARES, 1)):
        with pytest.raises(AuthenticationError):
            holder.decrypt(vector, b"")


def test_fedavg_makes_its_own_key() -> None:
    """By name: a fresh key of 2048 bits, and the same model as in the clear."""
    from mpc.federated import FedAvg, weights

    plain, secret = FedAvg(net, seed=1), FedAvg(net, "paillier", seed=1)
    for fed in (plain, secret):
        fed.fit(clients(3), rounds=2)
    assert isinstance(secret.aggregator, PaillierAggregator) and secret.aggregator.public_key.bits == 2048
    assert isinstance(secret.aggregator.public_key, PublicKey)
    difference = np.abs(weights.flatten(plain.model) - weights.flatten(secret.model)).max()
    assert 0 < difference < 1e-5
    assert secret.history[0].bytes_up > 3 * 2 * 512 and secret.history[0].weight == plain.history[0].weight
