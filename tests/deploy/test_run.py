"""The deployments really run: what the files tell each process to do, with what they mount where they mount it.

Each process gets a folder that stands for its container's root; host names become ports of 127.0.0.1. The rest is as the
files say.
"""
from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tests.deploy.files import DEPLOY, NAMES, PARTIES, PROCESSES, ROOT, Process, instructions

SECONDS = 60
MPC = [sys.executable, "-P", "-m", "mpc.parties"]


def free_ports(count: int) -> list[int]:
    """Ports of which the next one is free too."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            if not {port - 1, port, port + 1} & set(found):
                found.append(port)
    return found


def mpc(*args: str, cwd: Path) -> str:
    done = subprocess.run([*MPC, *args], cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What all sites together have: run.toml, train.py, keys/NAME.key, data/NAME/patients.csv."""
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(DEPLOY / "train.py", site)
    text = (DEPLOY / "run.toml").read_text()
    for name in NAMES:
        said = mpc("keygen", name, "--out", "keys", cwd=site)
        (public,) = set(re.findall(r'public_key = "(.{40})"', said))
        text = text.replace('public_key = ""', f'public_key = "{public}"', 1)
    for name, port in zip(PARTIES, free_ports(len(PARTIES)), strict=True):
        text = text.replace(f'"{name}:7700"', f'"127.0.0.1:{port}"')
    (site / "run.toml").write_text(text)
    rng = np.random.default_rng(5)
    for name in PARTIES:
        rows = rng.normal(size=(70, 5))
        rows[:, 4] = rows[:, 0] - rows[:, 2] > 0
        (site / "data" / name).mkdir(parents=True)
        header = "age,pressure,glucose,weight,ill"
        np.savetxt(site / "data" / name / "patients.csv", rows, "%.4f", ",", header=header, comments="")
    return site


class Container:
    """A folder in the place of a container's root, with what the file mounts and nothing else."""

    def __init__(self, process: Process, site: Path, root: Path) -> None:
        self.process, self.root, self.cwd = process, root, root
        key = site / "keys" / f"{process.name}.key"
        for path, what in process.mounts.items():
            target = root / path[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if what == "key":  # Compose mounts the file as it is
                shutil.copy(key, target)
            elif what in ("run.toml", "train.py"):
                shutil.copy(site / what, target)
            else:
                target.mkdir()
            if what == "secret":  # Kubernetes: root's, and the group may read it
                shutil.copy(key, target)
                (target / key.name).chmod(0o440)
            elif what == "run":
                for name in ("run.toml", "train.py"):
                    shutil.copy(site / name, target)
            elif what == "data":
                shutil.copytree(site / "data" / process.name, target, dirs_exist_ok=True)
            elif what == "state":
                self.cwd = target  # the image's WORKDIR
        for command in process.before:
            subprocess.run(self.inside(command), check=True, timeout=SECONDS)

    def inside(self, args: list[str]) -> list[str]:
        return [f"{self.root}{a}" if a.startswith("/") else a for a in args]

    def start(self) -> subprocess.Popen[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("MPC_")}
        env |= {"HOME": str(self.cwd), "TMPDIR": str(self.root / "tmp")}
        return subprocess.Popen(
            [*MPC, *self.inside(self.process.args)],
            cwd=self.cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    @property
    def state(self) -> list[Path]:
        return [p for p in self.cwd.rglob("*") if p.is_file()]


def run_all(containers: list[Container]) -> dict[str, tuple[int, str, str]]:
    """Start all, wait for all: name -> exit code, standard output, standard error."""
    started = [c.start() for c in containers]
    try:
        said = [p.communicate(timeout=SECONDS) for p in started]
    finally:
        for p in started:
            if p.poll() is None:
                p.kill()
                p.communicate()
    return {c.process.name: (p.returncode, *out) for c, p, out in zip(containers, started, said, strict=True)}


def test_entry_point_is_the_command_line() -> None:
    (entry,) = [json.loads(rest) for word, rest in instructions() if word == "ENTRYPOINT"]
    module, _, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][entry[0]].partition(":")
    assert callable(getattr(import_module(module), function))
    assert f"from {module} import {function}" in (ROOT / "parties" / "__main__.py").read_text()  # as MPC starts it


@pytest.mark.parametrize("kind", PROCESSES)
def test_three_parties_and_a_dealer(kind: str, site: Path, tmp_path: Path) -> None:
    containers = [Container(PROCESSES[kind](name), site, tmp_path / name) for name in NAMES]
    ended = run_all(containers)
    assert {name: code for name, (code, _, _) in ended.items()} == dict.fromkeys(NAMES, 0), ended
    accuracies = {re.search(r"accuracy (\S+) on 210 patients", ended[name][1])[1] for name in PARTIES}  # type: ignore[index]
    assert len(accuracies) == 1 and float(accuracies.pop()) > 0.9
    for rank, container in enumerate(containers[:-1]):
        names = {p.name for p in container.state}
        assert {f"model.rank{rank}.shares", f"loop1.rank{rank}.shares"} <= names, names
        assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in container.state if p.suffix == ".shares")
        others = [p for p in container.root.rglob("*.key") if p.stem != container.process.name]
        assert not others
    again = run_all(containers)  # the same command: all loops are done, the answer is the same
    assert {name: code for name, (code, _, _) in again.items()} == dict.fromkeys(NAMES, 0), again
    assert [again[n][1].splitlines()[-1] for n in PARTIES] == [ended[n][1].splitlines()[-1] for n in PARTIES]


def test_the_secret_as_kubernetes_mounts_it_is_refused(site: Path, tmp_path: Path) -> None:
    process = PROCESSES["kubernetes"]("hospital")
    args = [a.replace("/run/mpc/", "/secret/") for a in process.args]
    assert args != process.args
    container = Container(dataclasses.replace(process, args=args), site, tmp_path / "hospital")
    code, _, said = run_all([container])["hospital"]
    assert code == 6 and "mode 0440" in said and "chmod 600" in said
