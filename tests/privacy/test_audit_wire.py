"""The wire: parties, coalitions and the dealer see nothing of a private bit; the twin's wire, and what is revealed, tell it."""
from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError, ShapeError
from mpc.party import Party
from mpc.privacy import audit
from mpc.privacy.audit import wire
from mpc.privacy.audit.frame_features import SUM, features
from mpc.privacy.audit.recording import Recording, Seen, record
from mpc.transport.frames import Kind

RNG = np.random.default_rng(0)
BITS = np.arange(160) % 2
ROWS = list(RNG.normal(size=(160, 3)) + 6 * BITS[:, None])
WEIGHTS = np.array([1.0, 0.5, 0.25])
SURE = 1e-9  # how improbable a false alarm of a test is: shares are fresh each time
FAST: dict[str, Any] = {"attackers": ("logistic",)}


def program(party: Party, row: Any) -> Any:
    """A product of two owners' secrets, and a comparison."""
    x = mpc.share(row, owner=0)
    w = mpc.share(WEIGHTS if party.rank == 1 else None, owner=1)
    return mpc.nn.functional.relu((x * w).sum() - 5.0)


def leaking(party: Party, row: Any) -> None:
    (mpc.share(row, owner=0) * mpc.share(WEIGHTS if party.rank == 1 else None, owner=1)).sum().reveal(reason="tells the bit")


def test_views_are_at_chance_and_the_plaintext_twin_is_not() -> None:
    report = audit.wire_inference(program, ROWS, BITS, **FAST)
    assert list(report.views) == ["party 1", "party 2", "parties 1, 2", "the dealer"]
    for name, seen in report.views.items():
        assert seen.p > SURE, name
    assert report.views["parties 1, 2"].words > report.views["party 1"].words > 20
    assert set(report.twin) == {"party 1", "party 2", "parties 1, 2"} and report.reads
    assert all(seen.p < 1e-12 and seen.advantage.value > 0.9 for seen in report.twin.values())
    assert json.loads(json.dumps(report.to_dict()))["reads_the_twin"] and "plaintext twin: party 1" in str(report)


def test_what_is_revealed_is_seen_on_the_wire_by_the_parties_and_not_by_the_dealer() -> None:
    report = audit.wire_inference(leaking, ROWS, BITS, twin=False, **FAST)
    assert report.views["the dealer"].p > SURE
    assert report.views["parties 1, 2"].p < SURE and not report.chance and report.reads is None
    assert report.worst != "the dealer" and report.leak.low > 0.2


def test_the_owner_s_own_frames_and_all_parties_together_are_recorded() -> None:
    seen = record(leaking, ROWS[:4])
    for sample, row in zip(seen.samples, ROWS, strict=False):
        shares = {f.sender: np.frombuffer(f.payload, np.int64) for f in sample if f.kind == Kind.REVEAL}
        assert set(shares) == {0, 1, 2}
        value = float(sum(s.view(np.uint64) for s in shares.values()).view(np.int64)[0]) / 2**16
        assert value == pytest.approx(row @ WEIGHTS, abs=0.01)
        assert {(f.sender, f.receiver) for f in sample if f.kind == Kind.CORRECTION} == {(3, 2)}
        assert min(f.op for f in sample) >= 1
    assert [[f[:4] for f in s] for s in seen.samples[1:]] == [[f[:4] for f in seen.samples[0]]] * 3


def made(payloads: list[bytes], sender: int = 1) -> Recording:
    return Recording([[Seen(sender, 2, Kind.OPEN, 1, payload)] for payload in payloads], 3)


def test_each_way_of_leaking_is_found() -> None:
    """Frames made up here: a word in clear, its low bits, a length, a mask that adds up over senders, a missing frame."""
    words = RNG.integers(1 << 63, size=(160, 2), dtype=np.uint64)
    clear = [np.array([b], np.uint64).tobytes() for b in BITS]
    rest = words & ~np.uint64(1 << 15)
    low = [(w[:1] | np.uint64(b << 15)).tobytes() for w, b in zip(rest, BITS, strict=True)]
    length = [w[: 1 + b].tobytes() for w, b in zip(words, BITS, strict=True)]
    ways = {"clear": made(clear), "low": made(low), "length": made(length)}
    pairs = np.stack([words[:, 0], BITS.astype(np.uint64) - words[:, 0]], axis=1)
    both = [[Seen(s, 2, Kind.OPEN, 1, part.tobytes()) for s, part in enumerate(pair)] for pair in pairs]
    ways["sum"] = Recording(both, 3)
    ways["missing"] = Recording([[Seen(0, 2, Kind.OPEN, 1, b"")] * int(b) for b in BITS], 3)
    for name, seen in ways.items():
        assert wire.view(seen, (2,), BITS, ("logistic",)).p < 1e-6, name
        assert wire.view(seen, (0 if name == "clear" else 3,), BITS, ("logistic",)).p > 1e-3
    one = Recording([[s[0]] for s in both], 3)
    assert wire.view(one, (2,), BITS, ("logistic",)).p > SURE
    every = np.ones(160, bool)
    assert features(ways["sum"], (2,), BITS, every)[0].shape == (160, 1 + 3 * 3) and SUM < 0


def test_one_telling_word_is_found_among_thousands_by_its_own_samples_alone() -> None:
    words = RNG.integers(1 << 63, size=(160, 4000), dtype=np.uint64)
    words[:, 1234] = BITS
    seen = made([row.tobytes() for row in words])
    assert wire.view(seen, (2,), BITS, ("logistic",)).advantage.value > 0.9
    words[:, 1234] = 0
    assert wire.view(made([row.tobytes() for row in words]), (2,), BITS, ("logistic",)).p > SURE


def test_p_is_uniform_by_chance_and_small_for_an_attack() -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(90) % 3
    p = np.array([wire.chance(rng.integers(3, size=90), truth, 3) for _ in range(2000)])
    for level in (0.01, 0.1, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 2000) + 0.01)
    assert wire.chance(truth, truth, 3) < 1e-30 and wire.chance(np.zeros(90, int), truth, 3) == 1


def test_the_best_of_several_attackers_is_picked_without_profit_from_chance() -> None:
    rng = np.random.default_rng(2)
    truth = np.arange(100) % 2
    found = [wire._picked(rng.integers(2, size=(4, 100)), truth, 2, rng) == truth for _ in range(600)]
    assert np.mean(found) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(600 * 100))
    good = np.stack([rng.integers(2, size=100), truth])
    assert (wire._picked(good, truth, 2, rng) == truth).all()


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ShapeError, match="one a sample"):
        audit.wire_inference(program, ROWS, BITS[:-1])
    with pytest.raises(ConfigError, match="want 20 or more"):
        audit.wire_inference(program, ROWS[:10], BITS[:10])
    with pytest.raises(ConfigError, match="got owner 3"):
        record(program, ROWS[:1], owner=3)
    with pytest.raises(ZeroDivisionError):
        record(lambda party, row: 1 // 0, ROWS[:1])
