"""Workloads of several parties: real processes on this machine, and how their seconds, rounds and bytes are counted.

Per run every party makes fresh secrets (not timed), waits for the others, and runs the program once. A run's time goes
from the first party's start to the last party's end and includes everything the dealer does for it. The first run is
not counted. Then the same number of runs with the corrections fetched beforehand (`mpc.benchmarks.ahead`): the dealer's
part and the online part, each alone on the machine.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter, process_time
from typing import Any, Protocol, cast

import mpc
from mpc.benchmarks.ahead import Ahead, Recorder, moved
from mpc.benchmarks.catalog import BY_NAME, PEERS, Entry
from mpc.benchmarks.rows import Line
from mpc.errors import MPCError
from mpc.party import Party
from mpc.preprocessing.client import DealerClient


class Workload(Protocol):
    """Made inside a session, once per party; ``quick`` means a small size."""

    size: str  # what is smaller when quick

    def __init__(self, party: Party, quick: bool) -> None: ...

    def prepare(self) -> Any:
        """Fresh secrets for one run; not timed."""

    def run(self, state: Any) -> Any:
        """The timed program."""

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        """After all runs, with the last one's state and result: a note and its numbers; not timed."""


class _Clock:
    """Seconds this party spends on receiving from the dealer, by wrapping the client's one receiving function."""

    def __init__(self, client: DealerClient) -> None:
        self.seconds = 0.0
        receive = client._receive

        def timed(*arguments: Any) -> Any:
            started = perf_counter()
            try:
                return receive(*arguments)
            finally:
                self.seconds += perf_counter() - started

        client._receive = timed  # type: ignore[assignment, method-assign]


class _Meter:
    """One party's runs of one workload."""

    def __init__(self, party: Party, workload: Workload) -> None:
        self.source = party.preprocessing
        client = cast(DealerClient, self.source)
        self.party, self.workload, self.client = party, workload, client
        self.clock = _Clock(client)
        self.state: Any = None
        self.result: Any = None

    def whole(self) -> dict[str, Any]:
        """One run with the dealer at work."""
        party = self.party
        self.state = self.workload.prepare()
        party.barrier()
        total, wait = party.total, self.clock.seconds
        before = (total.rounds, total.bytes_sent, total.offline_bytes)
        busy = process_time()
        started = perf_counter()
        self.result = self.workload.run(self.state)
        ended = perf_counter()
        busy = process_time() - busy
        after = (total.rounds, total.bytes_sent, total.offline_bytes)
        rounds, sent, offline = (a - b for a, b in zip(after, before, strict=True))
        party.barrier()
        counts = {"rounds": rounds, "bytes_sent": sent, "offline_bytes": offline}
        return {"started": started, "ended": ended, "wait": self.clock.seconds - wait, "cpu": busy, **counts}

    def recorded(self) -> tuple[list[Any], int]:
        """The requests of one run, and the operation number before it."""
        recorder = Recorder(self.client)
        self.state = self.workload.prepare()
        after = self.party._op
        self.party.preprocessing = recorder
        try:
            self.result = self.workload.run(self.state)
        finally:
            self.party.preprocessing = self.source
        return recorder.requests, after

    def apart(self, requests: list[Any], after: int) -> dict[str, float]:
        """One run with its corrections fetched before: the dealer's seconds, then the online ones."""
        party = self.party
        self.state = self.workload.prepare()
        by = party._op + 2 - after  # two barriers
        moved_on = [moved(request, after, by) for request in requests]
        party.barrier()
        fetching = perf_counter()
        source = Ahead(self.client, moved_on)
        fetched = perf_counter()
        party.barrier()
        party.preprocessing = source
        try:
            started = perf_counter()
            self.result = self.workload.run(self.state)
            ended = perf_counter()
        finally:
            party.preprocessing = self.source
        return {"started": started, "ended": ended, "offline": fetched - fetching}


def in_party(kind: Callable[[Party, bool], Workload], repeat: int, quick: bool) -> dict[str, Any]:
    """In every party: all runs of one workload."""
    with mpc.session() as party:
        workload = kind(party, quick)
        meter = _Meter(party, workload)
        first = meter.whole()  # warms up, and opens what stays open: a model's weights
        requests, after = meter.recorded()
        runs = [meter.whole() for _ in range(repeat)]
        apart = [meter.apart(requests, after) for _ in range(repeat)]
        note, extra = workload.finish(meter.state, meter.result)
        return {"first": first, "runs": runs, "apart": apart, "note": note, "extra": extra, "size": workload.size}


def measure(name: str, kind: Callable[[Party, bool], Workload], parties: int, repeat: int, quick: bool) -> Line:
    """The row of one workload, in processes of its own; a failure is the row's error."""
    entry = BY_NAME[name]
    line = begun(entry, parties == 2 and not quick)
    try:
        ranks = mpc.local(in_party, parties, (kind, 1 if quick else repeat, quick))
    except MPCError as error:
        line.error = f"{type(error).__name__}: {error}"
        return line
    fill(line, ranks, quick)
    return line


def begun(entry: Entry, comparable: bool) -> Line:
    """The row to fill; with the figures to reach and others' where the run is one that they are for."""
    line = Line(entry.group, entry.name, "", entry.title, "s", [], relative=entry.relative, goal_error=entry.goal_error)
    if comparable:
        line.goal = entry.goal
        line.goal_bytes = None if entry.goal_mb is None else entry.goal_mb * 1e6
        line.peers = dict(zip(PEERS, entry.peers, strict=True))
        line.peer_errors = dict(zip(PEERS, entry.peer_errors, strict=True))
    return line


def fill(line: Line, ranks: list[dict[str, Any]], quick: bool) -> None:
    """Times and counts from what every party measured."""
    line.runs = [_span(runs) for runs in zip(*(got["runs"] for got in ranks), strict=True)]
    line.online_runs = [_span(runs) for runs in zip(*(got["apart"] for got in ranks), strict=True)]
    line.offline_runs = [run["offline"] for run in ranks[-1]["apart"]]
    line.dealer_wait_runs = [run["wait"] for run in ranks[-1]["runs"]]
    last = [got["runs"][-1] for got in ranks]
    line.rounds = max(run["rounds"] for run in last)
    line.bytes_sent = max(run["bytes_sent"] for run in last)
    line.offline_bytes = sum(run["offline_bytes"] for run in last)
    busy = [median(run["cpu"] for run in got["runs"]) for got in ranks]  # all threads; hardly depends on the load
    line.note, line.extra = ranks[0]["note"], {**ranks[0]["extra"], "cpu_seconds": busy}
    line.max_error = line.extra.get("max_error")
    if quick:
        line.note = f"quick: {ranks[0]['size']}" + (f"; {line.note}" if line.note else "")


def _span(runs: Sequence[dict[str, float]]) -> float:
    """Seconds from the first party's start to the last party's end; the clock is the machine's."""
    return max(run["ended"] for run in runs) - min(run["started"] for run in runs)
