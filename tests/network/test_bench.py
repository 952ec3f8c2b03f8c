"""The group network of `mpc bench`: small sizes, between real hosts."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpc.benchmarks.command import main
from mpc.benchmarks.network import NETWORKS
from tests.network.hosts import EMULATOR


def test_rows_have_predictions_beside_their_times(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ["wan-step-1", "lan-sequence"]
    path = tmp_path / "result.json"
    assert main(["--quick", "--only", ",".join(names), "--emulator", str(EMULATOR), "--json", str(path)]) == 0
    rows = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    for name in names:
        row, (rtt, mbit) = rows[name], NETWORKS[name[:3]]
        rounds = row["rounds"] * rtt / 2e3
        predicted = rounds + (row["bytes_sent"] + row["offline_bytes"]) * 8e-6 / mbit
        assert row["extra"]["predicted"] == pytest.approx(predicted)
        assert row["value"] > 0.9 * rounds, "no round is faster than the network"
        assert row["extra"]["first"] > 0.9 * rounds and row["online"] > 0.9 * rounds
        assert row["extra"]["emulator_cpu"] > 0
    assert rows["wan-step-1"]["rounds"] > 20
    said = capfd.readouterr().out
    assert "WAN of 100 Mbit/s" in said and "LAN of 1 Gbit/s" in said and "predicted" in said


def test_without_the_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["network", "--emulator", "/no/such/emulator.py"]) == 2
    assert "there is none at /no/such/emulator.py" in capsys.readouterr().err
