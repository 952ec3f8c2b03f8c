"""``python tests/fuzz/__main__.py TARGET... [--seconds N] [--add DIR]``: fuzz with atheris, guided by coverage.

It starts from the kept corpus and the seeds. A finding is written to the working directory (crash-*, timeout-*) and ends
the process with an exit code above 0. Several targets are fuzzed one after the other, each in a folder of its name.
``--add``: inputs that reach something new are kept there; ``--merge`` puts a smallest set of the inputs of that directory
into the corpus.
"""
from __future__ import annotations

import argparse
import importlib
import os
import resource
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
INSTRUMENTED = [
    *("mpc.transport", "mpc.greeting", "mpc.meeting", "mpc.exchange", "mpc.masks", "mpc.windows"),
    *("mpc.preprocessing", "mpc.saving.files", "mpc.saving.tree"),
]
MEMORY = 1 << 30  # bytes of address space beyond what the process starts with
SECONDS_EACH = 25  # that one input may take
MAX_BYTES = 4096


def one_of(names: list[str]) -> str:
    """The target that is this process's: each in a child, in a folder of its own; the parent ends with the worst code."""
    worst = 0
    for name in names:
        child = os.fork()
        if not child:
            os.makedirs(name, exist_ok=True)
            os.chdir(name)
            return name
        worst = max(worst, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
    sys.exit(worst)


def main() -> None:
    import atheris

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--add", type=Path)
    parser.add_argument("--merge", action="store_true")
    options, from_libfuzzer = parser.parse_known_args()
    sys.path.append(str(ROOT))  # behind an installed engine
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = importlib.import_module("tests.fuzz.targets")
    mutate = importlib.import_module("tests.fuzz.mutate")
    seeds = importlib.import_module("tests.fuzz.seeds")
    target = options.targets[0] if len(options.targets) == 1 else one_of(options.targets)
    corpus = targets.CORPUS / target
    started = Path(tempfile.mkdtemp(prefix="seeds-"))
    for number, seed in enumerate(seeds.seeds()[target]):
        (started / str(number)).write_bytes(seed)
    arguments = [f"-timeout={SECONDS_EACH}", f"-max_len={MAX_BYTES}", "-rss_limit_mb=4096", "-print_final_stats=1"]
    command = sys.argv[0]
    if from_libfuzzer:  # merging, libFuzzer starts this command again and again
        arguments = from_libfuzzer
    elif options.merge:
        command = f"{sys.executable} -P {Path(__file__).resolve()} {target}"
        corpus.mkdir(parents=True, exist_ok=True)
        arguments += ["-set_cover_merge=1", str(corpus), str(started), str(options.add)]
    else:
        new = options.add or Path(tempfile.mkdtemp(prefix="fuzz-"))
        new.mkdir(parents=True, exist_ok=True)
        arguments += [f"-max_total_time={options.seconds}", str(new), str(started), *([str(corpus)] if corpus.is_dir() else [])]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))

    def packed(data: bytes, max_size: int, seed: int) -> bytes:
        """Half of the time well-formed, half of the time any bytes."""
        return mutate.packed(data, max_size, seed) if seed % 2 else atheris.Mutate(data, max_size)

    extra = {"custom_mutator": packed} if target in targets.PACKED else {}
    atheris.Setup([command, *arguments], lambda data: targets.run(target, data), **extra)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
