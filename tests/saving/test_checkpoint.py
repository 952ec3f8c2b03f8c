"""mpc.save and mpc.load between parties: what comes back, what the files hold, what is refused everywhere alike."""
from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn, sharing
from mpc.saving import files, tree

RNG = np.random.default_rng(5)
X, W = RNG.normal(size=(6, 4)), RNG.normal(size=(4, 2))
WORLDS = [("clear", 2), ("additive", 2), ("additive", 3)]


def run(program: Callable[..., Any], parties: int = 2, protocol: str = "additive", **options: Any) -> list[Any]:
    def main() -> Any:
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, protocol=protocol, threads=True, deadline=10, **options)


def failures(program: Callable[..., Any], parties: int = 2, protocol: str = "additive", **options: Any) -> list[BaseException]:
    """What each party raised itself, by rank: every one of them, not only the first."""
    caught: dict[int, BaseException] = {}
    lock = threading.Lock()

    def main() -> None:
        try:
            with mpc.session() as s:
                rank = s.rank
                program(s)
        except BaseException as error:
            with lock:
                caught[rank] = error

    mpc.local(main, parties=parties, protocol=protocol, threads=True, deadline=10, timeout=30, **options)
    assert sorted(caught) == list(range(parties)), f"only {caught} failed"
    return [caught[rank] for rank in range(parties)]


def at(folder: Path, rank: int, name: str = "x") -> Path:
    return folder / f"{name}.rank{rank}.shares"


def save_ones(folder: Path, parties: int = 2, protocol: str = "additive", **options: Any) -> None:
    run(lambda s: mpc.save(mpc.share(np.ones(3), 0), folder / "x.shares"), parties, protocol, **options)


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
        keys = [s.dealt, s.private, *s._inputs.values(), *s._zeros.values(), s._transcript.digest()]
        return keys, opened.public.tobytes(), x._value.share.words.tobytes()

    for rank, (keys, opened, words) in enumerate(run(write, 3)):
        data = at(tmp_path, rank).read_bytes()
        header, stored = files.decode(data, at(tmp_path, rank))
        assert stored.size == X.size and len(data) - 8 * X.size - 32 - 24 == int.from_bytes(data[16:24], "little")
        assert set(header.__struct_fields__) == {
            "package", "world_size", "rank", "frac_bits", "protocol", "save", "sequence", "tree"
        }  # fmt: skip
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


# --- refusals
def swapped(folder: Path, parties: int) -> None:
    a, b = at(folder, 0).read_bytes(), at(folder, 1).read_bytes()
    at(folder, 0).write_bytes(b)
    at(folder, 1).write_bytes(a)


def flip(position: float) -> Callable[[Path, int], None]:
    def spoil(folder: Path, parties: int) -> None:
        data = bytearray(at(folder, 1).read_bytes())
        data[int(position * (len(data) - 1))] ^= 4
        at(folder, 1).write_bytes(data)

    return spoil


def version(folder: Path, parties: int) -> None:
    data = at(folder, 1).read_bytes()[:-32]
    data = data[:8] + (9).to_bytes(8, "little") + data[16:]
    at(folder, 1).write_bytes(data + hashlib.blake2b(data, digest_size=32).digest())


def other_save(folder: Path, parties: int) -> None:
    before = at(folder, 1).read_bytes()
    save_ones(folder, parties)
    at(folder, 1).write_bytes(before)
    for rank in range(parties):
        files.previous(at(folder, rank)).unlink()


def other_structure(folder: Path, parties: int) -> None:
    header, words = files.read(at(folder, 1))
    header.tree = tree.Secret((3, 1), 16)
    at(folder, 1).write_bytes(files.encode(header, words))


def folder_there(folder: Path, parties: int) -> None:
    at(folder, 1).unlink()
    at(folder, 1).mkdir()


SPOILED: dict[str, tuple[Callable[[Path, int], Any], type[BaseException], str]] = {
    "ranks swapped": (swapped, mpc.IntegrityError, "x.rank1.shares was saved with rank 0"),
    "first byte": (flip(0.0), mpc.IntegrityError, "x.rank1.shares is no file of shares"),
    "header byte": (flip(0.3), mpc.IntegrityError, "x.rank1.shares is damaged"),
    "share byte": (flip(0.8), mpc.IntegrityError, "x.rank1.shares is damaged"),
    "last byte": (flip(1.0), mpc.IntegrityError, "x.rank1.shares is damaged"),
    "cut off": (lambda f, n: os.truncate(at(f, 1), 100), mpc.IntegrityError, "x.rank1.shares is damaged"),
    "empty": (lambda f, n: at(f, 1).write_bytes(b""), mpc.IntegrityError, "x.rank1.shares is no file .*0 bytes"),
    "missing": (lambda f, n: at(f, 1).unlink(), mpc.ConfigError, "no file .*x.rank1.shares"),
    "a folder": (folder_there, mpc.ConfigError, "x.rank1.shares: Is a directory"),
    "version": (version, mpc.ConfigError, "x.rank1.shares has format version 9; this release reads 1"),
    "another save": (other_save, mpc.IntegrityError, "different saves"),
    "another structure": (other_structure, mpc.IntegrityError, "different saves"),
}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("parties", [2, 3])
def test_a_file_that_does_not_fit_is_refused_at_every_party(what: str, parties: int, tmp_path: Path) -> None:
    spoil, kind, text = SPOILED[what]
    save_ones(tmp_path, parties)
    spoil(tmp_path, parties)
    errors = failures(lambda s: mpc.load(tmp_path / "x.shares"), parties)
    assert [type(error) for error in errors] == [kind] * parties
    assert re.search(text, str(errors[1])), errors
    if what in ("missing", "share byte"):
        assert "party 1" in str(errors[0]) and "rank1" not in str(errors[0]) and errors[0].echo == 1


@pytest.mark.parametrize("parties,protocol,frac_bits,text", [
    (3, "additive", 16, "parties 2"), (2, "clear", 16, "protocol 'additive'"), (2, "additive", 12, "frac_bits 16")
])  # fmt: skip
def test_another_session_is_refused(parties: int, protocol: str, frac_bits: int, text: str, tmp_path: Path) -> None:
    save_ones(tmp_path)
    at(tmp_path, 2).write_bytes(at(tmp_path, 1).read_bytes())
    errors = failures(lambda s: mpc.load(tmp_path / "x.shares"), parties, protocol, frac_bits=frac_bits)
    assert [type(error) for error in errors] == [mpc.ConfigError] * parties
    assert all(text in str(error) for error in errors[:1])


def test_nobody_has_a_file(tmp_path: Path) -> None:
    errors = failures(lambda s: mpc.load(tmp_path / "x.shares"))
    assert [type(error) for error in errors] == [mpc.ConfigError] * 2 and "no party has a file" in str(errors[0])
    assert run(lambda s: mpc.load(tmp_path / "x.shares", missing_ok=True)) == [None, None]
    save_ones(tmp_path)
    at(tmp_path, 0).unlink()
    errors = failures(lambda s: mpc.load(tmp_path / "x.shares", missing_ok=True))
    assert [type(error) for error in errors] == [mpc.ConfigError] * 2, "missing at one party alone is not a first start"


def test_what_does_not_fit_into_the_model_changes_nothing(tmp_path: Path) -> None:
    def write(s: Any) -> None:
        model = nn.Linear(3, 2)
        mpc.save({"a": model, "b": nn.Linear(2, 2), "n": 1, "o": mpc.optim.SGD(model.parameters())}, tmp_path / "m.shares")

    run(write)

    def read(s: Any) -> Any:
        good, bad = nn.Linear(3, 2), nn.Linear(3, 2)
        before = good.reveal()
        adam = mpc.optim.SGD([{"params": [good.weight]}, {"params": [good.bias]}])
        for into, kind, text in [
            ({"a": good, "b": bad}, mpc.ShapeError, "weight has shape"),
            ({"a": good, "c": bad}, mpc.ConfigError, r"\['c'\]"),
            ({"a": good, "b": nn.Sequential(nn.Linear(2, 2))}, mpc.ConfigError, "not in the model"),
            ({"a": good, "o": adam}, mpc.ConfigError, "groups"),
            ({"a": good, "n": bad}, mpc.ConfigError, "public value"),
            ({"a": good, "n": 3}, mpc.ConfigError, "is a int"),
            ({"a": {"weight": good}}, mpc.ConfigError, "is a dict"),
            (good, mpc.ConfigError, "not in the model"),
        ]:
            with pytest.raises(kind, match=text):
                mpc.load(tmp_path / "m.shares", into=into)
        after = good.reveal()
        mpc.load(tmp_path / "m.shares", into={"a": good})
        return before, after, good.reveal()

    for before, after, loaded in run(read):
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
            assert np.any(loaded[name] != after[name])


@pytest.mark.parametrize("what,text", [
    (lambda s: {"x": object()}, r"\['x'\] is a object"),
    (lambda s: {("a",): 1}, "key"),
    (lambda s: [1, {2: 2**70}], r"\[1\]\[2\] is an integer of 71 bits"),
    (lambda s: np.array(["text"]), "dtype"),
    (lambda s: 1j, "complex"),
], ids=["object", "key", "integer", "array", "complex"])  # fmt: skip
def test_what_cannot_be_saved(what: Callable[..., Any], text: str, tmp_path: Path) -> None:
    for error in failures(lambda s: mpc.save(what(s), tmp_path / "x.shares")):
        assert isinstance(error, mpc.NotSupported)
    with pytest.raises(mpc.NotSupported, match=text):
        run(lambda s: mpc.save(what(s), tmp_path / "x.shares"))
    assert not list(tmp_path.iterdir())


def test_what_contains_itself(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(mpc.NotSupported, match="contain itself"):
        run(lambda s: mpc.save(loop, tmp_path / "x.shares"))


def test_public_values_must_be_alike(tmp_path: Path) -> None:
    errors = failures(lambda s: mpc.save({"rank": s.rank, "x": mpc.share(1.0, 0)}, tmp_path / "x.shares"))
    assert [type(error) for error in errors] == [mpc.ProgramMismatch] * 2 and "different things" in str(errors[0])
    assert not list(tmp_path.iterdir())


def test_one_party_cannot_write(tmp_path: Path) -> None:
    save_ones(tmp_path)
    before = [at(tmp_path, rank).read_bytes() for rank in range(2)]
    (tmp_path / "x.rank1.shares.new").mkdir()
    errors = failures(lambda s: mpc.save(mpc.share(np.zeros(3), 0), tmp_path / "x.shares"))
    assert [type(error) for error in errors] == [mpc.ConfigError] * 2
    assert "x.rank1.shares" in str(errors[1]) and "party 1 cannot write" in str(errors[0])
    assert [at(tmp_path, rank).read_bytes() for rank in range(2)] == before
    assert not (tmp_path / "x.rank0.shares.new").exists()


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
