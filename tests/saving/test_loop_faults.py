"""Checkpoints of loops that do not belong to the program or together, that are damaged, lost, or were never finished."""
from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.saving import files
from tests.saving.looping import interrupted, train
from tests.saving.programs import run


# --- what does not belong together
def failures_of(program: Any, folder: Path, parties: int = 2) -> list[BaseException]:
    """What each party raises, all at the same point."""

    def attempt(s: Any) -> BaseException:
        with pytest.raises(mpc.MPCError) as caught:
            program(s)
        s.barrier()
        return caught.value

    return run(attempt, parties, checkpoint=folder)


def linear(s: Any, model: Any = None, rows: int = 12, size: int = 4, optimizer: Any = None, **options: Any) -> Any:
    model = model or nn.Linear(2, 1)
    optimizer = optimizer or mpc.optim.SGD
    x = mpc.share(np.ones((rows, 2)), 0)
    state = {"model": model, "optimizer": optimizer(model.parameters(), lr=0.1)}
    for _ in mpc.data.batches(x, size=size, checkpoint=options.pop("state", state), **options):
        pass


@pytest.mark.parametrize("options,kind,text", [
    ({"rows": 13}, mpc.ShapeError, r"shapes \[\[12, 2\]\]; here it is \[\[13, 2\]\]"),
    ({"size": 3}, mpc.ConfigError, "size 4; here it is 3"),
    ({"shuffle": False}, mpc.ConfigError, "shuffle True"),
    ({"optimizer": mpc.optim.Adam}, mpc.ConfigError, r"checkpoint\['optimizer'\] is a Adam; what was saved there is a SGD"),
    ({"model": lambda: nn.Linear(2, 3)}, mpc.ShapeError, "weight has shape"),
    ({"model": lambda: nn.Sequential(nn.Linear(2, 1))}, mpc.ConfigError, "is a Sequential; what was saved there is a Linear"),
    ({"state": lambda: [nn.Linear(2, 1)]}, mpc.ConfigError, r"a list of 1; what was saved there is a dict of \['model'"),
    ({"state": lambda: {"model": nn.Linear(2, 1)}}, mpc.ConfigError, "what was saved there is a dict"),
    ({"state": lambda: mpc.share(np.ones(2), 0)}, mpc.ConfigError, "a SecretTensor of shape"),
    ({"state": list}, mpc.ConfigError, "a list of 0"),
])  # fmt: skip
def test_another_model_or_data_shape_is_refused_by_all(options: Any, kind: type, text: str, tmp_path: Path) -> None:
    run(linear, checkpoint=tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}

    def other(s: Any) -> None:
        linear(s, **{key: value() if key in ("model", "state") else value for key, value in options.items()})

    errors = failures_of(other, tmp_path)
    assert [type(error) for error in errors] == [kind] * 2
    assert all(re.search(text, str(error)) for error in errors), errors
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_another_program_or_number_of_parties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(linear, checkpoint=tmp_path)
    with pytest.raises(mpc.ConfigError, match="number of parties|no file|2"):
        run(linear, 3, checkpoint=tmp_path)
    monkeypatch.setattr("sys.argv", ["/else/where/evaluate.py"])
    errors = failures_of(linear, tmp_path)
    assert [type(e) for e in errors] == [mpc.ConfigError] * 2 and "this is evaluate.py" in str(errors[0])
    run(lambda s: mpc.save({"x": 1}, tmp_path / "loop1.shares"))
    errors = failures_of(linear, tmp_path)
    assert [type(e) for e in errors] == [mpc.ConfigError] * 2 and "no checkpoint of a loop" in str(errors[0])


def test_parties_that_ask_for_different_things(tmp_path: Path) -> None:
    def without(s: Any) -> None:
        s.checkpoint = None if s.rank == 1 else s.checkpoint
        linear(s)

    errors = failures_of(without, tmp_path)
    assert [type(e) for e in errors] == [mpc.ConfigError] * 2 and "parties [0] have a checkpoint directory" in str(errors[1])
    with pytest.raises(mpc.ProgramMismatch):
        run(lambda s: linear(s, checkpoint_every=1 + s.rank), checkpoint=tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(mpc.ConfigError, match="is a file"):
        run(linear, checkpoint=blocked)
    errors = failures_of(linear, blocked / "below")
    assert [type(e) for e in errors] == [mpc.ConfigError] * 2
    assert all("Not a directory" in str(e) and str(blocked) in str(e) for e in errors)
    assert not list(tmp_path.glob("loop*"))


# --- damage and loss
def test_a_first_save_that_is_interrupted_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = files.Writing.finish
    for unlucky in (1, 0, 1):

        def stop(self: files.Writing, keep: bool, unlucky: int = unlucky) -> None:
            if f"rank{unlucky}" in self._path.name:
                raise RuntimeError("the power went out")
            finish(self, keep)

        monkeypatch.setattr(files.Writing, "finish", stop)
        with pytest.raises(RuntimeError, match="power"):
            run(lambda s: train(s), checkpoint=tmp_path)
        monkeypatch.undo()
        assert sum(p.name.endswith(".shares") for p in tmp_path.iterdir()) == 1
    assert [len(found[0]) for found in run(lambda s: train(s), checkpoint=tmp_path)] == [24, 24]


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_a_damaged_or_lost_newest_file_goes_back_one_save(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(tmp_path, 13)
    path = tmp_path / "loop1.rank1.shares"
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:100])
    capsys.readouterr()
    assert [len(found[0]) for found in run(lambda s: train(s), checkpoint=tmp_path)] == [24 - 9] * 2
    told = capsys.readouterr().err
    assert "going back to save number 3" in told and "going on after batch 9" in told
    assert damage == "gone" or "party 1 has a damaged file" in told


def test_a_party_that_lost_everything_is_named(tmp_path: Path) -> None:
    interrupted(tmp_path, 13)
    for path in tmp_path.glob("loop1.rank1*"):
        path.unlink()
    errors = failures_of(lambda s: train(s), tmp_path)
    assert [type(e) for e in errors] == [mpc.ConfigError] * 2 and "party 1 has no file" in str(errors[0])
    assert len(list(tmp_path.glob("loop1.rank0*"))) == 2, "what is there is not touched"


def test_files_of_two_runs_are_not_mixed(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    interrupted(one, 13)
    interrupted(two, 13)
    for path in two.glob("loop1.rank1*"):
        shutil.copy(path, one / path.name)
    errors = failures_of(lambda s: train(s), one)
    assert [type(e) for e in errors] == [mpc.IntegrityError] * 2 and "different saves" in str(errors[0])
