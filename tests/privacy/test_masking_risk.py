"""What is left to an attacker: risk and linkage against plain loops, and the attacks that k-anonymity does not stop."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.privacy.masking import Intervals, Requirement, generalise, linkage, report, risk
from mpc.privacy.masking.generalise import as_released
from tests.privacy.masked import QUASI, people, rows_alike


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
