"""`mpc demo federated` as a person meets it."""
from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mpc.parties.demo import federated

pytest.importorskip("torch", reason="torch (the extra 'torch') trains the clients' models")
pytest.importorskip("sklearn", reason="scikit-learn (the extra 'demo') has the digits")


def mpc_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mpc.parties", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_three_aggregators_agree_and_one_model_stays_secret() -> None:
    done = mpc_demo("federated", "--rounds", "4", "--parties", "2")
    assert done.returncode == 0, done.stderr
    accuracies = dict(re.findall(r"^(plain|shares|paillier): ([\d.]+)% after", done.stdout, re.MULTILINE))
    assert len(accuracies) == 3 and max(map(float, accuracies.values())) - min(map(float, accuracies.values())) <= 0.2
    assert all(said in done.stdout for said in ("the server sees each", "nobody can", "20.8 kB"))
    alone = float(re.findall(r"on its own: ([\d.]+)%", done.stdout)[0])
    secret = int(re.findall(r"secret model has (\d+) of 360", done.stdout)[0])
    assert alone < 30 < float(accuracies["plain"]) and secret / 3.6 > alone
    assert "mean update" not in done.stdout.partition("Revealed, and nothing else:")[2]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["federated", "--epochs", "3"], "--rounds"),
        (["federated", "--rows", "100"], "--data DIR"),
        (["federated", "--data", "no-such-folder"], "no-such-folder"),
        (["--rounds", "3"], "mpc demo federated"),
        (["averaging"], "training, federated"),
    ],
)
def test_a_wrong_command_line_says_what_it_wants(arguments: list[str], said: str) -> None:
    done = mpc_demo(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and said in " ".join(done.stderr.split()), done.stderr


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert federated.main(federated.Settings(3, 1, 0, None, None)) == 6  # an installation that cannot work
    assert 'pip install "mpc[demo,torch]"' in capsys.readouterr().err
