"""Local parties: `local` for functions, `run_script` for `mpc run`. Exit codes: `mpc.failures`."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from mpc.config import SessionConfig
from mpc.errors import ConfigError, MPCError
from mpc.failures import exit_code, explain, first_failed, first_failure, value_of
from mpc.pipes import PACKAGE, Result, Task
from mpc.report import Report, joined
from mpc.supervision.calls import pickled_call
from mpc.supervision.run import Run
from mpc.supervision.signals import Interrupted, interrupt
from mpc.supervision.threads import run_threads


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
    store: str | os.PathLike[str] | None = None,
    plan: str | os.PathLike[str] | None = None,
) -> list[Any]:
    """Run ``function(*args)`` as local parties and a dealer, one process each; its results by rank.

    The function opens `mpc.session()` itself. It may come from a notebook or a script's ``__main__``. Rank 0 prints as
    usual, the other ranks are silent. ``threads``: threads of this process instead (tests, debugging). ``transport``:
    "ipc" (sockets in a private directory) or "tcp" (127.0.0.1). ``deadline``: seconds that a party waits for another;
    ``timeout``: seconds for the whole run. ``checkpoint``: the directory of loops with a checkpoint (`mpc.data.batches`).
    ``store``: a directory of stored correlations (`mpc preprocess`) instead of a dealer. ``plan``: a dry run without data,
    which writes there what the program will ask of the dealer.

    Raises the exception of the party that failed first, with its rank and remote traceback; `PartyLost` for one that
    was killed or is still running after ``timeout``; `NotSupported` for results that cannot be pickled.
    """
    config = SessionConfig(
        world_size=parties, protocol=protocol, frac_bits=frac_bits, deadline=deadline, preprocessing=_preprocessing(store, plan)
    )
    if threads:
        return run_threads(function, tuple(args), config, timeout, directory(checkpoint), _absolute(store), _absolute(plan))
    with Run(
        config, transport, checkpoint=directory(checkpoint), store=_absolute(store), plan=_absolute(plan)
    ) as run:  # starting takes longer than pickling
        call = pickled_call(function, tuple(args))
        children = run.finish(Task("", PACKAGE, path=_search_path(), call=call, argv=list(sys.argv)), timeout)
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
    store: str | None = None,
    plan: str | None = None,
) -> int:
    """`mpc run`: the script as every party, with its messages on stderr; the exit code (see the module).

    ``report``: print each session's costs and ledger at the end. ``page``: also write them there as HTML. ``checkpoint``:
    the directory that checkpointed loops save to and go on from. ``store``: stored correlations instead of a dealer.
    ``plan``: a dry run that writes its plan there (`mpc preprocess`).
    """
    try:
        config = SessionConfig(
            world_size=parties, protocol=protocol, frac_bits=frac_bits, deadline=deadline,
            preprocessing=_preprocessing(store, plan),
        )  # fmt: skip
        checked_script(script, page)
        with Run(config, transport, all_output, directory(checkpoint), interrupt, _absolute(store), _absolute(plan)) as run:
            path = [os.path.dirname(os.path.abspath(script)), *_search_path()[1:]]
            argv = [script, *argv]
            task = Task("", PACKAGE, path=path, script=script, argv=argv, report=report or page is not None)
            children = run.finish(task, None)
    except Interrupted as stop:
        print(f"mpc: interrupted by {stop.name}; all parties ended", file=sys.stderr)
        return 128 + stop.number
    except MPCError as error:
        print(f"mpc: {error}", file=sys.stderr)
        return exit_code(error)
    found = first_failed(children)
    if found is None:
        show_reports([c.message.reports for c in children if c.rank < parties and isinstance(c.message, Result)], script, page)
        return 0
    return explain(found, config, children)


def show_reports(reports: Sequence[Sequence[Report]], script: str, page: str | None) -> None:
    """Print every session's report, joined over the parties that are given; with ``page`` also as HTML there."""
    for number, session in enumerate(zip(*reports, strict=False), 1):
        whole = joined(session)
        print(f"\n{whole}", end="", flush=True)
        if page is not None:
            stem, ending = os.path.splitext(page)
            path = page if number == 1 else f"{stem}-{number}{ending}"
            whole.to_html(path, f"Secure computation report: {os.path.basename(script)}")
            print(f"\nThe same as a page: {path}", flush=True)


def checked_script(script: str, page: str | None) -> None:
    """Raise ConfigError where a script or the page to write cannot be."""
    if not os.path.isfile(script):
        raise ConfigError(f"got script {script!r}; want a Python file (there is none at that path)")
    checked_page(page)


def checked_page(page: str | None) -> None:
    """Raise ConfigError where a page cannot be written: before the work, not after it."""
    if page is None:
        return
    if not os.access(os.path.dirname(os.path.abspath(page)), os.W_OK):
        raise ConfigError(f"got report {page!r}; want a file in a directory that exists and can be written")
    if os.path.isdir(page) or (os.path.exists(page) and not os.access(page, os.W_OK)):
        raise ConfigError(f"got report {page!r}; want a file that can be written")


def _preprocessing(store: object, plan: object) -> str:
    """Which kind of session that makes."""
    if store is not None and plan is not None:
        raise ConfigError("got a store and a plan to write; a dry run uses no store")
    return "store" if store is not None else "plan" if plan is not None else "dealer"


def _absolute(path: str | os.PathLike[str] | None) -> str | None:
    """The same path wherever the program goes."""
    return None if path is None else os.path.abspath(os.fspath(path))


def directory(checkpoint: str | os.PathLike[str] | None) -> str | None:
    """The same for every party, wherever its program goes. Raises ConfigError for what cannot be a directory."""
    if checkpoint is None:
        return None
    path = os.path.abspath(os.fspath(checkpoint))
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"got checkpoint {os.fspath(checkpoint)!r}; want a directory, or a name for a new one (it is a file)")
    return path


def _search_path() -> list[str]:
    """Where this process finds modules, for the children."""
    return [os.path.abspath(entry) for entry in sys.path]
