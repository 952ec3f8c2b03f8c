"""Training where features and labels are shares: the twin's steps, one reveal at the end, nothing before it."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError
from mpc.privacy import AdversarialEncoder

RNG = np.random.default_rng(0)
TASK, PRIVATE = RNG.integers(2, size=60), RNG.integers(3, size=60)
X = RNG.normal(size=(60, 5)) + TASK[:, None] * [2, 2, 0, 0, 0] + PRIVATE[:, None] * [0, 0, 2, 2, 0]
X = (X - X.mean(0)) / X.std(0)
SMALL = {"dim": 3, "noise": 0.3, "hidden": 6, "critics": 2, "inner_steps": 1, "epochs": 2, "batch_size": 30, "lr": 0.02}


def program(private: Any, reveal_to: int | None, **more: Any) -> Any:
    """Party 0 has features and task, party 1 the private labels. The encoder and the ledger's lines."""
    with mpc.session() as s:
        x, task = (mpc.share(v if s.rank == 0 else None, owner=0) for v in (X, TASK))
        hidden = mpc.share(private if s.rank == 1 else None, owner=1)
        encoder = AdversarialEncoder(**{**SMALL, **more})
        encoder.fit_secret(x, task=task, private=hidden, private_classes=3, private_frequencies=[1, 1, 1], reveal_to=reveal_to)
        lines = [(line.reason, line.recipients) for line in s.ledger]
        assert encoder.secret_encoder_(x).shape == (60, 3)
        return encoder, lines


def run(*args: Any, protocol: str = "additive", **more: Any) -> Any:
    return mpc.local(lambda: program(*args, **more), parties=2, protocol=protocol, threads=True)


def weights(encoder: AdversarialEncoder) -> list[Any]:
    return [p.detach().numpy() for p in (*encoder._encoder.parameters(), *encoder._head.parameters())]


def test_shares_take_the_steps_of_the_plaintext_twin_and_reveal_the_weights_alone() -> None:
    results = run(PRIVATE, None)
    (encoder, lines), (other, _) = results
    reasons = [reason for reason, _ in lines]
    assert len(reasons) == 10 and all(reason.startswith("AdversarialEncoder ") for reason in reasons)
    assert [r.split()[1] for r in reasons] == ["encoder:"] * 6 + ["head:"] * 4
    twin = run(PRIVATE, None, protocol="clear")[0][0]
    assert all(np.array_equal(a, b) for a, b in zip(weights(encoder), weights(other), strict=True))
    got, want = encoder.transform(X, noise=0), twin.transform(X, noise=0)
    np.testing.assert_allclose(got, want, atol=5e-3)
    start = run(PRIVATE, None, protocol="clear", lr=1e-9)[0][0].transform(X, noise=0)
    assert np.abs(want - start).max() > 0.05  # it moved
    assert encoder.transform(X).shape == (60, 3) and set(encoder.predict(encoder.transform(X))) <= {0, 1}


def test_private_labels_steer_the_encoder() -> None:
    one, two = (run(labels, None, protocol="clear")[0][0] for labels in (PRIVATE, PRIVATE[::-1].copy()))
    assert max(float(np.abs(a - b).max()) for a, b in zip(weights(one), weights(two), strict=True)) > 1e-3


def test_only_the_receiver_can_use_it() -> None:
    (first, lines), (second, _) = run(PRIVATE, 1, protocol="clear")
    assert {to for _, to in lines} == {(1,)}
    assert second.transform(X).shape == (60, 3)
    with pytest.raises(ConfigError, match="reveal_to"):
        first.transform(X)


def test_frequencies_must_fit() -> None:
    def wrong() -> Any:
        with mpc.session():
            return AdversarialEncoder(**SMALL).fit_secret(X, task=TASK, private=PRIVATE, private_frequencies=[1, 2])

    with pytest.raises(ConfigError, match="want 3 positive numbers"):
        mpc.local(wrong, parties=2, protocol="clear", threads=True)
