"""The store as a file: who opens it, and what damage is found."""
from __future__ import annotations

import os
import shutil
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

import mpc
from mpc import identity
from mpc.preprocessing import sealing
from mpc.preprocessing.layout import BODY, HEADER_AREA, SECRET_SIZE
from mpc.preprocessing.reading import Reader
from mpc.preprocessing.sealing import RECORD_BYTES, TAG_BYTES
from mpc.preprocessing.store import Store
from tests.preprocessing.stores import compare, opened, stored


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stored(compare, tmp_path, runs=3)


def test_files_are_private_and_hold_the_plan_and_a_key_for_each_run(folder: Path) -> None:
    plans, sizes = set(), []
    for rank in (0, 1):
        path = folder / f"rank-{rank}.store"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        store = opened(folder, rank)
        plans.add(store.plan)
        store.check(rank, mpc.config.SessionConfig(2, preprocessing="store"))
        assert store.used == 0 and store.header.runs == 3
        sizes.append(store.header.correction_bytes)
        raw = path.read_bytes()
        secrets = [store.take(number)[0] for number in range(3)]
        assert len(set(secrets)) == 3, "every run has keys of its own"
        assert not any(secret in raw for secret in secrets)
        store.close()
    assert len(plans) == 1
    assert sizes == [0, next(iter(plans)).correction_bytes]
    assert not list(folder.glob("*.new"))


def test_corrections_in_the_file_look_uniform(folder: Path) -> None:
    data = np.frombuffer((folder / "rank-1.store").read_bytes()[BODY:], np.uint8)
    counts = np.bincount(data, minlength=256)
    assert ((counts - data.size / 256) ** 2).sum() / (data.size / 256) < 400  # chi squared of 255 degrees: 1e-8


@pytest.mark.parametrize("where", ["magic", "header", "padding", "plan", "first dealing", "last dealing", "last byte"])
def test_every_altered_byte_is_found(where: str, folder: Path) -> None:
    with closing(opened(folder, 1)) as store:
        at = {
            "magic": 0, "header": 40, "padding": HEADER_AREA - 1, "plan": BODY + 5, "first dealing": store.header.where(0)[0],
            "last dealing": store.header.where(2)[0] + 100, "last byte": os.path.getsize(store.path) - 1,
        }[where]  # fmt: skip
    with open(folder / "rank-1.store", "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))
    with pytest.raises((mpc.IntegrityError, mpc.ConfigError)):
        read_all(folder)


def read_all(folder: Path) -> None:
    with closing(opened(folder, 1)) as store:
        for number in range(store.header.runs):
            with closing(Reader(store, number, store.take(number)[1])) as reader:
                reader.into(memoryview(bytearray(store.header.correction_bytes)))


@pytest.mark.parametrize("cut", [1, TAG_BYTES, 1000, 10**9])
def test_a_file_that_was_cut_off_is_refused(cut: int, folder: Path) -> None:
    path = folder / "rank-1.store"
    os.truncate(path, max(100, os.path.getsize(path) - cut))
    with pytest.raises(mpc.IntegrityError, match="cut off"):
        opened(folder, 1)


def test_a_longer_file_is_refused(folder: Path) -> None:
    with open(folder / "rank-0.store", "ab") as file:
        file.write(b"x")
    with pytest.raises(mpc.IntegrityError, match="bytes; its header says"):
        opened(folder, 0)


def test_dealings_that_changed_places_are_refused(folder: Path) -> None:
    path = folder / "rank-0.store"
    store = opened(folder, 0)
    first, second, end = (store.header.where(k)[0] for k in range(3))
    store.close()
    data = bytearray(path.read_bytes())
    data[first:second], data[second:end] = data[second:end], data[first:second]
    path.write_bytes(data)
    with closing(opened(folder, 0)) as store, pytest.raises(mpc.IntegrityError, match="altered, exchanged"):
        store.take(0)


def test_records_of_another_production_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(stored(compare, other, runs=3), tmp_path / "second")
    data = bytearray((folder / "rank-1.store").read_bytes())
    data[BODY:] = (tmp_path / "second" / "rank-1.store").read_bytes()[BODY:]
    (folder / "rank-1.store").write_bytes(data)
    with pytest.raises(mpc.IntegrityError):
        opened(folder, 1)


def test_only_the_key_it_was_sealed_for_opens_a_store(folder: Path) -> None:
    with pytest.raises(mpc.IntegrityError, match="sealed for rank-1"):
        opened(folder, 1, key=0)


def test_only_the_dealer_of_the_run_may_have_written_it(folder: Path) -> None:
    """Whoever makes a store knows its masks; everybody has the party's public key."""
    secret = identity.load(folder / "rank-0.key").secret_key
    stranger = sealing.public_of(identity.create("x").secret_key)
    with pytest.raises(mpc.IntegrityError, match="does not come from the dealer"):
        Store(folder / "rank-0.store", secret, stranger)
    with closing(opened(folder, 0)) as store:  # a header that claims the dealer's key without its secret half
        forged = msgspec.structs.replace(store.header, dealer=stranger)
    with open(folder / "rank-0.store", "r+b") as file:
        file.write(forged.area())
    with pytest.raises(mpc.IntegrityError, match="altered"):
        Store(folder / "rank-0.store", secret, stranger)


def test_a_store_of_another_rank_or_other_settings_is_refused(folder: Path) -> None:
    store = opened(folder, 0)
    with pytest.raises(mpc.IntegrityError, match="store of rank 0"):
        store.check(1, mpc.config.SessionConfig(2))
    with pytest.raises(mpc.ConfigError, match="frac_bits 16"):
        store.check(0, mpc.config.SessionConfig(2, frac_bits=20))
    with pytest.raises(mpc.ConfigError, match="world_size 2"):
        store.check(0, mpc.config.SessionConfig(3))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_dealing_that_was_taken_cannot_be_read_again(rank: int, folder: Path) -> None:
    """Also not by who has the file and the key, nor when both marks are set back; those before it neither."""
    path = folder / f"rank-{rank}.store"
    before = path.read_bytes()
    with closing(opened(folder, rank)) as store:
        secret, records = store.take(1)
        at, record = store.header.where(1)
        with closing(Reader(store, 1, records)) as reader:
            reader.into(memoryview(bytearray(store.header.correction_bytes)))
        for number in (0, 1):
            with pytest.raises(mpc.IntegrityError, match="altered"):
                store.take(number)
        if rank == 1:  # the file's own key does not open what the secret did
            first = before[at + SECRET_SIZE : store.header.where(2)[0]]
            assert records.open(record + 1, first, "") and len(first) < RECORD_BYTES
            with pytest.raises(mpc.IntegrityError):
                store._records.open(record + 1, first, "")
        assert store.take(2)[0] != secret
    after = path.read_bytes()
    changed = {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    places = [store.header.where(number)[0] for number in range(3)]
    assert changed <= {at + i for at in places for i in range(SECRET_SIZE)}
    assert all(after[at : at + SECRET_SIZE] == bytes(SECRET_SIZE) for at in places)
