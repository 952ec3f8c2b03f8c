"""Three parties and a dealer, each a host of its own, keys and all; then somebody pulls a plug.

Whatever happens, every process ends within the deadline and a little, with one reason and the exit code of its cause.
"""
from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpc.identity import create
from tests.network.hosts import Hosts
from tests.network.runs import NAMES, PORT, Ended, Run

NORTH, EAST, SOUTH, BROKER = range(4)
DEADLINE = 4.0  # where it is waited for
SPARE = 15.0  # seconds: to tell the others, and to end four processes on a busy machine
PATIENT, AT_ONCE = 40.0, 20.0  # a deadline that nothing comes near, and how soon all is over then
ENDLESS = "endless"
MID = "step 3"


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with Hosts(4, rtt_ms=2, mbit=200) as made:
        yield made


@pytest.fixture
def run(hosts: Hosts, tmp_path: Path) -> Run:
    """Where nobody should be waited for."""
    return Run(hosts, tmp_path, deadline=PATIENT)


@pytest.fixture
def impatient(hosts: Hosts, tmp_path: Path) -> Run:
    return Run(hosts, tmp_path, deadline=DEADLINE)


def training(run: Run) -> Run:
    """Started, and in the middle of an endless training."""
    run.start(ENDLESS)
    run.until(MID)
    run.fault()
    return run


def finished(ended: dict[str, Ended]) -> str:
    """All are done; what they say of the result, alike."""
    assert {name: e.code for name, e in ended.items()} == dict.fromkeys(ended, 0), ended
    results = {e.out.splitlines()[-1] for name, e in ended.items() if name != "broker"}
    (result,) = results
    assert re.fullmatch(r"weights \[\[-?0\.\d+(, -?0\.\d+){7}]]", result)
    return result


def failed(ended: dict[str, Ended], code: int, within: float, *sayings: tuple[int, str]) -> None:
    """All ended with that code in that time, with one error each, and these ranks say why."""
    for name, e in ended.items():
        assert e.code == code and e.seconds < within, f"{name}: want code {code} within {within} s, got {e}"
        assert e.err.count("Traceback (most recent call last)") <= 1, e.err
    for rank, pattern in sayings:
        assert re.search(pattern, ended[NAMES[rank]].err), f"{NAMES[rank]} does not say {pattern!r}: {ended[NAMES[rank]].err}"


def test_they_train(run: Run, hosts: Hosts) -> None:
    run.start(8)
    ended = run.ended(60)
    finished(ended)
    assert all(e.err == "" for name, e in ended.items() if name != "broker")
    assert "session 1 has ended" in ended["broker"].err
    links = hosts.stats()["links"]
    assert all(links[f"{a}>{b}"]["bytes"] > 1000 for a in range(4) for b in range(4) if a != b), "everybody talks to everybody"


def test_a_host_is_cut_off(impatient: Run, hosts: Hosts) -> None:
    run = training(impatient)
    hosts.cut(EAST)
    lost = r"PartyLost: party 1 \(east\) (sent nothing|closed its connection|was lost)"
    place = r"\(party \d at operation \d+: .+, train.py:\d+\)"
    ended = run.ended(DEADLINE + SPARE)
    failed(ended, 3, DEADLINE + SPARE, (NORTH, lost), (SOUTH, lost), (EAST, r"PartyLost: .*" + place), (BROKER, "east"))


def test_the_dealer_is_cut_off(impatient: Run, hosts: Hosts) -> None:
    run = training(impatient)
    hosts.cut(BROKER)
    lost = r"DealerLost: the dealer \(broker\)"
    told = lost + r"|PartyLost: party 2 \(south\) (sent nothing|was lost)"  # it was too slow to say whom it waits for
    failed(run.ended(DEADLINE + SPARE), 3, DEADLINE + SPARE, (NORTH, told), (EAST, told), (SOUTH, lost), (BROKER, "failed"))


def test_a_party_is_killed(run: Run) -> None:
    """Its host lives and closes the connections: nobody waits for the deadline."""
    training(run)
    run.processes["south"].send_signal(signal.SIGKILL)
    ended = run.ended(AT_ONCE)
    assert ended.pop("south").code == -signal.SIGKILL
    lost = r"party 2 \(south\)"
    failed(ended, 3, AT_ONCE, (NORTH, lost), (EAST, lost), (BROKER, lost))


def test_altered_bulk_data_is_refused_by_name(run: Run, hosts: Hosts) -> None:
    """TCP's checksum fits: only the seal tells."""
    training(run)
    hosts.corrupt(1, NORTH, EAST, one_way=True, at_least=100, port=PORT + 1)
    altered = r"CorruptFrame: party 0 \(north\): record \d+ was altered .*\(party 1 at operation \d+: .*train.py:\d+\)"
    told = r"CorruptFrame: party 1 \(east\) stopped at operation \d+ with CorruptFrame"
    failed(run.ended(AT_ONCE), 8, AT_ONCE, (EAST, altered), (NORTH, told), (SOUTH, told), (BROKER, "CorruptFrame"))
    assert hosts.stats()["links"]["0>1"]["corrupted"] > 0


def test_a_stall_shorter_than_the_deadline_does_no_harm(hosts: Hosts, tmp_path: Path) -> None:
    run = training(Run(hosts, tmp_path, deadline=10.0))
    hosts.stall(EAST)
    time.sleep(3.5)
    assert all(process.poll() is None for process in run.processes.values())
    hosts.release(EAST)
    run.enough()
    run.fault()
    finished(run.ended(60))


def test_another_run_toml(run: Run) -> None:
    run.member("east", run.keys["east"], run.settings + "frac_bits = 15\n")
    run.fault()
    run.start(ENDLESS)
    said = r"(ProgramMismatch|another configuration)"
    ended = run.ended(60, NAMES[:-1])
    failed(ended, 4, 60, (NORTH, said), (EAST, said), (SOUTH, said))


def test_a_stranger_stays_outside(tmp_path: Path) -> None:
    """Who takes a member's name with a key of their own is refused, and named; the run goes on."""
    with Hosts(5, rtt_ms=2, mbit=200) as hosts:
        run = training(Run(hosts, tmp_path, deadline=PATIENT))
        key = create("south")
        folder = tmp_path / "stranger"
        folder.mkdir()
        key.write(folder / "south.key")
        own = run.toml(run.settings).replace(run.keys["south"].public_key, key.public_key)
        (folder / "run.toml").write_text(own.replace(hosts.addresses[SOUTH], hosts.addresses[4]))
        words = ["run", "--config", str(folder / "run.toml"), "--as", "south", str(run.script), "endless"]
        stranger = hosts.run(4, sys.executable, "-P", "-m", "mpc.parties", *words, timeout=120)
        who = re.search(r"AuthenticationError: party \d \((north|east)\)", stranger.stderr)  # whoever refused it first
        assert stranger.returncode == 7 and who is not None, stranger.stderr
        assert all(process.poll() is None for process in run.processes.values()), "the run goes on"
        run.enough()
        run.fault()
        ended = run.ended(60)
        finished(ended)
        assert f"refused a stranger: public key {key.public_key} from {hosts.addresses[4]}" in ended[who[1]].err


@pytest.mark.slow
def test_a_stall_longer_than_the_deadline(impatient: Run, hosts: Hosts) -> None:
    run = training(impatient)
    hosts.stall(EAST)
    lost = r"PartyLost: party 1 \(east\) (sent nothing|closed its connection|was lost)"
    failed(run.ended(DEADLINE + SPARE), 3, DEADLINE + SPARE, (NORTH, lost), (SOUTH, lost), (BROKER, "east"))


@pytest.mark.slow
def test_one_link_is_cut(impatient: Run, hosts: Hosts) -> None:
    """The third party sees both ends; it ends too, and nobody takes it for the one that is gone."""
    run = training(impatient)
    hosts.cut(NORTH, EAST)
    lost = r"PartyLost: party {} \(\w+\) (sent nothing|closed its connection|was lost)"
    ended = run.ended(DEADLINE + SPARE)
    failed(ended, 3, DEADLINE + SPARE, (NORTH, lost.format(1)), (EAST, lost.format(0)), (SOUTH, lost.format("[01]")))


@pytest.mark.slow
def test_altered_corrections_are_refused_by_name(run: Run, hosts: Hosts) -> None:
    training(run)
    hosts.corrupt(1, BROKER, SOUTH, one_way=True, at_least=100, port=PORT + 1)
    altered = r"CorruptFrame: the dealer \(broker\): record \d+ was altered"
    told = r"CorruptFrame: party 2 \(south\) stopped at operation \d+ with CorruptFrame"
    failed(run.ended(AT_ONCE), 8, AT_ONCE, (SOUTH, altered), (NORTH, told), (EAST, told), (BROKER, "CorruptFrame"))


@pytest.mark.slow
def test_slow_and_lossy_links_change_nothing(run: Run, hosts: Hosts) -> None:
    """A tenth of a second each way, 2 Mbit/s, packets lost and out of order: the same weights, later."""
    run.start(8)
    wanted = finished(run.ended(60))
    hosts.delay(100)
    hosts.rate(2)
    hosts.lose(50)
    hosts.reorder(10, ms=30)
    run.fault()
    run.start(8)
    ended = run.ended(120)
    assert finished(ended) == wanted
    assert ended["north"].seconds > 8 * 7 * 0.1, "8 steps of 7 rounds"
    assert sum(link["lost"] for link in hosts.stats()["links"].values()) > 3
