"""`mpc bench federated`: every aggregator measured once at a small size."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpc.benchmarks.command import main

pytest.importorskip("torch", reason="torch (the extra 'torch') trains the clients' models")
pytest.importorskip("sklearn", reason="scikit-learn (the extra 'demo') has the digits")


def test_rows_have_phases_bytes_and_the_distance_to_plain_averaging(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "result.json"
    assert main(["federated", "--quick", "--json", str(path)]) == 0
    rows = {row["name"]: row for row in json.loads(path.read_text())["rows"] if row["group"] == "federated"}
    assert len(rows) == 6
    for name, row in rows.items():
        clients, aggregator = name.split("-")[1:]
        extra = row["extra"]
        assert (extra["clients"], extra["per_round"]) == (int(clients), min(20, int(clients)))
        assert row["error"] == "" and row["value"] > 0 and len(row["runs"]) == extra["rounds"] == len(extra["curve"]) == 2
        assert extra["train"] > 0 and extra["protect"] > 0 and extra["combine"] > 0 and extra["refused"] == 0
        assert extra["points"] <= 0.2 and extra["points"] == 100 * abs(extra["accuracy"] - extra["plain_accuracy"])
        assert (set(extra["combining"]) == {"add", "decrypt"}) is (aggregator == "paillier")
        assert 8 * 610 < extra["bytes_per_client"] < 8 * 610 + 2000  # 64-8-10
    shown = capsys.readouterr().out
    assert "Paillier 2048" in shown and "0.00 points" in shown
