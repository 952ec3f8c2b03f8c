"""`mpc preprocess` and `mpc run --store` as people use them: on one machine, and between parties with keys of their own."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.ports import free_ports

SCRIPT = '''
import sys
import numpy as np
import mpc

rows = int(sys.argv[1])
rng = np.random.default_rng(3)
data = rng.normal(size=(rows, 4))
with mpc.session() as s:
    x = mpc.share(data if s.rank == 0 else None, 0)
    y = mpc.share(np.ones((rows, 4)) if s.rank == 1 else None, 1)
    positive = (x * y > 0).sum().reveal()
    if s.rank == 0:
        print("positive", int(positive), "want", int((data > 0).sum()))
'''


def mpc(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mpc.parties", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False, env=environment())


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "mpc.parties", *words]
    return subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "NO_COLOR": "1", "COLUMNS": "120"}


def right(text: str) -> bool:
    found = re.search(r"positive (\d+) want (\d+)", text)
    return found is not None and found[1] == found[2] != "0"


def test_on_one_machine(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    made = mpc("preprocess", "-n", "3", "--program", "train.py", "--out", "stores", "--runs", "2", "--", "9", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "a dry run without data" in made.stderr and "positive 0" in made.stdout
    assert "Product" in made.stdout and "dealt for 2 runs" in made.stdout
    files = sorted(p.name for p in (tmp_path / "stores").iterdir())
    assert files == [f"rank-{rank}.{what}" for rank in range(3) for what in ("key", "store")]
    first = mpc("run", "-n", "3", "--store", "stores", "train.py", "9", cwd=tmp_path)
    assert first.returncode == 0 and right(first.stdout), first.stderr
    other = mpc("run", "-n", "3", "--store", "stores", "train.py", "10", cwd=tmp_path)
    assert other.returncode == 4 and "mpc preprocess" in other.stderr and "Product of 40" in other.stderr
    none = mpc("run", "-n", "3", "--store", "stores", "train.py", "9", cwd=tmp_path)
    assert none.returncode == 9 and "1 dealing is missing: all 2 of" in none.stderr
    again = mpc("preprocess", "-n", "3", "--program", "train.py", "--out", "stores", "--", "9", cwd=tmp_path)
    assert again.returncode == 6 and "exists already" in again.stderr


def test_between_parties_with_keys(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    run_toml(tmp_path, ("alice", "bob", "broker"))
    dry = [
        start("preprocess", "--program", "train.py", "--config", "run.toml", "--as", name, "--plan", f"{name}.plan", "--", "9",
              cwd=tmp_path)
        for name in ("alice", "bob")
    ]  # fmt: skip
    for process in dry:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert (tmp_path / "alice.plan").read_bytes() == (tmp_path / "bob.plan").read_bytes()
    made = mpc("preprocess", "--plan", "bob.plan", "--config", "run.toml", "--out", "stores", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert sorted(p.name for p in (tmp_path / "stores").iterdir()) == ["alice.store", "bob.store"]
    online = [
        start("run", "--config", "run.toml", "--as", name, "--store", f"stores/{name}.store", "train.py", "9", cwd=tmp_path)
        for name in ("alice", "bob")
    ]
    outputs = [process.communicate(timeout=60) for process in online]  # there is no dealer process
    assert [process.returncode for process in online] == [0, 0], outputs
    assert right(outputs[0][0])
    stranger = mpc("preprocess", "--plan", "bob.plan", "--config", "run.toml", "--out", "o", "--key", "alice.key", cwd=tmp_path)
    assert stranger.returncode == 6 and "broker" in stranger.stderr, "only the dealer's key vouches for stores"


def run_toml(folder: Path, names: tuple[str, ...]) -> None:
    """Keys for all, and run.toml with the last as the dealer."""
    text = "deadline = 20.0\n"
    ports = free_ports(2 * len(names))
    for place, name in enumerate(names):
        assert mpc("keygen", name, cwd=folder).returncode == 0
        public = msgspec.toml.decode((folder / f"{name}.key").read_text())["public_key"]
        dealer = place == len(names) - 1
        text += f'[dealer]\nname = "{name}"\n' if dealer else (
            f'[[party]]\nname = "{name}"\naddress = "127.0.0.1:{ports[2 * place]}"\nbulk = "127.0.0.1:{ports[2 * place + 1]}"\n'
        )
        text += f'public_key = "{public}"\n'
    (folder / "run.toml").write_text(text)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "--program train.py"),
        (["--plan", "none"], 6, "none cannot be read"),
        (["--program", "none.py"], 6, "there is none at that path"),
        (["--program", "train.py", "--config", "run.toml"], 2, "--as NAME"),
        (["--program", "empty.py"], 6, "opened no session"),
        (["--program", "wrong.py"], 1, "an error of its own"),
        (["--program", "public.py", "--out", "o"], 6, "asks for nothing"),
    ],
)
def test_what_cannot_be_is_said(words: list[str], code: int, text: str, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("pass\n")
    (tmp_path / "wrong.py").write_text("import mpc\nwith mpc.session():\n    raise RuntimeError('an error of its own')\n")
    (tmp_path / "public.py").write_text("import mpc\nwith mpc.session():\n    mpc.share([1.0], 0).reveal()\n")
    got = mpc("preprocess", *words, cwd=tmp_path)
    assert got.returncode == code, got.stderr
    assert text in " ".join(re.sub("[│╭╮╰╯─]", " ", got.stderr).split())


def test_an_earlier_programs_plan_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "empty.py").write_text("")
    words = ("preprocess", "-n", "2", "--plan", "the.plan", "--program")
    assert mpc(*words, "train.py", "--", "9", cwd=tmp_path).returncode == 0
    before = (tmp_path / "the.plan").read_bytes()
    ended = mpc(*words, "empty.py", "--out", "stores", cwd=tmp_path)
    assert ended.returncode == 6 and "opened no session" in ended.stderr
    assert (tmp_path / "the.plan").read_bytes() == before and not (tmp_path / "stores").exists()


def test_help_teaches(tmp_path: Path) -> None:
    text = mpc("preprocess", "--help", cwd=tmp_path).stdout
    assert "mpc run -n 3 --store stores train.py --epochs 5" in text and "zeros" in text
