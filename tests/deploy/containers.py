"""Processes of a deployment as the files say, without an engine.

Each process gets a folder that stands for its container's root, with what the file mounts where it mounts it, and nothing
else. The rest is as the files say.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.files import Process
from tests.ports import free_ports

SECONDS = 200  # for what takes some
MPC = [sys.executable, "-P", "-m", "mpc.parties"]


def ports_of_parties(count: int) -> list[int]:
    """Ports of which the next one is free too."""
    return free_ports(2 * count)[::2]


def mpc(*args: str, cwd: Path) -> str:
    done = subprocess.run([*MPC, *args], cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def listens(port: int) -> bool:
    """Does a process of this machine listen at that port?"""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(row[1].split(":")[1], 16) == port and row[3] == "0A" for row in rows)


def run_all(containers: list[Container], ports: Mapping[str, int] | None = None) -> dict[str, tuple[int, str, str]]:
    """Start all, wait for all: name -> exit code, standard output, standard error. ``ports``: where these listen before the
    next one is started."""
    started: list[subprocess.Popen[str]] = []
    try:
        for container in containers:
            started.append(container.start())
            port = (ports or {}).get(container.process.name)
            while port is not None and not listens(port) and started[-1].poll() is None:
                time.sleep(0.02)
        said = [p.communicate(timeout=SECONDS) for p in started]
    finally:
        for p in started:
            if p.poll() is None:
                p.kill()
                p.communicate()
    return {c.process.name: (p.returncode, *out) for c, p, out in zip(containers, started, said, strict=True)}
