"""`mpc demo` as a person meets it: MNIST from a folder, a page, and what it says when something is missing."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="rich prints the demo's tables")


def mpc_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mpc.parties", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def accuracies(text: str) -> list[int]:
    """How many test records are right: on shares, in plaintext."""
    return [int(n) for n in re.findall(r"\((\d+) of \d+", text)]


def test_mnist_on_shares_is_as_right_as_in_plaintext(data_folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "mnist.html"
    few = ["--rows", "1280", "--epochs", "4", "--parties", "2"]
    done = mpc_demo("--dataset", "mnist", "--data", str(data_folder / "mnist"), *few, "--report", str(page))
    assert done.returncode == 0, done.stderr
    secret, plain = accuracies(done.stdout)
    assert "of 256 records" in done.stdout and plain > 170 and abs(secret - plain) <= 5
    assert "epoch 4/4" in done.stdout and "40/40" in done.stdout  # the progress bar at its end
    assert re.search(r"one of 40 steps +│ +0\.\d{3} │ +\d+ │ +[\d.]+ MB │ +[\d.]+ MB", done.stdout)
    ledger = done.stdout.partition("Revealed, and nothing else:")[2].splitlines()[1:4]
    assert "loss of epoch 1 ... loss of epoch 4 (4 times)" in ledger[1] and "number of correct" in ledger[2]
    html = page.read_text()
    assert "<svg" in html and "loss of epoch" in html and "network 784-128-128-10" in html


def test_bundled_data_at_three_parties() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn (the extra 'demo') has the data")
    done = mpc_demo("--dataset", "breast-cancer", "--epochs", "5")
    assert done.returncode == 0, done.stderr
    secret, plain = accuracies(done.stdout)
    assert plain > 100 and abs(secret - plain) <= 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--dataset", "mnist"], ["--data DIR", "train-images-idx3-ubyte", "https://", "torchvision"]),
        (["--dataset", "mnist", "--data", "no-such-folder"], ["no-such-folder", "train-images-idx3-ubyte", "https://"]),
        (["--dataset", "digits", "--rows", "10"], ["--dataset mnist"]),
        (["--report", "page.html"], ["one --dataset"]),
        (["--dataset", "fashion"], ["fashion", "breast-cancer", "mnist"]),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(arguments: list[str], said: list[str]) -> None:
    done = mpc_demo(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(part in " ".join(done.stderr.split()) for part in said), done.stderr
