"""compose.yaml and the Kubernetes files: valid, alike for all parties, and nothing in them may do more than it must."""
from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import msgspec
import pytest

from tests.deploy.files import (
    DEPLOY,
    NAMES,
    PARTIES,
    PORTS,
    PROCESSES,
    Process,
    compose,
    kubernetes,
    of_kind,
    pod,
    tool,
    yaml,
)

EVERY = [pytest.param(kind, name, id=f"{kind}-{name}") for kind in PROCESSES for name in NAMES]


@pytest.mark.parametrize("name", [*NAMES, "network"])
def test_kubernetes_schemas(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed: pip install '.[test]'")
    for document in kubernetes(name):
        validate.validate(document, validate.latest_version(), strict=True)


def test_yaml_is_read_alike_by_all_parsers() -> None:
    """No key twice: parsers differ in which they take."""

    class Strict(yaml.SafeLoader):  # type: ignore[name-defined,misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [k.value for k, _ in node.value if k.value != "<<"]
            assert len(set(keys)) == len(keys), f"{node.start_mark}: a key twice"
            return super().construct_mapping(node, deep)

    files = sorted(DEPLOY.rglob("*.yaml"))
    assert len(files) == 5
    for path in files:
        assert list(yaml.load_all(path.read_text(), Strict))


@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.site.yaml"]], ids=len)
def test_docker_compose_reads_the_same(files: list[str]) -> None:
    """Compose's own view of the files, anchors, variables and the override resolved."""
    command = [tool("docker-compose"), *(word for name in files for word in ("-f", name)), "config", "--format", "json"]
    ids = {"MPC_UID": "501", "MPC_GID": "20", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=DEPLOY, env=ids, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    seen = json.loads(done.stdout)
    for name in NAMES:
        service = seen["services"][name]
        assert service["command"] == PROCESSES["compose"](name).args and service["user"] == "501:20" and service["read_only"]
        assert [s["target"] for s in service["secrets"]] == [f"{name}.key"]
        published = {int(p["published"]) for p in service.get("ports", ())}
        assert published == (set(PORTS) if len(files) == 2 and name in PARTIES else set())
    assert bool(seen["networks"]["mpc"].get("internal")) == (len(files) == 1)


def test_docker_compose_asks_whose_the_keys_are() -> None:
    command = [tool("docker-compose"), "-f", "compose.yaml", "config", "--quiet"]
    done = subprocess.run(command, cwd=DEPLOY, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "MPC_UID is missing a value: the owner of keys/" in done.stderr


@pytest.mark.parametrize("kind,name", EVERY)
def test_processes_differ_by_name_only(kind: str, name: str) -> None:
    process = PROCESSES[kind](name)
    if name == "dealer":
        assert process.args[:2] == ["dealer", "--config"] and "--as" not in process.args
        assert not {"data", "state"} & set(process.mounts.values())
        return
    hospital = PROCESSES[kind]("hospital")
    assert [a.replace(name, "hospital") for a in process.args] == hospital.args
    assert {p.replace(name, "hospital"): what for p, what in process.mounts.items()} == hospital.mounts


@pytest.mark.parametrize("kind,name", EVERY)
def test_writes_only_where_it_must(kind: str, name: str) -> None:
    process: Process = PROCESSES[kind](name)
    assert {process.mounts[p] for p in process.writable} == ({"tmp"} if name == "dealer" else {"tmp", "state"})
    key = process.args[process.args.index("--key") + 1]
    assert key.endswith(f"/{name}.key") and not any(key.startswith(p) for p in process.writable)
    if name != "dealer":
        state = next(p for p, what in process.mounts.items() if what == "state")
        assert process.args[process.args.index("--checkpoint") + 1].startswith(f"{state}/")


@pytest.mark.parametrize("name", NAMES)
def test_compose_service_is_locked_down(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].startswith("${MPC_UID:?") and service["ulimits"] == {"core": 0} and service["mem_limit"]
    assert [s["source"] for s in service["secrets"]] == [f"{name}-key"]  # its own key and no other
    assert compose()["secrets"][f"{name}-key"] == {"file": f"./keys/{name}.key"}
    own = {v["source"] for v in service.get("volumes", ())}
    assert own == (set() if name == "dealer" else {f"./data/{name}", f"{name}-state"})
    assert service["networks"] == ["mpc"] and compose()["networks"]["mpc"] == {"internal": True} and "ports" not in service


def test_compose_site_opens_the_two_ports() -> None:
    site = compose("compose.site.yaml")
    assert site["networks"]["mpc"] == {"internal": False}
    assert {name: service["ports"] for name, service in site["services"].items()} == {
        name: [f"{port}:{port}" for port in PORTS] for name in PARTIES
    }


@pytest.mark.parametrize("name", NAMES)
def test_pod_is_locked_down(name: str) -> None:
    spec = pod(name)
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", NAMES)
def test_pod_gets_its_key_in_memory_and_0600(name: str) -> None:
    spec = pod(name)
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes["secret"] == {"name": "secret", "secret": {"secretName": f"{name}-key", "defaultMode": 0o400}}
    assert volumes["key"]["emptyDir"]["medium"] == "Memory"
    (init,) = spec["initContainers"]
    assert init["command"] == ["install", "-m", "0600", f"/secret/{name}.key", f"/run/mpc/{name}.key"]
    assert "secret" not in [m["name"] for m in spec["containers"][0]["volumeMounts"]]  # the party sees its copy only


@pytest.mark.parametrize("name", NAMES)
def test_job_tries_again_only_what_another_try_can_change(name: str) -> None:
    """Exit codes by cause: see `mpc run --help`."""
    from mpc import errors
    from mpc.failures import exit_code

    spec = of_kind(name, "Job")["spec"]
    rule = next(r for r in spec["podFailurePolicy"]["rules"] if r["action"] == "FailJob")["onExitCodes"]
    assert rule["containerName"] == spec["template"]["spec"]["containers"][0]["name"] and rule["operator"] == "In"
    lasting = (errors.ProgramMismatch, errors.ShapeError, errors.ConfigError, errors.AuthenticationError,
               errors.FixedPointRangeError, errors.NotSupported, errors.PreprocessingExhausted)
    assert set(rule["values"]) == {1, 2, *(exit_code(kind()) for kind in lasting)}
    assert exit_code(errors.PartyLost()) not in rule["values"] and exit_code(errors.CorruptFrame()) not in rule["values"]


@pytest.mark.parametrize("name", PARTIES)
def test_service_finds_its_pod(name: str) -> None:
    service = of_kind(name, "Service")
    labels = of_kind(name, "Job")["spec"]["template"]["metadata"]["labels"]
    assert service["metadata"]["name"] == name and service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= labels.items()
    assert tuple(p["port"] for p in service["spec"]["ports"]) == PORTS
    assert tuple(p["containerPort"] for p in pod(name)["containers"][0]["ports"]) == PORTS


def test_network_policy_covers_everybody_and_lets_only_parties_be_reached() -> None:
    everybody, parties = kubernetes("network")
    labels = {name: of_kind(name, "Job")["spec"]["template"]["metadata"]["labels"] for name in NAMES}

    def chosen(selector: dict[str, Any]) -> set[str]:
        return {name for name in NAMES if selector["matchLabels"].items() <= labels[name].items()}

    assert chosen(everybody["spec"]["podSelector"]) == set(NAMES) and chosen(parties["spec"]["podSelector"]) == set(PARTIES)
    assert everybody["spec"]["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in everybody["spec"]
    (inward,) = parties["spec"]["ingress"]
    outward, names = everybody["spec"]["egress"]
    assert chosen(inward["from"][0]["podSelector"]) == set(NAMES) and chosen(outward["to"][0]["podSelector"]) == set(PARTIES)
    assert inward["ports"] == outward["ports"] == [{"port": port} for port in PORTS]
    assert {p["port"] for p in names["ports"]} == {53}


def test_example_run_file_has_the_names_and_ports() -> None:
    file = msgspec.toml.decode((DEPLOY / "run.toml").read_text())
    assert [(p["name"], p["address"]) for p in file["party"]] == [(name, f"{name}:{PORTS[0]}") for name in PARTIES]
    assert file["dealer"]["name"] == "dealer"
    assert {p["public_key"] for p in (*file["party"], file["dealer"])} == {""}  # nobody runs it as it is
