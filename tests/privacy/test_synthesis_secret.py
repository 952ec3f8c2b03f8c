"""A GAN trained on shares: the steps of its plaintext twin, and nothing revealed before it is asked for."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError, ShapeError
from mpc.privacy import SecretGAN

RNG = np.random.default_rng(0)
KIND = RNG.integers(2, size=300)
CENTRES = np.array([[2.0, 0], [-2, 1]])
POINTS = CENTRES[KIND] + RNG.normal(size=(300, 2)) * 0.2
SMALL = {"low": -4.0, "high": 4.0, "batch_size": 50, "hidden": (16,), "noise_dim": 2, "lr": 5e-3}


def run(protocol: str, epochs: int, to: int | None = None, kinds: Any = KIND, **more: Any) -> Any:
    def program() -> Any:
        with mpc.session() as s:
            x = mpc.share(POINTS if s.rank == 0 else None, owner=0)
            y = None if kinds is None else mpc.share(kinds if s.rank == 1 else None, owner=1)
            gan = SecretGAN(epochs=epochs, **{**SMALL, **more}).fit(x, y)
            before = len(s.ledger)
            rows, labels = gan.sample(200, reveal_to=to)
            generate = gan.reveal(to)
            return before, rows, labels, generate, [(line.reason, line.recipients) for line in s.ledger]

    return mpc.local(program, parties=2, protocol=protocol, threads=True)


def test_shares_take_the_steps_of_the_plaintext_twin_and_only_samples_and_generator_open() -> None:
    (before, rows, labels, generate, lines), other = run("additive", 1, batch_size=150)
    twin = run("clear", 1, batch_size=150)[0]
    assert before == 0
    assert [reason for reason, _ in lines] == ["SecretGAN samples"] + [
        f"SecretGAN generator: {name}" for name in ("0.weight", "0.bias", "2.weight", "2.bias")]
    assert np.array_equal(rows, other[1])
    np.testing.assert_allclose(rows, twin[1], atol=0.03)
    given = np.random.default_rng(1).standard_normal((200, 2))
    np.testing.assert_allclose(generate(given, np.eye(2)[labels]), rows, atol=5e-3)


def test_it_learns_the_modes_of_its_labels() -> None:
    _, rows, labels, _, _ = run("clear", 60, lr=0.01, batch_size=100)[0]
    for k in (0, 1):
        np.testing.assert_allclose(rows[labels == k].mean(0), CENTRES[k], atol=0.5)
    start = run("clear", 1)[0][1]
    assert np.abs(start - CENTRES[labels]).mean() > 2 * np.abs(rows - CENTRES[labels]).mean()


def test_only_the_receiver_sees_samples() -> None:
    first, second = run("clear", 1, to=1, kinds=None)
    assert first[1] is None and first[3] is None and second[1].shape == (200, 2)
    assert {to for _, to in second[4]} == {(1,)}


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="low < high"):
        SecretGAN(low=1, high=1)
    with pytest.raises(ConfigError, match="epochs=0"):
        SecretGAN(epochs=0)

    def few() -> Any:
        with mpc.session():
            with pytest.raises(ConfigError, match="call fit first"):
                SecretGAN().sample(2)
            for wrong in ({"n": -1}, {"n": 0}, {"n": 2.5}, {"labels": []}):  # -1 gave no rows, without a word
                fitted = SecretGAN()
                fitted.generator_ = object()  # type: ignore[assignment]
                with pytest.raises(ConfigError, match="want at least 1, a whole number"):
                    fitted.sample(**wrong)
            return SecretGAN().fit(mpc.share(POINTS[:4], owner=0))

    with pytest.raises(ShapeError, match="4 records"):
        mpc.local(few, parties=2, protocol="clear", threads=True)
