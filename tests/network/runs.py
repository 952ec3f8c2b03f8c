"""One run between hosts: run.toml and keys in a folder per member, `mpc run --config` and `mpc dealer` on each host."""
from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpc.identity import Identity, create
from tests.network.hosts import Hosts

NAMES = ("north", "east", "south", "broker")  # ranks 0 to 2, and the dealer
PORT = 7700
PROGRAM = """
import itertools, os, sys, time
import numpy as np
import mpc

for own in sys.argv[2:3]:
    open("started-" + own, "w").close()
while not all(os.path.exists("started-" + name) for name in sys.argv[2:]):  # who starts slowly is not who is gone
    time.sleep(0.01)
with mpc.session() as s:
    s.manual_seed(1)
    rng = np.random.default_rng(5)
    features, labels = rng.normal(size=(64, 8)), rng.integers(0, 2, (64, 1)).astype(float)
    x = mpc.share(features if s.rank == 0 else None, owner=0)
    y = mpc.share(labels if s.rank == 1 else None, owner=1)
    model = mpc.nn.Linear(8, 1)
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.5)
    endless = sys.argv[1] == "endless"
    for step in itertools.count() if endless else range(int(sys.argv[1])):
        loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("step", step, flush=True)
        enough = endless and mpc.share(float(os.path.exists("enough")), owner=0).reveal(reason="is it enough?")
        if enough:
            break
    print("weights", model.reveal(reason="the result")["weight"].round(3).tolist(), flush=True)
"""


@dataclass
class Ended:
    """How a process ended, and how many seconds after `Run.fault` (if there was none: after the run was made)."""

    code: int
    seconds: float
    out: str
    err: str


class Run:
    """Members on hosts 0, 1, ... in the order of ``names``; the dealer is the last one."""

    def __init__(
        self, hosts: Hosts, folder: Path, deadline: float = 4.0, settings: str = "", names: Sequence[str] = NAMES
    ) -> None:
        self.hosts, self.folder, self.names = hosts, folder, tuple(names)
        self.keys = {name: create(name) for name in self.names}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.settings = f"deadline = {deadline}\n{settings}"
        self._fault = time.monotonic()
        for name in self.names:
            self.member(name, self.keys[name])
        self.script = folder / "train.py"
        self.script.write_text(PROGRAM)

    def toml(self, settings: str) -> str:
        parties = [
            f'[[party]]\nname = "{name}"\naddress = "{self.hosts.addresses[rank]}:{PORT}"\n'
            f'public_key = "{self.keys[name].public_key}"\n'
            for rank, name in enumerate(self.names[:-1])
        ]
        dealer = f'[dealer]\nname = "{self.names[-1]}"\npublic_key = "{self.keys[self.names[-1]].public_key}"\n'
        return settings + "\n" + "\n".join([*parties, dealer])

    def member(self, name: str, key: Identity, settings: str | None = None) -> None:
        """That member's own folder: its secret key and its run.toml."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.key").unlink(missing_ok=True)
        key.write(folder / f"{name}.key")
        (folder / "run.toml").write_text(self.toml(self.settings if settings is None else settings))

    def start(self, *steps: object, only: Sequence[str] = (), config: str = "") -> None:
        """Start all members, or these; ``config``: whose folder they take instead of their own. The parties meet when all
        of them have started."""
        starting = [name for name in self.names if not only or name in only]
        parties = [name for name in starting if name != self.names[-1]]
        for name in parties:
            (self.folder / f"started-{name}").unlink(missing_ok=True)
        for name in reversed(starting):  # the dealer first: it waits for the others
            toml = str(self.folder / (config or name) / "run.toml")
            words = ["dealer", "--config", toml, "--once"]
            if name != self.names[-1]:
                others = [party for party in parties if party != name]
                words = ["run", "--config", toml, "--as", name, str(self.script), *map(str, steps), name, *others]
            command = [sys.executable, "-P", "-m", "mpc.parties", *words]
            pipe: Any = subprocess.PIPE
            host = self.names.index(name)
            self.processes[name] = self.hosts.popen(host, *command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def until(self, said: str, by: str = NAMES[0]) -> None:
        """Wait until that member prints such a line."""
        process = self.processes[by]
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.rstrip() == said:
                return
        raise AssertionError(f"{by} ended without saying {said!r}: {process.stderr.read()}")

    def enough(self) -> None:
        """Let an endless training end after the step it is at."""
        (self.folder / "enough").touch()

    def fault(self) -> None:
        """Now something happens: seconds count from here."""
        self._fault = time.monotonic()

    def ended(self, within: float, names: Sequence[str] = ()) -> dict[str, Ended]:
        """How they ended, each within so many seconds of the fault."""
        found: dict[str, Ended] = {}
        wanted = [*(names or self.names)]
        while len(found) < len(wanted):
            for name in wanted:
                if name not in found and self.processes[name].poll() is not None:
                    seconds = time.monotonic() - self._fault
                    out, err = self.processes[name].communicate()
                    found[name] = Ended(self.processes[name].returncode, seconds, out, err)
            late = time.monotonic() - self._fault > within
            assert not late or len(found) == len(wanted), f"still running: {set(wanted) - set(found)}; ended: {found}"
            time.sleep(0.02)
        return found
