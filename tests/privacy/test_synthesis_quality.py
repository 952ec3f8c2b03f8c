"""Distances with known values, copies that are seen, columns that are replaced."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpc.benchmarks import privacy_digits
from mpc.benchmarks.command import main
from mpc.errors import ConfigError, ShapeError
from mpc.privacy import replace_columns
from mpc.privacy.synthesis import quality

RNG = np.random.default_rng(0)
TABLE = {"n": np.array([1, 2, 3, 4]), "c": np.array(["a", "a", "b", "b"])}


def test_marginal_distances() -> None:
    assert quality.marginals(TABLE, TABLE) == {"n": 0.0, "c": 0.0}
    other = {"n": np.array([3, 4, 5, 6]), "c": np.array(["a", "b", "b", "z"])}
    assert quality.marginals(TABLE, other) == {"n": 0.5, "c": 0.25}
    with pytest.raises(ConfigError, match="want the same"):
        quality.marginals(TABLE, {"n": TABLE["n"]})


def test_pairwise_distances() -> None:
    x = RNG.normal(size=4000)
    same, apart = {"a": x, "b": x.copy()}, {"a": x, "b": RNG.permutation(x)}
    assert quality.pairs(same, same) == {"correlation": 0.0, "mutual_information": 0.0}
    found = quality.pairs(same, apart)
    assert found["correlation"] == pytest.approx(1, abs=0.05)
    assert found["mutual_information"] == pytest.approx(np.log2(10), abs=0.05)
    letters = {"p": np.array(["a", "b"] * 50), "q": np.array(["a", "b"] * 50)}
    mixed = {"p": letters["p"], "q": np.array(["a", "a", "b", "b"] * 25)}
    assert quality.pairs(letters, mixed)["mutual_information"] == pytest.approx(1)


def test_copies_are_seen_and_fresh_records_pass() -> None:
    train, held, fresh = RNG.normal(size=(3, 400, 5))
    copied = quality.nearness(train, held, train + 1e-3 * RNG.normal(size=train.shape))
    assert copied.ratio < 0.01 and copied.copies == 1 and copied.auc == 1
    good = quality.nearness(train, held, fresh)
    assert abs(good.ratio - good.held_out_ratio) < 0.05 and good.copies < 0.05 and abs(good.auc - 0.5) < 0.06
    known = quality.nearness([[0.0], [4.0]], [[1.0]], [[1.0]])
    assert known.ratio == pytest.approx(1 / 3) and known.auc == 0.0
    with pytest.raises(ShapeError, match="one width"):
        quality.nearness(train, held, fresh[:, :2])


def test_utility_compares_two_trainings() -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn (the extra `demo`) is what learns")
    y = RNG.integers(2, size=200)
    x = RNG.normal(size=(200, 2)) + 4 * y[:, None]
    found = quality.utility(linear.LogisticRegression(), (x, y), (x, 1 - y), (x, y))
    assert found.real > 0.97 and found.synthetic < 0.03 and found.loss == found.real - found.synthetic


def test_named_columns_are_replaced_and_the_rest_stays() -> None:
    table = {"name": np.array([f"n{i}" for i in range(200)]), "sex": np.array(["m", "f"] * 100),
             "town": np.array(["A", "B"] * 100), "age": np.arange(200)}  # fmt: skip
    out = replace_columns(table, ["name", "town"], label="sex")
    assert list(out) == list(table) and np.array_equal(out["age"], table["age"]) and np.array_equal(out["sex"], table["sex"])
    assert (out["name"] != table["name"]).mean() > 0.9
    assert np.array_equal(out["town"], table["town"])  # sex decides it here
    assert (replace_columns(table, ["town"])["town"] != table["town"]).mean() > 0.3
    assert table["name"][0] == "n0"
    once, again = (replace_columns(table, ["name"], seed=5)["name"] for _ in range(2))
    assert (once != again).mean() > 0.9  # a seed that an attacker knows would tell whose value each is

    class Maker:
        def sample(self, n: int | None = None, labels: object = None, seed: int = 0) -> dict[str, np.ndarray]:
            return {"name": np.array(["x"] * 200)}

    assert set(replace_columns(table, ["name"], Maker())["name"]) == {"x"}
    with pytest.raises(ConfigError, match="makes no"):
        replace_columns(table, ["town"], Maker())
    for names, label in ((["street"], None), ([], None), (["sex"], "sex"), (["sex"], "street")):
        with pytest.raises(ConfigError, match="want"):
            replace_columns(table, names, label=label)


def test_a_data_frame_comes_back_as_one() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas (of the extra `test`) makes the frame")
    frame = pandas.DataFrame({"name": ["a", "b", "c"], "age": [1, 2, 3]})
    out = replace_columns(frame, ["name"])
    assert isinstance(out, pandas.DataFrame) and out["age"].tolist() == [1, 2, 3]


def test_the_benchmarks_attacks_see_copies_and_nothing_in_fresh_records() -> None:
    members, others, fresh = RNG.normal(size=(3, 600, 4))
    copied = privacy_digits.attacks(members, others, members[:300] + 1e-6)
    assert 0.4 < copied["near"] <= 1 and 0.4 < copied["likelier"] <= 1 and copied["copies"] == 1.0
    missed = privacy_digits.attacks(members, others, fresh)
    assert abs(missed["near"]) < 0.12 and abs(missed["likelier"]) < 0.12 and missed["copies"] < 0.05


def test_the_bench_of_digits_from_choice_to_attacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch (the extra `privacy`) trains the GAN")
    pytest.importorskip("sklearn", reason="scikit-learn (the extra `demo`) has the digits")
    small = {"epochs": 1, "components": 8, "hidden": (8,), "batch_size": 400}
    for name, value in {"EPSILONS": (3.0,), "SEEDS": 1, "PRIVATE_GANS": (small,)}.items():
        monkeypatch.setattr(privacy_digits, name, value)
    path = tmp_path / "out.json"
    assert main(["privacy-synthesis", "digits-gan", "--data", str(tmp_path), "--json", str(path)]) == 0
    found = json.loads(path.read_text())["cases"]["digits-gan"]
    cell = found["epsilon 3.0"]
    assert cell["real"][0] > 0.9 and 0 <= cell["synthetic"][0] < cell["real"][0]
    assert abs(cell["near"][0]) < 0.2 and abs(cell["likelier"][0]) < 0.3 and cell["settings"]["components"] == 8
