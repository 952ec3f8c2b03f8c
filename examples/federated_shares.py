"""Hospitals that take no part in the computation send their updates to three parties, who see the mean alone.

    python examples/federated_shares.py

plays everybody on this machine, with real processes and keys. On separate machines the same file serves three roles:
each hospital writes one message, with the parties' public keys from run.toml, and may then switch off,

    python examples/federated_shares.py client run.toml st-marys inbox/st-marys.bin

the messages come to the first party by whatever carries files (HTTPS, a mounted folder, Flower): they are sealed, and nobody
on the way can read or change them; then each party runs, and somebody without data runs `mpc dealer --config run.toml`

    mpc run --config run.toml --as clinic examples/federated_shares.py inbox
"""
import socket
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np

import mpc
from mpc import identity
from mpc.federated.aggregators.shares import SharesAggregator

LENGTH, ROUND = 1000, 1


def aggregator(run_toml: str) -> SharesAggregator:
    """The same everywhere; a new task for every training, so that no message of an old one counts."""
    parties = tomllib.loads(Path(run_toml).read_text())["party"]
    return SharesAggregator(public_keys=[p["public_key"] for p in parties], task="tumours-2026-11", max_norm=4.0, min_clients=3)


def client(run_toml: str, name: str, path: str) -> None:
    """At a hospital: what local training gave (here the number of its patients and a made-up update)."""
    rng = np.random.default_rng(len(name))
    update, patients = 0.05 * rng.normal(size=LENGTH) + 0.1, 100 * len(name)
    Path(path).write_bytes(aggregator(run_toml).client_message(update, patients, client=name, round=ROUND))


def party(run_toml: str, inbox: str) -> None:
    """At each party; only the first one has an inbox with something in it."""
    messages = [path.read_bytes() for path in sorted(Path(inbox).glob("*.bin"))]
    with mpc.session() as s:
        combined = aggregator(run_toml).combine(messages if s.rank == 0 else None, round=ROUND, length=LENGTH)
        if s.rank == 0:
            for place, reason in combined.refused.items():
                print(f"message {place} was refused: {reason}")
            hospitals, patients = len(combined.accepted), int(combined.weight)
            print(f"mean over {hospitals} hospitals and {patients} patients: {combined.mean.mean():.3f}")


def everybody(folder: Path) -> None:
    """Keys, run.toml, four hospitals (one of them sends rubbish), three parties and the dealer, on 127.0.0.1."""
    names, run_toml = ["clinic", "institute", "registry", "broker"], str(folder / "run.toml")
    start = [sys.executable, "-P", "-m", "mpc.parties"]
    lines = []
    for name in names:
        own = identity.create(name)  # `mpc keygen NAME`, at each of them
        own.write(folder / f"{name}.key")
        key = own.public_key
        if name == "broker":
            lines.append(f'[dealer]\nname = "{name}"\npublic_key = "{key}"\n')
        else:
            places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
            lines.append(f'[[party]]\nname = "{name}"\naddress = "{places[0]}"\nbulk = "{places[1]}"\npublic_key = "{key}"\n')
    (folder / "run.toml").write_text("\n".join(lines))
    (folder / "inbox").mkdir()
    for hospital in ("st-marys", "general", "children", "rubbish"):
        client(run_toml, hospital, str(folder / "inbox" / f"{hospital}.bin"))
    with (folder / "inbox" / "rubbish.bin").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    run = ["--config", run_toml, "--as"]
    here = [[*start, "run", *run, name, str(Path(__file__).resolve()), str(folder / "inbox")] for name in names[:-1]]
    with subprocess.Popen([*start, "dealer", "--config", run_toml]) as dealer:  # it waits for one session after another
        processes = [subprocess.Popen(command) for command in here]
        codes = [process.wait() for process in processes]
        dealer.terminate()
    if any(codes):
        sys.exit(f"exit codes {codes}")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(*sys.argv[2:])
    elif len(sys.argv) == 2:
        party(str(Path(sys.argv[1]).parent / "run.toml"), sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            everybody(Path(temporary))
