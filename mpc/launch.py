"""Local parties: `local` for functions, `run_script` for `mpc run`. Exit codes: `mpc.failures`."""
from __future__ import annotations

import contextvars
import importlib.util
import os
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from mpc.config import Launch, SessionConfig
from mpc.errors import ConfigError, MPCError, NotSupported, PartyLost
from mpc.failures import exit_code, explain, first_failed, first_failure, value_of
from mpc.pipes import PACKAGE, Result, Task
from mpc.preprocessing.dealer import serve
from mpc.report import joined
from mpc.session import LAUNCH
from mpc.supervision import Child, Supervisor
from mpc.transport.memory import Hub

GRACE: Final = 5.0  # most seconds that the other parties get after the first failure
SOCKET_PATH: Final = 100  # characters; the system's limit for ipc addresses is 107


def local(
    function: Callable[..., Any],
    parties: int = 3,
    args: Sequence[Any] = (),
    protocol: str = "additive",
    threads: bool = False,
    transport: str = "ipc",
    frac_bits: int = 16,
    deadline: float = 60.0,
    timeout: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[Any]:
    """Run ``function(*args)`` as local parties and a dealer, one process each; its results by rank.

    The function opens `mpc.session()` itself. It may come from a notebook or a script's ``__main__``. Rank 0 prints as
    usual, the other ranks are silent. ``threads``: threads of this process instead (tests, debugging). ``transport``:
    "ipc" (sockets in a private directory) or "tcp" (127.0.0.1). ``deadline``: seconds that a party waits for another;
    ``timeout``: seconds for the whole run. ``checkpoint``: the directory of loops with a checkpoint (`mpc.data.batches`).

    Raises the exception of the party that failed first, with its rank and remote traceback; `PartyLost` for one that
    was killed or is still running after ``timeout``; `NotSupported` for results that cannot be pickled.
    """
    config = SessionConfig(world_size=parties, protocol=protocol, frac_bits=frac_bits, deadline=deadline)
    if threads:
        return _local_threads(function, tuple(args), config, timeout, _directory(checkpoint))
    run = _Run(config, transport, checkpoint=_directory(checkpoint))
    try:
        run.start()
        call = _pickled_call(function, tuple(args))
        children = run.finish(Task(run.directory, PACKAGE, path=_search_path(), call=call), timeout)
    finally:
        run.close()
    error = first_failure(children, config, run.timed_out, timeout)
    if error is not None:
        raise error
    return [value_of(child) for child in children if child.rank < parties]


def run_script(
    script: str,
    argv: Sequence[str] = (),
    parties: int = 3,
    protocol: str = "additive",
    transport: str = "ipc",
    frac_bits: int = 16,
    deadline: float = 60.0,
    all_output: bool = False,
    report: bool = False,
    page: str | None = None,
    checkpoint: str | None = None,
) -> int:
    """`mpc run`: the script as every party, with its messages on stderr; the exit code (see the module).

    ``report``: print each session's costs and ledger at the end. ``page``: also write them there as HTML. ``checkpoint``:
    the directory that checkpointed loops save to and go on from.
    """
    try:
        config = SessionConfig(world_size=parties, protocol=protocol, frac_bits=frac_bits, deadline=deadline)
        if not os.path.isfile(script):
            raise ConfigError(f"got script {script!r}; want a Python file (there is none at that path)")
        if page is not None and not os.access(os.path.dirname(os.path.abspath(page)), os.W_OK):
            raise ConfigError(f"got report {page!r}; want a file in a directory that exists and can be written")
        run = _Run(config, transport, all_output, _directory(checkpoint))
        try:
            run.start()
            path = [os.path.dirname(os.path.abspath(script)), *_search_path()[1:]]
            task = Task(run.directory, PACKAGE, path=path, script=script, argv=list(argv), report=report or page is not None)
            children = run.finish(task, None)
        finally:
            run.close()
    except KeyboardInterrupt:
        print("mpc: interrupted; all parties ended", file=sys.stderr)
        return 130
    except MPCError as error:
        print(f"mpc: {error}", file=sys.stderr)
        return exit_code(error)
    found = first_failed(children)
    if found is None:
        reports = [c.message.reports for c in children if c.rank < parties and isinstance(c.message, Result)]
        for number, session in enumerate(zip(*reports, strict=False), 1):
            whole = joined(session)
            print(f"\n{whole}", end="", flush=True)
            if page is not None:
                stem, ending = os.path.splitext(page)
                path_ = page if number == 1 else f"{stem}-{number}{ending}"
                whole.to_html(path_, f"Secure computation report: {os.path.basename(script)}")
                print(f"\nThe same as a page: {path_}", flush=True)
        return 0
    return explain(found, config)


class _Run:
    """A private directory, the launches of all ranks, and their processes; `close` leaves nothing of them."""

    def __init__(
        self, config: SessionConfig, transport: str = "ipc", all_output: bool = False, checkpoint: str | None = None
    ) -> None:
        if transport not in ("ipc", "tcp"):
            raise ConfigError(f"got transport {transport!r}; want 'ipc' or 'tcp'")
        self.config = config
        self.directory = ""
        self.timed_out = False
        self._transport = transport
        self._checkpoint = checkpoint
        self._supervisor = Supervisor(all_output)

    def start(self) -> None:
        """Start all processes; they wait for their task."""
        if importlib.util.find_spec("mpc.parties") is None:
            raise ConfigError(f"got {PACKAGE} without mpc.parties; run `pip install .` or `pip install -e .` there")
        self.directory = _private_name()  # noted before it exists: removed in every case
        os.mkdir(self.directory, 0o700)
        size = self.config.world_size
        if self._transport == "ipc":
            addresses = tuple(f"ipc://{self.directory}/r{rank}" for rank in range(size + 1))
        else:
            addresses = tuple(f"tcp://127.0.0.1:{port}" for port in _free_ports(size + 1))
        ranks = range(size + 1 if self.config.needs_dealer else size)
        self._supervisor.start([Launch(rank, self.config, addresses, checkpoint=self._checkpoint) for rank in ranks])

    def finish(self, task: Task, timeout: float | None) -> list[Child]:
        """Hand out the task, wait, end everything; the processes as they ended."""
        self._supervisor.send(task, Task(self.directory, task.package))
        self._supervisor.wait(min(self.config.deadline, GRACE), timeout)
        self._supervisor.stop()
        self.timed_out = self._supervisor.timed_out
        code = self._supervisor.template_code
        if code is not None and code < 0:
            raise PartyLost(f"the process that the parties were forked from was killed by signal {-code}")
        if code is not None:
            raise ConfigError(f"the parties' processes could not start (exit code {code}); stderr says why")
        return self._supervisor.children

    def close(self) -> None:
        """End and remove whatever is left."""
        try:
            self._supervisor.stop()
        finally:
            if self.directory:
                shutil.rmtree(self.directory, ignore_errors=True)


def _directory(checkpoint: str | os.PathLike[str] | None) -> str | None:
    """The same for every party, wherever its program goes. Raises ConfigError for what cannot be a directory."""
    if checkpoint is None:
        return None
    path = os.path.abspath(os.fspath(checkpoint))
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"got checkpoint {os.fspath(checkpoint)!r}; want a directory, or a name for a new one (it is a file)")
    return path


def _private_name() -> str:
    """A directory that does not exist yet, with a name nobody guesses, in $TMPDIR or /tmp."""
    for base in (os.environ.get("TMPDIR", "/tmp"), "/tmp"):
        directory = os.path.join(base, f"mpc-{secrets.token_hex(8)}")
        if os.access(base, os.W_OK) and len(directory) <= SOCKET_PATH:
            return directory
    raise ConfigError("got no writable temporary directory; set TMPDIR to one with a path below 70 characters")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _search_path() -> list[str]:
    """Where this process finds modules, for the children."""
    return [os.path.abspath(entry) for entry in sys.path]


def _pickled_call(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    import cloudpickle  # not needed by a child

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    by_value = module is not None and module.__name__ != "__main__" and not _importable(module)
    try:
        if by_value:
            cloudpickle.register_pickle_byvalue_of(module)
        return bytes(cloudpickle.dumps((function, args)))
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise NotSupported(f"mpc.local cannot send {name} and its arguments to the parties: {error}") from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_byvalue_of(module)


def _importable(module: ModuleType) -> bool:
    """Would a child find this very file under the module's name?"""
    parent = module.__name__.rpartition(".")[0]
    path = getattr(sys.modules.get(parent), "__path__", None)
    if parent and path is None:
        return False
    for finder in sys.meta_path:
        spec = finder.find_spec(module.__name__, path)
        if spec is not None:
            return spec.origin == module.__file__
    return False


def _local_threads(
    function: Callable[..., Any], args: tuple[Any, ...], config: SessionConfig, timeout: float | None,
    checkpoint: str | None = None,
) -> list[Any]:  # fmt: skip
    size = config.world_size
    hub = Hub(size)
    stop = threading.Event()
    results: list[Any] = [None] * size
    failures: list[tuple[bool, float, int, BaseException]] = []

    def party(rank: int) -> None:
        try:
            LAUNCH.set((Launch(rank, config, checkpoint=checkpoint), hub))
            results[rank] = function(*args)
        except BaseException as error:  # handed to the caller below
            echo = isinstance(error, MPCError) and error.echo is not None
            failures.append((echo or isinstance(error, PartyLost), time.monotonic(), rank, error))

    def dealer() -> None:
        try:
            serve(Launch(size, config, ()), hub, stop)
        except BaseException as error:
            failures.append((isinstance(error, PartyLost), time.monotonic(), size, error))

    workers = [
        threading.Thread(target=contextvars.copy_context().run, args=(party, r), name=f"party {r}", daemon=True)
        for r in range(size)
    ]
    server = threading.Thread(target=dealer, name="the dealer", daemon=True)
    if config.needs_dealer:
        server.start()
    for worker in workers:
        worker.start()
    try:
        _join(workers, failures, min(config.deadline, GRACE), timeout)
    finally:
        stop.set()
        if config.needs_dealer:
            server.join(GRACE)
    if failures:
        _, _, rank, error = min(failures, key=lambda f: f[:3])
        error.add_note(f"raised at {'the dealer' if rank == size else f'party {rank} of {size}'}")
        raise error
    late = [w.name for w in workers if w.is_alive()]
    if late:
        raise PartyLost(f"{', '.join(late)} had not finished after timeout={timeout:g} s; the threads go on")
    return results


def _join(workers: list[threading.Thread], failures: list[Any], grace: float, timeout: float | None) -> None:
    """Until all have ended, or ``grace`` after the first failure, or ``timeout``."""
    end = None if timeout is None else time.monotonic() + timeout
    for worker in workers:
        while worker.is_alive():
            worker.join(0.05)
            now = time.monotonic()
            if (failures and now > failures[0][1] + grace) or (end is not None and now > end):
                return
