"""One process of a local run: a party that calls a function or runs a script, or the dealer.

Forked by `mpc.parties.template` with two inherited pipes. Everything it unpickles comes from the launcher, and it ends
at once when the launcher is gone.
"""
from __future__ import annotations

import faulthandler
import io
import os
import pickle
import shutil
import sys
import threading
import traceback
from typing import Any, Final, NoReturn

from mpc.config import announced
from mpc.errors import AuthenticationError, ConfigError, CorruptFrame, MPCError, NotSupported, PartyLost, ProgramMismatch
from mpc.exchange import is_program
from mpc.pipes import PACKAGE, Failure, Message, Result, Task, read_frame, write_frame
from mpc.report import FINISHED, Report

PEERS_FAULTS: Final = (PartyLost, ProgramMismatch, CorruptFrame, AuthenticationError)


def main(control: int, results: int) -> None:
    faulthandler.enable()  # a crash in a library says where
    for fd in (control, results):
        os.set_inheritable(fd, False)
    task = read_frame(control, Task)
    if task is None:
        return
    threading.Thread(target=_watch, args=(control, task.directory), name="parent watch", daemon=True).start()
    message = _outcome(task)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    try:
        write_frame(results, message)
    except BrokenPipeError:
        return
    if isinstance(message, Failure):
        raise SystemExit(message.exit or 1)


def _watch(control: int, directory: str) -> NoReturn:
    """Exit when the parent closes the pipe or dies; if it died, its directory is removed here."""
    while os.read(control, 1):
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


def _outcome(task: Task) -> Message:
    try:
        if task.package != PACKAGE:
            raise ConfigError(
                f"got {PACKAGE} in a party, want the launcher's {task.package}; "
                "install that one (`pip install -e .` in a checkout)"
            )
        launch = announced()
        assert launch is not None
        if launch.is_dealer:
            from mpc.preprocessing.dealer import serve

            serve(launch)
            return Result(b"")
        sys.path[:] = task.path
        sys.argv = task.argv
        if task.script is not None:
            return outcome_of(task)
        assert task.call is not None
        function, args = pickle.loads(task.call)
        return _result(function(*args), launch.rank)
    except SystemExit as error:
        return _exited(error)
    except BaseException as error:
        return _failure(error)


def outcome_of(task: Task) -> Message:
    """Run the task's script as ``__main__``; what came of it."""
    try:
        return _run_script(task)
    except SystemExit as error:
        return _exited(error)
    except BaseException as error:
        return _failure(error)


def _run_script(task: Task) -> Message:
    import runpy

    assert task.script is not None
    reports: list[Report] = []
    if task.report:
        FINISHED.set(reports)
    try:
        runpy.run_path(task.script, run_name="__main__")
    except SystemExit as error:
        if error.code not in (None, 0):
            raise
        return Result(b"", reports, _left(error))
    return Result(b"", reports)


def _result(value: Any, rank: int) -> Result:
    try:
        return Result(_dumps(value))
    except Exception as error:
        raise NotSupported(
            f"party {rank} returned a {type(value).__name__} that cannot be sent back: {error}; "
            "return revealed arrays, numbers, strings or containers of them"
        ) from None


def _dumps(value: Any) -> bytes:
    """Plain pickle where it does, else by value: classes of a notebook or script."""
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:
        import cloudpickle

        return bytes(cloudpickle.dumps(value))


def _exited(error: SystemExit) -> Message:
    if error.code in (None, 0):
        return Result(pickle.dumps(None), left=_left(error))
    code = error.code if isinstance(error.code, int) else 1
    text = "" if isinstance(error.code, int) else str(error.code)
    return Failure("SystemExit", text, _formatted(error), exit=code & 0xFF, site=_site(error))


def _left(error: SystemExit) -> str:
    """The traceback if it went through a session, which notes where on the exception."""
    return _formatted(error) if getattr(error, "__notes__", None) else ""


def _failure(error: BaseException) -> Failure:
    exception: bytes | None = None
    try:
        exception = _dumps(error)
        if type(pickle.loads(exception)) is not type(error):
            exception = None
    except Exception:
        exception = None  # the traceback's text is enough
    echo = error.echo if isinstance(error, MPCError) else None
    peer = error.peer if isinstance(error, MPCError) else None
    return Failure(type(error).__name__, str(error), _formatted(error), echo, exception, None, peer, _site(error))


def _site(error: BaseException) -> str:
    """File and line of the program's statement that raised; empty where there is none."""
    site = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_program(frame):
            site = f"{os.path.basename(frame.f_code.co_filename)}:{line}"
    return site


def _formatted(error: BaseException) -> str:
    """The traceback without the frames that started the user's code; of a peer's fault, without the engine's either."""
    step = error.__traceback__
    inside = (__file__, "<frozen runpy>")
    while step is not None and step.tb_next is not None and step.tb_frame.f_code.co_filename in inside:
        step = step.tb_next
    shown = traceback.TracebackException(type(error), error, step)
    last = max((n for n, (frame, _) in enumerate(traceback.walk_tb(step), 1) if is_program(frame)), default=0)
    if isinstance(error, PEERS_FAULTS) and last:
        shown.stack = traceback.StackSummary.from_list(shown.stack[:last])
    text = io.StringIO()
    shown.print(file=text)
    return text.getvalue()
