"""Local parties: `local` for functions, `run_script` for `mpc run`.

Exit codes of `mpc run`, by cause:

====  =============================================================
0     every party finished
1     the script raised an error of its own
2     the command line is wrong
3     a party or the dealer was lost: killed, silent, cut off
4     the parties ran different programs, versions or settings
5     bad input: a number, shape or type the engine refuses
6     a setting or an installation that cannot work
7     a peer could not prove who it is
8     a damaged message, or saved material that fails its check
9     preprocessing is used up
10    another error of the engine
130   interrupted (Ctrl-C)
====  =============================================================

A script that ends with ``sys.exit(code)`` ends the run with that code.
"""
from __future__ import annotations

import contextvars
import importlib.util
import os
import pickle
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import mpc
from mpc import errors
from mpc.config import Launch, SessionConfig
from mpc.errors import ConfigError, MPCError, NotSupported, PartyLost
from mpc.preprocessing.dealer import serve
from mpc.session import LAUNCH
from mpc.supervision import Child, Failure, Result, Supervisor, Task
from mpc.transport.memory import Hub

GRACE: Final = 5.0  # most seconds that the other parties get after the first failure
SOCKET_PATH: Final = 100  # characters; the system's limit for ipc addresses is 107
EXIT_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (errors.PartyLost, 3),
    (errors.ProgramMismatch, 4),
    (errors.FixedPointRangeError, 5),
    (errors.ShapeError, 5),
    (errors.NotSupported, 5),
    (errors.ConfigError, 6),
    (errors.AuthenticationError, 7),
    (errors.CorruptFrame, 8),
    (errors.IntegrityError, 8),
    (errors.PreprocessingExhausted, 9),
    (errors.MPCError, 10),
)


class RemoteTraceback(Exception):
    """The cause of an exception raised in another process: its traceback, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0].rstrip()}"


def exit_code(error: BaseException) -> int:
    """The exit code of `mpc run` for that error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


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
) -> list[Any]:
    """Run ``function(*args)`` as local parties and a dealer, one process each; its results by rank.

    The function opens `mpc.session()` itself. It may come from a notebook or a script's ``__main__``. Rank 0 prints as
    usual, the other ranks are silent. ``threads``: threads of this process instead (tests, debugging). ``transport``:
    "ipc" (sockets in a private directory) or "tcp" (127.0.0.1). ``deadline``: seconds that a party waits for another;
    ``timeout``: seconds for the whole run.

    Raises the exception of the party that failed first, with its rank and remote traceback; `PartyLost` for one that
    was killed or is still running after ``timeout``; `NotSupported` for results that cannot be pickled.
    """
    config = SessionConfig(world_size=parties, protocol=protocol, frac_bits=frac_bits, deadline=deadline)
    if threads:
        return _local_threads(function, tuple(args), config, timeout)
    run = _Run(config, transport)
    with run:
        run.start()
        call = _pickled_call(function, tuple(args))
        children = run.finish(Task(run.directory, _package(), path=_search_path(), call=call), timeout)
    error = _first_failure(children, config, run.timed_out, timeout)
    if error is not None:
        raise error
    return [_value(child) for child in children if child.rank < parties]


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
) -> int:
    """`mpc run`: the script as every party, with its messages on stderr; the exit code (see the module)."""
    run: _Run | None = None
    try:
        config = SessionConfig(world_size=parties, protocol=protocol, frac_bits=frac_bits, deadline=deadline)
        if not os.path.isfile(script):
            raise ConfigError(f"got script {script!r}; want a Python file (there is none at that path)")
        run = _Run(config, transport, all_output)
        with run:
            run.start()
            path = [os.path.dirname(os.path.abspath(script)), *_search_path()[1:]]
            task = Task(run.directory, _package(), path=path, script=script, argv=list(argv), report=report)
            children = run.finish(task, None)
    except KeyboardInterrupt:
        print("mpc: interrupted; all parties ended", file=sys.stderr)
        return 130
    except MPCError as error:
        print(f"mpc: {error}", file=sys.stderr)
        return exit_code(error)
    found = _first_failed(children)
    if found is None:
        texts = [c.message.report for c in children if c.rank == 0 and isinstance(c.message, Result)]
        print("".join(texts), end="", flush=True)
        return 0
    return _explain(found, config)


class _Run:
    """A private directory, the launches of all ranks, and their processes; all gone when the block ends."""

    def __init__(self, config: SessionConfig, transport: str = "ipc", all_output: bool = False) -> None:
        if transport not in ("ipc", "tcp"):
            raise ConfigError(f"got transport {transport!r}; want 'ipc' or 'tcp'")
        self.config = config
        self.directory = ""
        self.timed_out = False
        self._transport = transport
        self._all_output = all_output
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> _Run:
        self.directory = _private_directory()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if self._supervisor is not None:
                self._supervisor.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        _require_parties()
        size = self.config.world_size
        if self._transport == "ipc":
            addresses = tuple(f"ipc://{self.directory}/r{rank}" for rank in range(size + 1))
        else:
            addresses = tuple(f"tcp://127.0.0.1:{port}" for port in _free_ports(size + 1))
        ranks = range(size + 1 if self.config.needs_dealer else size)
        launches = [Launch(rank, self.config, addresses) for rank in ranks]
        self._supervisor = Supervisor(launches, self._all_output)

    def finish(self, task: Task, timeout: float | None) -> list[Child]:
        """Hand out the task, wait, end everything; the processes as they ended."""
        assert self._supervisor is not None
        self._supervisor.send(task, Task(self.directory, task.package))
        self._supervisor.wait(min(self.config.deadline, GRACE), timeout)
        self._supervisor.stop()
        self.timed_out = self._supervisor.timed_out
        return self._supervisor.children


def _private_directory() -> str:
    directory = tempfile.mkdtemp(prefix="mpc-")
    if len(directory) > SOCKET_PATH:
        os.rmdir(directory)
        directory = tempfile.mkdtemp(prefix="mpc-", dir="/tmp")
    return directory


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _require_parties() -> None:
    if importlib.util.find_spec("mpc.parties") is None:
        raise ConfigError(f"got {_package()} without mpc.parties; run `pip install .` or `pip install -e .` there")


def _package() -> str:
    return os.path.realpath(mpc.__file__)


def _search_path() -> list[str]:
    """Where this process finds modules, for the children."""
    return [os.path.abspath(entry) for entry in sys.path]


def _pickled_call(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    import cloudpickle  # not needed by a child

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    by_value = module is not None and module.__name__ != "__main__" and not _importable(module)
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        return bytes(cloudpickle.dumps((function, args)))
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise NotSupported(f"mpc.local cannot send {name} and its arguments to the parties: {error}") from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _importable(module: Any) -> bool:
    """Would a child find this very file under the module's name?"""
    try:
        spec = importlib.machinery.PathFinder.find_spec(module.__name__) if "." not in module.__name__ else (
            importlib.util.find_spec(module.__name__)
        )
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.origin == getattr(module, "__file__", None)


def _first_failed(children: list[Child]) -> Child | None:
    """Who is to be shown: an error of its own first, then a process that died, a lost peer, an echo; the earliest."""

    def order(child: Child) -> tuple[int, float]:
        message = child.message
        if not isinstance(message, Failure):
            kind = 1 if child.rank < len(children) else 2
        elif message.echo is not None:
            kind = 4
        else:
            kind = 3 if message.kind in ("PartyLost", "DealerLost") else 0
        return kind, child.failed or 0.0

    failed = [c for c in children if c.failed is not None]
    return min(failed, key=order, default=None)


def _first_failure(
    children: list[Child], config: SessionConfig, timed_out: bool, timeout: float | None
) -> BaseException | None:
    """The exception to raise here, if any party failed."""
    found = _first_failed(children)
    if found is None:
        if timed_out:
            late = ", ".join(c.name for c in children if c.rank < config.world_size and c.message is None)
            return PartyLost(f"{late} had not finished after timeout={timeout:g} s; all processes were ended")
        return None
    return _exception(found, config)


def _exception(child: Child, config: SessionConfig) -> BaseException:
    where = child.name if child.rank == config.world_size else f"{child.name} of {config.world_size}"
    message = child.message
    if not isinstance(message, Failure):
        error: BaseException = PartyLost(_death(child))
    else:
        restored = _restored(message)
        error = restored or PartyLost(f"{where} stopped with {message.kind}: {message.message}")
        error.__cause__ = RemoteTraceback(f"{where}:\n{message.traceback}")
        error.add_note(f"raised at {where}")
        if isinstance(error, MPCError):
            error.echo = message.echo
    if child.rank != 0 and child.stderr_text():
        error.add_note(f"stderr of {child.name}:\n{child.stderr_text()}")
    return error


def _death(child: Child) -> str:
    signal_name = child.signal_name()
    if signal_name is not None:
        return f"{child.name} was killed by {signal_name}"
    return f"{child.name} ended with exit code {child.process.returncode} before it reported a result"


def _restored(message: Failure) -> BaseException | None:
    if message.exception is None:
        return None
    try:
        error = pickle.loads(message.exception)  # from a child that this process started
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


def _value(child: Child) -> Any:
    assert isinstance(child.message, Result)
    try:
        return pickle.loads(child.message.value)  # from a child that this process started
    except Exception as error:
        raise NotSupported(f"the result of {child.name} cannot be unpickled here: {error!r}") from error


def _explain(child: Child, config: SessionConfig) -> int:
    """Print what failed, once, and give the exit code."""
    message = child.message
    if isinstance(message, Failure) and message.exit is not None:
        if message.message:
            print(message.message, file=sys.stderr)
        return message.exit
    if child.rank != 0 and child.stderr_text():
        print(f"--- stderr of {child.name} ---\n{child.stderr_text()}", file=sys.stderr)
    if not isinstance(message, Failure):
        print(f"mpc: {_death(child)}", file=sys.stderr)
        return exit_code(PartyLost())
    where = child.name if child.rank == config.world_size else f"{child.name} of {config.world_size}"
    print(f"mpc: {where} failed\n{message.traceback.rstrip()}", file=sys.stderr)
    kind = errors.by_name(message.kind)
    return exit_code(kind()) if kind is not None else 1


def _local_threads(
    function: Callable[..., Any], args: tuple[Any, ...], config: SessionConfig, timeout: float | None
) -> list[Any]:
    size = config.world_size
    hub = Hub(size)
    stop = threading.Event()
    results: list[Any] = [None] * size
    failures: list[tuple[bool, float, int, BaseException]] = []

    def party(rank: int) -> None:
        try:
            LAUNCH.set((Launch(rank, config, ()), hub))
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
        secondary, _, rank, error = min(failures, key=lambda f: f[:3])
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
