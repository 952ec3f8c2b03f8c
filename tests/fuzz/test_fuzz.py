"""The fuzz targets: the kept corpus is replayed always, and each target is fuzzed for a while where atheris is there.

``MPC_FUZZ_SECONDS``: per target, 2 by default.
"""
from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz import mutate, seeds, targets

MAX_FILES, MAX_BYTES = 200, 500_000  # of the whole corpus
ALLOWANCE = 1 << 22  # bytes that one input may make a process hold; DEALER_LIMIT, of which frames and their parts are copies
SECONDS = int(os.environ.get("MPC_FUZZ_SECONDS", "2"))


def inputs(name: str) -> list[tuple[str, bytes]]:
    started = [(f"seed {k}", seed) for k, seed in enumerate(seeds.seeds()[name])]
    return started + [(path.name, path.read_bytes()) for path in sorted((targets.CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_corpus_finds_nothing(name: str) -> None:
    """Only MPCError comes out, and no input makes the process hold more than its allowance."""
    taken = 0
    targets.run(name, b"")
    for label, data in inputs(name):
        tracemalloc.start()
        try:
            taken += targets.run(name, data)
            held = tracemalloc.get_traced_memory()[1]
        except Exception as error:
            raise AssertionError(f"{name}, {label} ({data[:80]!r}...): {error!r}") from error
        finally:
            tracemalloc.stop()
        assert held < ALLOWANCE, f"{name}, {label}: {held} bytes"
    assert taken >= (name != "meeting"), "no input is taken: the target refuses everything, and tests nothing"


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    files = [path for path in targets.CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(targets.TARGETS)
    assert len(files) < MAX_FILES and sum(path.stat().st_size for path in files) < MAX_BYTES


def test_mutated_inputs_are_still_well_formed() -> None:
    for name in targets.PACKED:
        for seed in set(seeds.seeds()[name]) - set(seeds.findings()[name]):  # some of these are not even MessagePack
            made = {mutate.packed(seed, 4096, k) for k in range(50)}
            assert len(made) > 20
            for data in made:
                targets.run(name, data)


def test_fuzzing_for_a_while_finds_nothing(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has wheels for Linux on x86-64 and Python 3.11 to 3.13 only")
    script = str(Path(targets.__file__).parent / "__main__.py")
    command = [sys.executable, "-P", script, *targets.TARGETS, "--seconds", str(SECONDS), "--add", "new"]
    patience = len(targets.TARGETS) * (SECONDS + 60) + 600
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=patience, check=False)
    found = [f"{path.relative_to(tmp_path)}: {path.read_bytes()!r}" for path in tmp_path.glob("*/*-*")]
    assert done.returncode == 0 and not found, f"{found}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    assert done.stderr.count("DONE") == len(targets.TARGETS), done.stderr[-6000:]
