"""Shared keys: any threshold of the parties decrypt, fewer do not, and who forges is named."""
from __future__ import annotations

import copy
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from typer.testing import CliRunner

from mpc import identity
from mpc.errors import AuthenticationError, ConfigError, IntegrityError
from mpc.paillier import Layout, primes, public_key_from_bytes
from mpc.paillier.dealing import deal
from mpc.paillier.share_file import load_key_share, write_key_share
from mpc.paillier.threshold import KeyShare, PartialDecryption
from mpc.parties.cli import app
from mpc.parties.commands import paillier as command
from tests.paillier.safe_primes import FULL, OTHER, SMALL

LAYOUT = Layout(bound=8, frac_bits=16, addends=4)
X = np.array([8.0, -8.0, 0.0, 1.5, -2.25, 2.0**-16, -(2.0**-16), 3.0])
SHARES = deal(parties=3, threshold=2, insecure_primes=SMALL)
KEY = SHARES[0].key
VECTOR = KEY.public_key.encrypt(X, LAYOUT)


@pytest.mark.parametrize("parties, threshold", [(2, 2), (3, 2), (3, 3), (5, 3), (8, 2), (8, 8)])
def test_any_threshold_of_the_parties_decrypt(parties: int, threshold: int) -> None:
    shares = deal(parties=parties, threshold=threshold, insecure_primes=SMALL)
    key = shares[0].key
    vector = key.public_key.encrypt(X, LAYOUT) + key.public_key.encrypt(X, LAYOUT) * -2
    partials = [s.partial_decrypt(vector) for s in shares]
    for chosen in (partials[:threshold], partials[-threshold:], partials[::-1]):
        np.testing.assert_array_equal(key.combine(vector, chosen), -X)


def test_a_key_of_full_size() -> None:
    shares = deal(insecure_primes=FULL)
    key = shares[0].key
    assert key.public_key.bits == 2048 and (key.parties, key.threshold) == (3, 2)
    vector = key.public_key.encrypt(X, LAYOUT)
    partials = [s.partial_decrypt(vector, b"round 3") for s in shares[1:]]
    np.testing.assert_array_equal(key.combine(vector, partials, b"round 3"), X)


def test_fewer_than_the_threshold_are_refused_and_know_nothing() -> None:
    partials = [s.partial_decrypt(VECTOR) for s in SHARES]
    for few in ([], partials[:1], [partials[2], partials[2]]):
        with pytest.raises(ConfigError, match="want at least 2"):
            KEY.combine(VECTOR, few)
    # one share used alone, as if the threshold were 1: what comes out is no plaintext
    alone = copy.copy(KEY)
    alone.threshold = 1
    with pytest.raises(IntegrityError, match="do not fit together"):
        alone.open({1: partials[1].values})


def forgeries() -> dict[str, PartialDecryption]:
    modulus = KEY.public_key.n_squared
    right = SHARES[1].partial_decrypt(VECTOR)
    other = SHARES[1].partial_decrypt(KEY.public_key.encrypt(X, LAYOUT))
    stranger = deal(parties=3, threshold=2, insecure_primes=SMALL)[1]
    return {
        "a changed value": right._replace(values=(right.values[0] * (1 + KEY.public_key.n) % modulus, *right.values[1:])),
        "no proof": right._replace(proof=other.proof),
        "a replay of another vector": other,
        "another party's": right._replace(rank=2),
        "of another rank": SHARES[2].partial_decrypt(VECTOR)._replace(rank=1),
        "of another dealing": stranger.partials(VECTOR.ciphertexts),
        "of another context": SHARES[1].partial_decrypt(VECTOR, b"round 2"),
        "too few values": right._replace(values=right.values[:-1]),
        "zero": right._replace(values=(mpz(0), *right.values[1:])),
        "out of range": right._replace(values=(right.values[0] + modulus, *right.values[1:])),
        "of a rank that is none": right._replace(rank=3),
        "no unit": right._replace(values=(mpz(SMALL[0]), *right.values[1:])),
    }


@pytest.mark.parametrize("name", forgeries())
def test_who_forged_is_named_and_the_others_work_is_not_lost(name: str) -> None:
    forged = forgeries()[name]
    honest = [s.partial_decrypt(VECTOR) for s in SHARES if s.rank != forged.rank]
    with pytest.raises(IntegrityError, match=rf"of party {forged.rank} is forged") as caught:
        KEY.combine(VECTOR, [honest[0], forged])
    assert caught.value.peer == forged.rank
    assert KEY.forged(VECTOR, [*honest, forged]) == [forged.rank]
    np.testing.assert_array_equal(KEY.combine(VECTOR, honest[:2]), X)


def test_vectors_of_another_key_are_refused() -> None:
    other = deal(parties=3, threshold=2, insecure_primes=OTHER)
    vector = other[0].public_key.encrypt(X, LAYOUT)
    with pytest.raises(AuthenticationError, match="want PublicKey"):
        SHARES[0].partial_decrypt(vector)
    with pytest.raises(AuthenticationError, match="want PublicKey"):
        KEY.combine(vector, [])


def test_a_share_that_was_not_dealt_is_refused() -> None:
    for wrong in (SHARES[1].secret, SHARES[0].secret + 1, mpz(0), -SHARES[0].secret):
        with pytest.raises(IntegrityError, match="not what was dealt"):
            KeyShare(KEY, 0, wrong)
    with pytest.raises(ConfigError, match="want 0 to 2"):
        KeyShare(KEY, 3, SHARES[0].secret)


@pytest.mark.parametrize("parties, threshold", [(1, 1), (2, 1), (9, 2), (3, 4), (3, 0), (3, 2.0), ("3", 2)])
def test_settings_that_cannot_be(parties: int, threshold: int) -> None:
    with pytest.raises(ConfigError, match="got threshold"):
        deal(parties=parties, threshold=threshold, insecure_primes=SMALL)


def test_primes_that_are_not_safe_are_refused() -> None:
    unsafe = int(gmpy2.next_prime(SMALL[0]))
    while primes.is_safe(mpz(unsafe)):
        unsafe = int(gmpy2.next_prime(unsafe))
    for pair in ((SMALL[0], unsafe), (SMALL[0], SMALL[0]), (SMALL[0], OTHER[0])):
        with pytest.raises(ConfigError, match="two different safe primes"):
            deal(insecure_primes=pair)
    with pytest.raises(ConfigError, match="want 2048 or 3072"):
        deal(bits=512)


def test_secrets_are_neither_printed_nor_pickled() -> None:
    text = f"{SHARES[0]!r} {KEY!r} {SHARES[0].partial_decrypt(VECTOR).rank}"
    assert str(SHARES[0].secret)[:12] not in text and f"{SHARES[0].secret:x}"[:12] not in text
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(SHARES[0])


def test_safe_primes_are_found_by_processes_and_reported() -> None:
    seen: list[int] = []
    found = primes.safe_primes(96, 2, seen.append)
    assert len(set(found)) == 2 and seen == sorted(seen)
    for p in found:
        assert p.bit_length() == 96 and p >> 94 == 3 and primes.is_safe(p)
        assert gmpy2.is_prime(p) and gmpy2.is_prime((p - 1) // 2)


def test_no_safe_prime_is_sieved_out() -> None:
    """Against trial of every number in the range that the search covers."""
    for bits in (34, 40):
        small = primes._small_primes(1 << (bits // 2 - 2))
        got = list(primes._candidates(bits - 1, small))
        start, end = min(got), max(got)
        some = [q for q in range(int(start), int(min(end, start + 60_000)), 2) if primes.is_safe(mpz(2 * q + 1))]
        assert some and set(some) <= {int(q) for q in got}


def test_a_share_file(tmp_path: Path) -> None:
    path = tmp_path / "party-1.share"
    write_key_share(SHARES[1], path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    back = load_key_share(path, insecure_any_size=True)
    assert (back.rank, back.secret, back.key) == (1, SHARES[1].secret, KEY)
    with pytest.raises(ConfigError, match="are not replaced"):
        write_key_share(SHARES[1], path)
    with pytest.raises(ConfigError, match="modulus of 512 bits"):
        load_key_share(path)
    path.write_text(path.read_text().replace("rank = 1", "rank = 2"))
    with pytest.raises(IntegrityError, match="party 2 is not what was dealt"):
        load_key_share(path, insecure_any_size=True)
    path.write_text("rank = 1")
    with pytest.raises(ConfigError, match="is no file of a Paillier key share") as caught:
        load_key_share(path)
    assert caught.value.__cause__ is None
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        load_key_share(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_key_share(tmp_path / "none")


def test_a_sealed_share_file(tmp_path: Path) -> None:
    dealer, party, stranger = (identity.create(name) for name in ("dealer", "st-marys", "stranger"))
    path = tmp_path / "party-2.share"
    write_key_share(SHARES[2], path, recipient=party.public_key, writer=dealer)
    assert f"{SHARES[2].secret:x}".encode()[:12] not in path.read_bytes()

    def load(who: identity.Identity | None, writer: str | None) -> KeyShare:
        return load_key_share(path, identity=who, writer=writer, insecure_any_size=True)

    assert load(party, dealer.public_key).secret == SHARES[2].secret
    with pytest.raises(IntegrityError, match="sealed for another key"):
        load(stranger, dealer.public_key)
    with pytest.raises(AuthenticationError, match="by another key"):
        load(party, stranger.public_key)
    with pytest.raises(ConfigError, match="is sealed"):
        load(None, None)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="altered"):
        load(party, dealer.public_key)
    with pytest.raises(ConfigError, match="both a recipient and a writer"):
        write_key_share(SHARES[2], tmp_path / "other", recipient=party.public_key)


@pytest.fixture
def dealt(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`mpc paillier deal` with fixed primes; what it printed."""
    real = command.dealing.deal
    monkeypatch.setattr(command.dealing, "deal", lambda *args: real(*args, insecure_primes=FULL))
    monkeypatch.setattr(command.resource, "setrlimit", lambda *args: None)  # of the process of all tests

    def run(*args: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["paillier", "deal", *args])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_the_command_writes_a_file_for_each_party(dealt: Any, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    printed = dealt("-n", "2", "--threshold", "2", "--out", str(folder))
    shares = [load_key_share(folder / f"party-{rank}.share") for rank in range(2)]
    public = public_key_from_bytes((folder / "public.paillier").read_bytes())
    assert public.fingerprint.hex() in printed and all(f"{s.secret:x}"[:12] not in printed for s in shares)
    vector = public.encrypt(X, LAYOUT)
    np.testing.assert_array_equal(shares[0].key.combine(vector, [s.partial_decrypt(vector) for s in shares]), X)
    before = (folder / "party-0.share").read_bytes()
    assert "are not replaced" in dealt("-n", "2", "--out", str(folder), code=6)
    assert (folder / "party-0.share").read_bytes() == before
    assert "threshold 5 of 3" in dealt("--threshold", "5", "--out", str(tmp_path / "other"), code=6)


def test_a_dealing_that_cannot_be_written_leaves_nothing(dealt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its shares, of a key that nobody can use, stop the next dealing."""

    def full(share: KeyShare, path: Path, **sealing: Any) -> None:
        if share.rank == 1:
            raise ConfigError("No space left on device")
        write_key_share(share, path, **sealing)

    with monkeypatch.context() as patch:
        patch.setattr(command, "write_key_share", full)
        assert "No space left" in dealt("-n", "2", "--out", str(tmp_path), code=6)
    assert list(tmp_path.iterdir()) == []
    dealt("-n", "2", "--out", str(tmp_path))


def test_the_command_seals_for_the_parties_of_a_run(dealt: Any, tmp_path: Path) -> None:
    names = ["ash", "birch", "broker"]
    who = {name: identity.create(name) for name in names}
    who["broker"].write(tmp_path / "broker.key")
    text = "".join(
        f'[[party]]\nname = "{name}"\naddress = "10.0.0.{i + 1}:7700"\npublic_key = "{who[name].public_key}"\n'
        for i, name in enumerate(names[:2])
    )
    config = tmp_path / "run.toml"
    config.write_text(f'{text}[dealer]\nname = "broker"\npublic_key = "{who["broker"].public_key}"\n')
    dealt("--config", str(config), "--out", str(tmp_path / "keys"))
    for rank, name in enumerate(names[:2]):
        path = tmp_path / "keys" / f"{name}.share"
        assert load_key_share(path, identity=who[name], writer=who["broker"].public_key).rank == rank
        with pytest.raises(ConfigError, match="is sealed"):
            load_key_share(path)
    config.write_text('protocol = "clear"\n' + text)
    assert "names no [dealer]" in dealt("--config", str(config), "--out", str(tmp_path / "other"), code=6)
