"""An attacker who tells neighbouring data sets apart by what `reveal(dp=...)` opens, against the claim.

Every test says what the same attacker finds where the noise is too small: he is good enough to refute a claim."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpc.party import Party
from mpc.privacy import Gaussian, Guarantee, Laplace, sensitivity
from mpc.privacy.dp.grid import Grid
from mpc.privacy.dp.mechanisms import Mechanism
from mpc.tensor import SecretTensor
from tests.privacy.noise import attack, run, shared

MANY = 40_000


def each(dp: Grid) -> Grid:
    """The same mechanism for every value of a tensor by itself: that many releases at once."""

    class Each(type(dp)):  # type: ignore[misc]
        def on_grid(self, step: float, size: int = 1, truncations: int = 0) -> tuple[Mechanism, Guarantee]:
            return super().on_grid(step, 1, truncations)

    dp.__class__ = Each
    return dp


def first(program: Callable[[Party], Any], *arguments: Any, **options: Any) -> Any:
    return run(program, *arguments, **options)[0]


VALUES: dict[str, tuple[Callable[[SecretTensor], SecretTensor], float]] = {  # of x from 0 to 1, and by how much it moves
    "fixed point": (lambda x: x, 1.0),
    "a pending product": (lambda x: x * x * 0.5, 0.5),
    "integers": (lambda x: x > 0.5, 1.0),
    "behind a factor": (lambda x: x * -0.3, 0.3),
}


@pytest.mark.parametrize("kind", VALUES)
def test_no_attack_on_a_reveal_beats_its_epsilon_and_one_on_half_the_noise_does(kind: str) -> None:
    """Values of people with and without one, opened under noise through the whole of reveal(dp=...)."""
    of, size = VALUES[kind]

    def program(s: Party) -> list[Any]:
        y = of(shared(s, np.repeat([1.0, 0.0], MANY)))
        noises = Laplace(1.0, size, truncations=0), Laplace(2.0, size, truncations=0), Gaussian(1.0, 1e-2, size, truncations=0)
        return [y.reveal(dp=each(dp)) for dp in noises]

    laplace, halved, gaussian = (v if kind != "behind a factor" else -v for v in first(program))
    assert 0.7 < attack(laplace[:MANY], laplace[MANY:]) <= 1.0
    assert attack(halved[:MANY], halved[MANY:]) > 1.2
    assert attack(gaussian[:MANY], gaussian[MANY:], 1e-2) <= 1.0


def test_no_attack_on_a_clipped_sum_beats_epsilon_whatever_a_person_claims_to_be() -> None:
    """Somebody who says 30,000 instead of at most 1 does not stick out of the sum; without the clipping he does."""
    half = MANY // 2
    people = np.full((3, 2 * half), 0.5)
    people[1, half:], people[1, :half] = 30_000.0, -30_000.0

    def program(s: Party) -> tuple[Any, Any]:
        x = shared(s, people)
        query = sensitivity.total(x, 0, 1)
        return query.value.reveal(dp=each(Laplace(1.0, 1.0, truncations=0))), x.sum(0).reveal(dp=each(Laplace(1.0, 1.0)))

    clipped, raw = first(program)
    assert 0.7 < attack(clipped[half:], clipped[:half]) <= 1.0
    assert attack(raw[half:], raw[:half]) > 5
