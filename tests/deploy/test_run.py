"""The deployments really run: dealer and three parties as processes, with what the files mount; host names become ports of
127.0.0.1."""
from __future__ import annotations

import dataclasses
import json
import re
import stat
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.deploy.containers import Container, run_all
from tests.deploy.files import NAMES, PARTIES, PROCESSES, ROOT, instructions


def test_entry_point_is_the_command_line() -> None:
    (entry,) = [json.loads(rest) for word, rest in instructions() if word == "ENTRYPOINT"]
    module, _, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][entry[0]].partition(":")
    assert callable(getattr(import_module(module), function))
    assert f"from {module} import {function}" in (ROOT / "parties" / "__main__.py").read_text()  # as MPC starts it


@pytest.mark.parametrize("kind", PROCESSES)
def test_three_parties_and_a_dealer(kind: str, site: Path, tmp_path: Path) -> None:
    containers = [Container(PROCESSES[kind](name), site, tmp_path / name) for name in NAMES]
    ended = run_all(containers)
    assert {name: code for name, (code, _, _) in ended.items()} == dict.fromkeys(NAMES, 0), ended
    accuracies = {re.search(r"accuracy (\S+) on 210 patients", ended[name][1])[1] for name in PARTIES}  # type: ignore[index]
    assert len(accuracies) == 1 and float(accuracies.pop()) > 0.9
    for rank, container in enumerate(containers[:-1]):
        names = {p.name for p in container.state}
        assert {f"model.rank{rank}.shares", f"loop1.rank{rank}.shares"} <= names, names
        assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in container.state if p.suffix == ".shares")
        others = [p for p in container.root.rglob("*.key") if p.stem != container.process.name]
        assert not others
    again = run_all(containers)  # the same command: all loops are done, the answer is the same
    assert {name: code for name, (code, _, _) in again.items()} == dict.fromkeys(NAMES, 0), again
    assert [again[n][1].splitlines()[-1] for n in PARTIES] == [ended[n][1].splitlines()[-1] for n in PARTIES]


def test_the_secret_as_kubernetes_mounts_it_is_refused(site: Path, tmp_path: Path) -> None:
    process = PROCESSES["kubernetes"]("hospital")
    args = [a.replace("/run/mpc/", "/secret/") for a in process.args]
    assert args != process.args
    container = Container(dataclasses.replace(process, args=args), site, tmp_path / "hospital")
    code, _, said = run_all([container])["hospital"]
    assert code == 6 and "mode 0440" in said and "chmod 600" in said
