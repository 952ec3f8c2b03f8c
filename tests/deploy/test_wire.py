"""What SECURITY.md says of the links, seen from outside: nothing readable travels, and a key is one member's place."""
from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from zmq.utils import z85

from mpc import identity
from mpc.transport import frames
from mpc.transport.frames import Kind
from tests.deploy.containers import Container, run_all
from tests.deploy.files import NAMES, PARTIES, compose_process

IPV4_AT, TCP, LOOPBACK_FRAME = 14, 6, 1 << 17
CLEAR = (b"hospital", b"clinic", b"additive", b"AuthenticationError", b"BinaryCrossEntropy", b"linear")
# Of a clear frame: magic, kind, dimensions, flags, and an operation below 2^32. Four bytes alone come up by chance.
HEADER = re.compile(rb"MPC1.[\x00-\x08].{6}\x00{4}", re.DOTALL)


@contextmanager
def listening() -> Iterator[list[bytes]]:
    """Everything that passes the loopback device."""
    heard: list[bytes] = []
    stop = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        tap.bind(("lo", 0))
        tap.settimeout(0.1)

        def listen() -> None:
            while not stop.is_set():
                try:
                    heard.append(tap.recv(LOOPBACK_FRAME))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield heard
        finally:
            stop.set()
            thread.join()


def payloads(heard: list[bytes], ports: set[int]) -> bytes:
    """What TCP carried to or from these ports."""
    out = []
    for frame in heard:
        ip = frame[IPV4_AT:]
        tcp = ip[4 * (ip[0] & 15) :]
        if ip[9] == TCP and {int.from_bytes(tcp[:2], "big"), int.from_bytes(tcp[2:4], "big")} & ports:
            out.append(tcp[4 * (tcp[12] >> 4) :])
    return b"".join(out)


def test_nothing_readable_travels(site: Path, tmp_path: Path) -> None:
    try:
        with listening() as heard:
            ended = run_all([Container(compose_process(name), site, tmp_path / name) for name in NAMES])
    except PermissionError:
        pytest.skip("listening on the loopback device needs root")
    assert {code for code, _, _ in ended.values()} == {0}, ended
    first = {int(p) for p in re.findall(r'"127\.0\.0\.1:(\d+)"', (site / "run.toml").read_text())}
    control, bulk = payloads(heard, first), payloads(heard, {p + 1 for p in first})
    assert b"CURVE" + bytes(15) in control and b"NULL" + bytes(16) not in control  # ZeroMQ's names of its mechanisms
    assert HEADER.match(frames.pack(Kind.OPEN, 7, 8, bytes(16), (1,)))
    assert not HEADER.search(control) and not HEADER.search(bulk)
    assert len(bulk) > 1e6 > len(control) and b"MPR1" in bulk  # all but the handshake travels in sealed records
    texts = [t.encode() for name in NAMES for t in re.findall(r'"(.{40})"', (site / "keys" / f"{name}.key").read_text())]
    assert len(texts) == 2 * len(NAMES)
    for found in (*CLEAR, *texts, *map(z85.decode, texts)):  # CURVE encrypts public keys too
        assert found not in control and found not in bulk, found


def impostor(
    site: Path, tmp_path: Path, key: Path, order: tuple[str, ...], awaited: tuple[str, ...]
) -> dict[str, tuple[int, str, str]]:
    """The three parties' ends when the institute's place is claimed with another key (and a run.toml that has it). They
    start in that order; those behind the ``awaited`` when these listen."""
    text = (site / "run.toml").read_text()
    ports = dict(zip(PARTIES, map(int, re.findall(r'"127\.0\.0\.1:(\d+)"', text)), strict=True))
    ports = {name: ports[name] for name in awaited}
    fake = tmp_path / "fake"
    shutil.copytree(site, fake)
    own, other = (re.search(r'public_key = "(.{40})"', p.read_text())[1] for p in (fake / "keys" / "institute.key", key))  # type: ignore[index]
    swap = {own: other, other: own}
    swapped = re.sub("|".join(map(re.escape, swap)), lambda m: swap[m[0]], text)
    (fake / "run.toml").write_text(swapped.replace("deadline = 5.0", "deadline = 60.0"))  # it waits for the others
    shutil.copy(key, fake / "keys" / "institute.key")
    places = {"hospital": site, "clinic": site, "institute": fake}
    return run_all([Container(compose_process(name), places[name], tmp_path / name) for name in order], ports)


def test_a_strangers_key_is_refused_and_named(site: Path, tmp_path: Path) -> None:
    stranger = identity.create("institute")
    stranger.write(tmp_path / "stranger.key")
    (site / "run.toml").write_text((site / "run.toml").read_text().replace("deadline = 60.0", "deadline = 5.0"))
    ended = impostor(site, tmp_path, tmp_path / "stranger.key", ("institute", "hospital", "clinic"), ("institute",))
    assert ended["institute"][0] == 7 and "refused this process's key" in ended["institute"][2], ended
    for name in ("hospital", "clinic"):
        assert ended[name][0] in (3, 7), ended  # the institute did not come
    # the first to refuse the stranger makes it go, maybe before the other meets it
    who = re.search(r"AuthenticationError: party \d \((hospital|clinic)\)", ended["institute"][2])
    assert who is not None, ended
    assert f"refused a stranger: public key {stranger.public_key}" in ended[who[1]][2]


def test_the_dealers_key_gets_no_partys_place(site: Path, tmp_path: Path) -> None:
    """A rank is a key's: with the dealer's key one is the dealer, whatever one's own run.toml says."""
    ended = impostor(site, tmp_path, site / "keys" / "dealer.key", PARTIES, ("hospital", "clinic"))
    assert {name: code for name, (code, _, _) in ended.items()} == dict.fromkeys(PARTIES, 4), ended
    assert "other public keys of institute, dealer" in ended["hospital"][2]
