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
130   interrupted (Ctrl-C)
====  =============================================================

A script that ends with ``sys.exit(code)`` ends the run with that code.
"""
from __future__ import annotations

import pickle
import sys
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
    return f"{child.name} ended with exit code {child.code} before it reported a result"


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


def explain(child: Child, config: SessionConfig) -> int:
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
