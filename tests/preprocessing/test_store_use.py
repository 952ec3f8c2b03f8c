"""How far a store is used up, who may use it at a time, and how stores are made."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import mpc
from mpc import identity
from mpc.preprocessing import production, sealing
from mpc.preprocessing.layout import BODY, HEADER_AREA, MARK_BYTES, MARKS, Header
from mpc.preprocessing.reading import Reader
from mpc.preprocessing.sealing import RECORD_BYTES
from mpc.preprocessing.store import Store
from mpc.preprocessing.writing import Writing
from tests.preprocessing.stores import compare, opened, planned, product, stored


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stored(compare, tmp_path, runs=3)


# --- how far it is used up
def test_what_is_used_up_stays_so(folder: Path) -> None:
    for used in (1, 3, 3, 7):
        store = opened(folder, 0)
        store.use(used)
        store.close()
        store = opened(folder, 0)
        assert store.used == used
        with pytest.raises(ValueError):
            store.use(used - 1)
        store.close()


@pytest.mark.parametrize("torn", [0, 1])
def test_a_mark_that_was_torn_leaves_the_other(torn: int, folder: Path) -> None:
    """Power may fail while one mark is written: the first torn, the second old, or the first new, the second torn."""
    store = opened(folder, 0)
    store.use(1)
    old = (folder / "rank-0.store").read_bytes()[HEADER_AREA:BODY]
    store.use(2)
    store.close()
    with open(folder / "rank-0.store", "r+b") as file:
        if torn == 0:  # power failed before the second was touched
            file.seek(MARKS[1])
            file.write(old[MARK_BYTES:])
        file.seek(MARKS[torn])
        file.write(os.urandom(20))
    store = opened(folder, 0)
    assert store.used == (1 if torn == 0 else 2)
    store.close()
    with open(folder / "rank-0.store", "r+b") as file:
        file.seek(HEADER_AREA)
        file.write(bytes(2 * MARK_BYTES))
    with pytest.raises(mpc.IntegrityError, match="marks"):
        opened(folder, 0)


def test_marks_are_synced_before_they_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    write, sync = os.pwrite, os.fsync
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: (calls.append(f"write {at}"), write(fd, data, at))[1])
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), sync(fd))[1])
    store = opened(folder, 0)
    store.use(1)
    assert calls == [f"write {MARKS[0]}", "sync", f"write {MARKS[1]}", "sync"]


def test_a_disk_that_cannot_be_written_uses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(folder, 0)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(mpc.ConfigError, match="No space left"):
        store.use(1)
    assert store.used == 0


def test_two_processes_do_not_share_a_store(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mpc import identity; from mpc.preprocessing.store import Store\n"
        "Store(Path(sys.argv[1]), identity.load(Path(sys.argv[2])).secret_key); print('opened')"
    )
    command = [sys.executable, "-P", "-c", code, str(folder / "rank-0.store"), str(folder / "rank-0.key")]
    store = opened(folder, 0)
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1 and "in use by another process" in second.stderr
    with pytest.raises(mpc.ConfigError, match="in use"):
        opened(folder, 0)  # another session of this process neither
    store.close()
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "opened\n"


# --- making stores
@pytest.mark.parametrize("key", ["", "#" * 40, "~" * 40, "ä" * 40, "0" * 35])
def test_what_is_no_public_key_is_named(key: str) -> None:
    with pytest.raises(mpc.ConfigError, match="got public key .*; want the 40 characters"):
        sealing.public_bytes(key)


def test_stores_are_never_replaced_and_nothing_half_made_stays(tmp_path: Path) -> None:
    folder = stored(product, tmp_path)
    plan = planned(product, tmp_path)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    recipients, keys = production.local_recipients(["rank-0", "rank-1"])
    secret = identity.create("dealer").secret_key
    with pytest.raises(mpc.ConfigError, match="exists already"):
        production.produce(plan, recipients, secret, folder, 1, keys=keys)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    spoiled = msgspec.structs.replace(plan, requests=(*plan.requests, plan.requests[0]))  # an operation dealt twice
    with pytest.raises(mpc.PreprocessingExhausted):
        production.produce(spoiled, recipients, secret, tmp_path / "new", 1, keys=keys)
    assert list((tmp_path / "new").iterdir()) == []
    (folder / "rank-0.store").unlink()
    (folder / "rank-1.store").unlink()
    with pytest.raises(mpc.ConfigError, match="keys are not replaced"):
        production.produce(plan, recipients, secret, folder, 1, keys=keys)
    assert sorted(p.name for p in folder.iterdir()) == ["rank-0.key", "rank-1.key"]


def test_a_disk_without_room_is_noticed_before_dealing(tmp_path: Path) -> None:
    plan = planned(compare, tmp_path)
    recipients, _ = production.local_recipients(["a", "b"])
    with pytest.raises(mpc.ConfigError, match="MB left"):
        production.produce(plan, recipients, identity.create("d").secret_key, tmp_path / "o", 10**9)


@pytest.mark.parametrize("nbytes", [0, 1, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 3 * RECORD_BYTES + 7])
def test_sections_of_any_length_come_back(nbytes: int, tmp_path: Path) -> None:
    own, dealer = identity.create("a"), identity.create("d")
    public = sealing.public_bytes(own.public_key)
    plan = planned(product, tmp_path)
    body = msgspec.msgpack.encode(plan)
    ephemeral, writer, keys = sealing.written(public, dealer.secret_key)
    header = Header(
        plan.package, bytes(16), plan.digest, 2, "additive", 16, 2, len(body), writer, 0, "a", nbytes, ephemeral, public
    )
    data = [os.urandom(nbytes) for _ in range(2)]
    file = Writing(tmp_path / "a.store", header, keys, body)
    for section in data:
        file.dealing(os.urandom(32))
        for at in range(0, nbytes, 300_001):  # in pieces that straddle records
            file.write(section[at : at + 300_001])
        file.end()
    file.finish()
    store = Store(tmp_path / "a.store", own.secret_key, sealing.public_bytes(dealer.public_key))
    for number in (0, 1):
        reader = Reader(store, number, store.take(number)[1])
        got = bytearray(nbytes)
        view = memoryview(got)
        for at in range(0, nbytes, 77_777):
            reader.into(view[at : at + 77_777])
        assert bytes(got) == data[number]
        with pytest.raises(mpc.PreprocessingExhausted):
            reader.into(memoryview(bytearray(1)))
        reader.close()
    store.close()
