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
from mpc.privacy.masking import Intervals, Requirement, Suppress, Tree, checks, generalise
from mpc.privacy.masking.generalise import Generalised
from mpc.privacy.masking.partitions import FullDomain
from tests.privacy.masked import JOBS, LEAVES, QUASI, people, rows_alike

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
@given(tables, st.sampled_from(({"l": 2}, {"entropy_l": 1.8}, {"t": 0.4})), st.sampled_from(("mondrian", "full", "some")))
def test_diversity_and_closeness_hold_in_what_is_handed_out(table: Any, need: Any, method: str) -> None:
    how: dict[str, Any] = {"method": "full-domain", "suppress": 0.3 * (method == "some")} if method != "mondrian" else {}
    try:
        out = generalise(table, QUASI, Requirement(2, **need), sensitive="ill", **how)
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


@pytest.mark.parametrize("method", ("mondrian", "full-domain"))
def test_closeness_of_ordered_values(method: str) -> None:
    """Similar pay is close, unlike pay is far: by ranks, not by how often a value occurs."""
    rng = np.random.default_rng(4)
    table = {"age": rng.integers(18, 66, 400), "pay": rng.permutation(400)}
    out = generalise(table, {"age": Intervals(2, 4, 8, 16)}, Requirement(3, t=0.15), sensitive="pay", method=method)
    pay, whole = out.kept["pay"], np.arange(400)
    far = [wasserstein_distance(pay[out.groups == g], whole) / 399 for g in range(out.groups.max() + 1)]
    assert max(far) <= 0.15 + 1e-9 and out.check()["t"] == pytest.approx(max(far)) and len(far) > 1


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


@pytest.mark.parametrize(("width", "origin"), [(0.1, 0.0), (1.1, 0.0), (0.3, -3.3), (2.5, 0.1), (1 / 3, 0.0)])
def test_values_at_the_ends_of_intervals_lie_in_their_own(width: float, origin: float) -> None:
    ends = origin + np.arange(-50, 51) * width
    x = np.concatenate([ends, ends.round(9), np.nextafter(ends, -np.inf), np.nextafter(ends, np.inf)])
    index, cells = Intervals(width, origin=origin).fit("x", x).at(1, x)
    assert ((cells.low[index] <= x) & (x <= cells.high[index])).all()
    order = np.argsort(cells.low)
    assert (cells.high[order][:-1] < cells.low[order][1:]).all()
    said = np.array([[float(end) for end in label[1:-1].split(", ")] for label in cells.labels])[index]
    assert ((said[:, 0] <= x) & (x < said[:, 1])).all()


def test_decimal_widths_nest() -> None:
    assert Intervals(0.1, 0.5, 1.0, 3.0).widths == (0.1, 0.5, 1.0, 3.0)
    for wrong in ((0.1, 0.25), (0.3, 1.0)):
        with pytest.raises(ConfigError, match="a multiple"):
            Intervals(*wrong)


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
    with pytest.raises(ConfigError, match="two things"):
        generalise({"x": ["a", "b", "c"]}, {"x": Tree({"a": ["a", "b"], "z": ["c"]})}, 1)
    for make in (lambda: Intervals(5, 12), lambda: Intervals(-1), lambda: Tree({"a": "xy"}), lambda: Tree(twice)):
        with pytest.raises(ConfigError):
            make()
