"""The process that all parties of a local run are forked from: the engine is imported once, not once per party.

It opens no socket, holds no secret and starts no thread. After the forks it passes signals on to its children, reaps
them and tells the launcher how each ended; when the launcher goes, it ends what is left.
"""
from __future__ import annotations

import gc
import os
import select
import signal
import sys

import msgspec
import numpy as np

from mpc.config import LAUNCH_VARIABLE
from mpc.parties import child
from mpc.pipes import Ended, Plan, Seat, read_frame, write_frame
from mpc.supervision import PATIENCE


def main(control: int, status: int) -> None:
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
    _supervise(control, status, ranks)


def _sit(seat: Seat) -> None:
    """Become that party: its own output, its own place, its own random numbers."""
    for fd, target in ((seat.stdout, 1), (seat.stderr, 2)):
        if fd >= 0:
            os.dup2(fd, target)
            os.close(fd)
    os.environ[LAUNCH_VARIABLE] = msgspec.json.encode(seat.launch).decode()
    np.random.seed()  # the state that user code may draw from was copied with the process
    child.main(seat.control, seat.results)


def _supervise(control: int, status: int, ranks: dict[int, int]) -> None:
    """Until no child is left. A byte on ``control`` is a signal for all of them.

    Its end means that the launcher is gone: the children see the same, clean up and exit; what does not is killed.
    """
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    watched = [control, awake]
    patience = None
    _reap(status, ranks)  # whoever ended before the signal handler stood
    while ranks:
        ready, _, _ = select.select(watched, [], [], patience)
        if not ready:
            _kill(ranks, signal.SIGKILL)
            patience = None
        if control in ready:
            byte = os.read(control, 1)
            if byte:
                _kill(ranks, byte[0])
            else:
                watched.remove(control)
                patience = PATIENCE
        if awake in ready:
            os.read(awake, 512)
            _reap(status, ranks)
    sys.stdout.flush()
    os._exit(0)


def _kill(ranks: dict[int, int], number: int) -> None:
    for pid in ranks:
        os.kill(pid, number)


def _reap(status: int, ranks: dict[int, int]) -> None:
    while ranks:
        pid, code = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        try:
            write_frame(status, Ended(ranks.pop(pid), os.waitstatus_to_exitcode(code)))
        except BrokenPipeError:
            pass  # the launcher is gone
