"""Parties as threads of this process: for tests and debugging."""
from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from mpc.config import Launch, SessionConfig
from mpc.errors import MPCError, PartyLost
from mpc.preprocessing.dealer import serve
from mpc.session import LAUNCH
from mpc.transport.memory import Hub

GRACE: Final = 5.0  # most seconds that the other parties get after the first failure


def run_threads(
    function: Callable[..., Any], args: tuple[Any, ...], config: SessionConfig, timeout: float | None,
    checkpoint: str | None = None, store: str | None = None, plan: str | None = None, hub: Hub | None = None,
) -> list[Any]:  # fmt: skip
    """``function(*args)`` as every party; its results by rank. ``hub``: where they meet, if somebody wants to look."""
    size = config.world_size
    hub = Hub(size) if hub is None else hub
    stop = threading.Event()
    results: list[Any] = [None] * size
    failures: list[tuple[bool, float, int, BaseException]] = []

    def party(rank: int) -> None:
        try:
            place = Launch(rank, config, checkpoint=checkpoint, store=store, plan=None if rank else plan)
            LAUNCH.set((place, hub))
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
        _, _, rank, error = min(failures, key=lambda f: f[:3])
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
