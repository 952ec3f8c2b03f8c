"""The container file: what hadolint says of it, and what hadolint cannot know."""
from __future__ import annotations

import json
import re
import subprocess

import pytest

from mpc.config import VERSION
from tests.deploy.files import DEPLOY, NAMES, PORTS, ROOT, compose, instructions, pod, tool

FOUND = instructions()
FINAL = FOUND[[n for n, (word, _) in enumerate(FOUND) if word == "FROM"][-1] :]


def only(word: str) -> str:
    (found,) = [rest for w, rest in FINAL if w == word]
    return found


def test_hadolint() -> None:
    command = [tool("hadolint"), str(DEPLOY / "Containerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_base_has_a_tag_and_both_stages_share_it() -> None:
    word, default = FOUND[0]
    assert word == "ARG" and re.fullmatch(r"BASE=docker\.io/[a-z/]+:\d+\.\d+-slim-[a-z]+", default)
    assert [rest.split()[0] for w, rest in FOUND if w == "FROM"] == ["${BASE}"] * 2


def test_runs_as_nobody_in_particular() -> None:
    assert only("USER") == "10001:10001"
    words = [word for word, _ in FINAL]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word == "RUN")  # nothing is done as root later
    assert json.loads(only("ENTRYPOINT")) == ["mpc"]
    assert tuple(map(int, only("EXPOSE").split())) == PORTS
    for name in NAMES:
        assert f"{pod(name)['securityContext']['runAsUser']}:{pod(name)['securityContext']['runAsGroup']}" == only("USER")


def test_compiler_and_sources_stay_behind() -> None:
    copied = [rest for word, rest in FINAL if word == "COPY"]
    assert copied == ["--from=build /opt/mpc /opt/mpc"]
    assert "apt-get" not in " ".join(rest for _, rest in FINAL)


def test_no_secret_is_asked_for_while_building() -> None:
    assert [rest for word, rest in FOUND if word == "ARG"] == [FOUND[0][1]]
    assert not re.search(r"secret|password|token|\.key\b", " ".join(rest for _, rest in FOUND), re.I)


def ignored(path: str) -> bool:
    """As Docker reads .dockerignore: the last pattern that matches the path or a folder above it decides."""
    out = False
    above = ["/".join(path.split("/")[: n + 1]) for n in range(len(path.split("/")))]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        regex = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(regex, part) for part in above):
            out = not line.startswith("!")
    return out


@pytest.mark.parametrize("path", [
    "hospital.key", "keys/hospital.key", "parties/hospital.key", "mpc/data/x.key", "data/patients.csv", "run.toml", ".env",
    ".git/config", "native/core.cpython-311-x86_64-linux-gnu.so", "mpc/__pycache__/x.pyc", "native/core.c",
    "tests/x.py", "parties/deploy/keys/hospital.key", "parties/deploy/data/hospital/patients.csv",
])
def test_stays_out_of_the_build(path: str) -> None:
    assert ignored(path)


def test_all_of_the_wheel_gets_into_the_build() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    paths = [p for p in listed.stdout.splitlines() if p.split("/")[0] in ("mpc", "native", "parties", "benchmarks")]
    needed = [p for p in paths if not p.startswith("parties/deploy/")]
    assert len(needed) > 100
    missing = [p for p in (*needed, "pyproject.toml", "setup.py", "README.md", "LICENSE") if ignored(p)]
    assert not missing


def test_image_names_say_this_version() -> None:
    images = {compose()["services"][name]["image"] for name in NAMES}
    assert images == {f"${{MPC_IMAGE:-localhost/mpc:{VERSION}}}"}
    pods = [c["image"] for name in NAMES for c in (*pod(name)["initContainers"], *pod(name)["containers"])]
    assert set(pods) == {f"localhost/mpc:{VERSION}"}
    for name in ("Containerfile", "README.md"):
        assert set(re.findall(r"localhost/mpc:(\S+?)`?\s", (DEPLOY / name).read_text())) == {VERSION}


def test_sources_carry_these_files_and_wheels_do_not() -> None:
    """An image is built from a checkout or an sdist; who installs the wheel has no use for them."""
    manifest = (ROOT / "MANIFEST.in").read_text().split()
    assert "parties/deploy" in manifest and ".dockerignore" in manifest
    assert not list(DEPLOY.rglob("__init__.py"))
