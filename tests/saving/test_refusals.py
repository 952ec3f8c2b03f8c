"""Files that do not fit are refused: the same class at every party, at once, naming the file; nothing changes."""
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.saving import files, tree
from tests.saving.programs import at, failures, run, save_ones


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
            ({"a": good, "o": adam}, mpc.ConfigError, "groups"),
            ({"b": nn.Sequential(nn.Linear(2, 2)), "a": good}, mpc.ConfigError, "Sequential; what was saved there is a Linear"),
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


def test_programs_that_differ(tmp_path: Path) -> None:
    def different(s: Any) -> None:
        x = mpc.share(1.0, 0)
        if s.rank:
            s.barrier()
        else:
            mpc.save(x, tmp_path / "x.shares")

    with pytest.raises(mpc.ProgramMismatch):
        run(different)
    assert not list(tmp_path.iterdir())
    save_ones(tmp_path)
    with pytest.raises(mpc.ProgramMismatch):
        run(lambda s: mpc.load(tmp_path / "x.shares", missing_ok=bool(s.rank)))


def test_one_party_cannot_write(tmp_path: Path) -> None:
    save_ones(tmp_path)
    before = [at(tmp_path, rank).read_bytes() for rank in range(2)]
    (tmp_path / "x.rank1.shares.new").mkdir()
    errors = failures(lambda s: mpc.save(mpc.share(np.zeros(3), 0), tmp_path / "x.shares"))
    assert [type(error) for error in errors] == [mpc.ConfigError] * 2
    assert "x.rank1.shares" in str(errors[1]) and "party 1 cannot write" in str(errors[0])
    assert [at(tmp_path, rank).read_bytes() for rank in range(2)] == before
    assert not (tmp_path / "x.rank0.shares.new").exists()
