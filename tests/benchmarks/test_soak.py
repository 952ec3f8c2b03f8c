"""`mpc bench soak`: a short one for every day. Its 10,000 steps run on request."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpc.benchmarks import soak
from mpc.benchmarks.command import main


def test_memory_stays_over_500_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every process within 5 % of what it had after 100 steps. A dealer that keeps all masks is 20 % above it."""
    path = tmp_path / "soak.json"
    assert main(["soak", "--steps", "500", "--settled", "100", "--json", str(path)]) == 0, capsys.readouterr().out
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == ["party 0", "party 1", "the dealer"]
    found = json.loads(path.read_text())
    assert found["steps"] == 500 and found["right"] > 0.9 and all(0 < t < 1 for t in found["seconds_per_step"])
    for sizes in found["resident"].values():
        assert len(sizes) == 250 and list(sizes)[-1] == "500"
        assert all(2e7 < size < 5e8 for size in sizes.values()), "the memory of a Python process with NumPy"


def test_growth_is_told() -> None:
    steps = list(range(0, 1000, 100))
    flat = soak.Memory("party 0", steps, [10**6 * n for n in (40, 45, 50, 50, 51, 50, 49, 50, 50, 51)])
    grows = soak.Memory("the dealer", steps, [10**6 * (50 + n) for n in range(10)])
    falls = soak.Memory("party 1", steps, [10**6 * n for n in (40, 45, 50, 50, 50, 50, 50, 50, 20, 50)])
    assert flat.change(200) == pytest.approx(0.02, abs=1e-9) and abs(flat.change(0)) > soak.ALLOWED
    assert grows.change(200) == pytest.approx(7 / 52) and falls.change(200) == pytest.approx(-0.6)
    shown = soak.text([flat, grows, falls], {"steps": 900, "seconds_per_step": [0.002, 0.003], "right": 1.0}, 200)
    assert [line.endswith("more than 5%") for line in shown.splitlines()[2:]] == [False, True, True]
    assert "2.00 ms a step in the first tenth, 3.00 ms in the last" in shown
    assert len(set(soak.plot(grows))) > 1 and soak.plot(grows)[-1] == soak.BLOCKS[-1]


@pytest.mark.parametrize("argv, said", [(["--parties", "9"], "9 parties"), (["--steps", "600"], "--steps 600")])
def test_a_wrong_command_line(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", *argv]) == 2
    assert said in capsys.readouterr().err
