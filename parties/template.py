"""The process that all parties of a local run are forked from: the engine is imported once, not once per party.

It opens no socket and starts no thread; of secrets it passes on the keys of a run over TCP, fresh for that run. After
the forks it passes signals on to its children, reaps them and tells the launcher how each ended; when the launcher goes,
it ends what is left. What the parties' scripts started and left behind becomes its own child (Linux), and is ended too.
"""
from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from mpc.config import announce
from mpc.parties import child
from mpc.pipes import Ended, Paused, Plan, Seat, read_frame, write_frame
from mpc.supervision.supervisor import PATIENCE

PR_SET_CHILD_SUBREAPER: Final = 36
LAST_WORDS: Final = 0.3  # seconds between SIGTERM and SIGKILL for what the scripts left behind


def main(control: int, status: int) -> None:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal that stops background output must not stop a party
    for fd in (control, status):
        os.set_inheritable(fd, False)
    plan = read_frame(control, Plan)
    if plan is None:
        return
    gc.collect()
    gc.freeze()  # what the children share is not copied by the collector's marks
    ranks: dict[int, int] = {}
    descriptors = {fd for seat in plan.seats for fd in seat.descriptors}
    for seat in plan.seats:
        pid = os.fork()
        if pid == 0:
            for fd in (control, status, *(descriptors - set(seat.descriptors))):
                os.close(fd)
            _sit(seat)
            return
        ranks[pid] = seat.launch.rank
    for fd in descriptors:
        os.close(fd)
    _adopt_orphans()
    _Watch(control, status, ranks).run()


def _sit(seat: Seat) -> None:
    """Become that party: its own output, its own place, its own random numbers."""
    for fd, target in ((seat.stdout, 1), (seat.stderr, 2)):
        if fd >= 0:
            os.dup2(fd, target)
            os.close(fd)
    announce(seat.launch)
    np.random.seed()  # the state that user code may draw from was copied with the process
    child.main(seat.control, seat.results)


def _adopt_orphans() -> None:
    """Descendants whose parents end become children of this process, not of init."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # not Linux: the launcher ends the process group


class _Watch:
    """The template's second life: signals in, outcomes out."""

    def __init__(self, control: int, status: int, ranks: dict[int, int]) -> None:
        self._control = control
        self._status = status
        self._ranks = ranks  # by process id, of those that live
        self._paused: set[int] = set()
        self._awake, self._wake = os.pipe()

    def run(self) -> None:
        """Until no child is left. A byte on the control pipe is a signal for all of them.

        Its end means that the launcher is gone: the children see the same, clean up and exit; what does not is killed.
        """
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        watched = [self._control, self._awake]
        patience = None
        self._reap()  # whoever ended before the signal handler stood
        while self._ranks:
            ready, _, _ = select.select(watched, [], [], patience)
            if not ready:
                self._kill(signal.SIGKILL)
                patience = None
            if self._control in ready:
                byte = os.read(self._control, 1)
                if byte:
                    self._kill(byte[0])
                else:
                    watched.remove(self._control)
                    patience = PATIENCE
            if self._awake in ready:
                os.read(self._awake, 512)
                self._reap()
        _end_orphans()
        sys.stdout.flush()
        os._exit(0)

    def _kill(self, number: int) -> None:
        """A signal for all; those that are paused would take it when they go on, so they are killed."""
        for pid in self._ranks:
            os.kill(pid, signal.SIGKILL if pid in self._paused else number)

    def _reap(self) -> None:
        while self._ranks:
            pid, code = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return
            rank = self._ranks.get(pid)
            if rank is None:
                continue  # an orphan of a script
            if os.WIFSTOPPED(code) or os.WIFCONTINUED(code):
                (self._paused.add if os.WIFSTOPPED(code) else self._paused.discard)(pid)
                self._tell(Paused(rank, os.WIFSTOPPED(code)))
            else:
                del self._ranks[pid]
                self._tell(Ended(rank, os.waitstatus_to_exitcode(code)))

    def _tell(self, message: Ended | Paused) -> None:
        try:
            write_frame(self._status, message)
        except BrokenPipeError:
            pass  # the launcher is gone


def _end_orphans() -> None:
    """End what the scripts started and did not wait for: a signal to ask, then one to insist. The killed ones' own
    children arrive here in turn."""
    until = time.monotonic() + LAST_WORDS
    number = signal.SIGTERM
    asked: set[int] = set()
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() > until and number == signal.SIGTERM:
            number = signal.SIGKILL
            asked.clear()
        for pid in _children() - asked:
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)
            asked.add(pid)
        time.sleep(0.005)


def _children() -> set[int]:
    """Direct children of this process; none where there is no /proc."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text(errors="replace")
        except OSError:
            continue  # it ended
        if int(text.rpartition(")")[2].split()[1]) == os.getpid():
            found.add(int(entry.parent.name))
    return found
