"""Runs from stores on disk, without a dealer: what is left online, and how fast stores are made.

One session does all runs of a workload, with secrets that nobody has opened yet in each; a run's clock goes from the first
party's start to the last party's end, reading and decrypting the store included. The files were just written, so they
come from the system's cache rather than from the disk.
"""
from __future__ import annotations

import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import mpc
from mpc import identity
from mpc.benchmarks import protocols, training
from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.harness import Workload, begun
from mpc.benchmarks.rows import Line
from mpc.errors import MPCError
from mpc.preprocessing import plan as plans
from mpc.preprocessing import production
from mpc.preprocessing.stored import name_of

WORKLOADS: Final[dict[str, type[Workload]]] = {"stored-compare": protocols.Compare, "stored-step": training.StepSgd}


def all_runs(kind: type[Workload], runs: int, quick: bool) -> dict[str, Any]:
    """In every party: the workload again and again in one session."""
    with mpc.session() as party:
        workload = kind(party, quick)
        spans = []
        for _ in range(runs):
            state = workload.prepare()
            party.barrier()
            before = (party.total.rounds, party.total.bytes_sent)
            started = perf_counter()
            workload.run(state)
            party.barrier()  # until nothing is under way: what kernels leave for later is part of the run
            spans.append((started, perf_counter()))
        rounds, sent = (a - b for a, b in zip((party.total.rounds, party.total.bytes_sent), before, strict=True))
        return {"spans": spans, "rounds": rounds - 1, "bytes_sent": sent, "size": workload.size}


def measure(name: str, parties: int, repeat: int, quick: bool) -> Line:
    """The row of one workload; a failure is the row's error."""
    kind = WORKLOADS[name]
    line = begun(BY_NAME[name], False)
    runs = 1 if quick else repeat
    try:
        with tempfile.TemporaryDirectory(prefix="mpc-bench-") as directory:
            _measure(line, kind, parties, runs, quick, Path(directory))
    except MPCError as error:
        line.error = f"{type(error).__name__}: {error}"
    return line


def _measure(line: Line, kind: type[Workload], parties: int, runs: int, quick: bool, directory: Path) -> None:
    call = (kind, runs + 1, quick)  # the first run is not counted, as everywhere
    started = perf_counter()
    mpc.local(all_runs, parties, call, plan=directory / "plan")
    planning = perf_counter() - started
    plan = plans.read(directory / "plan")
    recipients, keys = production.local_recipients([name_of(rank) for rank in range(parties)])
    stores = directory / "stores"
    started = perf_counter()
    paths = production.produce(plan, recipients, identity.create("dealer").secret_key, stores, 1, keys=keys)
    dealing = perf_counter() - started
    got = mpc.local(all_runs, parties, call, store=stores)
    every = list(zip(*(ranks["spans"] for ranks in got), strict=True))
    line.runs = [max(end for _, end in run) - min(start for start, _ in run) for run in every[1:]]
    line.online_runs = list(line.runs)
    line.offline_runs = [dealing / (runs + 1)]
    line.rounds = max(ranks["rounds"] for ranks in got)
    line.bytes_sent = max(ranks["bytes_sent"] for ranks in got)
    line.offline_bytes = plan.correction_bytes // (runs + 1)
    speed = plan.correction_bytes / 1e6 / dealing
    sizes = [os.path.getsize(path) for path in paths]
    line.extra = {"store_bytes": sizes, "runs_in_store": runs + 1, "dealt_mb_per_second": speed, "planning_seconds": planning}
    line.note = f"dealt into files at {speed:.0f} MB/s; dry run {planning:.2f} s"
    if quick:
        line.note = f"quick: {got[0]['size']}; {line.note}"
