"""Generalisation: what it promises holds for any table, checks agree with plain loops; what it does not promise is shown."""
from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy, wasserstein_distance

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.masking import Intervals, Requirement, Suppress, Tree, checks, generalise, linkage, report, risk
from mpc.privacy.masking.generalise import Generalised, as_released
from mpc.privacy.masking.partitions import FullDomain

JOBS = Tree({"office": {"clerks": ["clerk", "typist"], "bosses": ["boss"]}, "field": ["farmer", "driver", "miner"]})
LEAVES = ("clerk", "typist", "boss", "farmer", "driver", "miner")
QUASI = {"age": Intervals(5, 10, 20), "job": JOBS, "sex": Suppress()}


def people(rows: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"age": rng.integers(18, 66, rows), "job": rng.choice(LEAVES, rows), "sex": rng.choice(["f", "m"], rows),
            "ill": rng.choice(["flu", "cold", "gout", "none"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "name": np.arange(rows)}  # fmt: skip


def rows_alike(released: dict[str, Any], names: tuple[str, ...]) -> dict[tuple[str, ...], list[int]]:
    """Rows of what was handed out, by the text of their quasi-identifiers: what an attacker sees."""
    out: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(zip(*(released[n] for n in names), strict=True)):
        out.setdefault(tuple(map(str, row)), []).append(i)
    return out


tables = st.integers(2, 40).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "age": st.lists(st.integers(0, 90), min_size=n, max_size=n),
            "job": st.lists(st.sampled_from(LEAVES), min_size=n, max_size=n),
            "sex": st.lists(st.sampled_from("fmx"), min_size=n, max_size=n),
            "ill": st.lists(st.sampled_from("abcd"), min_size=n, max_size=n),
        }
    )
)


@settings(max_examples=60)
@given(tables, st.integers(1, 6), st.sampled_from(("mondrian", "full-domain")), st.sampled_from((0.0, 0.2)))
def test_k_holds_in_what_is_handed_out(table: Any, k: int, method: str, suppress: float) -> None:
    k = min(k, len(table["age"]))
    out = generalise(table, QUASI, k, method=method, suppress=suppress if method == "full-domain" else 0.0)
    released = out.release()
    assert all(len(rows) >= k for rows in rows_alike(released, out.names).values())
    assert len(released["age"]) == len(table["age"]) - out.suppressed >= (1 - suppress) * len(table["age"]) - 1e-9
    low, high, _ = out.classes()  # every cell covers the value it stands for
    for i, axis in enumerate(out.axes):
        x, inside = axis.encode(np.asarray(table[axis.name])), out.groups >= 0
        assert (low[out.groups[inside], i] <= x[inside]).all() and (x[inside] <= high[out.groups[inside], i]).all()


@settings(max_examples=40)
@given(tables, st.sampled_from(({"l": 2}, {"entropy_l": 1.8}, {"t": 0.4})), st.sampled_from(("mondrian", "full-domain")))
def test_diversity_and_closeness_hold_in_what_is_handed_out(table: Any, need: Any, method: str) -> None:
    try:
        out = generalise(table, QUASI, Requirement(2, **need), sensitive="ill", method=method)
    except ConfigError:  # then not even the table as one class fulfils it
        values = np.unique(table["ill"], return_counts=True)[1]
        assert len(values) < 2 or np.exp(entropy(values)) < 1.8
        return
    released = out.release()
    whole = np.array([np.mean(released["ill"] == v) for v in "abcd"])
    for rows in rows_alike(released, out.names).values():
        part = np.array([np.mean(released["ill"][rows] == v) for v in "abcd"])
        assert np.count_nonzero(part) >= need.get("l", 1)
        assert np.exp(entropy(part)) >= need.get("entropy_l", 1) - 1e-9
        assert np.abs(part - whole).sum() / 2 <= need.get("t", 1) + 1e-9


def test_checks_agree_with_plain_loops() -> None:
    rng = np.random.default_rng(1)
    groups, pay = rng.integers(-1, 7, 300), rng.choice([10, 20, 50, 80, 300], 300)
    words = checks.Sensitive("pay", pay.astype(str))
    numbers = checks.Sensitive("pay", pay)
    inside = [pay[groups == g] for g in range(7)]
    ranks = [np.searchsorted(numbers.values, part) for part in inside]
    everybody = pay[groups >= 0]
    assert checks.k_anonymity(groups) == min(map(len, inside))
    assert checks.distinct_diversity(groups, words) == min(len(set(part)) for part in inside)
    shares = [np.unique(part, return_counts=True)[1] for part in inside]
    assert checks.entropy_diversity(groups, words) == pytest.approx(min(np.exp(entropy(p)) for p in shares), rel=1e-12)
    of = [[np.mean(part == v) for v in numbers.values] for part in (*inside, everybody)]
    worst = max(np.abs(np.subtract(part, of[-1])).sum() / 2 for part in of[:-1])
    assert checks.t_closeness(groups, words) == pytest.approx(worst, rel=1e-12)
    moved = max(wasserstein_distance(r, np.searchsorted(numbers.values, everybody)) for r in ranks) / 4
    assert checks.t_closeness(groups, numbers) == pytest.approx(moved, rel=1e-9)


def test_counts_come_in_parts_that_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    groups, column = rng.integers(-1, 50, 1000), checks.Sensitive("x", rng.integers(0, 9, 1000))
    whole = np.concatenate([c for _, c in column.counts(groups)])
    monkeypatch.setattr(checks, "CHUNK", 20)
    parts = list(column.counts(groups))
    assert len(parts) == 25 and np.array_equal(np.concatenate([c for _, c in parts]), whole)


def test_full_domain_finds_the_levels_of_least_loss() -> None:
    table, need = people(80), Requirement(4)
    out = generalise(table, QUASI, need, method="full-domain", suppress=0.15)
    x = np.stack([axis.encode(table[axis.name]) for axis in out.axes], axis=1)
    search = FullDomain(x, out.axes, need, None, 12)
    best = min(
        (sum(search.loss[i][n] for i, n in enumerate(levels)), levels)
        for levels in product(*(range(axis.levels) for axis in out.axes))
        if sum(len(r) for r in rows_alike(_at(out, x, levels), out.names).values() if len(r) < 4) <= 12
    )
    assert tuple(out.settings["levels"].values()) == best[1]
    assert 0 < out.suppressed <= 12


def _at(out: Generalised, x: Any, levels: tuple[int, ...]) -> dict[str, Any]:
    cells = [axis.at(level, x[:, i]) for i, (axis, level) in enumerate(zip(out.axes, levels, strict=True))]
    return {axis.name: c.labels[index] for axis, (index, c) in zip(out.axes, cells, strict=True)}


def test_mondrian_stops_only_where_it_must() -> None:
    age = np.random.default_rng(0).permutation(1000)
    out = generalise({"age": age}, {"age": Intervals()}, 7)
    assert 7 <= checks.sizes(out.groups).min() and checks.sizes(out.groups).max() < 14


def test_labels_of_trees_intervals_and_sets() -> None:
    table = {"age": [20, 24, 31, 33], "job": ["clerk", "typist", "boss", "boss"], "sex": ["f", "f", "m", "m"]}
    out = generalise(table, QUASI, 2).release()
    rows = set(zip(*(out[n] for n in QUASI), strict=True))
    assert rows == {("[20, 24]", "clerks", "f"), ("[31, 33]", "boss", "m")}
    flat = generalise({"x": ["a", "b", "c", "d"]}, {"x": Suppress(order="dbac")}, 2).release()
    assert sorted(set(flat["x"])) == ["{a, c}", "{d, b}"]
    levels = generalise({"age": [20, 24, 31, 33]}, {"age": Intervals(5, 10)}, 2, method="full-domain").release()
    assert sorted(set(levels["age"])) == ["[20, 25)", "[30, 35)"]


def test_a_release_keeps_what_was_asked_for_and_no_order() -> None:
    table = people(300)
    out = generalise(table, QUASI, 5, sensitive="ill", keep=["name"])
    one, two = out.release(), out.release()
    assert list(one) == ["age", "job", "sex", "ill", "name"]
    assert not np.array_equal(one["name"], two["name"]) and sorted(one["name"]) == list(range(300))
    assert (one["ill"] == table["ill"][one["name"]]).all()  # rows stay whole


def test_tables_come_in_several_forms() -> None:
    table = people(40)
    array = np.zeros(40, [("age", int), ("job", "U9"), ("sex", "U1")])
    for name in array.dtype.names:
        array[name] = table[name]
    frame = type("Frame", (), {"columns": list(QUASI), "__getitem__": lambda self, name: table[name]})()
    found = [generalise(data, QUASI, 3).groups for data in (table, array, frame)]
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("case", [
    {"requirement": 0}, {"requirement": 41}, {"quasi": {}}, {"quasi": {"nobody": Suppress()}}, {"quasi": {"job": Intervals()}},
    {"quasi": {"ill": JOBS}}, {"requirement": Requirement(2, l=2)}, {"method": "fast"}, {"suppress": 0.1}, {"keep": ["age"]},
    {"requirement": Requirement(2, l=9), "sensitive": "ill"}, {"requirement": Requirement(2, l=9), "sensitive": "ill",
                                                               "method": "full-domain"},
])  # fmt: skip
def test_what_cannot_be_is_refused(case: Any) -> None:
    with pytest.raises(ConfigError):
        generalise(people(40), **{"quasi": QUASI, **case})


def test_odd_tables_are_refused() -> None:
    for table in ({"age": [1, 2], "job": ["boss"]}, {"age": [[1], [2]]}, {}):
        with pytest.raises(ShapeError):
            generalise(table, QUASI, 1)
    with pytest.raises(ConfigError, match="NaN"):
        generalise({"age": [1.0, np.nan]}, {"age": Intervals()}, 1)
    twice = {"a": ["x"], "b": ["x"]}
    for make in (lambda: Intervals(5, 12), lambda: Intervals(-1), lambda: Tree({"a": "xy"}), lambda: Tree(twice)):
        with pytest.raises(ConfigError):
            make()


def test_risk_and_linkage_agree_with_plain_loops() -> None:
    table, population = people(120), people(500, seed=9)
    out = generalise(table, QUASI, 4, sensitive="ill")
    low, high, size = out.classes()

    def fits(who: dict[str, Any], i: int) -> list[int]:
        x = [axis.encode(who[axis.name][i : i + 1])[0] for axis in out.axes]
        return [g for g in range(len(size)) if all(low[g, c] <= x[c] <= high[g, c] for c in range(3))]

    found = linkage(out, table, "ill")
    right = disclosed = 0.0
    for i in range(120):
        rows = np.flatnonzero(np.isin(out.groups, fits(table, i)))
        right += out.groups[i] in fits(table, i) and 1 / len(rows)
        disclosed += len(set(table["ill"][rows])) == 1
    assert found.reidentified == pytest.approx(right / 120) and found.disclosed == pytest.approx(disclosed / 120)
    assert found.singled_out == 0.0
    counted = np.bincount([g for i in range(500) for g in fits(population, i)], minlength=len(size))
    measured = risk(out, population)
    assert measured.journalist == pytest.approx((1 / np.maximum(counted, size)).max())
    assert measured.prosecutor == 1 / size.min() and measured.unique == 0.0
    raw = as_released(table, QUASI)
    alone = sum(len(rows) == 1 for rows in rows_alike(table, out.names).values()) / 120
    assert risk(raw).unique == linkage(raw, table).singled_out == pytest.approx(alone) and alone > 0.3


def test_homogeneity_k_anonymity_does_not_hide_what_a_class_shares() -> None:
    """Everybody is hidden among four; whoever is 30 is known to have gout."""
    table = {"age": np.repeat([30, 40], 4), "ill": np.array(["gout"] * 4 + ["flu", "cold", "flu", "none"])}
    plain = generalise(table, {"age": Intervals()}, 4, sensitive="ill")
    assert plain.check()["k"] == 4 and linkage(plain, table, "ill").disclosed == 0.5
    diverse = generalise(table, {"age": Intervals()}, Requirement(4, l=2), sensitive="ill")
    assert linkage(diverse, table, "ill").disclosed == 0.0


def test_composition_two_anonymous_releases_of_the_same_people_are_not() -> None:
    """Two hospitals, each release 6-anonymous and 3-diverse: alone neither tells anybody's illness, together they do.

    Ganta, Kasiviswanathan, Smith 2008: the attacker intersects the illnesses of the classes that fit a patient of both."""
    rng = np.random.default_rng(3)
    codes = np.array([f"code {i}" for i in range(200)])  # of diagnoses

    def some(count: int) -> dict[str, Any]:
        return {"age": rng.integers(18, 90, count), "zip": rng.integers(1000, 1100, count), "ill": rng.choice(codes, count)}

    both = some(100)
    quasi = {"age": Intervals(), "zip": Intervals()}
    seen: list[list[set[str]]] = []
    for _ in range(2):
        others = some(400)
        table = {name: np.concatenate([both[name], others[name]]) for name in both}
        out = generalise(table, quasi, Requirement(6, l=3), sensitive="ill")
        assert out.check()["k"] >= 6 and linkage(out, table, "ill").disclosed == 0.0
        low, high, _ = out.classes()
        x = np.stack([both["age"], both["zip"]], axis=1)
        fit = [np.flatnonzero((low <= row).all(1) & (row <= high).all(1)) for row in x]
        seen.append([set(out.kept["ill"][np.isin(out.groups, f)]) for f in fit])
    assert min(len(s) for release in seen for s in release) >= 3
    together = [a & b for a, b in zip(*seen, strict=True)]
    known = np.mean([len(s) == 1 and ill in s for s, ill in zip(together, both["ill"], strict=True)])
    assert known > 0.3


def test_one_report_of_risk_and_utility() -> None:
    table, test = people(400), people(200, seed=5)
    for t in (table, test):
        t["rich"] = np.where(t["age"] > 40, "yes", "no")
    out = generalise(table, QUASI, 5, sensitive="ill", keep=["rich"])
    found = report(out, table, sensitive="ill", label="rich", test=test)
    said = found.to_dict()
    assert said["checks"]["k"] >= 5 and said["before"]["risk"]["prosecutor"] == 1.0 and said["after"]["risk"]["unique"] == 0.0
    assert found.accuracy is not None and found.accuracy.before > 0.95 and found.accuracy.after > found.accuracy.most + 0.2
    assert 0 < found.queries.median < 0.5 and "no differential privacy" in str(found) and "| k |" in found.table()
    exact = report(as_released(table, QUASI), table)
    assert exact.queries.p95 < 1e-9 and exact.before == exact.after
