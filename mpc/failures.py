"""Which failure to show when several processes end badly, and the exit code it means.

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
129   ended by SIGHUP: its terminal went
130   interrupted (Ctrl-C)
143   ended by SIGTERM
====  =============================================================

A script that ends with ``sys.exit(code)`` ends the run with that code.
"""
from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from typing import Any, Final

from mpc import errors
from mpc.config import SessionConfig
from mpc.errors import MPCError, NotSupported, PartyLost
from mpc.pipes import Failure, Result
from mpc.supervision.child import Child

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


def first_failed(children: list[Child]) -> Child | None:
    """Who is to be shown: who failed by itself (an error of its own, a process that died), then who missed somebody,
    then an echo; the earliest."""

    def order(child: Child) -> tuple[int, float]:
        message = child.message
        kind = 0
        if isinstance(message, Failure):
            if message.echo is not None:
                kind = 2
            elif message.kind in ("PartyLost", "DealerLost"):
                kind = 1
        return kind, child.failed or 0.0

    if all(isinstance(c.message, Result) for c in children if c.is_party):
        return None  # a dealer that died behind their backs does not matter
    failed = [c for c in children if c.failed is not None]
    return min(failed, key=order, default=None)


def first_failure(
    children: list[Child], config: SessionConfig, timed_out: bool, timeout: float | None
) -> BaseException | None:
    """The exception to raise here, if any party failed."""
    found = first_failed(children)
    if found is None:
        if timed_out:
            late = ", ".join(c.name for c in children if c.rank < config.world_size and c.message is None)
            return PartyLost(f"{late} had not finished after timeout={timeout:g} s; all processes were ended")
        return None
    return _exception(found, children, config)


def _exception(child: Child, children: list[Child], config: SessionConfig) -> BaseException:
    where = _called(child, config)
    message = child.message
    if not isinstance(message, Failure):
        error: BaseException = PartyLost(death(child))
    else:
        restored = _restored(message)
        error = restored or PartyLost(f"{where} stopped with {message.kind}: {message.message}")
        error.__cause__ = RemoteTraceback(f"{where}:\n{message.traceback}")
        error.add_note(f"raised at {where}")
        if isinstance(error, MPCError):
            error.echo = message.echo
    for note in surroundings(child, children):
        error.add_note(note)
    if child.rank != 0 and child.stderr_text():
        error.add_note(f"stderr of {child.name}:\n{child.stderr_text()}")
    return error


def _called(child: Child, config: SessionConfig) -> str:
    return child.name if child.rank == config.world_size else f"{child.name} of {config.world_size}"


def death(child: Child) -> str:
    """How a process ended that said nothing."""
    signal_name = child.signal_name()
    if signal_name is None:
        return f"{child.name} ended with exit code {child.code} before it reported a result (os._exit, or a library's crash)"
    hint = ": by somebody, or by the system when memory ran out" if signal_name == "SIGKILL" else ""
    return f"{child.name} was killed by {signal_name}{hint}"


def surroundings(shown: Child, children: list[Child]) -> list[str]:
    """What the launcher knows beside the failure that it shows: what became of the process that was missed, who is paused
    (others may have missed who waited for it), and where in the program the others were."""
    notes = []
    message = shown.message
    missed = message.peer if isinstance(message, Failure) and message.kind in ("PartyLost", "DealerLost") else None
    if missed is not None:
        asked = [c for c in children if c is not shown and (c.rank == missed or c.paused)]
        notes += [note for c in asked for note in _fate(c)]
    lost = not isinstance(message, Failure) or missed is not None or message.kind == "ProgramMismatch"
    places = [
        f"{c.name} at {c.message.site}"
        for c in children
        if c is not shown and isinstance(c.message, Failure) and c.message.site
    ]
    if lost and places:
        notes.append(f"where the others ended: {', '.join(places)}")
    return notes


def _fate(child: Child) -> list[str]:
    message = child.message
    if isinstance(message, Result) and message.left:
        return [f"{child.name} left its session through sys.exit(), which is no error by itself:\n{message.left.rstrip()}"]
    if isinstance(message, Result):
        return [f"{child.name} finished its program without an error: did it leave out a session, or end early?"]
    if child.paused:
        return [f"{child.name} was stopped by a signal (SIGSTOP) and had not been continued"]
    if message is None and child.stopped:
        return [f"{child.name} was still running, without a sign of life for the others; it was ended"]
    return []


def _restored(message: Failure) -> BaseException | None:
    if message.exception is None:
        return None
    try:
        error = pickle.loads(message.exception)  # from a child that this process started
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


def value_of(child: Child) -> Any:
    assert isinstance(child.message, Result)
    try:
        return pickle.loads(child.message.value)  # from a child that this process started
    except Exception as error:
        raise NotSupported(f"the result of {child.name} cannot be unpickled here: {error!r}") from error


def explain(child: Child, config: SessionConfig, children: Sequence[Child] = ()) -> int:
    """Print what failed, once, and give the exit code. ``children``: all that the launcher knows of."""
    message = child.message
    if isinstance(message, Failure) and message.exit is not None:
        if message.message:
            print(message.message, file=sys.stderr)
        return message.exit
    if child.rank != 0 and child.stderr_text():
        print(f"--- stderr of {child.name} ---\n{child.stderr_text()}", file=sys.stderr)
    if isinstance(message, Failure):
        print(f"mpc: {_called(child, config)} failed\n{message.traceback.rstrip()}", file=sys.stderr)
        kind = errors.by_name(message.kind)
        code = exit_code(kind()) if kind is not None else 1
    else:
        print(f"mpc: {death(child)}", file=sys.stderr)
        code = exit_code(PartyLost())
    for note in surroundings(child, list(children)):
        print(f"mpc: {note}", file=sys.stderr)
    return code
