"""The command line of `mpc bench`."""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpc
from mpc.benchmarks import (
    catalog,
    federated,
    functions,
    kernels,
    layers,
    links,
    machine,
    mnist,
    network,
    paillier,
    privacy_adversarial,
    privacy_audit,
    privacy_masking,
    privacy_noise,
    privacy_sgd,
    privacy_synthesis,
    protocols,
    soak,
    stored,
    training,
)
from mpc.benchmarks.compare import compare
from mpc.benchmarks.harness import Workload, measure
from mpc.benchmarks.rows import Line
from mpc.benchmarks.table import print_result
from mpc.config import MAX_PARTIES, MIN_PARTIES
from mpc.errors import ConfigError
from mpc.launch import checked_page
from mpc.party import Party

FORMAT = 1
COUNTS = ("seeds", "splits", "epochs")


def main(argv: list[str] | None = None) -> int:
    """Run `mpc bench` with these arguments (default: the process's own); the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        if arguments[:1] == ["compare"]:
            wanted = _compare_parser().parse_args(arguments[1:])
            return compare(wanted.old, wanted.new, wanted.fail)
        _checked(arguments)
        if arguments[:1] == ["soak"]:
            return soak.main(arguments[1:])
        if arguments[:1] == ["privacy-adversarial"]:
            return privacy_adversarial.main(arguments[1:])
        if arguments[:1] == ["privacy-audit"]:
            return privacy_audit.main(arguments[1:])
        if arguments[:1] == ["privacy-masking"]:
            return privacy_masking.main(arguments[1:])
        if arguments[:1] == ["privacy-sgd"]:
            return privacy_sgd.main(arguments[1:])
        if arguments[:1] == ["privacy-synthesis"]:
            return privacy_synthesis.main(arguments[1:])
        return _run(_parser().parse_args(arguments))
    except SystemExit as error:  # argparse: help or a wrong command line
        return error.code if isinstance(error.code, int) else 2
    except (OSError, ValueError, ConfigError) as error:
        print(f"mpc bench: {error}", file=sys.stderr)
        return 2


def _checked(arguments: list[str]) -> None:
    """Raise ValueError for what a bench of hours would stumble over at its end."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("json", "data", "html", *COUNTS):
        parser.add_argument(f"--{name}")
    try:
        found, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return  # the bench's own parser says what is wrong
    if found.json is not None:
        checked_page(found.json)
    if found.data is not None and not os.path.isdir(found.data):
        raise ValueError(f"got --data {found.data}; want a directory that exists")
    for name in COUNTS:
        if (given := getattr(found, name)) is not None and given.lstrip("-").isdigit() and int(given) < 1:
            raise ValueError(f"got --{name} {given}; want at least 1")


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {e.name:<12} {e.group:<10} {e.title}" for e in catalog.ENTRIES)
    parser = argparse.ArgumentParser(
        prog="mpc bench",
        description="Measure kernels, protocols and training here. `mpc bench compare OLD NEW`: two results side by side. "
        "`mpc bench soak`: memory over 10,000 training steps. `mpc bench privacy-adversarial`: what an encoder hides. "
        "`mpc bench privacy-synthesis`: what synthetic records are worth. `mpc bench privacy-masking`: what masks leave. "
        "`mpc bench privacy-sgd`, `mpc bench privacy-audit`: membership inference with and without DP-SGD, the latter with "
        "shadow models.",
        epilog=f"names:\n{names}\n\nexample: mpc bench protocols --only relu,product --json today.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = f"{', '.join(catalog.GROUPS)} (all but {', '.join(catalog.ON_REQUEST)})"
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=groups)
    parser.add_argument("--parties", type=int, default=2, metavar="N", help="computing parties beside the dealer (2)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="counted runs of each row (5)")
    parser.add_argument("--only", default="", metavar="NAME[,NAME]", help="only these rows")
    parser.add_argument("--quick", action="store_true", help="small sizes and one run: does everything work?")
    parser.add_argument("--data", metavar="DIR", help="MNIST's four idx files, for mnist and federated (or digits without)")
    parser.add_argument("--emulator", metavar="FILE", help="for the group network [tests/network/emulator.py of the checkout]")
    parser.add_argument("--json", metavar="FILE", help="write everything measured, with all runs, to this file")
    return parser


def _compare_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mpc bench compare", description="The ratio of every row of two results.")
    parser.add_argument("old", help="a file that --json wrote")
    parser.add_argument("new", help="a file that --json wrote")
    parser.add_argument("--fail", action="store_true", help="exit code 1 if a row is more than 10 %% slower")
    return parser


def _run(options: argparse.Namespace) -> int:
    unknown = [group for group in options.groups if group not in catalog.GROUPS]
    if unknown:
        raise ValueError(f"got group {unknown[0]!r}; want {', '.join(catalog.GROUPS)}, or compare OLD NEW")
    if not MIN_PARTIES <= options.parties <= MAX_PARTIES:
        raise ValueError(f"got {options.parties} parties; want {MIN_PARTIES} to {MAX_PARTIES}")
    if options.repeat < 1:
        raise ValueError(f"got --repeat {options.repeat}; want at least 1")
    try:
        entries = catalog.chosen(options.groups, [name for name in options.only.split(",") if name])
    except KeyError as unknown_name:
        raise ValueError(f"got --only {unknown_name}; want names of {', '.join(catalog.BY_NAME)}") from None
    if any(entry.group == "mnist" for entry in entries):
        if options.data is None:
            raise ValueError("the group mnist trains on real data; want --data DIR with MNIST's four idx files")
        mpc.data.mnist(options.data)  # says now what is wrong with it
    if any(entry.group == "network" for entry in entries):
        network.emulator(options.emulator)  # the same
    about = machine.describe()
    lines = _measured(entries, options)
    about["load_after"] = machine.load()
    print_result(lines, about, options.parties, options.quick)
    if options.json:
        chosen = {"parties": options.parties, "repeat": options.repeat, "quick": options.quick}
        _write(options.json, {"format": FORMAT, "machine": about, "options": chosen, "peers": catalog.PEERS_NOTE}, lines)
    return 1 if any(line.error for line in lines) else 0


def _measured(entries: list[catalog.Entry], options: argparse.Namespace) -> list[Line]:
    workloads: dict[str, Callable[[Party, bool], Workload]] = {
        **protocols.WORKLOADS, **functions.WORKLOADS, **layers.WORKLOADS, **training.WORKLOADS,
        **privacy_noise.WORKLOADS, **privacy_sgd.WORKLOADS,
    }
    parties, repeat, quick = options.parties, options.repeat, options.quick
    lines: list[Line] = []
    for entry in entries:
        started = time.monotonic()
        if entry.group == "kernels":
            lines += kernels.measure(entry.name, repeat, quick)
        elif entry.group == "links":
            lines += links.measure(entry.name, repeat, quick)
        elif entry.group == "paillier":
            lines += paillier.measure(entry.name, repeat, quick)
        elif entry.group == "federated":
            lines += federated.measure(entry.name, quick, options.data)
        elif entry.group == "mnist":
            lines.append(mnist.measure(entry.name, parties, quick, options.data))
        elif entry.group == "stored":
            lines.append(stored.measure(entry.name, parties, repeat, quick))
        elif entry.group == "network":
            lines.append(network.measure(entry.name, parties, repeat, quick, network.emulator(options.emulator)))
        elif entry.name == "start":
            lines.append(protocols.start(parties, repeat, quick))
        else:
            lines.append(measure(entry.name, workloads[entry.name], parties, repeat, quick))
        said = f": {lines[-1].note}" if entry.group == "mnist" and lines[-1].note else ""  # minutes each: not only at the end
        print(f"mpc bench: {entry.name} ({time.monotonic() - started:.1f} s){said}", file=sys.stderr, flush=True)
    return lines


def _write(path: str, head: dict[str, Any], lines: list[Line]) -> None:
    text = json.dumps({**head, "rows": [line.to_dict() for line in lines]}, indent=1)
    Path(path).write_text(text + "\n")
