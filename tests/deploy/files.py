"""The files of parties/deploy, read as their engines would: what each process is told to run, and what it finds where."""
from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install '.[test]'")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "parties" / "deploy"
PARTIES = ("hospital", "clinic", "institute")
NAMES = (*PARTIES, "dealer")
PORTS = (7700, 7701)


def tool(name: str) -> str:
    """The program of that name from this interpreter's environment or the path; the test is skipped without it."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed: pip install '.[test]' (on x86-64 Linux)")
    return found


@dataclass(frozen=True)
class Process:
    """One process of a deployment: its arguments to the image's entry point, and the command lines that run before it.

    ``mounts``: path inside the container -> what is there: key, run.toml, train.py (files), secret, memory, run, data,
    state, tmp (folders).
    ``writable``: the paths among them that it may write to.
    """

    name: str
    args: list[str]
    before: list[list[str]]
    mounts: dict[str, str]
    writable: set[str]


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions, continued lines joined, comments gone."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    pairs = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(word.upper(), " ".join(rest.split())) for word, rest in pairs]


@cache
def compose(name: str = "compose.yaml") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return document


def compose_process(name: str) -> Process:
    service = compose()["services"][name]
    mounts = {f"/run/secrets/{s['target']}": "key" for s in service["secrets"]}
    mounts |= {c["target"]: Path(compose()["configs"][c["source"]]["file"]).name for c in service["configs"]}
    writable = set()
    for volume in service.get("volumes", ()):
        mounts[volume["target"]] = Path(volume["source"]).parent.name or volume["source"].removeprefix(f"{name}-")
        if not volume.get("read_only"):
            writable.add(volume["target"])
    scratch = {entry.split(":")[0] for entry in service["tmpfs"]}
    return Process(name, service["command"], [], mounts | dict.fromkeys(scratch, "tmp"), writable | scratch)


@cache
def kubernetes(name: str) -> list[dict[str, Any]]:
    """The documents applied for one process (a party's by the `sed` of party.yaml's first lines), or another file's."""
    folder = DEPLOY / "kubernetes"
    party = (folder / "party.yaml").read_text().replace("hospital", name)
    return list(yaml.safe_load_all(party if name in PARTIES else (folder / f"{name}.yaml").read_text()))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (found,) = [d for d in kubernetes(name) if d["kind"] == kind]
    return found


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind(name, "Job")["spec"]["template"]["spec"]
    return spec


def kubernetes_process(name: str) -> Process:
    spec = pod(name)
    (container,) = spec["containers"]
    every = [m for c in (*spec["initContainers"], container) for m in c["volumeMounts"]]
    mounts = {m["mountPath"]: m["name"].replace("key", "memory") for m in every}
    assert {m["name"] for m in every} == {v["name"] for v in spec["volumes"]}
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    return Process(name, container["args"], [c["command"] for c in spec["initContainers"]], mounts, writable)


PROCESSES = {"compose": compose_process, "kubernetes": kubernetes_process}
