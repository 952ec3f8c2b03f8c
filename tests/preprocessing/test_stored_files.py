"""Sessions from stores that do not belong or are damaged: the right error at every party."""
from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import identity
from mpc.party import Party
from mpc.preprocessing import production
from mpc.preprocessing.reading import Reader
from mpc.preprocessing.sealing import public_bytes
from mpc.preprocessing.store import Store
from tests.preprocessing.stores import compare, failures, planned, run, stored


def spoil(folder: Path, rank: int, how: str, tmp_path: Path) -> None:
    path = folder / f"rank-{rank}.store"
    if how == "missing":
        path.unlink()
    elif how == "cut off":
        os.truncate(path, os.path.getsize(path) - 5)
    elif how == "another party's":
        shutil.copy(folder / f"rank-{1 - rank}.store", path)
    elif how == "of another production":
        shutil.move(folder, tmp_path / "first")
        stored(compare, tmp_path, runs=1)
        for other in {0, 1} - {rank}:
            for suffix in ("store", "key"):
                shutil.copy(tmp_path / "first" / f"rank-{other}.{suffix}", folder)
    else:
        with open(path, "r+b") as file:
            file.seek(-20, os.SEEK_END)
            file.write(b"altered")


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("how", ["missing", "cut off", "another party's", "of another production", "altered"])
def test_a_file_that_does_not_belong_is_refused_by_all(how: str, rank: int, tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, runs=1)
    spoil(folder, rank, how, tmp_path)
    found = failures(compare, store=folder)
    for error in found:
        assert isinstance(error, mpc.ConfigError if how == "missing" else mpc.IntegrityError), error
    own = [error for error in found if error.echo is None]
    assert own and (f"rank-{rank}.store" in str(own[0]) or how == "of another production")


def test_damage_in_the_middle_of_a_run_ends_it_at_all_parties(tmp_path: Path) -> None:
    x = np.ones(150_000)

    def program(s: Party) -> Any:
        y = mpc.share(x, 0) * mpc.share(x, 1)
        for _ in range(3):
            y = y * mpc.share(x, 1)
        return y.reveal()

    folder = stored(program, tmp_path)
    path = folder / "rank-1.store"
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) - (1 << 20))
        file.write(b"altered")
    for error in failures(program, store=folder):
        assert isinstance(error, mpc.IntegrityError)


def test_a_reader_ends_with_its_session(tmp_path: Path) -> None:
    folder = stored(compare, tmp_path, runs=1)
    store = Store(folder / "rank-1.store", identity.load(folder / "rank-1.key").secret_key)
    reader = Reader(store, 0, store.take(0)[1])
    reader.close()
    assert not reader._thread.is_alive()
    store.close()


def test_a_store_session_needs_a_store() -> None:
    with pytest.raises(mpc.ConfigError, match="no store"):
        mpc.supervision.threads.run_threads(
            lambda: mpc.session().__enter__(), (), mpc.config.SessionConfig(2, preprocessing="store"), None
        )


def test_the_stores_of_parties_with_keys_of_their_own(tmp_path: Path) -> None:
    """As between machines: sealed for named keys by the dealer's, no key beside the files."""
    parties = [identity.create(name) for name in ("alice", "bob")]
    dealer = identity.create("broker")
    plan = planned(compare, tmp_path)
    recipients = [production.Recipient(p.name, p.public_key) for p in parties]
    paths = production.produce(plan, recipients, dealer.secret_key, tmp_path / "o", 1)
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["alice.store", "bob.store"]
    for own, path in zip(parties, paths, strict=True):
        store = Store(path, own.secret_key, public_bytes(dealer.public_key))
        assert store.header.name == own.name
        store.close()
        with pytest.raises(mpc.IntegrityError, match="dealer"):
            Store(path, own.secret_key, public_bytes(identity.create("other").public_key))


def test_a_session_leaves_nothing_of_its_dealing_readable(tmp_path: Path) -> None:
    """From its first opening on, at every party, whether or not it ends well."""
    folder = stored(compare, tmp_path, 3, runs=2)

    def program(s: Party) -> None:
        secret = identity.load(folder / f"rank-{s.rank}.key").secret_key
        stolen = tmp_path / f"stolen-{s.rank}"
        shutil.copy(folder / f"rank-{s.rank}.store", stolen)
        with closing(Store(stolen, secret)) as store, pytest.raises(mpc.IntegrityError, match="altered"):
            store.take(0)
        s.barrier()
        raise mpc.ConfigError("stop")

    for error in failures(program, 3, store=folder):
        assert isinstance(error, mpc.ConfigError), error
    run(compare, 3, store=folder)
