"""A SuperLink and SuperNodes as processes of this machine: to try a Flower app, and for tests.

Everything listens on 127.0.0.1 without TLS, on free ports; Flower's telemetry, its look for updates and its installing of
packages are switched off, so that nothing leaves the machine. A real federation is started by its owners, with certificates.
"""
from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from mpc.errors import ConfigError, PartyLost

OFFLINE: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "NO_PROXY": "127.0.0.1",
    "PYTHONUNBUFFERED": "1",
}
CONNECTION: Final = "here"
_STOP_WITHIN: Final = 10.0  # seconds between asking a process to stop and making it stop


class LocalDeployment:
    """``with LocalDeployment(nodes=3) as here: print(here.run("examples/flower_app"))``

    ``nodes``: how many SuperNodes; node k gets ``partition-id=k num-partitions=nodes``. ``folder``: where logs and Flower's own
    files go (a temporary folder, removed at the end, unless given). ``start_within``: seconds for SuperLink and SuperNodes.
    Leaving the block ends every process that was started in it, and waits until they are gone.
    """

    def __init__(self, nodes: int = 3, *, folder: str | Path | None = None, start_within: float = 60) -> None:
        if nodes < 1:
            raise ConfigError(f"got {nodes} SuperNodes; want at least 1")
        self.nodes, self.start_within = nodes, start_within
        self._keep = folder is not None
        self._given = Path(folder) if folder is not None else None
        self._started: dict[str, subprocess.Popen[Any]] = {}

    # --- life
    def __enter__(self) -> LocalDeployment:
        self.folder = (self._given or Path(tempfile.mkdtemp(prefix="mpc-flower-"))).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        link, *ports = free_ports(1 + self.nodes)
        self.address = f"127.0.0.1:{link}"
        try:
            self._start("superlink", ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(link),
                                      "--disable-runtime-dependency-installation"])  # fmt: skip
            self._until("superlink", f"http://{self.address}/health")
            for k, port in enumerate(ports):
                self._start(f"node{k}", ["flower-supernode", "--insecure", "--superlink", self.address, "--host", "127.0.0.1",
                                         "--port", str(port), "--node-config",
                                         f"partition-id={k} num-partitions={self.nodes}"])  # fmt: skip
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def kill(self, node: int) -> None:
        """End SuperNode ``node`` and its ClientApp at once, as a power cut would."""
        self._signal(f"node{node}", signal.SIGKILL)
        self._started[f"node{node}"].wait()

    # --- runs
    def submit(self, app: str | Path, settings: Mapping[str, object] | None = None) -> subprocess.Popen[str]:
        """``flwr run APP --stream`` with ``--run-config`` settings: a process whose output is the ServerApp's log."""
        command = ["flwr", "run", str(app), CONNECTION, "--stream"]
        for name, value in (settings or {}).items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["--run-config", f'{name}="{text}"' if isinstance(value, (str, Path)) else f"{name}={text}"]
        home = self._home("run")
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\naddress = "{self.address}"\ninsecure = true\n'
        )
        process = subprocess.Popen(
            command, env=self._environment(home), cwd=self.folder, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._started["run"] = process
        return process

    def run(self, app: str | Path, settings: Mapping[str, object] | None = None, *, timeout: float = 600) -> str:
        """Run an app to its end and give its log. Raises TimeoutError after ``timeout`` seconds, with the log so far."""
        process = self.submit(app, settings)
        try:
            return process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            self._signal("run", signal.SIGKILL)
            said = process.communicate()[0]
            raise TimeoutError(f"the run took longer than {timeout:g} s:\n{said}\n{self.logs()}") from None

    def logs(self, lines: int = 15) -> str:
        """The last lines of what SuperLink and SuperNodes said."""
        told = []
        for path in sorted(self.folder.glob("*.log")):
            told.append(f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:]))
        return "\n".join(told)

    def processes(self) -> list[int]:
        """The processes of this deployment that are alive, whoever started them: those with its folder in their environment."""
        mark = f"FLWR_HOME={self.folder}{os.sep}".encode()
        return [pid for pid in _pids() if pid != os.getpid() and mark in _environ(pid)]

    # --- inside
    def _home(self, name: str) -> Path:
        home = self.folder / name  # one each: they would unpack the same app in the same place at the same time
        home.mkdir(exist_ok=True)
        return home

    def _environment(self, home: Path) -> dict[str, str]:
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        return {**os.environ, **OFFLINE, "PATH": programs, "FLWR_HOME": str(home)}

    def _start(self, name: str, command: Sequence[str]) -> None:
        environment = self._environment(self._home(name))
        if shutil.which(command[0], path=environment["PATH"]) is None:
            raise ConfigError(f'{command[0]} is not installed here; want: pip install "mpc[federated]"')
        with (self.folder / f"{name}.log").open("wb") as log:
            self._started[name] = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _until(self, name: str, address: str) -> None:
        """Wait until it answers. Raises PartyLost when it ended, or did not answer in time."""
        local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until = time.monotonic() + self.start_within
        while True:
            with suppress(urllib.error.URLError, ConnectionError, TimeoutError), local.open(address, timeout=2) as answer:
                if answer.status == 200:
                    return
            if self._started[name].poll() is not None or time.monotonic() > until:
                raise PartyLost(f"{name} did not start within {self.start_within:g} s; it said:\n{self.logs()}")
            time.sleep(0.1)

    def _signal(self, name: str, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._started[name].pid, number)

    def _stop(self) -> None:
        """Nodes first, so that they sign off; then the link; then whatever is left, by its number."""
        nodes = [name for name in self._started if name.startswith("node")]
        for group in (["run"], nodes, ["superlink"]):
            present = [name for name in group if name in self._started]
            for name in present:
                if self._started[name].poll() is None:
                    self._started[name].terminate()
            until = time.monotonic() + _STOP_WITHIN
            for name in present:
                try:
                    self._started[name].wait(max(0.1, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self._signal(name, signal.SIGKILL)
                    self._started[name].wait()
                if (output := self._started[name].stdout) is not None:
                    output.close()
        until = time.monotonic() + _STOP_WITHIN
        while left := self.processes():  # Flower's helpers see within 0.2 s that their parent has gone
            for pid in left if time.monotonic() > until else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until + _STOP_WITHIN:
                raise PartyLost(f"processes {left} of {self.folder} do not end, not even by SIGKILL")
            time.sleep(0.05)
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment, all different, and not of those that the system gives to connections by itself:
    one of them could be taken before the process that is to have it listens."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    below, chance = range(max(1024, first // 3), first // 2), random.SystemRandom()  # whatever seed the program has set
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            port = chance.choice(below) if len(below) > 1000 else 0
            each = socket.socket()
            try:
                each.bind(("127.0.0.1", port))
            except OSError:
                each.close()
            else:
                sockets.append(each)
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _environ(pid: int) -> bytes:
    """A process's environment; empty where it has ended or is somebody else's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
