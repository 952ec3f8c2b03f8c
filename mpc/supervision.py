"""The processes of one run on this machine: start them in parallel, hear their outcomes, leave none behind.

Each child gets two inherited pipes. On *control* it receives its `Task` and afterwards nothing: end of file there means
that this process is gone or has finished, and the child exits at once. On *results* it sends one `Result` or `Failure`.
Children stand in a process group of their own, so that Ctrl-C reaches this process only, which then ends them.
"""
from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Final

import msgspec

from mpc.config import LAUNCH_VARIABLE, Launch

TICK: Final = 0.2  # seconds between looks at processes whose pipes stay quiet
LINGER: Final = 2.0  # seconds that a party may take to exit after it reported
PATIENCE: Final = 1.0  # seconds between SIGTERM and SIGKILL
STDERR_KEPT: Final = 1 << 16  # bytes of a silent party's stderr kept for its failure
READ_BYTES: Final = 1 << 20
PACKAGE: Final = os.path.dirname(os.path.realpath(__file__))


class Task(msgspec.Struct, tag=True):
    """What a child is to do: a pickled (function, args), or a script; neither for the dealer."""

    directory: str  # the private directory, removed by whoever is left when the parent dies
    package: str  # the parent's folder of mpc: a child that found another one refuses
    path: list[str] = []
    call: bytes | None = None
    script: str | None = None
    argv: list[str] = []
    report: bool = False


class Result(msgspec.Struct, tag=True):
    """A party finished; ``value`` is pickled. ``report`` is the text of its sessions' reports, when asked for."""

    value: bytes
    report: str = ""


class Failure(msgspec.Struct, tag=True):
    """A party raised. ``exception`` is the pickled exception where that works; ``exit`` the code of a SystemExit."""

    kind: str
    message: str
    traceback: str = ""
    echo: int | None = None
    exception: bytes | None = None
    exit: int | None = None


Message = Result | Failure
_message_decoder = msgspec.msgpack.Decoder(Message)
_task_decoder = msgspec.msgpack.Decoder(Task)


def write_frame(fd: int, message: Task | Message) -> None:
    """Length and content of one message, blocking."""
    data = memoryview(_framed(message))
    while data:
        data = data[os.write(fd, data) :]


def read_task(fd: int) -> Task | None:
    """The one task on a control pipe; None when the parent went first."""
    data = bytearray()
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "little"):
        block = os.read(fd, READ_BYTES)
        if not block:
            return None
        data += block
    return _task_decoder.decode(memoryview(data)[8:])


def _framed(message: Task | Message) -> bytes:
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(8, "little") + data


@dataclass(eq=False)
class Child:
    """One process: a party, or the dealer."""

    rank: int
    name: str
    process: subprocess.Popen[bytes]
    control: int
    results: int
    outbox: memoryview = field(default_factory=lambda: memoryview(b""))
    inbox: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    message: Message | None = None
    reported: float | None = None  # when its message came
    ended: bool = False
    stopped: bool = False  # by this process
    failed: float | None = None  # when its failure was noticed

    def signal_name(self) -> str | None:
        """The signal that ended it, if one did and it was not ours."""
        code = self.process.returncode
        if code is None or code >= 0 or self.stopped:
            return None
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def stderr_text(self) -> str:
        return self.stderr.decode(errors="replace").strip()


class Supervisor:
    """Starts one process per launch, waits for all parties, and ends whatever is left."""

    def __init__(self, launches: Sequence[Launch], all_output: bool = False) -> None:
        self.children: list[Child] = []
        self.timed_out = False
        self._all_output = all_output
        self._selector = selectors.DefaultSelector()
        self._names = {entry.rank: "the dealer" if entry.is_dealer else f"party {entry.rank}" for entry in launches}
        try:
            for launch in launches:
                self._start(launch)
        except BaseException:
            self.stop()
            raise

    @property
    def parties(self) -> list[Child]:
        return [c for c in self.children if c.name != "the dealer"]

    def _start(self, launch: Launch) -> None:
        control_read, control = os.pipe()
        results, results_write = os.pipe()
        kind = "dealer" if launch.is_dealer else "child"
        command = [sys.executable, "-P", "-m", "mpc.parties", kind, str(control_read), str(results_write)]
        stdout, stderr = self._outputs(launch.rank)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(control_read, results_write),
                env=_environment(launch),
                process_group=0,
            )
        except BaseException:
            os.close(control)
            os.close(results)
            raise
        finally:
            os.close(control_read)
            os.close(results_write)
        child = Child(launch.rank, self._names[launch.rank], process, control, results)
        self.children.append(child)
        os.set_blocking(results, False)
        os.set_blocking(control, False)
        self._selector.register(results, selectors.EVENT_READ, (child, "results"))
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, (child, "stdout"))
        if process.stderr is not None:
            os.set_blocking(process.stderr.fileno(), False)
            self._selector.register(process.stderr, selectors.EVENT_READ, (child, "stderr"))

    def _outputs(self, rank: int) -> tuple[int | None, int | None]:
        """Rank 0 writes where this process writes; the others are silent unless all output is asked for."""
        if self._all_output:
            return subprocess.PIPE, subprocess.PIPE
        if rank == 0:
            return (
                None if _is_descriptor(sys.stdout, 1) else subprocess.PIPE,
                None if _is_descriptor(sys.stderr, 2) else subprocess.PIPE,
            )
        return subprocess.DEVNULL, subprocess.PIPE

    def send(self, task: Task, dealer_task: Task) -> None:
        """Queue the task for every child; it leaves while `wait` runs."""
        data, dealer_data = memoryview(_framed(task)), memoryview(_framed(dealer_task))
        for child in self.children:
            child.outbox = dealer_data if child.name == "the dealer" else data
            self._selector.register(child.control, selectors.EVENT_WRITE, (child, "control"))

    def wait(self, grace: float, timeout: float | None) -> None:
        """Return when every party has ended; ``grace`` seconds after the first failure, or after ``timeout``, anyway."""
        end = None if timeout is None else time.monotonic() + timeout
        while any(not c.ended for c in self.parties):
            self._pump(TICK)
            now = time.monotonic()
            failures = [c.failed for c in self.children if c.failed is not None]
            if failures and now > min(failures) + grace:
                return
            if end is not None and now > end:
                self.timed_out = True
                return
            if all(c.ended or (c.reported is not None and now > c.reported + LINGER) for c in self.parties):
                return

    def _pump(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            child, what = key.data
            if what == "control":
                self._feed(child)
            elif what == "results":
                self._hear(child)
            else:
                self._relay(child, what, key.fileobj)
        for child in self.children:
            if not child.ended and child.process.poll() is not None:
                self._hear(child)
                self._end(child)

    def _feed(self, child: Child) -> None:
        try:
            child.outbox = child.outbox[os.write(child.control, child.outbox) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            child.outbox = memoryview(b"")
        if not child.outbox:
            self._selector.unregister(child.control)

    def _hear(self, child: Child) -> None:
        while child.results >= 0:
            try:
                block = os.read(child.results, READ_BYTES)
            except BlockingIOError:
                break
            if not block:
                self._selector.unregister(child.results)
                os.close(child.results)
                child.results = -1
                try:
                    child.process.wait(PATIENCE)  # it closes this pipe by exiting
                except subprocess.TimeoutExpired:
                    pass
                break
            child.inbox += block
        size = int.from_bytes(child.inbox[:8], "little")
        if child.message is None and len(child.inbox) >= 8 and len(child.inbox) == 8 + size:
            child.message = _message_decoder.decode(memoryview(child.inbox)[8:])
            child.inbox = bytearray()
            child.reported = time.monotonic()
            if isinstance(child.message, Failure):
                child.failed = child.reported

    def _relay(self, child: Child, what: str, stream: IO[bytes]) -> bool:
        """Pass on one block of a child's output; False when there is none now."""
        try:
            block = os.read(stream.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if not block:
            self._forget(stream)
            return False
        if what == "stderr":
            child.stderr = (child.stderr + block)[-STDERR_KEPT:]
        if not self._all_output and child.rank != 0:
            return True
        text = block.decode(errors="replace")
        if self._all_output:
            label = "dealer" if child.name == "the dealer" else str(child.rank)
            text = "".join(f"[{label}] {line}" for line in text.splitlines(keepends=True))
        target = sys.stdout if what == "stdout" else sys.stderr
        target.write(text)
        target.flush()
        return True

    def _end(self, child: Child) -> None:
        child.ended = True
        if child.message is None and not child.stopped:
            child.failed = child.failed or time.monotonic()
        for what, stream in (("stdout", child.process.stdout), ("stderr", child.process.stderr)):
            while stream is not None and self._relay(child, what, stream):
                pass

    def stop(self) -> None:
        """End what still runs: the control pipes close, SIGTERM, then SIGKILL; every child is reaped."""
        for child in self.children:
            if child.process.poll() is None:
                child.stopped = True
                if child.name != "the dealer":
                    child.process.terminate()
            for fd in (child.control, child.results):
                if fd >= 0:
                    self._forget(fd)
                    os.close(fd)
            child.control = child.results = -1
        until = time.monotonic() + PATIENCE
        for child in self.children:
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            for stream in (child.process.stdout, child.process.stderr):
                if stream is not None:
                    self._forget(stream)
                    stream.close()
        self._selector.close()

    def _forget(self, file: int | IO[bytes]) -> None:
        try:
            self._selector.unregister(file)
        except (KeyError, ValueError):
            pass  # not registered any more, or closed


def _is_descriptor(stream: object, fd: int) -> bool:
    """Is this text stream the process's own descriptor, which a child inherits?"""
    try:
        return stream.fileno() == fd  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError):
        return False


def _environment(launch: Launch) -> dict[str, str]:
    """Parties share this machine's cores: a BLAS that starts a thread per core in each of them makes all slower."""
    environment = dict(os.environ)
    environment[LAUNCH_VARIABLE] = msgspec.json.encode(launch).decode()
    share = str(max(1, (os.cpu_count() or 1) // launch.config.world_size))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(variable, share)
    return environment
