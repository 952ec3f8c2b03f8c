"""Workloads between hosts with a slow network in between: WAN and LAN, emulated on this machine.

Every party and the dealer has a network namespace of its own (root, Linux) and runs as it would on another machine:
`mpc run --config run.toml`, `mpc dealer --config run.toml`, with keys, encrypted. The network is the emulator of the
checkout, tests/network/emulator.py. Features come from party 0 and labels from party 1.

Beside each time stands what rounds and bytes alone would take:

    predicted = rounds * one way + (bytes of the busiest party + bytes of the dealer) * 8 / bandwidth
"""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import mpc
from mpc import identity
from mpc.benchmarks import protocols, training
from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.harness import Workload, begun, fill, in_party
from mpc.benchmarks.rows import Line
from mpc.party import Party

NETWORKS: Final = {"wan": (40.0, 100.0), "lan": (0.5, 1000.0)}  # round trip in ms, Mbit/s of each sender
EMULATOR: Final = Path("tests", "network", "emulator.py")
PORT: Final = 7700
SECONDS: Final = 300  # for one row
SCRIPT: Final = "import sys\nfrom mpc.benchmarks.network import party_main\nparty_main(*sys.argv[1:])\n"


class Logistic5(training.Logistic):
    """Five epochs; their accuracy is not the point."""

    def __init__(self, party: Party, quick: bool) -> None:
        super().__init__(party, quick)
        self.epochs = min(self.epochs, 5)
        self.size = f"{self.epochs} epochs"

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        return "", {}


class StepSgd1(training.StepSgd):
    widths = (784, 128, 10)


WORKLOADS: Final[dict[str, type[Workload]]] = {
    "compare": protocols.Compare,
    "logistic": Logistic5,
    "step-1": StepSgd1,
    "step-2": training.StepSgd,
    "sequence": protocols.Sequence,
}


def party_main(name: str, repeat: str, quick: str) -> None:
    """In every party: all runs of one workload; what was measured goes to standard output."""
    print(json.dumps(in_party(WORKLOADS[name], int(repeat), quick == "quick")), flush=True)


def emulator(given: str | None) -> Path:
    """The emulator's script. Raises ValueError where there is none."""
    places = [Path(given)] if given else [Path(mpc.__file__).resolve().parents[1] / EMULATOR, Path.cwd() / EMULATOR]
    for place in places:
        if place.is_file():
            return place
    raise ValueError(
        f"the group network needs the emulator of the source checkout: there is none at {' or '.join(map(str, places))}; "
        "run `mpc bench` in a checkout, or name it: --emulator CHECKOUT/tests/network/emulator.py"
    )


def measure(name: str, parties: int, repeat: int, quick: bool, script: Path) -> Line:
    """The row of one workload on one network, in processes and namespaces of its own; a failure is the row's error."""
    network, _, workload = name.partition("-")
    line = begun(BY_NAME[name], parties == 2 and not quick)
    rtt, mbit = NETWORKS[network]
    try:
        with tempfile.TemporaryDirectory(prefix="mpc-bench-") as folder:
            hosts = _Hosts(script, parties + 1, rtt, mbit)
            try:
                size = "quick" if quick else "full"
                ranks = _run(hosts, Path(folder), parties, [workload, str(1 if quick else repeat), size])
                about = hosts.stats()
            finally:
                hosts.close()
    except (OSError, RuntimeError) as error:
        line.error = str(error)
        return line
    fill(line, ranks, quick)
    first = max(got["first"]["ended"] for got in ranks) - min(got["first"]["started"] for got in ranks)
    assert line.rounds is not None and line.bytes_sent is not None and line.offline_bytes is not None
    predicted = line.rounds * rtt / 2e3 + (line.bytes_sent + line.offline_bytes) * 8e-6 / mbit
    late = {"emulator_cpu": about["cpu"], "mean_late_ms": about["mean_late_ms"], "most_late_ms": about["most_late_ms"]}
    line.extra |= {"rtt_ms": rtt, "mbit": mbit, "first": first, "predicted": predicted, **late, "congestion": _congestion()}
    return line


def _congestion() -> str:
    """How this machine's TCP finds its rate."""
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown"


class _Hosts:
    """The emulator, and commands on its hosts."""

    def __init__(self, script: Path, count: int, rtt: float, mbit: float) -> None:
        command = [sys.executable, str(script), "--hosts", str(count), "--rtt", str(rtt), "--mbit", str(mbit)]
        pipe = subprocess.PIPE
        self._emulator = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        about = self._answer()
        self.namespaces: list[str] = about["namespaces"]
        self.addresses: list[str] = about["addresses"]

    def _answer(self) -> dict[str, Any]:
        assert self._emulator.stdout is not None
        line = self._emulator.stdout.readline()
        if not line:
            said = self._emulator.communicate()[1].strip().splitlines()
            raise OSError(f"the emulator (it needs root and ip netns) ended: {said[-1] if said else 'it said nothing'}")
        found: dict[str, Any] = json.loads(line)
        return found

    def stats(self) -> dict[str, Any]:
        assert self._emulator.stdin is not None
        self._emulator.stdin.write('{"what": "stats"}\n')
        self._emulator.stdin.flush()
        found: dict[str, Any] = self._answer()["ok"]
        return found

    def start(self, host: int, *words: str) -> subprocess.Popen[str]:
        """`mpc` with these words on that host."""
        command = ["ip", "netns", "exec", self.namespaces[host], sys.executable, "-P", "-m", "mpc.parties", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def close(self) -> None:
        """The end of its input ends it, and with it whatever runs on its hosts."""
        self._emulator.communicate()


def _run(hosts: _Hosts, folder: Path, parties: int, words: list[str]) -> list[dict[str, Any]]:
    """Every party's result, by rank. Raises RuntimeError with what the first one that failed says."""
    names = [*(f"party-{rank}" for rank in range(parties)), "dealer"]
    blocks = [f"deadline = {SECONDS / 5}\n"]
    for rank, name in enumerate(names):
        key = identity.create(name)
        key.write(folder / f"{name}.key")
        place = f'address = "{hosts.addresses[rank]}:{PORT}"\n' if rank < parties else ""
        head = "[[party]]" if rank < parties else "[dealer]"
        blocks.append(f'{head}\nname = "{name}"\n{place}public_key = "{key.public_key}"\n')
    config, script = folder / "run.toml", folder / "workload.py"
    config.write_text("\n".join(blocks))
    script.write_text(SCRIPT)
    dealer = hosts.start(parties, "dealer", "--config", str(config), "--once")
    started = [hosts.start(r, "run", "--config", str(config), "--as", names[r], str(script), *words) for r in range(parties)]
    results = []
    try:
        for name, process in zip(names, started, strict=False):
            out, said = process.communicate(timeout=SECONDS)
            if process.returncode:
                last = said.strip().splitlines()
                raise RuntimeError(f"{name} ended with exit code {process.returncode}: {last[-1] if last else ''}")
            results.append(json.loads(out.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"a party had not finished after {SECONDS} s") from None
    finally:
        for process in (*started, dealer):
            process.kill()
            process.communicate()
    return results
