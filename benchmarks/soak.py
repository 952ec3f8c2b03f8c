"""`mpc bench soak`: a long training, with the resident memory of every process sampled while it runs.

Everything that a training does again and again is in it: shuffled batches, forward and backward passes, an optimiser with
state, revealed losses, checkpoints. Memory must stay where it is once the processes have settled.
"""
from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np

import mpc
from mpc.benchmarks import machine
from mpc.config import MAX_PARTIES, MIN_PARTIES
from mpc.nn.functional import binary_cross_entropy_with_logits

ROWS, FEATURES, HIDDEN, SIZE = 320, 20, 16, 32
ALLOWED: Final = 0.05  # how far resident memory may be from what it was once settled
BLOCKS: Final = "▁▂▃▄▅▆▇█"
SAMPLES: Final = 200


class Memory(NamedTuple):
    """Resident bytes of one process, at the steps at which all were sampled."""

    name: str
    steps: list[int]
    resident: list[int]

    def settled(self, at: int) -> list[int]:
        """The samples from step ``at`` on."""
        return [size for step, size in zip(self.steps, self.resident, strict=True) if step >= at]

    def change(self, at: int) -> float:
        """The largest change since step ``at``, as a part of what it was there; with its sign."""
        first, *later = self.settled(at)
        return max((size / first - 1 for size in later), key=abs, default=0.0)


def train(steps: int, every: int) -> dict[str, Any]:
    """At every party: the training. Rank 0 samples all processes of the run, which are its siblings, and itself."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ROWS, FEATURES))
    labels = (features @ rng.normal(size=(FEATURES, 1)) > 0).astype(float)
    samples: list[tuple[int, float, dict[int, int]]] = []
    with mpc.session() as s:
        s.manual_seed(0)
        x = mpc.share(features if s.rank == 0 else None, owner=0)
        y = mpc.share(labels if s.rank == 1 else None, owner=1)
        model = mpc.nn.Sequential(mpc.nn.Linear(FEATURES, HIDDEN), mpc.nn.ReLU(), mpc.nn.Linear(HIDDEN, 1))
        optimizer = mpc.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        epochs = -(-steps * SIZE // ROWS)
        batches = mpc.data.batches(
            x, y, size=SIZE, epochs=epochs, checkpoint=[model, optimizer], checkpoint_every=10 * every
        )
        done = 0
        for xb, yb in batches:
            loss = binary_cross_entropy_with_logits(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if done % every == 0:
                loss.reveal(reason="the loss")
                if s.rank == 0:
                    samples.append((done, perf_counter(), resident()))
            if done == steps:
                break
        right = ((model(x) > 0) == y).mean().reveal(reason="accuracy")
    return {"pid": os.getpid(), "samples": samples, "right": float(right)}


def resident() -> dict[int, int]:
    """Resident bytes of every process of this run by its identifier."""
    found = {}
    above = os.getppid()
    for pid in Path(f"/proc/{above}/task/{above}/children").read_text().split():
        try:
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        except OSError:
            continue  # it has ended: its failure is told elsewhere
        found[int(pid)] = int(pages) * os.sysconf("SC_PAGESIZE")
    return found


def measure(steps: int, parties: int) -> tuple[list[Memory], dict[str, Any]]:
    """Run it. Every process's memory, and what else is told: seconds per step in the first and last tenth, accuracy."""
    every = max(1, steps // SAMPLES)
    with tempfile.TemporaryDirectory(prefix="mpc-soak-") as folder:
        ranks = mpc.local(train, parties, (steps, every), checkpoint=folder)
    samples = ranks[0]["samples"]
    at = [step for step, _, _ in samples]
    names = {found["pid"]: f"party {rank}" for rank, found in enumerate(ranks)}
    everybody = sorted({pid for _, _, sizes in samples for pid in sizes}, key=lambda pid: names.get(pid, "the dealer"))
    memories = [Memory(names.get(pid, "the dealer"), at, [sizes[pid] for _, _, sizes in samples]) for pid in everybody]
    tenth = max(1, len(samples) // 10)
    times = [seconds for _, seconds, _ in samples]
    first, last = (span / (tenth * every) for span in (times[tenth] - times[0], times[-1] - times[-1 - tenth]))
    return memories, {"steps": steps, "seconds_per_step": [first, last], "right": ranks[0]["right"]}


def plot(memory: Memory, width: int = 60) -> str:
    """The samples as blocks, from nothing to the largest: growth is seen, noise is not."""
    columns = [memory.resident[i * len(memory.resident) // width] for i in range(width)]
    top = max(memory.resident)
    return "".join(BLOCKS[min(len(BLOCKS) - 1, size * len(BLOCKS) // top)] for size in columns)


def text(memories: list[Memory], facts: dict[str, Any], settled: int) -> str:
    """The result for a terminal."""
    first, last = facts["seconds_per_step"]
    lines = [f"{facts['steps']} steps; {1e3 * first:.2f} ms a step in the first tenth, {1e3 * last:.2f} ms in the last; "
             f"accuracy {facts['right']:.2f}",
             f"{'process':<12}{f'step {settled}':>12}{'end':>12}{'change':>10}   resident memory, from 0"]  # fmt: skip
    for memory in memories:
        sizes = memory.settled(settled)
        change = memory.change(settled)
        told = f"{memory.name:<12}{sizes[0] / 1e6:>9.1f} MB{sizes[-1] / 1e6:>9.1f} MB{change:>+10.1%}   {plot(memory)}"
        lines.append(told + ("" if abs(change) <= ALLOWED else f"  more than {ALLOWED:.0%}"))
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """`mpc bench soak` with these arguments; 1 where the memory of a process did not stay."""
    parser = argparse.ArgumentParser(prog="mpc bench soak", description="A long training with everybody's memory watched.")
    parser.add_argument("--steps", type=int, default=10_000, metavar="N", help="training steps (10000)")
    parser.add_argument("--settled", type=int, default=500, metavar="N", help="the step from which memory must stay (500)")
    parser.add_argument("--parties", type=int, default=2, metavar="N", help="computing parties beside the dealer (2)")
    parser.add_argument("--json", metavar="FILE", help="write all samples to this file")
    options = parser.parse_args(argv)
    if not MIN_PARTIES <= options.parties <= MAX_PARTIES:
        raise ValueError(f"got {options.parties} parties; want {MIN_PARTIES} to {MAX_PARTIES}")
    if not 2 <= 2 * options.settled <= options.steps:
        raise ValueError(f"got --steps {options.steps} --settled {options.settled}; want at least twice as many steps, and 1")
    memories, facts = measure(options.steps, options.parties)
    print(text(memories, facts, options.settled))
    if options.json:
        samples = {m.name: dict(zip(m.steps, m.resident, strict=True)) for m in memories}
        found = {"machine": machine.describe(), **facts, "settled": options.settled, "resident": samples}
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    return 1 if any(abs(memory.change(options.settled)) > ALLOWED for memory in memories) else 0
