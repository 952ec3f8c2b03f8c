"""`mpc bench`: every row measured once at a small size, and the comparison of two results."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mpc.benchmarks import ahead, catalog, compare
from mpc.benchmarks.command import main
from mpc.masks import Joined, Mask, Moved
from mpc.preprocessing.base import BitProduct, Product

SOME = {  # of groups whose rows measure different functions in the same way
    "functions": ("sigmoid", "exp-negative", "reciprocal", "softmax", "sort"),
    "layers": ("conv2d-backward", "maxpool2d", "layernorm"),
    "noise": ("noise-laplace", "dpsgd-step", "noise-table"),
}
NAMES = {e.name for e in catalog.ENTRIES if e.group not in catalog.ON_REQUEST}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Any]:
    """One quick run: of everything with --slow=all, else of some rows of the larger groups."""
    path = tmp_path_factory.mktemp("bench") / "result.json"
    some = [name for name in catalog.BY_NAME if name in NAMES and name in SOME.get(catalog.BY_NAME[name].group, (name,))]
    only = [] if request.config.getoption("--slow") == "all" else ["--only", ",".join(some)]
    assert main(["--quick", *only, "--json", str(path)]) == 0
    found: dict[str, Any] = json.loads(path.read_text())
    assert {row["name"] for row in found["rows"]} == (set(some) if only else NAMES)
    return found


def test_without_a_choice_everything_is_measured_but_what_is_on_request() -> None:
    assert {entry.name for entry in catalog.chosen([], [])} == NAMES
    assert not {"mnist-sgd", "federated-100-plain"} & NAMES


def test_rows_are_measured_once_on_a_machine_that_is_described(result: dict[str, Any]) -> None:
    assert result["options"] == {"parties": 2, "repeat": 5, "quick": True}
    assert {"cpu", "cores", "isa", "versions", "commit", "date", "load"} <= result["machine"].keys()
    for row in result["rows"]:
        assert row["error"] == "", row["name"]
        assert row["goal"] is None or row["group"] == "kernels", row["name"]
        assert row["value"] > 0 and row["best"] > 0 and len(row["runs"]) == 1, row["name"]


def test_workloads_count_rounds_bytes_and_both_phases(result: dict[str, Any]) -> None:
    aside = ("kernels", "links", "stored", "paillier")
    rows = {row["name"]: row for row in result["rows"] if row["group"] not in aside and row["name"] != "start"}
    for name, row in rows.items():
        assert 0 < row["online"] < 30 and row["offline"] > 0 and row["rounds"] > 0, name
        assert len(row["extra"]["cpu_seconds"]) == 2 and min(row["extra"]["cpu_seconds"]) > 0, name
        assert row["note"].startswith("quick"), name
        if name != "round":
            assert row["bytes_sent"] > 0 and row["offline_bytes"] > 0 and row["dealer_wait"] > 0, name
    # 1,000 elements at two parties: 8 bytes each to open, 34 bits of comparison in whole words of 64
    assert rows["relu"]["rounds"] == 4 and rows["relu"]["bytes_sent"] == 8 * 1000 + 34 * 8 * 16
    assert rows["round"]["rounds"] == 100 and rows["round"]["offline_bytes"] == 0
    assert rows["sequence"]["rounds"] == 6 and rows["sequence"]["extra"]["error"] < 1e-3
    assert rows["softmax"]["rounds"] == 15
    for row in (row for row in result["rows"] if row["group"] == "stored"):
        assert row["rounds"] > 0 and row["offline_bytes"] > 0 and min(row["extra"]["store_bytes"]) > 0, row["name"]
    assert rows["logistic"]["extra"]["test_right"] >= rows["logistic"]["extra"]["plaintext_right"] - 1


def test_functions_and_layers_have_errors_beside_their_times(result: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in result["rows"] if row["group"] == "functions"}
    for name, row in rows.items():
        if name.split("-")[0] in ("max", "argmax", "sort", "median"):
            assert row["max_error"] == 0, name
        else:
            assert 2**-20 < row["max_error"] <= row["goal_error"], name  # an error of 0 would be one not measured
    assert rows["reciprocal"]["relative"] and not rows["sigmoid"]["relative"]


def test_layers_are_as_exact_as_their_truncations(result: dict[str, Any]) -> None:
    pytest.importorskip("torch", reason="torch (the extra 'torch') is the reference of the layers")
    rows = {row["name"]: row for row in result["rows"] if row["group"] == "layers"}
    for name, row in rows.items():
        assert row["max_error"] == 0 if name.startswith("max") else 0 < row["max_error"] < 2e-4, name
        for error, largest in zip(row["extra"]["errors"], row["extra"]["largest"], strict=True):
            assert error < 3e-4 * max(1, largest), name
    assert rows["conv2d-backward"]["note"].startswith("quick: 4x16x14x14; gradients: input ")


@pytest.mark.slow
def test_mnist_trains_as_in_plaintext(data_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch (the extra 'torch') is the plaintext training")
    path = tmp_path / "result.json"
    wanted = ["mnist", "--quick", "--only", "mnist-adam,mnist-lenet-max", "--data", str(data_folder / "mnist")]
    assert main([*wanted, "--json", str(path)]) == 0
    rows = json.loads(path.read_text())["rows"][1:]
    assert [row["name"] for row in rows] == ["mnist-adam", "mnist-lenet-max"]
    for row in rows:
        extra = row["extra"]
        assert row["error"] == "" and (extra["steps"], extra["test"]) == (4, 200), row
        assert abs(extra["right"] - extra["float32_right"]) <= 8, row
    assert rows[0]["extra"]["right"] > 60  # after four steps


def test_mnist_without_data_says_what_it_wants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist"]) == 2
    assert "--data DIR" in capsys.readouterr().err
    assert main(["--only", "mnist-sgd", "--data", str(tmp_path)]) == 2
    assert "train-images-idx3-ubyte" in capsys.readouterr().err


def test_more_parties(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert main(["--quick", "--parties", "3", "--only", "product", "--json", str(path)]) == 0
    yardstick, row = json.loads(path.read_text())["rows"]
    assert yardstick["name"] == "yardstick"
    assert (row["name"], row["rounds"], row["peers"]) == ("product", 2, {})
    assert row["bytes_sent"] == 2 * 3 * 8 * 1000  # E, F and the product's truncation, to two others


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--only", "relu,rleu"], ["rleu", *catalog.BY_NAME]),
        (["kernel"], ["'kernel'", "kernels"]),
        (["--parties", "1"], ["1 parties"]),
        (["--repeat", "0"], ["--repeat 0"]),
        (["compare", "no-such-file", "neither"], ["no-such-file"]),
    ],
)
def test_a_wrong_command_line_says_what_it_wants(
    argv: list[str], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and all(part in captured.err for part in said)


def test_help_lists_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in catalog.BY_NAME)


# --- compare
def write(path: Path, rows: list[tuple[str, str, float | None, bool]], cpu: str = "one") -> str:
    data = {
        "machine": {"cpu": cpu, "cores": 2, "isa": "avx2"},
        "options": {"parties": 2, "quick": False},
        "rows": [
            {"name": name, "variant": variant, "unit": "u", "value": value, "more_is_better": more}
            for name, variant, value, more in rows
        ],
    }
    path.write_text(json.dumps(data))
    return str(path)


@pytest.fixture
def old(tmp_path: Path) -> str:
    rows = [("relu", "", 1.0, False), ("matmul", "avx2", 4.0, True), ("gone", "", 1.0, False), ("failed", "", 1.0, False)]
    return write(tmp_path / "old.json", rows)


def test_compare_counts_rates_the_other_way_and_names_missing_rows(
    old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("relu", "", 1.2, False), ("matmul", "avx2", 8.0, True), ("new", "", 1.0, False), ("failed", "", None, False)]
    new = write(tmp_path / "new.json", rows, cpu="another")
    found = {row.key: row for row in compare.ratios(compare.load(old), compare.load(new))}
    assert found[("relu", "")].ratio == pytest.approx(1.2) and found[("relu", "")].slower
    assert found[("matmul", "avx2")].ratio == 0.5 and not found[("matmul", "avx2")].slower
    assert found[("gone", "")].ratio is None and found[("new", "")].ratio is None and found[("failed", "")].ratio is None
    assert main(["compare", old, new]) == 0
    assert main(["compare", old, new, "--fail"]) == 1
    shown = capsys.readouterr().out
    assert "SLOWER" in shown and "only in the old one" in shown and "only in the new one" in shown and "cpu" in shown


def test_compare_allows_ten_per_cent(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", [("relu", "", 1.09, False), ("matmul", "avx2", 3.7, True)])
    assert main(["compare", old, new, "--fail"]) == 0
    assert main(["compare", old, old, "--fail"]) == 0


def test_compare_refuses_other_files(old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text("[]")
    assert main(["compare", old, str(other)]) == 2
    assert "no result" in capsys.readouterr().err


# --- requests moved on to another run
def test_moved_requests_change_operation_numbers_of_the_run_only() -> None:
    before, inside = Mask(3, 0, (2,)), Moved(Mask(12, 0, (2, 2)), "index", [["int", 12]])
    joined = Joined([before, inside], 0)
    request = [Product(13, "mul", before, inside, 2), BitProduct(14, 11, joined, 4)]
    product, bit = ahead.moved(request, after=10, by=100)
    later = Moved(Mask(112, 0, (2, 2)), "index", [["int", 12]])
    assert product == Product(113, "mul", before, later, 2)
    assert bit == BitProduct(114, 111, Joined([before, later], 0), 4)
