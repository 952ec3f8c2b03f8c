"""mpc.save and mpc.load between parties: what comes back, what the files hold, what is refused everywhere alike."""
from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn, sharing
from mpc.saving import files
from tests.saving.programs import WORLDS, at, run, save_ones

RNG = np.random.default_rng(5)
X, W = RNG.normal(size=(6, 4)), RNG.normal(size=(4, 2))


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_what_is_saved_comes_back(protocol: str, parties: int, tmp_path: Path) -> None:
    public = {
        "epoch": 3, "loss": 0.25, "name": "größe", "none": None, "yes": True, 7: b"\x00\xff", "big": np.int64(-(2**62)),
        "array": np.arange(6.0).reshape(2, 3), "mask": np.array([True, False]), "pair": (1, [2.5, "x"]), "empty": {},
        "f32": np.float32(0.5), "nothing": np.zeros((0, 2)),
    }  # fmt: skip

    def write(s: Any) -> Any:
        x, w = mpc.share(X if s.rank == 0 else None, owner=0), mpc.share(W if s.rank == 1 else None, owner=1)
        secret = {"x": x, "product": x @ w * 0.3, "bits": x > 0, "part": x.T[1:, ::2], "scalar": x.sum(), "none": x[:0]}
        path = mpc.save({"secret": secret, "list": [x, (w,)], "public": public}, tmp_path / "all.shares")
        assert path == at(tmp_path, s.rank, "all")
        return {name: value.reveal() for name, value in secret.items()}

    def read(s: Any) -> Any:
        got = mpc.load(tmp_path / "all.shares")
        secret = {name: value.reveal() for name, value in got["secret"].items()}
        return secret, got["list"][0].reveal(), got["list"][1][0].reveal(), got["public"], type(got["list"][1])

    first, second = run(write, parties, protocol), run(read, parties, protocol)
    for want, (secret, x, w, back, kind) in zip(first, second, strict=True):
        for name, value in want.items():
            np.testing.assert_array_equal(secret[name], value, err_msg=name)
        np.testing.assert_allclose(x, X, atol=2**-17)
        np.testing.assert_allclose(w, W, atol=2**-17)
        assert kind is tuple
        assert list(back) == list(public)
        for name, value in public.items():
            np.testing.assert_equal(back[name], value)
        assert back["array"].dtype == np.float64 and back["mask"].dtype == bool and back["nothing"].shape == (0, 2)


def test_a_file_holds_shares_and_public_state_alone(tmp_path: Path) -> None:
    """Nothing of the session: no keys, no operation numbers, no opened forms. What is there is counted to the byte."""

    def write(s: Any) -> Any:
        x = mpc.share(X, 0)
        (x @ mpc.share(W, 1)).reveal(reason="opens x")
        opened = x._value.share.opened
        assert opened is not None
        mpc.save({"x": x, "note": "n"}, tmp_path / "x.shares")
        keys = [s.dealt, s.private, *s._zeros.values(), s._transcript.digest()]
        return keys, opened.public.tobytes(), x._value.share.words.tobytes()

    for rank, (keys, opened, words) in enumerate(run(write, 3)):
        data = at(tmp_path, rank).read_bytes()
        header, stored = files.decode(data, at(tmp_path, rank))
        assert stored.size == X.size and len(data) - 8 * X.size - 32 - 24 == int.from_bytes(data[16:24], "little")
        assert set(header.__struct_fields__) == {
            "package", "world_size", "rank", "frac_bits", "protocol", "save", "sequence", "tree", "own"
        } and header.own == b""  # fmt: skip
        assert not [key for key in keys if key[:16] in data] and opened[:64] not in data
        assert words[:16] not in data, "the file's sharing is a fresh one"
        assert stat.S_IMODE(os.stat(at(tmp_path, rank)).st_mode) == 0o600
        assert sorted(p.name for p in tmp_path.iterdir()) == [at(tmp_path, r).name for r in range(3)]


def test_the_files_together_are_the_value_and_of_two_saves_are_not(tmp_path: Path) -> None:
    def write(s: Any) -> None:
        x = mpc.share(X, 0)
        mpc.save(x, tmp_path / "x.shares")
        mpc.save(x, tmp_path / "x.shares")

    run(write, 3)
    new = [files.read(at(tmp_path, rank))[1] for rank in range(3)]
    old = [files.read(files.previous(at(tmp_path, rank)))[1] for rank in range(3)]
    for parts in (new, old):
        np.testing.assert_allclose(
            sharing.reconstruct([sharing.Share(p.reshape(X.shape), 16) for p in parts]), X, atol=2**-17
        )
    mixed = sharing.join([new[0], new[1], old[2]]).view(np.int64)
    assert np.abs(mixed.astype(float)).min() > 2**40, "shares of two saves add up to noise"
    for part in new:  # uniform: no byte position is constant
        assert len(set(part.tolist())) == part.size and np.all(np.bitwise_or.reduce(part) >> np.uint64(60) > 0)


def test_masks_are_new_after_loading(tmp_path: Path) -> None:
    """The same program on the same file, in two sessions: what is opened of x, and every key, differs."""
    save_ones(tmp_path)

    def read(s: Any) -> Any:
        x = mpc.load(tmp_path / "x.shares")
        share = x._value.settled()
        assert share.opened is None and share.base is None and share.bit is None
        s.protocol.open(share)
        return share.opened.public.copy(), share.opened.name, s.dealt, x.reveal()

    one, two = run(read), run(read)
    for rank in range(2):
        assert one[rank][1] == two[rank][1], "the same name of the mask: only keys keep the streams apart"
        assert not np.intersect1d(one[rank][0], two[rank][0]).size and one[rank][2] != two[rank][2]
        np.testing.assert_array_equal(one[rank][3], np.ones(3))


def test_two_loads_in_one_session_take_two_masks(tmp_path: Path) -> None:
    save_ones(tmp_path)

    def read(s: Any) -> Any:
        x, y = mpc.load(tmp_path / "x.shares"), mpc.load(tmp_path / "x.shares")
        s.protocol.open(x._value.settled(), y._value.settled())
        return x._value.share.opened, y._value.share.opened

    for x, y in run(read):
        assert x.name != y.name and not np.intersect1d(x.public, y.public).size


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_model_and_optimizer(protocol: str, parties: int, tmp_path: Path) -> None:
    def build(s: Any, seed: int) -> tuple[Any, Any]:
        s.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        return model, mpc.optim.SGD(
            [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[2].parameters()}], lr=0.1, momentum=0.9
        )

    def steps(model: Any, optimizer: Any, count: int) -> None:
        x, y = mpc.share(X, 0), mpc.share(X @ W, 1)
        for _ in range(count):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()

    def write(s: Any) -> Any:
        model, optimizer = build(s, 1)
        steps(model, optimizer, 2)
        optimizer.param_groups[1]["lr"] = 0.05
        mpc.save({"model": model, "optimizer": optimizer, "step": 2}, tmp_path / "m.shares")
        steps(model, optimizer, 3)
        return model.reveal()

    def read(s: Any) -> Any:
        model, optimizer = build(s, 2)
        got = mpc.load(tmp_path / "m.shares", into={"model": model, "optimizer": optimizer})
        assert got["model"] is model and got["optimizer"] is optimizer and got["step"] == 2
        assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.05]
        plain = mpc.load(tmp_path / "m.shares")
        assert sorted(plain["model"]) == sorted(model.state_dict()) and plain["optimizer"]["state"][0]["u"].scale == s.frac_bits
        steps(model, optimizer, 3)
        return model.reveal()

    want, got = run(write, parties, protocol)[0], run(read, parties, protocol)[0]
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=0 if protocol == "clear" else 1e-3, err_msg=name)


def test_rounds_and_ledger(tmp_path: Path) -> None:
    def write(s: Any) -> Any:
        x = mpc.share(X, 0)
        counts = []
        for action in (lambda: mpc.save({"x": x}, tmp_path / "x.shares"), lambda: mpc.load(tmp_path / "x.shares")):
            before = s.total.rounds, s.total.bytes_sent
            action()
            counts.append((s.total.rounds - before[0], s.total.bytes_sent - before[1]))
        return counts, s.ledger

    for counts, ledger in run(write):
        assert counts == [(2, 18 * 8 + 8), (1, 12 * 8)] and ledger == []


def test_a_folder_per_rank_and_names(tmp_path: Path) -> None:
    for rank in range(2):
        (tmp_path / f"party{rank}").mkdir()
    pattern = f"{tmp_path}/party{{rank}}/m.shares"
    assert run(lambda s: mpc.save(mpc.share(2.0, 0), pattern)) == [tmp_path / f"party{r}" / "m.shares" for r in range(2)]
    assert run(lambda s: float(mpc.load(pattern).reveal())) == [2.0, 2.0]
    assert mpc.saving.path_of("a/model", 1) == Path("a/model.rank1")
    with pytest.raises(mpc.ConfigError, match="name of a file"):
        mpc.saving.path_of("", 0)


def test_the_name_is_short_of_nothing(tmp_path: Path) -> None:
    """A relative name stands in the working directory, also for the sync of the folder."""
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        save_ones(Path())
    finally:
        os.chdir(before)
    assert at(tmp_path, 0).exists()


def test_outside_a_session() -> None:
    with pytest.raises(mpc.SessionError):
        mpc.save(1, "x")
    with pytest.raises(mpc.SessionError):
        mpc.load("x")
    with pytest.raises(mpc.ConfigError, match="'newest' or 'previous'"):
        mpc.load("x", generation="last")
