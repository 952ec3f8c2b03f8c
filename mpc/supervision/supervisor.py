"""Starts the processes of a run, hears their outcomes, and ends whatever is left.

One process is started, imports the engine, and forks all parties and the dealer (`mpc.parties.template`). Each of them
has two inherited pipes. On *control* it receives its `Task` and afterwards nothing: end of file there means that this
process is gone or has finished, and the child exits at once. On *results* it sends one `Result` or `Failure`. All stand
in a process group of their own, so that Ctrl-C reaches this process only, which then ends them.
"""
from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from mpc.config import THREADS_VARIABLE, Launch
from mpc.errors import ConfigError
from mpc.pipes import READ_BYTES, Ended, Paused, Plan, Seat, Task, framed, write_frame
from mpc.supervision.child import Child
from mpc.supervision.readers import Inbox, Relay, Statuses
from mpc.supervision.signals import Deferred

TICK: Final = 0.5  # seconds between looks at the clock
LINGER: Final = 2.0  # seconds that a party may take to exit after it reported
PATIENCE: Final = 1.0  # seconds between SIGTERM and SIGKILL


class Supervisor:
    """Starts one process per launch, waits for all parties, and ends whatever is left."""

    def __init__(self, signals: Deferred, all_output: bool = False) -> None:
        self.children: list[Child] = []
        self.timed_out = False
        self.template_code: int | None = None  # how the template process ended, if it was before its children
        self._signals = signals
        self._all_output = all_output
        self._selector = selectors.DefaultSelector()
        self._template: subprocess.Popen[bytes] | None = None
        self._control = -1
        self._lost = False

    def start(self, launches: Sequence[Launch]) -> None:
        """Start them all; `stop` is to follow in every case."""
        self._selector.register(self._signals.awake, selectors.EVENT_READ)
        ours: list[int] = []  # the children's ends, open here only until the template has them
        try:
            seats = [self._seat(launch, ours) for launch in launches]
            self._start(seats, launches[0].config.world_size, ours)
        finally:
            for fd in ours:
                os.close(fd)

    def _seat(self, launch: Launch, ours: list[int]) -> Seat:
        """A child's pipes: rank 0 writes where this process writes, the others are silent unless all output is wanted."""
        name = "the dealer" if launch.is_dealer else f"party {launch.rank}"
        control_read, control = os.pipe()
        ours.append(control_read)
        child = Child(launch.rank, name, control)
        self.children.append(child)
        first = launch.rank == 0
        relayed_out = self._all_output or (first and not _is_descriptor(sys.stdout, 1))
        relayed_err = self._all_output or not first or not _is_descriptor(sys.stderr, 2)
        results = self._reader(Inbox(child), ours)
        stdout = -1
        if relayed_out:
            stdout = self._reader(Relay(child, "stdout", self._all_output), ours)
        elif not first:
            stdout = os.open(os.devnull, os.O_WRONLY)
            ours.append(stdout)
        stderr = self._reader(Relay(child, "stderr", self._all_output), ours) if relayed_err else -1
        return Seat(launch, control_read, results, stdout, stderr)

    def _reader(self, take: Callable[[bytes], None], ours: list[int]) -> int:
        """A new pipe, read here into ``take``; its other end."""
        read, write = os.pipe()
        ours.append(write)
        os.set_blocking(read, False)
        self._selector.register(read, selectors.EVENT_READ, take)
        return write

    def _start(self, seats: list[Seat], parties: int, ours: list[int]) -> None:
        control_read, self._control = os.pipe()
        ours.append(control_read)
        status = self._reader(Statuses(self._heard), ours)
        try:
            self._template = subprocess.Popen(
                [sys.executable, "-P", "-m", "mpc.parties", "template", str(control_read), str(status)],
                stdin=subprocess.DEVNULL,
                pass_fds=ours,
                env=_environment(parties),
                process_group=0,
            )
        except OSError as error:
            raise ConfigError(f"the parties' processes could not start: {error}") from error
        try:
            write_frame(self._control, Plan(seats))
        except BrokenPipeError:
            pass  # it ended already: `wait` notices

    @property
    def parties(self) -> list[Child]:
        return [c for c in self.children if c.is_party]

    def send(self, task: Task, dealer_task: Task) -> None:
        """Queue the task for every child; it leaves while `wait` runs."""
        for child in self.children:
            os.set_blocking(child.control, False)
            data = memoryview(framed(task if child.is_party else dealer_task))
            self._selector.register(child.control, selectors.EVENT_WRITE, data)

    def wait(self, grace: float, timeout: float | None) -> None:
        """Return when every party has ended; ``grace`` seconds after the first failure, or after ``timeout``, anyway.

        After a failure nobody waits for processes that are paused. Raises what the handler of a signal raises.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (left := [c for c in self.parties if c.code is None]) and not self._lost:
            self._pump(TICK)
            self._signals.deliver()
            now = time.monotonic()
            failures = [c.failed for c in self.children if c.failed is not None]
            if failures and (now > min(failures) + grace or all(c.paused for c in left)):
                return
            if all(c.reported is not None and now > c.reported + LINGER for c in left):
                return
            if end is not None and now > end:
                self.timed_out = True
                return

    def _pump(self, timeout: float) -> None:
        """Move what is ready. A child's outcome and output are read before its end is noted: they come first here."""
        events = self._selector.select(timeout)
        for key, _ in sorted(events, key=lambda event: isinstance(event[0].data, Statuses)):
            if isinstance(key.data, memoryview):
                self._feed(key.fd, key.data)
            elif key.data is None:
                os.read(key.fd, READ_BYTES)  # a signal: its handler is called at a safe point
            else:
                self._drain(key.fd, key.data)

    def _feed(self, fd: int, data: memoryview) -> None:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            data = data[:0]
        if data:
            self._selector.modify(fd, selectors.EVENT_WRITE, data)
        else:
            self._selector.unregister(fd)

    def _drain(self, fd: int, take: Callable[[bytes], None], blocks: int = 1) -> None:
        for _ in range(blocks):
            try:
                block = os.read(fd, READ_BYTES)
            except BlockingIOError:
                return
            take(block)
            if not block:
                self._selector.unregister(fd)
                os.close(fd)
                return

    def _heard(self, status: Ended | Paused | None) -> None:
        """What the template process says: a child is gone, paused, or goes on; None when it is gone itself."""
        if status is None:
            self._lost = any(c.code is None for c in self.children)  # nobody watches them any more
            return
        child = next(c for c in self.children if c.rank == status.rank)
        if isinstance(status, Paused):
            child.paused = status.paused
            return
        for key in list(self._selector.get_map().values()):  # what it wrote before its end is in the pipes
            if isinstance(key.data, (Inbox, Relay)) and key.data.child is child:
                self._drain(key.fd, key.data, 1 << 10)
        child.code = status.code
        if child.message is None and not child.stopped:
            child.failed = child.failed or time.monotonic()

    def stop(self) -> None:
        """End what still runs: the control pipes close, SIGTERM, then SIGKILL (at once where a child is paused); every
        child is reaped, and so is what the children started."""
        if self._selector.get_map() is None:
            return  # done already
        for child in self.children:
            child.stopped = child.stopped or child.code is None
            if child.control >= 0:
                if child.control in self._selector.get_map():
                    self._selector.unregister(child.control)
                os.close(child.control)
                child.control = -1
        if self._template is not None:
            if any(c.stopped and (c.is_party or c.paused) for c in self.children):
                self._signal(signal.SIGTERM)
            until = time.monotonic() + PATIENCE
            while any(c.code is None for c in self.children) and not self._lost and time.monotonic() < until:
                self._pump(PATIENCE / 10)
            self._signal(signal.SIGKILL)  # whoever is left
            self._close_control()
            _end_group(self._template.pid)
            self._template.wait()
            if self._lost:
                self.template_code = self._template.returncode
            self._template = None
        self._close_control()
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fd)
            if key.data is not None:
                os.close(key.fd)
        self._selector.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.write(self._control, bytes([number]))
        except OSError:
            pass  # it is gone

    def _close_control(self) -> None:
        if self._control >= 0:
            os.close(self._control)
            self._control = -1


def _end_group(leader: int) -> None:
    """When the leader of a process group has ended, or does not: end the whole group. The leader is not reaped yet, so
    the number is still the group's."""
    until = time.monotonic() + PATIENCE
    while os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None and time.monotonic() < until:
        time.sleep(0.002)
    with suppress(ProcessLookupError):  # a signal to the launcher's group ended it before it had a group of its own
        os.killpg(leader, signal.SIGKILL)


def _is_descriptor(stream: object, fd: int) -> bool:
    """Is this text stream the process's own descriptor, which a child inherits?"""
    try:
        return stream.fileno() == fd  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


def _environment(parties: int) -> dict[str, str]:
    """Parties share this machine's cores: libraries that start a thread per core in each of them make all slower."""
    environment = dict(os.environ)
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")  # also: the process that forks has no threads
    cores = os.cpu_count() or 1
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(variable, str(max(1, cores // parties)))
    environment.setdefault(THREADS_VARIABLE, str(max(1, cores // (parties + 1))))  # the dealer multiplies too
    return environment
