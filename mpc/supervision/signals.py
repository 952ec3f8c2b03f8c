"""Ctrl-C and its kin, taken at safe points only: nothing is left half started or half ended."""
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn

Handler = Callable[[int, FrameType | None], Any]
NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_asked: list[int] = []  # to end, by `terminated`


class Interrupted(BaseException):
    """A signal asked the run to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.name = signal.Signals(number).name


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handler: end the run."""
    raise Interrupted(number)


def terminated(number: int, frame: FrameType | None) -> NoReturn:
    """Handler: end as at `sys.exit`, so that whatever stands open is closed."""
    _asked.append(number)
    raise SystemExit(128 + number)


def check_terminated() -> None:
    """End now if `terminated` was called and its exit swallowed: by an import that catches everything, a finaliser."""
    if _asked:
        raise SystemExit(128 + _asked[0])


class Deferred:
    """Context: signals wait for `deliver`, or for the end of the block.

    ``handler`` takes them there; by default the one that stood before, where Python has one. A signal that is ignored
    (nohup, a shell's background job) stays ignored, and all are once `Interrupted` was raised. Outside the main thread
    nothing is changed.
    """

    def __init__(self, handler: Handler | None = None) -> None:
        self._handler = handler
        self._before: dict[int, Any] = {}
        self._came: list[int] = []
        self._wake = -1
        self.awake = -1  # readable when a signal came

    def __enter__(self) -> Deferred:
        self.awake, self._wake = os.pipe()
        for fd in (self.awake, self._wake):
            os.set_blocking(fd, False)
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                before = signal.getsignal(number)
                if callable(before) or (before == signal.SIG_DFL and self._handler is not None):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)
        try:
            os.write(self._wake, b"\0")
        except BlockingIOError:
            pass  # it is awake already

    def deliver(self) -> None:
        """Handle what came. Raises what the handler raises."""
        while self._came:
            number = self._came.pop(0)
            (self._handler or self._before[number])(number, None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        late = error is None and self._handler is interrupt and bool(self._came)
        ended = late or isinstance(error, Interrupted)  # another Ctrl-C of an impatient person finds nothing left to end
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if ended else before)
        os.close(self.awake)
        os.close(self._wake)
        if error is None:
            self.deliver()  # one that came while the run was ending; after an error it asks for nothing more
