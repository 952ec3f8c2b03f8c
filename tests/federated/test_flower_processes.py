"""SuperLink, three SuperNodes, and the app in examples/flower_app, as processes of their own that find each other over TCP."""
from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch (the extra 'torch') trains the example's model")
pytest.importorskip("flwr", reason="flwr (the extra 'federated') is what this test is about")

from mpc import identity  # noqa: E402
from mpc.errors import ConfigError, PartyLost  # noqa: E402
from mpc.federated.flower import LocalDeployment  # noqa: E402
from tests.ports import free_ports  # noqa: E402

APP = Path(__file__).parent.parent.parent / "examples" / "flower_app"
PATIENCE = 1500  # seconds for what takes some: Flower's programs start slowly, and a busy machine has other work
BOUND = 2.0**-21 + 2.0**-23  # SharesAggregator's quantisation (20 fraction bits), and float32 weights below 2


def example_task() -> Any:
    spec = importlib.util.spec_from_file_location("flower_app_task", APP / "flower_app" / "task.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def averaged(task: Any, start: dict[str, Any], owners: tuple[int, ...]) -> dict[str, Any]:
    """Plain federated averaging of one round, in float64."""
    total, moved = 0, {name: np.zeros(value.shape) for name, value in start.items()}
    for owner in owners:
        model = task.make_model()
        model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in start.items()})
        count, _ = task.train(model, owner, epochs=2, lr=0.1, max_norm=10.0)
        total += count
        for name, value in model.state_dict().items():
            moved[name] += count * (value.numpy().astype(float) - start[name])
    return {name: start[name] + value / total for name, value in moved.items()}


def until_asked(log: Path, times: int, within: float) -> None:
    """Wait until a SuperNode has been asked to train so often."""
    until = time.monotonic() + within
    while log.read_text(errors="replace").count("Receiving: train message") < times:
        assert time.monotonic() < until, log.read_text(errors="replace")
        time.sleep(0.05)


def check(folder: Path, number: int, owners: tuple[int, ...]) -> None:
    """The weights after a round are those of plain averaging, from the weights before it."""
    before, after = (dict(np.load(folder / f"round-{k}.npz")) for k in (number - 1, number))
    want = averaged(example_task(), before, owners)
    assert list(after) == list(want) and max(np.abs(value).max() for value in want.values()) < 2
    for name, value in after.items():
        assert np.abs(want[name] - before[name]).max() > 100 * BOUND  # there was something to learn
        np.testing.assert_allclose(value, want[name], rtol=0, atol=BOUND, err_msg=f"round {number}, {name}")


def test_a_superlink_that_does_not_come_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "flower-superlink"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))  # beside which programs are looked for
    here = LocalDeployment(1, start_within=0.05)
    with pytest.raises(PartyLost, match="superlink did not start"):
        here.__enter__()
    assert here.processes() == [] and not here.folder.exists()
    with pytest.raises(ConfigError, match="want at least 1"):
        LocalDeployment(0)


def test_three_supernodes(tmp_path: Path) -> None:
    with LocalDeployment(3, folder=tmp_path / "flower", start_within=PATIENCE) as here:
        said = here.run(APP, {"num-server-rounds": 1, "fraction-evaluate": 0.0, "save-to": tmp_path}, timeout=PATIENCE)
        assert len(here.processes()) >= 4  # that they are found while they live
    assert "round 1: 3 contributions, 0 refused" in said, said + here.logs()
    check(tmp_path, 1, (0, 1, 2))
    assert here.processes() == []


def keys_and_run_toml(folder: Path) -> Path:
    """Three parties and a dealer on 127.0.0.1, each with a key file."""
    ports, lines = free_ports(6), []
    for rank, name in enumerate(("clinic", "institute", "registry", "broker")):
        made = identity.create(name)
        made.write(folder / f"{name}.key")
        place = f'address = "127.0.0.1:{ports[2 * rank]}"\nbulk = "127.0.0.1:{ports[2 * rank + 1]}"\n' if rank < 3 else ""
        lines.append(f'{"[[party]]" if rank < 3 else "[dealer]"}\nname = "{name}"\npublic_key = "{made.public_key}"\n{place}')
    (folder / "run.toml").write_text("deadline = 600.0\n" + "\n".join(lines))
    return folder / "run.toml"


@pytest.mark.slow
def test_the_computing_parties_are_processes_of_their_own(tmp_path: Path) -> None:
    """As in earnest: the ServerApp is one party of three and holds no other's key; nodes know whom they trust."""
    run_toml = keys_and_run_toml(tmp_path)
    start, script = [sys.executable, "-P", "-m", "mpc.parties"], [str(APP / "computing_party.py"), str(run_toml), "trial", "1"]
    commands = [["run", "--config", str(run_toml), "--as", name, *script] for name in ("institute", "registry")]
    commands.append(["dealer", "--config", str(run_toml), "--once"])
    pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    others = [subprocess.Popen([*start, *command], **pipe) for command in commands]
    try:
        with LocalDeployment(3, folder=tmp_path / "flower", start_within=PATIENCE) as here:
            said = here.run(APP, {
                "num-server-rounds": 1, "fraction-evaluate": 0.0, "save-to": tmp_path, "run-toml": run_toml, "party": "clinic",
                "task": "trial",
            }, timeout=PATIENCE)  # fmt: skip
        assert "round 1: 3 contributions, 0 refused" in said, said + here.logs()
        told = [other.communicate(timeout=PATIENCE)[0] for other in others[:2]]
        assert [other.wait(PATIENCE) for other in others] == [0, 0, 0], told
        assert "1 of 1 rounds gave a model" in told[0] and "1 of 1 rounds gave a model" in told[1]
    finally:
        for other in others:
            other.kill()
            other.communicate()
    check(tmp_path, 1, (0, 1, 2))


@pytest.mark.slow
def test_a_supernode_is_killed_in_the_midst_of_a_round(tmp_path: Path) -> None:
    """The round has the others' work. Who is not there is left out: at the round's timeout, or once Flower misses it (60 s)."""
    app, code = tmp_path / "app", "flower_app/client_app.py"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    text = (app / code).read_text()
    first = "    model, run = model_of(message), context.run_config\n"
    waits = f"""    import pathlib, time
    while context.node_config["partition-id"] == 2 and pathlib.Path({str(tmp_path / "round-1.npz")!r}).exists():
        time.sleep(1)  # in the second round, until it is killed
"""
    assert first in text
    (app / code).write_text(text.replace(first, waits + first))
    with LocalDeployment(3, folder=tmp_path / "flower", start_within=PATIENCE) as here:
        run = here.submit(app, {
            "num-server-rounds": 2, "aggregator": "paillier", "fraction-evaluate": 0.0, "save-to": tmp_path,
        })  # fmt: skip
        until_asked(here.folder / "node2.log", 2, within=PATIENCE)
        here.kill(2)
        said, _ = run.communicate(timeout=PATIENCE)
    assert "round 1: 3 contributions, 0 refused" in said, said + here.logs()
    assert re.search("round 2: 2 contributions, [01] refused", said), said + here.logs()  # Flower may say that it is missed
    check(tmp_path, 1, (0, 1, 2))
    check(tmp_path, 2, (0, 1))
    assert here.processes() == []
