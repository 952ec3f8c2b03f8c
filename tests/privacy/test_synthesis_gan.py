"""GANs in clear: they learn the modes they are shown, tables come back as tables, privacy is accounted for."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.errors import ConfigError, ShapeError
from mpc.privacy import GAN, Budget, BudgetExceeded
from mpc.privacy.synthesis import basis, private
from mpc.privacy.synthesis.columns import Encoder

torch = pytest.importorskip("torch", reason="torch is not installed")
RNG = np.random.default_rng(0)
CENTRES = np.array([[2.0, 0], [0, 2], [-2, 0], [0, -2]])
KIND = RNG.integers(4, size=800)
POINTS = CENTRES[KIND] + RNG.normal(size=(800, 2)) * 0.15
SMALL = {"hidden": (32, 32), "noise_dim": 4, "lr": 2e-3, "batch_size": 100, "average": 0.98}
TABLE = {
    "age": RNG.integers(18, 90, 300), "gain": np.where(RNG.random(300) < 0.8, 0.0, RNG.exponential(100.0, 300)),
    "town": RNG.choice(["Bonn", "Kiel", "Ulm"], 300), "sick": RNG.choice(["no", "yes"], 300),
}  # fmt: skip
PUBLIC: dict[str, Any] = {"age": (18, 90), "gain": (0.0, 2000.0), "town": ["Bonn", "Kiel", "Ulm"]}


pytestmark = pytest.mark.usefixtures("one_thread")


def test_it_learns_every_mode() -> None:
    made = GAN(epochs=40, loss="logistic", **SMALL).fit(POINTS).sample(400)
    distances = np.linalg.norm(made[:, None] - CENTRES, axis=2)
    assert (np.bincount(distances.argmin(1), minlength=4) > 40).all()
    assert (distances.min(1) < 0.5).mean() > 0.7


def test_a_label_asks_for_its_mode_and_a_seed_repeats() -> None:
    gan = GAN(epochs=12, loss="logistic", **SMALL).fit(POINTS, KIND)
    made, labels = gan.sample(labels=np.arange(200) % 4)
    nearest = np.linalg.norm(made[:, None] - CENTRES, axis=2).argmin(1)
    assert (nearest == labels).mean() > 0.9
    state = torch.random.get_rng_state()
    again = GAN(epochs=12, loss="logistic", **SMALL).fit(POINTS, KIND).sample(labels=np.arange(200) % 4)[0]
    assert np.array_equal(made, again) and torch.equal(state, torch.random.get_rng_state())
    assert not np.array_equal(made, gan.sample(labels=np.arange(200) % 4, seed=1)[0])


def test_columns_come_back() -> None:
    encoder = Encoder(TABLE, None, False)
    back = encoder.decode(encoder.encode(TABLE))
    assert np.array_equal(back["age"], TABLE["age"]) and np.array_equal(back["town"], TABLE["town"])
    np.testing.assert_allclose(back["gain"], TABLE["gain"], atol=0.5)
    assert (back["gain"] == 0).sum() == (TABLE["gain"] == 0).sum()  # the mode is a mode
    assert encoder.blocks() == [(0, 1, False), (1, 2, False), (2, 4, True), (4, 7, True), (7, 9, True)]
    line = Encoder({"age": TABLE["age"]}, {"age": (0, 100)}, True)
    assert np.array_equal(line.decode(line.encode(TABLE))["age"], TABLE["age"])


def test_a_table_comes_back_as_a_table() -> None:
    gan = GAN(epochs=3, **{**SMALL, "batch_size": 50}).fit(TABLE, label="sick")
    made = gan.sample(500)
    assert set(made) == set(TABLE) and {len(v) for v in made.values()} == {500}
    assert set(made["town"]) <= set(TABLE["town"]) and made["age"].dtype.kind == "i"
    assert made["age"].min() >= 18 and made["age"].max() <= 90
    assert abs((made["sick"] == "yes").mean() - (TABLE["sick"] == "yes").mean()) < 0.1
    assert (gan.sample(labels=["yes"] * 4)["sick"] == "yes").all()


def test_images_come_back_as_images() -> None:
    images = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    for components in (0, 8):
        gan = GAN(epochs=1, batch_size=20, width=4, hidden=(8,), components=components).fit(images, np.arange(40) % 2)
        made, labels = gan.sample(6)
        assert made.shape == (6, 8, 8) and made.dtype == np.uint8 and set(labels) <= {0, 1}
    for shape in ((40, 6, 6), (40, 4, 4), (40,)):
        with pytest.raises(ShapeError, match="multiples of 4"):
            GAN(epochs=1).fit(np.zeros(shape, np.uint8))


def test_images_in_a_basis() -> None:
    pixels = RNG.uniform(-1, 1, (50, 64)).astype(np.float32)
    for whole in (basis.principal(pixels, 64), basis.cosines(8, 8, 1, 64)):
        np.testing.assert_allclose(whole.decode(whole.encode(pixels)), pixels, atol=1e-4)
    few = basis.principal(pixels, 10)
    assert few.encode(pixels).shape == (50, 10)
    np.testing.assert_allclose((few.encode(pixels) ** 2).mean(), 1, atol=0.05)
    smooth = np.outer(np.linspace(-1, 1, 8), np.ones(8)).reshape(1, 64).astype(np.float32)
    rough = basis.cosines(8, 8, 1, 12)
    assert np.abs(rough.decode(rough.encode(smooth)) - smooth).max() < 0.15
    colours = basis.cosines(8, 8, 3, 24).vectors
    np.testing.assert_allclose(colours.T @ colours, np.eye(24), atol=1e-6)


def test_with_epsilon_the_guarantee_is_kept() -> None:
    gan = GAN(epochs=1, epsilon=2.0, **{**SMALL, "batch_size": 200}).fit(POINTS, KIND, low=-3.0, high=3.0, classes=4)
    assert gan.guarantee_ is not None and 1.9 < gan.guarantee_.epsilon(1e-5) <= 2.0
    made, labels = gan.sample(50)
    assert made.shape == (50, 2) and np.abs(made).max() <= 3 and set(labels) <= {0, 1, 2, 3}


def test_a_budget_is_charged_and_refuses() -> None:
    with Budget(epsilon=1.0, delta=1e-5) as budget, pytest.raises(BudgetExceeded):
        GAN(epochs=1, epsilon=2.0, **{**SMALL, "batch_size": 400}).fit(POINTS, low=-3.0, high=3.0)
    assert budget.spent == []  # neither the moments nor the steps that would still fit


@pytest.mark.parametrize("kind", ["table", "images", "unconditional"])
def test_a_private_gan_begins_with_moments_of_numbers_and_images(kind: str) -> None:
    fits: dict[str, dict[str, Any]] = {
        "table": {"X": TABLE, "label": "sick", "columns": PUBLIC, "classes": ["no", "yes"]},
        "images": {"X": RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8), "y": np.arange(60) % 2, "classes": 2},
        "unconditional": {"X": POINTS, "low": -3.0, "high": 3.0},
    }
    with Budget(epsilon=3.01, delta=1e-5) as budget:
        gan = GAN(epochs=1, epsilon=3.0, components=8, **{**SMALL, "batch_size": 400}).fit(**fits[kind])
    assert gan.guarantee_ is not None and 2.8 < gan.guarantee_.epsilon(1e-5) <= 3.0
    assert ("moments" in budget.spent[0].what) == (kind != "table") and len(budget.spent) > 1  # a table has categories
    assert budget.used == pytest.approx(gan.guarantee_.epsilon(1e-5), rel=2e-3)
    gan.sample(20)


def test_moments_are_a_start_that_few_steps_alone_are_not() -> None:
    """Four modes far apart: one pass over the records by DP-SGD alone finds none of them."""
    fit: dict[str, Any] = {"low": -3.0, "high": 3.0, "classes": 4}
    found = []
    for start in (0.0, 0.75):
        gan = GAN(epochs=1, epsilon=3.0, start=start, **{**SMALL, "batch_size": 200}).fit(POINTS, KIND, **fit)
        made, labels = gan.sample(labels=np.arange(400) % 4)
        found.append(float(np.linalg.norm(made - CENTRES[labels], axis=1).mean()))
    assert found[1] < 1.0 < 1.6 < found[0]


def test_more_steps_want_more_noise() -> None:
    few, many = (private.noise_multiplier(2.0, 1e-5, 0.1, steps) for steps in (10, 100))
    assert 0.3 < few < many


@pytest.mark.parametrize(("make", "fit", "error", "says"), [
    ({"epsilon": 0.0}, {}, ValueError, "epsilon"),
    ({"epsilon": 1.0, "loss": "wasserstein"}, {}, ConfigError, "logistic"),
    ({"loss": "hinge"}, {}, ConfigError, "wasserstein"),
    ({"epochs": 0}, {}, ConfigError, "epochs=0"),
    ({"start": 1.0}, {}, ConfigError, "start=1.0"),
    ({"epsilon": 1.0}, {"X": TABLE, "label": "sick", "columns": {"age": (18, 90)}}, ConfigError, "must be declared"),
    ({"epsilon": 1.0}, {"X": TABLE, "label": "sick", "columns": PUBLIC}, ConfigError, "classes="),
    ({"epsilon": 1.0}, {"X": POINTS}, ConfigError, "low= and high="),
    ({}, {"X": POINTS, "low": 0.0}, ConfigError, "both or neither"),
    ({}, {"X": np.where(POINTS > 2, np.nan, POINTS)}, ValueError, "not finite"),
    ({}, {"X": TABLE, "label": "town2"}, ConfigError, "town2"),
    ({}, {"X": TABLE, "columns": {"town": ["Bonn", "Kiel"]}}, ConfigError, "the category 'Ulm'"),
    ({}, {"X": TABLE, "columns": {"age": (90, 18)}}, ConfigError, "low, high"),
    ({}, {"X": TABLE, "columns": {"street": [1]}}, ConfigError, "no such column"),
    ({}, {"X": {**TABLE, "name": np.array([f"n{i}" for i in range(300)])}}, ConfigError, "300 distinct values"),
    ({}, {"X": POINTS[:5]}, ValueError, "at least 10"),
    ({}, {"X": POINTS, "y": np.where(np.arange(800) < 3, 1, 0)}, ValueError, "at least 10"),
    ({}, {"X": POINTS, "y": KIND[:-1]}, ShapeError, "labels of shape"),
])  # fmt: skip
def test_refusals(make: dict[str, Any], fit: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        GAN(**make).fit(**fit)


def test_an_epsilon_that_cannot_be_accounted_for_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="epsilon=50; want at most 12"):
        GAN(epsilon=50)
    assert GAN(epsilon=12).epsilon == 12


def test_unknown_labels_and_no_fit() -> None:
    with pytest.raises(ConfigError, match="call fit first"):
        GAN().sample(3)
    gan = GAN(epochs=1, **SMALL).fit(POINTS, KIND)
    with pytest.raises(ConfigError, match="the label 9"):
        gan.sample(labels=[9])
    with pytest.raises(ConfigError, match="want one of the two"):
        gan.sample()
