"""Two generations: whatever moment an interruption comes at, one save is whole at every party."""
from __future__ import annotations

import itertools
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError, IntegrityError
from mpc.saving import agreement, files
from mpc.saving.agreement import Record, Status, choose, last_common
from tests.saving.programs import at, failures, run

A, B, C = (Record(Status.FINE, bytes([k]) * 16, k, bytes(16)) for k in (1, 2, 3))
GONE, BAD = Record(Status.MISSING), Record(Status.DAMAGED)
FINE = ["", ""]


def test_records_travel() -> None:
    for record in (A, GONE, BAD, Record(Status.RANK)):
        assert agreement.unpack(record.pack()) == record and record.pack().size == agreement.RECORD_WORDS
    with pytest.raises(IntegrityError):
        agreement.unpack(np.full(agreement.RECORD_WORDS, 77, np.uint64))


@pytest.mark.parametrize("pairs,generation,want", [
    ([(C, B), (C, B)], "newest", [0, 0]),
    ([(C, GONE), (C, B)], "newest", [0, 0]),
    ([(C, BAD), (C, B)], "newest", [0, 0]),
    ([(C, B), (B, A)], "newest", [1, 0]),
    ([(C, B), (GONE, B), (B, A)], "newest", [1, 1, 0]),
    ([(C, B), (C, B)], "previous", [1, 1]),
    ([(C, B), (BAD, B)], "previous", [1, 1]),
    ([(C, B), (B, A)], "previous", [1, 0]),
    ([(BAD, B), (BAD, B)], "previous", [1, 1]),
    ([(GONE, GONE), (GONE, GONE)], "newest", None),
    ([(GONE, GONE), (GONE, GONE)], "previous", None),
    ([(C, B), (BAD, B)], "newest", (IntegrityError, "generation='previous'")),
    ([(BAD, GONE), (C, B)], "newest", (IntegrityError, "damaged file")),
    ([(C, B), (GONE, GONE)], "newest", (ConfigError, "party 1 has no file")),
    ([(C, A), (B, A)], "newest", [1, 1]),
    ([(C, GONE), (B, GONE)], "newest", (IntegrityError, "different saves")),
    ([(C, B), (A, GONE)], "newest", (IntegrityError, "different saves")),
    ([(C, GONE), (C, GONE)], "previous", (ConfigError, "has no file")),
    ([(C, B), (C, A)], "previous", (IntegrityError, "before the newest")),
    ([(C, B), (C, Record(Status.FINE, B.save, 2, b"x" * 16))], "previous", (IntegrityError, "before the newest")),
    ([(C, B), (C, A)], "common", [0, 0]),
    ([(C, B), (B, A)], "common", [1, 0]),
    ([(C, B), (BAD, B)], "common", [1, 1]),
    ([(BAD, B), (BAD, B)], "common", [1, 1]),
    ([(C, B), (BAD, B), (GONE, B)], "common", [1, 1, 1]),
    ([(C, B), (Record(Status.RANK), B)], "common", (IntegrityError, "another rank")),
    ([(C, B), (BAD, GONE)], "common", (IntegrityError, "damaged")),
    ([(C, B), (GONE, GONE)], "common", (ConfigError, "no file")),
    ([(A, GONE), (GONE, GONE)], "common", None),
    ([(A, GONE), (A, GONE), (GONE, GONE)], "common", None),
    ([(A, GONE), (A, GONE)], "common", [0, 0]),
    ([(B, GONE), (GONE, GONE)], "common", (ConfigError, "no file")),
    ([(A, GONE), (BAD, GONE)], "common", (IntegrityError, "damaged")),
    ([(A, GONE), (GONE, GONE)], "newest", (ConfigError, "no file")),
])  # fmt: skip
def test_choice(pairs: Any, generation: str, want: Any) -> None:
    for mine, own in enumerate(pairs):
        trouble = ["" if r.status == Status.FINE else f"own {r.status.name}" for r in own]
        if isinstance(want, tuple):
            with pytest.raises(want[0], match=want[1] + "|own") as caught:
                choose(pairs, generation, mine, trouble)
            assert type(caught.value) is want[0] and (caught.value.echo is None or caught.value.echo != mine)
        else:
            got = choose(pairs, generation, mine, trouble)
            assert (None if got is None else got.generation) == want


def test_every_interruption_leaves_a_common_save() -> None:
    """All ways in which three saves can stop half way: each party's replacement is done or not done."""
    for parties in (2, 3):
        cases = list(itertools.product([True, False], repeat=parties))
        for sequence in itertools.product(cases, repeat=3):
            held = [(A, GONE)] * parties
            for number, done in enumerate(sequence):
                new = Record(Status.FINE, bytes([10 + number]) * 16, 10 + number, bytes(16))
                common = last_common(held)
                assert common is not None
                held = [
                    (new, newest if newest.save == common else older) if ready else (newest, older)
                    for ready, (newest, older) in zip(done, held, strict=True)
                ]
                assert last_common(held) is not None
                assert choose(held, "newest", 0, FINE) is not None


def write(folder: Path, value: float) -> None:
    run(lambda s: mpc.save({"x": mpc.share(value, 0), "n": value}, folder / "x.shares"))


def read(folder: Path, **options: Any) -> Any:
    def program(s: Any) -> Any:
        got = mpc.load(folder / "x.shares", **options)
        return float(got["x"].reveal()), got["n"]

    return run(program)


def test_the_generation_before(tmp_path: Path) -> None:
    for value in (1.0, 2.0, 3.0):
        write(tmp_path, value)
    assert read(tmp_path) == [(3.0, 3.0)] * 2
    assert read(tmp_path, generation="previous") == [(2.0, 2.0)] * 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"x.rank{rank}.shares{end}" for rank in range(2) for end in ("", ".previous")
    ]
    assert files.read(at(tmp_path, 0))[0].sequence == 3


def test_a_damaged_newest_file_is_named_and_the_one_before_loads_on_request(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        write(tmp_path, value)
    os.truncate(at(tmp_path, 1), 60)
    errors = failures(lambda s: mpc.load(tmp_path / "x.shares"))
    assert [type(error) for error in errors] == [IntegrityError] * 2
    assert all("load it with generation='previous'" in str(error) for error in errors)
    assert read(tmp_path, generation="previous") == [(1.0, 1.0)] * 2
    write(tmp_path, 3.0)  # the damaged file is not kept as the previous one
    assert read(tmp_path, generation="previous") == [(1.0, 1.0)] * 2
    assert read(tmp_path) == [(3.0, 3.0)] * 2


@pytest.mark.filterwarnings("ignore:load. the last save was interrupted")
def test_saves_that_stop_between_two_parties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 1.0)
    write(tmp_path, 2.0)
    finish = files.Writing.finish
    for value, unlucky in ((3.0, 1), (4.0, 1), (5.0, 0), (6.0, 1)):

        def stop(self: files.Writing, keep: bool, unlucky: int = unlucky) -> None:
            if f"rank{unlucky}" in self._path.name:
                raise RuntimeError("the power went out")
            finish(self, keep)

        monkeypatch.setattr(files.Writing, "finish", stop)
        with pytest.raises(RuntimeError, match="power"):
            write(tmp_path, value)
        monkeypatch.undo()
        assert read(tmp_path) == [(2.0, 2.0)] * 2
    write(tmp_path, 7.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path) == [(7.0, 7.0)] * 2
    assert read(tmp_path, generation="previous") == [(2.0, 2.0)] * 2


def test_an_interrupted_save_is_told(tmp_path: Path) -> None:
    write(tmp_path, 1.0)
    older = at(tmp_path, 1).read_bytes()
    write(tmp_path, 2.0)
    at(tmp_path, 1).write_bytes(older)
    with pytest.warns(RuntimeWarning, match="interrupted.*loaded save number 1"):
        assert read(tmp_path) == [(1.0, 1.0)] * 2


KILLED = """
import os, sys, signal
from pathlib import Path
from mpc.saving import files
path, step = Path(sys.argv[1]), int(sys.argv[2])
calls = 0
def counting(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
for name in ("open", "fsync", "fchmod", "link", "replace", "unlink"):
    setattr(os, name, counting(getattr(os, name)))
w = files.Writing(path, b"new")
w.finish(True)
print("done")
"""


def test_a_process_killed_at_any_step_leaves_whole_files(tmp_path: Path) -> None:
    """Killed before each system call of a write in turn: the name always holds the old or the new contents, whole."""
    seen = set()
    for step in range(1, 30):
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / "x"
        path.write_bytes(b"old")
        files.previous(path).write_bytes(b"older")
        done = subprocess.run(
            [sys.executable, "-P", "-c", KILLED, str(path), str(step)], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        state = path.read_bytes(), files.previous(path).read_bytes()
        assert state in {(b"old", b"older"), (b"old", b"old"), (b"new", b"old")}
        seen.add(state)
        if done.stdout == "done\n":
            assert done.returncode == 0 and state == (b"new", b"old")
            assert sorted(p.name for p in folder.iterdir()) == ["x", "x.previous"]
            break
        assert done.returncode == -9, done.stderr
        files.Writing(path, b"next").finish(True)  # what was left behind is in nobody's way
        assert path.read_bytes() == b"next" and sorted(p.name for p in folder.iterdir()) == ["x", "x.previous"]
    else:
        raise AssertionError("it never finished")
    assert len(seen) == 3 and step > 5


def test_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for value in (1.0, 2.0, 3.0):
        write(tmp_path, value)
    assert read(tmp_path) == [(3.0, 3.0)] * 2 and read(tmp_path, generation="previous") == [(2.0, 2.0)] * 2
    at(tmp_path, 0).unlink()  # killed between the two replacements
    with pytest.warns(RuntimeWarning, match="interrupted"):
        assert read(tmp_path) == [(2.0, 2.0)] * 2


def test_the_mode_is_0600_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        files.Writing(tmp_path / "x", b"data").finish(False)
        os.umask(0)
        files.Writing(tmp_path / "y", b"data").finish(False)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "xy"] == [0o600] * 2
