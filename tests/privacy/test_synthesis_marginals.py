"""Counts of pairs of columns and what is drawn from them: exact without noise, private with it, shares as in clear."""
from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError, ShapeError
from mpc.privacy import Budget, BudgetExceeded, MarginalSynthesizer
from mpc.privacy.dp import accounting
from mpc.privacy.synthesis import counting, marginals, trees
from mpc.privacy.synthesis.bins import public
from tests.privacy.noise import attack, run
from tests.privacy.noise import shared as owned

RNG = np.random.default_rng(5)
ROWS = 400
COLUMNS = {"age": (0, 79), "job": ["cook", "nurse", "smith"], "pay": (0.0, 100.0), "flag": ["yes"]}
KINDS = np.array(["low", "high"])


def table(rows: int = ROWS) -> dict[str, Any]:
    """Pay follows the job, the job follows age, both follow the class."""
    kind = RNG.integers(0, 2, rows)
    age = np.clip(RNG.normal(30 + 20 * kind, 12, rows), 0, 79).astype(int)
    job = np.where(RNG.random(rows) < 0.8, age * 3 // 80, RNG.integers(0, 3, rows))
    pay = np.clip(20 + 25 * job + 10 * kind + RNG.normal(0, 5, rows), 0, 100)
    return {"age": age, "job": np.array(COLUMNS["job"])[job], "pay": pay, "flag": np.full(rows, "yes"), "kind": KINDS[kind]}


TABLE = table()
FEATURES = {name: v for name, v in TABLE.items() if name != "kind"}
FOUND = [public(name, what, 8) for name, what in COLUMNS.items()]
SIZES = [8, 3, 8, 1]


def shared(s: Any, values: Any) -> mpc.SecretTensor:
    """Numbers that no party holds alone: what one party holds it compares and counts by itself, without the protocol."""
    return owned(s, values) + mpc.share(np.zeros(len(values)) if s.rank == 1 else None, owner=1)


def codes(features: dict[str, Any]) -> list[np.ndarray]:
    return [c.codes(features[c.name]) for c in FOUND]


def counted(features: dict[str, Any], labels: Any) -> trees.Counts:
    counts = counting.in_clear(list(features.values()), labels, FOUND, KINDS)
    return counting.tables(counts, SIZES, 0.0)


def numbers_of(features: dict[str, Any]) -> dict[str, Any]:
    """As they are shared: categories as positions."""
    return {**features, "job": codes(features)[1], "flag": np.zeros(len(features["flag"]))}


# --- counts
def test_counts_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHUNK", 20 * 64)  # several chunks, the last one smaller
    got = counted(FEATURES, TABLE["kind"])
    values = codes(FEATURES)
    for k, kind in enumerate(KINDS):
        mine = TABLE["kind"] == kind
        for i, size in enumerate(SIZES):
            assert got.single[i][k].tolist() == np.bincount(values[i][mine], minlength=size).tolist()
        for i, j in itertools.combinations(range(4), 2):
            want = np.zeros((SIZES[i], SIZES[j]))
            np.add.at(want, (values[i][mine], values[j][mine]), 1)
            assert np.array_equal(got.pairs[i, j][k], want)


@pytest.mark.parametrize("record", [(0, "cook", 0.0), (79, "smith", 100.0), (-9999, "nurse", 1e9), (40, "cook", 55.5)])
def test_one_record_moves_the_counts_by_their_sensitivity(record: Any) -> None:
    more = {name: np.append(v, new) for (name, v), new in zip(FEATURES.items(), (*record, "yes"), strict=True)}
    with_it = counting.in_clear(list(more.values()), np.append(TABLE["kind"], "high"), FOUND, KINDS)
    without = counting.in_clear(list(FEATURES.values()), TABLE["kind"], FOUND, KINDS)
    assert np.linalg.norm(with_it - without) == pytest.approx(math.sqrt(4 * 5 / 2))
    noise = MarginalSynthesizer(1.0)._noise(SIZES, 2)
    assert noise is not None and noise.sensitivity == math.sqrt(4 * 5 / 2)


@pytest.mark.parametrize("record", [(0, "cook", 0.0), (-9999, "smith", 1e9), (40, "nurse", 55.5)])
def test_a_replaced_record_moves_the_counts_by_at_most_root_two_of_that(record: Any) -> None:
    before = counting.in_clear(list(FEATURES.values()), TABLE["kind"], FOUND, KINDS)
    moved = []
    for row in range(20):
        other = {name: v.copy() for name, v in FEATURES.items()}
        for (name, v), new in zip(other.items(), (*record, "yes"), strict=True):
            other[name] = np.where(np.arange(ROWS) == row, new, v)
        kind = np.where(np.arange(ROWS) == row, KINDS[int(TABLE["kind"][row] == "low")], TABLE["kind"])
        moved.append(np.linalg.norm(counting.in_clear(list(other.values()), kind, FOUND, KINDS) - before))
    assert moved == pytest.approx([math.sqrt(2 * 4 * 5 / 2)] * 20)  # of another class, no cell stays


def secret(parties: int = 2, **settings: Any) -> list[Any]:
    features, labels = numbers_of(FEATURES), (TABLE["kind"] == "high").astype(int)

    def program(s: Any) -> Any:
        x = {name: (owned if name == "job" else shared)(s, v) for name, v in features.items()}
        y = mpc.share(labels if s.rank == 1 else None, owner=1)
        out = MarginalSynthesizer(bins=8, **settings).fit(x, y, columns=COLUMNS, classes=KINDS)
        return out, [(line.reason, tuple(line.shape), line.recipients) for line in s.ledger]

    return run(program, parties)


@pytest.mark.parametrize("parties", [2, 3])
def test_shares_give_the_counts_of_the_clear_way_and_reveal_one_tensor(parties: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHUNK", 40 * 150)
    everybody = secret(parties)
    want = MarginalSynthesizer(bins=8).fit(FEATURES, TABLE["kind"], columns=COLUMNS, classes=KINDS)
    for got, lines in everybody:
        assert got.tree_ == want.tree_ and got.counts_.tolist() == want.counts_.tolist()
        for mine, theirs in zip(got._tree.chances, want._tree.chances, strict=True):
            assert np.array_equal(mine, theirs)
        cells = 20 + 8 * 3 + 8 * 8 + 8 + 3 * 8 + 3 + 8
        assert lines == [(f"{marginals.WHAT}, without differential privacy", (2, cells), tuple(range(parties)))]
    a, b = (got.sample(50) for got, _ in everybody[:2])
    assert all(np.array_equal(a[0][name], b[0][name]) for name in COLUMNS) and np.array_equal(a[1], b[1])


def test_on_shares_with_noise_the_guarantee_is_that_of_the_clear_way() -> None:
    (got, lines), (other, _) = secret(epsilon=3.0)
    clear = MarginalSynthesizer(3.0, bins=8).fit(FEATURES, TABLE["kind"], columns=COLUMNS, classes=KINDS)
    assert got.guarantee_ is not None and clear.guarantee_ is not None
    assert got.guarantee_.epsilon(1e-5) == clear.guarantee_.epsilon(1e-5) <= 3
    assert len(lines) == 1 and "without" not in lines[0][0]
    assert np.array_equal(got.counts_, other.counts_) and np.abs(got.counts_ - np.bincount(TABLE["kind"] == "high")).max() < 100


def test_on_shares_whatever_word_a_value_is_it_counts_as_exactly_one() -> None:
    """Also words that no input can be: then comparisons with several limits would contradict each other."""
    words = np.array([0, 1, -1, 1 << 62, -(1 << 62), (1 << 63) - 1, -(1 << 63), 5 << 16, -(5 << 16)], np.int64)

    def program(s: Any) -> Any:
        zero = shared(s, np.zeros(len(words)))
        share = s.protocol.add_public(zero._value.settled(exact=True), words.view(np.uint64))
        assert share.owner is None
        x = mpc.SecretTensor(type(zero._value)(s, share))
        return counting.one_hot(x, [-3.0, 0.0, 2.5, 30000.0]).reveal()

    for hot in run(program):
        assert np.isin(hot, (0, 1)).all() and (hot.sum(0) == 1).all()
        assert hot.argmax(0)[[0, 1, 2, 7, 8]].tolist() == [2, 2, 1, 3, 0]


def test_on_shares_more_records_than_a_fixed_point_number_holds_are_counted() -> None:
    def program(s: Any) -> Any:
        x = {"a": shared(s, np.arange(33_000) % 3 == 0), "b": shared(s, np.zeros(33_000))}
        return MarginalSynthesizer().fit(x, columns={"a": (0, 1), "b": ["only"]}).counts_.tolist()

    assert run(program) == [[33_000]] * 2


def test_on_shares_limits_that_are_encoded_alike_and_those_at_the_ends_of_the_range() -> None:
    def program(s: Any) -> Any:
        x = shared(s, [-32767.9, -1.0, 0.5, 0.500001, 1.0, 32767.9])
        alike, ends = [0.5, 0.5 + 1e-7, 0.5 + 2e-7], [-32767.99, 32767.99]
        both = [-32767.999999, -32767.9, 32767.9, 32767.999999]
        return [counting.one_hot(x, limits).reveal() for limits in (alike, ends, both, [0.0])]

    found = run(program)[0]
    for hot in found:
        assert np.isin(hot, (0, 1)).all() and (hot.sum(0) == 1).all()
    assert found[0].argmax(0).tolist() == [0, 0, 3, 3, 3, 3]
    assert found[2].argmax(0).tolist() == [2, 2, 2, 2, 2, 3]


def test_on_shares_one_class_and_columns_of_one_value() -> None:
    def program(s: Any) -> Any:
        x = {"a": shared(s, [0, 0, 1, 1, 1]), "b": shared(s, np.zeros(5))}
        return MarginalSynthesizer().fit(x, columns={"a": ["p", "q"], "b": ["only"]})

    got = run(program)[0]
    assert got.counts_.tolist() == [5]
    made = got.sample(4000)
    assert abs((made["a"] == "q").mean() - 0.6) < 0.04 and set(made["b"]) == {"only"}


def test_on_shares_neither_cost_nor_refusal_depends_on_what_is_secret() -> None:
    """One record far outside, of a category and a class that do not exist."""
    def program(s: Any, values: list[float]) -> Any:
        x, y = {"a": shared(s, values), "b": shared(s, values)}, shared(s, values)
        MarginalSynthesizer(1.0).fit(x, y, columns={"a": ["p", "q"], "b": (0.0, 5.0)}, classes=3)
        report = s.report().to_dict()
        return report["rounds"], report["bytes_sent"], report["offline_bytes"]

    usual, strange = (run(lambda s, v=v: program(s, v)) for v in ([0.0, 1.0, 1.0], [-32000.5, 17.0, 32767.0]))
    assert usual == strange and usual[0][1] > 0


# --- privacy
def test_in_clear_a_refusal_comes_before_anything_is_charged() -> None:
    with Budget(epsilon=2, delta=1e-5) as budget:
        for wrong in ({"job": np.full(ROWS, "other")}, {"pay": np.full(ROWS, np.nan)}, {"kind": np.full(ROWS, "none")}):
            maker = MarginalSynthesizer(1.0)
            with pytest.raises((ConfigError, ValueError)):
                maker.fit({**TABLE, **wrong}, label="kind", columns=COLUMNS, classes=KINDS)
            assert maker.guarantee_ is None and not hasattr(maker, "counts_")
    assert not budget.spent


def test_on_shares_every_cell_has_noise_of_its_own_and_as_much_as_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    size, rows, opened, caught = 60, 50, marginals._opened, []
    monkeypatch.setattr(marginals, "_opened", lambda counts, noise: caught.append(opened(counts, noise)) or caught[-1])

    def program(s: Any) -> Any:
        x = {name: shared(s, np.arange(rows)) for name in "ab"}
        return MarginalSynthesizer(1.0).fit(x, shared(s, np.zeros(rows)), columns=dict.fromkeys("ab", range(size)), classes=2)

    got = run(program)[0]
    want = counting.in_clear([np.arange(rows)] * 2, np.zeros(rows), got._columns, np.arange(2))
    noise = got._noise([size, size], 2)
    assert noise is not None and np.array_equal(*caught) and want.shape == (2, size * size + 2 * size)
    off = (caught[0] - want).ravel() / noise.on_grid(1.0, want.size)[0].std
    far = 6.5 / math.sqrt(off.size)  # standard errors: beyond with probability 8e-11 (7,440 cells)
    assert abs(off.std() - 1) < far / math.sqrt(2) and abs(off.mean()) < far
    assert all(abs(np.mean(off[lag:] * off[:-lag])) < far for lag in (1, 2, size, want.shape[1]))


def test_epsilon_is_kept_and_used() -> None:
    with Budget(epsilon=2.01, delta=1e-5) as budget:
        maker = MarginalSynthesizer(2, 1e-5).fit(TABLE, label="kind", columns=COLUMNS, classes=KINDS)
    assert maker.guarantee_ is not None and 1.95 < maker.guarantee_.epsilon(1e-5) <= 2
    assert budget.spent[0].what.endswith(marginals.WHAT) and len(budget.spent) == 1
    assert budget.used == pytest.approx(maker.guarantee_.epsilon(1e-5), rel=1e-6)
    with budget, pytest.raises(BudgetExceeded):
        maker.fit(TABLE, label="kind", columns=COLUMNS, classes=KINDS)
    assert maker.guarantee_ is None and len(budget.spent) == 1
    with pytest.raises(ConfigError, match="call fit first"):
        maker.sample(1)


def test_a_release_beyond_the_budget_opens_nothing() -> None:
    def program(s: Any) -> Any:
        x = {"a": shared(s, [0, 0, 1, 1, 1]), "b": shared(s, np.zeros(5))}
        before = s.report().to_dict()["bytes_sent"]
        with Budget(epsilon=0.5, delta=1e-5) as budget, pytest.raises(BudgetExceeded):
            MarginalSynthesizer(1.0).fit(x, columns={"a": ["p", "q"], "b": (0, 1)})
        return len(s.ledger), budget.used, s.report().to_dict()["bytes_sent"] - before  # nor is anything compared

    assert run(program) == [(0, 0.0, 0)] * 2


@pytest.mark.parametrize("columns", [{"a": ["only"]}, {"a": ["only"], "b": (0, 1)}, {"a": (0, 1), "b": (0.0, 1.0)}])
@pytest.mark.parametrize("classes", [None, 1, 3])
def test_on_shares_every_party_is_charged_once_and_for_what_the_guarantee_says(columns: Any, classes: int | None) -> None:
    """A column of one value once put the counts on another grid than that of which ``guarantee_`` speaks."""
    def program(s: Any) -> Any:
        x, y = {name: shared(s, [0, 1, 1]) for name in columns}, None if classes is None else shared(s, [0, 1, 2])
        with Budget(epsilon=5, delta=1e-5) as budget:
            maker = MarginalSynthesizer(1.0).fit(x, y, columns=columns, classes=classes)
        opened = [line.reason for line in s.ledger]
        assert len(budget.spent) == len(opened) == 1 and opened == [marginals.WHAT] and maker.guarantee_ is not None
        values = np.concatenate([v.ravel() for v in raw.pop(s.rank)])
        return budget.used, maker.guarantee_.epsilon(1e-5), [v % 1 for v in values]

    raw: dict[int, list[Any]] = {}
    opened = marginals._opened

    def kept(counts: Any, noise: Any) -> Any:
        out = opened(counts, noise)
        raw.setdefault(counts.party.rank, []).append(out)
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marginals, "_opened", kept)
        everybody = run(program)
    for used, epsilon, rest in everybody:
        assert used == epsilon <= 1.0 and not any(rest)


def test_the_noise_is_as_large_as_it_is_said_to_be() -> None:
    exact = counting.in_clear(list(FEATURES.values()), TABLE["kind"], FOUND, KINDS)
    noise = MarginalSynthesizer(1.0)._noise(SIZES, 2)
    assert noise is not None
    std = noise.on_grid(1.0, exact.size)[0].std
    assert 3.73 * math.sqrt(10) < std < 4.15 * math.sqrt(10)  # 3.73: the ideal Gaussian for (1, 1e-5), for one number
    off = np.concatenate([(marginals._opened(exact, noise) - exact).ravel() for _ in range(80)])
    assert off.size > 24_000  # then 3 % are 6.6 standard errors of the deviation
    assert (off % 1 == 0).all() and abs(off.std() / std - 1) < 0.03 and abs(off.mean()) < 0.1 * std


@pytest.mark.parametrize(("columns", "epsilon"), [(1, 1.0), (4, 0.3), (4, 3.0), (14, 1.0), (5, 10.0)])
def test_epsilon_holds_by_another_account(columns: int, epsilon: float) -> None:
    """A record is one step in each of d (d + 1) / 2 cells: so often the exact privacy loss of one cell, composed."""
    noise = MarginalSynthesizer(epsilon)._noise([4] * columns, 2)
    assert noise is not None
    cells = columns * (columns + 1) // 2
    mechanism, guarantee = noise.on_grid(1.0, 2 * 16 * cells)
    one = accounting.from_pmf(*mechanism.pmf(), 1)
    exact, replaced = (one.repeated(times).epsilon(1e-5) for times in (cells, 2 * cells))
    assert 0.6 * epsilon < exact <= guarantee.epsilon(1e-5) + 1e-3 <= epsilon + 1e-3  # 1e-4 a cell is rounded up
    assert replaced <= 1.5 * guarantee.epsilon(1e-5)


def test_no_attack_tells_whether_a_record_is_there() -> None:
    """The best statistic there is: the sum of the ten cells that the record is in; the others say nothing of it."""
    noise = MarginalSynthesizer(1.0, delta=1e-5)._noise(SIZES, 2)
    near, far = (marginals._opened(np.full((200_000, 10), present), noise).sum(1) for present in (1.0, 0.0))
    assert 0.1 < attack(near, far, 1e-5) <= 1.0
    assert 0.1 < attack(-far, -near, 1e-5) <= 1.0


# --- the tree
def test_the_tree_has_what_belongs_together_side_by_side() -> None:
    rng, rows = np.random.default_rng(3), 30_000
    a = rng.integers(0, 4, rows)
    b = np.where(rng.random(rows) < 0.7, a, rng.integers(0, 4, rows))
    c = np.where(rng.random(rows) < 0.7, b, rng.integers(0, 4, rows))
    x = {"a": a, "c": c, "alone": rng.integers(0, 5, rows), "b": b}
    for epsilon in (None, 1.0):
        maker = MarginalSynthesizer(epsilon).fit(x, columns={n: list(range(5 if n == "alone" else 4)) for n in x})
        edges = {frozenset(edge) for edge in maker.tree_.items() if edge[1] is not None}
        assert {frozenset("ab"), frozenset("bc")} <= edges and frozenset("ac") not in edges
        if epsilon is None:
            assert maker.tree_["alone"] is None
        made = maker.sample(20_000)
        for p, q, least in (("a", "b", 0.7), ("b", "c", 0.7), ("a", "c", 0.5)):
            assert abs((made[p] == made[q]).mean() - (x[p] == x[q]).mean()) < 0.03 and (made[p] == made[q]).mean() > least


def test_samples_have_the_distribution_of_the_table() -> None:
    maker = MarginalSynthesizer(bins=8).fit(TABLE, label="kind", columns=COLUMNS)
    made = maker.sample(40_000)
    for kind in KINDS:
        real, drawn = ({n: v[t["kind"] == kind] for n, v in t.items()} for t in (TABLE, made))
        for name in ("age", "job", "pay"):
            want, got = ({c.name: np.bincount(c.codes(t[c.name]), minlength=c.size) / len(t["kind"]) for c in FOUND}[name]
                         for t in (real, drawn))  # fmt: skip
            np.testing.assert_allclose(got, want, atol=0.015)
    assert abs((made["kind"] == "high").mean() - (TABLE["kind"] == "high").mean()) < 0.01
    assert made["age"].dtype.kind == "i" and made["age"].min() >= 0 and made["age"].max() <= 79
    assert made["pay"].min() >= 0 and made["pay"].max() <= 100


def test_what_comes_back_has_the_form_of_what_went_in() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = MarginalSynthesizer().fit(pandas.DataFrame(TABLE), label="kind").sample(labels=["high", "low", "high"])
    assert isinstance(frame, pandas.DataFrame) and frame["kind"].tolist() == ["high", "low", "high"]
    features, labels = MarginalSynthesizer().fit(FEATURES, TABLE["kind"]).sample(7)
    assert list(features) == list(FEATURES) and labels.shape == (7,)
    assert list(MarginalSynthesizer().fit(FEATURES).sample(7)) == list(FEATURES)


def test_seeds_repeat_samples_and_never_the_noise() -> None:
    def made(seed: int, epsilon: float | None) -> Any:
        fitted = MarginalSynthesizer(epsilon, seed=seed).fit(TABLE, label="kind", columns=COLUMNS, classes=KINDS)
        return fitted.sample(200)["pay"].tolist(), fitted.counts_.tolist()

    assert made(1, None) == made(1, None) != made(2, None)
    assert made(1, 1.0)[1] != made(1, 1.0)[1]


def test_a_small_epsilon_keeps_what_a_classifier_needs() -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    train, test = table(20_000), table(10_000)

    def features(t: dict[str, Any]) -> Any:
        return np.stack([t["age"] / 80, t["pay"] / 100, *(t["job"] == j for j in COLUMNS["job"])], 1)

    def accuracy(t: dict[str, Any]) -> float:
        return linear.LogisticRegression(max_iter=500).fit(features(t), t["kind"]).score(features(test), test["kind"])

    made = MarginalSynthesizer(1.0).fit(train, label="kind", columns=COLUMNS, classes=KINDS).sample(20_000)
    assert accuracy(made) > accuracy(train) - 0.02 > 0.7


@pytest.mark.parametrize("epsilon", [0.01, 100.0])
def test_an_epsilon_of_nearly_nothing_and_one_of_nearly_everything_give_records(epsilon: float) -> None:
    maker = MarginalSynthesizer(epsilon).fit(FEATURES, TABLE["kind"], columns=COLUMNS, classes=[*KINDS, "nobody"])
    made, kinds = maker.sample(500)
    assert set(kinds) <= {*KINDS, "nobody"} and all(len(v) == 500 for v in made.values())
    assert np.isfinite(made["pay"]).all() and set(made["job"]) <= set(COLUMNS["job"])


def test_a_class_without_records_is_no_trouble() -> None:
    maker = MarginalSynthesizer().fit(FEATURES, TABLE["kind"], columns=COLUMNS, classes=["low", "high", "none"])
    made = maker.sample(labels=["none"] * 20)
    assert len(made[0]["age"]) == 20 and maker.counts_[2] == 1


# --- refusals
@pytest.mark.parametrize(("settings", "wrong", "error", "says"), [
    ({"epsilon": -1.0}, {}, ValueError, "epsilon"),
    ({"delta": 1.0}, {}, ValueError, "delta"),
    ({"bins": 0}, {}, ConfigError, "bins"),
    ({"seed": -1}, {}, ValueError, "non-negative"),
    ({}, {"columns": {"age": np.array(["young", "old"], object)}}, ConfigError, "'age'.*type int64"),
    ({"epsilon": 1.0}, {"columns": None}, ConfigError, "every column must be declared"),
    ({"epsilon": 1.0}, {"columns": {"age": (0, 79)}}, ConfigError, "job"),
    ({"epsilon": 1.0}, {"classes": None}, ConfigError, "want classes="),
    ({}, {"columns": {"ages": (0, 79)}}, ConfigError, "no such column"),
    ({}, {"columns": {"age": (79, 0)}}, ConfigError, "low"),
    ({}, {"columns": {"age": (0, 5, 5, 9)}}, ConfigError, "rising edges"),
    ({}, {"columns": {"age": (2**60, 2**60 + 5)}}, ConfigError, "2.53"),
    ({}, {"columns": {"pay": (-1e308, 1e308)}}, ConfigError, "2.53"),
    ({}, {"columns": {"pay": (0, 1, 2**60)}}, ConfigError, "2.53"),
    ({}, {"X": {"few": np.where(TABLE["pay"] > 50, np.nan, 1.0)}, "columns": {}}, ValueError, "not finite"),
    ({}, {"columns": {"job": ["cook"]}}, ConfigError, "'job'.*nurse|'job'.*smith"),
    ({}, {"y": TABLE["kind"][:-1]}, ShapeError, "columns of shapes"),
    ({}, {"y": np.full(ROWS, "other")}, ConfigError, "other"),
    ({}, {"X": np.zeros((5, 5))}, ConfigError, "want a table"),
    ({}, {"X": {}}, ConfigError, "without columns"),
    ({}, {"label": "kind"}, ConfigError, "label='kind' and y"),
    ({}, {"y": None}, ConfigError, "without labels"),
    ({}, {"X": TABLE, "y": None, "label": "kind", "columns": {"kind": ["low", "high"]}}, ConfigError, "classes="),
    ({}, {"columns": ["age"]}, ConfigError, "want a dict"),
    ({}, {"columns": {"age": (False, True)}}, ConfigError, "want numbers"),
    ({}, {"columns": {"job": ["cook", None]}}, ConfigError, "values of one type"),
    ({}, {"classes": [0, None]}, ConfigError, "values of one type"),
    ({}, {"classes": 10**10}, ConfigError, "at most"),
    ({"bins": 10**9}, {}, ConfigError, "bins"),
    ({}, {"X": {"day": np.arange(ROWS).astype("M8[D]")}, "columns": {"day": (0, 9)}}, ConfigError, "type datetime64"),
    ({}, {"X": {**FEATURES, "pay": np.where(TABLE["pay"] > 50, np.nan, 1.0)}}, ValueError, "not finite"),
    ({"bins": 4000}, {"columns": {"pay": (0.0, 1.0), "age": (0.0, 1.0)}}, ConfigError, "cells"),
])  # fmt: skip
def test_refusals(settings: dict[str, Any], wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    given = {"X": FEATURES, "y": TABLE["kind"], "columns": COLUMNS, "classes": KINDS, **wrong}
    with pytest.raises(error, match=says):
        MarginalSynthesizer(**settings).fit(**given)


@pytest.mark.parametrize(("n", "labels"), [(True, None), (None, "low"), (None, [["low"]]), (0, None), (None, []), (1.5, None)])
def test_what_cannot_be_sampled(n: Any, labels: Any) -> None:
    with pytest.raises(ConfigError, match="sample: got"):
        MarginalSynthesizer().fit(TABLE, label="kind").sample(n, labels)


@pytest.mark.parametrize("other", [
    {"columns": {"a": ["q", "p"]}}, {"columns": {"a": (0.0, 1.0)}, "bins": 2}, {"classes": [1, 0]}, {"label": None}, {"seed": 1}
])  # fmt: skip
def test_parties_that_declare_differently_are_told(other: dict[str, Any]) -> None:
    """Also what changes neither the comparisons nor the noise: the tables would differ."""

    def program(s: Any) -> Any:
        x, y = {"a": shared(s, [0, 1, 1])}, shared(s, [0, 0, 1])
        told = {"columns": {"a": ["p", "q"]}, "classes": [0, 1], "label": "y", **(other if s.rank else {})}
        maker = MarginalSynthesizer(bins=told.pop("bins", 2), seed=told.pop("seed", 0))
        return maker.fit({**x, "y": y} if told["label"] else x, None if told["label"] else y, **told).sample(3)

    with pytest.raises(mpc.ProgramMismatch):
        run(program)


def test_refusals_on_shares() -> None:
    def program(s: Any) -> None:
        a, y = shared(s, [0, 1, 1]), shared(s, [0, 0, 1])
        with pytest.raises(ConfigError, match="on shares every column must be declared"):
            MarginalSynthesizer().fit({"a": a}, y, classes=2)
        with pytest.raises(ConfigError, match="on shares want classes="):
            MarginalSynthesizer().fit({"a": a}, y, columns={"a": (0, 1)})
        for beyond in ((0, 100_000), (-1e5, 0.0), (0.0, 1.0, 4e4, 5e4)):
            with pytest.raises(ConfigError, match="'a'.*less than 32768"):
                MarginalSynthesizer(1.0).fit({"a": a}, columns={"a": beyond})
        for wrong in ({"a": a, "b": np.zeros(3)}, {"a": np.zeros(3)}):
            with pytest.raises(ConfigError, match="some columns secret"):
                MarginalSynthesizer().fit(wrong, y, columns=dict.fromkeys(wrong, (0, 1)), classes=2)
        with pytest.raises(ShapeError, match="columns of shapes"):
            MarginalSynthesizer().fit({"a": a, "b": shared(s, [1.0])}, y, columns={"a": (0, 1), "b": (0, 1)}, classes=2)

    run(program)
