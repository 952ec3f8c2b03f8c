"""One run on this machine: a private directory, everybody's place, and the processes."""
from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import sys
from types import TracebackType
from typing import Final

from msgspec.structs import replace

from mpc import identity
from mpc.config import Endpoint, Launch, SessionConfig, Sites
from mpc.errors import ConfigError, PartyLost
from mpc.pipes import PACKAGE, Task
from mpc.supervision.child import Child
from mpc.supervision.signals import Deferred, Handler
from mpc.supervision.supervisor import Supervisor

GRACE: Final = 5.0  # most seconds that the other parties get after the first failure
SOCKET_PATH: Final = 100  # characters; the system's limit for ipc addresses is 107


class Run:
    """Context: the processes of one run wait for their task, and nothing of them is left afterwards.

    Signals wait for safe points meanwhile; ``handler`` takes them there (see `Deferred`).
    """

    def __init__(
        self,
        config: SessionConfig,
        transport: str = "ipc",
        all_output: bool = False,
        checkpoint: str | None = None,
        handler: Handler | None = None,
        store: str | None = None,
        plan: str | None = None,
    ) -> None:
        if transport not in ("ipc", "tcp"):
            raise ConfigError(f"got transport {transport!r}; want 'ipc' or 'tcp'")
        self.config = config
        self.directory = ""
        self.timed_out = False
        self._transport = transport
        self._checkpoint = checkpoint
        self._store = store
        self._plan = plan
        self._signals = Deferred(handler)
        self._supervisor = Supervisor(self._signals, all_output)
        self._ports: list[socket.socket] = []

    def __enter__(self) -> Run:
        self._signals.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self) -> None:
        if importlib.util.find_spec("mpc.parties") is None:
            raise ConfigError(f"got {PACKAGE} without mpc.parties; run `pip install .` or `pip install -e .` there")
        self.directory = _private_directory()
        size = self.config.world_size
        ranks = range(size + 1 if self.config.needs_dealer else size)
        if self._transport == "ipc":
            addresses = tuple(f"ipc://{self.directory}/r{rank}" for rank in range(size + 1))
            places = [Launch(rank, self.config, addresses) for rank in ranks]
        else:
            self._ports = _kept_ports(2 * size)
            places = _secured(self.config, len(ranks), [s.getsockname()[1] for s in self._ports])
            if os.uname().sysname != "Linux":  # elsewhere a port has one socket at a time
                self._release_ports()
        self._supervisor.start([
            replace(place, checkpoint=self._checkpoint, store=self._store, plan=None if place.rank else self._plan)
            for place in places
        ])  # fmt: skip

    def finish(self, task: Task, timeout: float | None) -> list[Child]:
        """Hand out the task, wait, end everything; the processes as they ended."""
        task.directory = self.directory
        self._supervisor.send(task, Task(self.directory, task.package))
        self._supervisor.wait(min(self.config.deadline + 1, GRACE), timeout)  # they notice within a deadline
        self._supervisor.stop()
        self.timed_out = self._supervisor.timed_out
        code = self._supervisor.template_code
        if code is not None and code < 0:
            raise PartyLost(f"the process that the parties were forked from was killed by signal {-code}")
        if code is not None:
            raise ConfigError(f"the parties' processes could not start (exit code {code}); stderr says why")
        return self._supervisor.children

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._supervisor.stop()
        finally:
            self._release_ports()
            if self.directory:
                shutil.rmtree(self.directory, ignore_errors=True)
            self._signals.__exit__(kind, error, trace)

    def _release_ports(self) -> None:
        for port in self._ports:
            port.close()


def _secured(config: SessionConfig, members: int, free: list[int]) -> list[Launch]:
    """Places that speak TCP on this machine, where every user can connect: with keys that live as long as the run."""
    own = [identity.create(f"rank{rank}") for rank in range(members)]
    ports = iter(free)
    pairs = [(f"tcp://127.0.0.1:{next(ports)}", f"tcp://127.0.0.1:{next(ports)}") for _ in range(config.world_size)]
    endpoints = tuple(Endpoint(pair, pair) for pair in pairs)
    config = replace(config, public_keys=tuple(o.public_key for o in own))
    return [Launch(rank, config, sites=Sites(endpoints, o.secret_key)) for rank, o in enumerate(own)]


def _private_directory() -> str:
    """A new directory with a name nobody guesses, in $TMPDIR or /tmp. Raises ConfigError."""
    found = []
    for base in dict.fromkeys((os.path.abspath(os.environ.get("TMPDIR") or "/tmp"), "/tmp")):
        directory = os.path.join(base, f"mpc-{secrets.token_hex(8)}")
        if len(directory) > SOCKET_PATH:
            found.append(f"{base}: its path is too long for sockets")
            continue
        try:
            os.mkdir(directory, 0o700)
        except OSError as error:
            found.append(f"{base}: {error.strerror or error}")
            continue
        return directory
    raise ConfigError(
        f"got no directory for the parties' sockets ({'; '.join(found)}); set TMPDIR to one with a path below 70 characters "
        "that can be written and is not full"
    )


def _kept_ports(count: int) -> list[socket.socket]:
    """Sockets bound to ports that nobody has, and not listening: a party can listen there, and until it does the system does
    not give the port to somebody's connection."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
    return sockets
